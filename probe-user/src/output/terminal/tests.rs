//! The screen drawn into a buffer, compared with what is kept under `snapshots/` (`UPDATE_GOLDEN=1` writes it anew).
use super::palette::Palette;
use super::reading::{ObservedInterface, Passed, Reading};
use super::{Command, Session, picture};
use crate::output::sample;
use crate::output::{Hook, Message};
use probe_core::diagnose::Output;
use probe_core::model::SECOND;
use probe_core::model::finding::{Direction, Finding, State};
use probe_core::model::interface::{DeviceCounters, Interface, Peer, Role};
use probe_core::model::size_histogram::{SizeBucket, SizeHistogram};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use std::fs;
use std::path::Path;

const NOW: u64 = 42 * SECOND;

fn interface(ifindex: u32, name: &str, role: Role, mtu: u32) -> Interface {
    Interface::plain(ifindex, name, if role == Role::Pod { "veth" } else { "" }, mtu, role)
}

fn histogram(direction: Direction, counts: &[(u32, u64)]) -> SizeHistogram {
    let edges = [
        64, 128, 256, 512, 576, 1024, 1280, 1400, 1420, 1440, 1450, 1460, 1480, 1492, 1500, 8951, 9000, 9001,
    ];
    let packets =
        |edge: u32| counts.iter().find(|(size, _)| *size == edge).map_or(0, |(_, packets)| *packets);
    let last = SizeBucket { upper: None, packets: 0 };
    let buckets = edges.map(|edge| SizeBucket { upper: Some(edge), packets: packets(edge) });
    SizeHistogram {
        pod: sample::pod(),
        interface: "veth1a2b".to_owned(),
        direction,
        buckets: buckets.into_iter().chain([last]).collect(),
        packets: counts.iter().map(|(_, packets)| packets).sum(),
        bytes: counts.iter().map(|(size, packets)| u64::from(*size) * packets).sum(),
        largest: counts.iter().map(|(size, _)| *size).max().unwrap_or(0),
        above_pod_mtu: 0,
    }
}

fn reading(seconds: u64) -> Reading {
    let veth = Interface {
        peer: Some(Peer { ifindex: 2, nsid: Some(1), mtu: Some(1400), ..Peer::default() }),
        counters: DeviceCounters { rx_dropped: 12, ..DeviceCounters::default() },
        ..interface(7, "veth1a2b", Role::Pod, 1500)
    };
    let seen = |interface: Interface, hook, passed: Passed| ObservedInterface {
        pod: (interface.role == Role::Pod).then(sample::pod),
        interface,
        hook,
        ingress: passed,
        egress: Passed { oversize: 0, ..passed },
    };
    let passed = |packets: u64, oversize| Passed { packets, bytes: packets * 1000, oversize };
    let mut finding = sample::finding();
    finding.counts.oversize_packets += seconds;
    Reading {
        time: (30 + seconds) * SECOND,
        interfaces: vec![
            seen(
                interface(2, "eth0", Role::Uplink, 1400),
                Some(Hook::Tcx),
                passed(100_000 + 12_345 * seconds, 12),
            ),
            seen(veth, Some(Hook::Tcx), passed(500 + 50 * seconds, 3)),
            seen(interface(9, "vxlan0", Role::Overlay, 1450), None, passed(0, 0)),
        ],
        histograms: vec![
            histogram(Direction::FromPod, &[(64, 2113), (1400, 318), (1500, 101_781)]),
            histogram(Direction::ToPod, &[(64, 50_000), (576, 12)]),
        ],
        findings: vec![finding],
    }
}

/// A session in the midst of an observation.
fn session() -> Session {
    session_of(|_| true)
}

/// The same, which was told these messages only.
fn session_of(is_told: impl Fn(&Message) -> bool) -> Session {
    let mut session = Session::new(sample::clock(), Palette::new(false));
    let messages = sample::messages().into_iter().filter(|message| !matches!(message, Message::Summary(_)));
    for message in messages.filter(is_told) {
        session.hear(&message);
    }
    session.hear(&Message::Diagnosis { time: NOW, output: Output::Finding(sample::config_finding()) });
    session.read(reading(0));
    session.read(reading(10));
    session
}

fn key(session: &mut Session, code: KeyCode) -> Option<Command> {
    session.press(KeyEvent::new(code, KeyModifiers::NONE))
}

fn keys(session: &mut Session, letters: &str) {
    for letter in letters.chars() {
        assert!(key(session, KeyCode::Char(letter)).is_none(), "{letter}");
    }
}

fn drawn(session: &mut Session, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer");
    terminal.draw(|frame| session.draw(frame, NOW)).expect("drawn");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(width).map(|cells| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}

fn screen(session: &mut Session) -> String {
    text(&drawn(session, 80, 24))
}

fn compare(name: &str, screen: &str) {
    compare_file(&format!("probe-user/src/output/terminal/snapshots/{name}.txt"), screen);
}

fn compare_file(name: &str, screen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, screen).expect("written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(screen, golden, "{name} differs:\n{screen}");
}

#[test]
fn findings_come_first_with_details() {
    compare("findings", &screen(&mut session()));
}

#[test]
fn a_wide_screen_shows_all_of_it() {
    compare("findings_wide", &text(&drawn(&mut session(), 140, 40)));
}

#[test]
fn each_pane_has_rows_and_details() {
    for (letter, name) in [("2", "interfaces"), ("3", "flows"), ("4", "icmp"), ("5", "sizes")] {
        let mut session = session();
        keys(&mut session, letter);
        compare(name, &screen(&mut session));
    }
}

#[test]
fn the_pictures_in_the_readme_are_true() {
    let mut session = session_of(|message| {
        // As most nodes are: everything is seen, and nothing was lost.
        !matches!(message, Message::Diagnosis { output: Output::Lost(_) | Output::Coverage(_), .. })
    });
    session.palette = Palette::new(true);
    compare_file("docs/pictures/findings.svg", &picture::svg(&drawn(&mut session, 96, 24)));
    keys(&mut session, "h");
    compare_file("docs/pictures/sizes.svg", &picture::svg(&drawn(&mut session, 96, 18)));
}

#[test]
fn the_help_names_the_keys() {
    let mut session = session();
    keys(&mut session, "?");
    compare("help", &screen(&mut session));
    keys(&mut session, "x");
    assert!(screen(&mut session).contains("SEVERITY"), "any key leaves the help");
}

#[test]
fn a_filter_is_typed_kept_and_removed() {
    let mut session = session();
    keys(&mut session, "/VXLAN0");
    let typing = screen(&mut session);
    assert!(typing.contains("/VXLAN0") && typing.contains("its underlay leaves"), "{typing}");
    assert!(!typing.contains("eth0 carries"), "{typing}");
    key(&mut session, KeyCode::Enter);
    assert!(screen(&mut session).contains("filter \"VXLAN0\""));
    keys(&mut session, "/ nosuch");
    key(&mut session, KeyCode::Enter);
    assert!(screen(&mut session).contains("Nothing of 2 matches"));
    key(&mut session, KeyCode::Esc);
    assert!(screen(&mut session).contains("eth0 carries"));
}

#[test]
fn rows_are_selected_sorted_and_keep_their_selection() {
    let mut session = session();
    let title = |session: &mut Session| {
        let screen = screen(session);
        screen.lines().find(|line| line.starts_with("what ")).map(str::to_owned).unwrap_or_default()
    };
    assert!(title(&mut session).contains("eth0 carries 1400"));
    keys(&mut session, "j");
    assert!(title(&mut session).contains("vxlan0 takes 1450"));
    keys(&mut session, "s");
    assert!(screen(&mut session).contains("by newest"));
    assert!(title(&mut session).contains("vxlan0 takes 1450"), "the selection follows the row");
    keys(&mut session, "jjjG");
    key(&mut session, KeyCode::Home);
    assert!(title(&mut session).contains("eth0 carries 1400"));
}

#[test]
fn a_pause_stops_the_picture_and_misses_nothing() {
    let mut session = session();
    keys(&mut session, "p");
    let closed = Finding { state: State::Closed, ..sample::finding() };
    session.hear(&Message::Diagnosis { time: NOW, output: Output::Finding(closed) });
    let paused = screen(&mut session);
    assert!(paused.contains("PAUSED, 1 new") && paused.contains("CRITICAL"), "{paused}");
    keys(&mut session, "p");
    let live = screen(&mut session);
    assert!(!live.contains("PAUSED") && live.contains("closed"), "{live}");
}

#[test]
fn what_is_exported_is_what_json_tells() {
    let mut session = session();
    let Some(Command::Export(export)) = key(&mut session, KeyCode::Char('e')) else { panic!("no export") };
    let line: serde_json::Value = serde_json::from_slice(&export.content).expect("one line of JSON");
    assert_eq!((&line["type"], &line["id"]), (&"finding".into(), &"f3a9c1".into()));
    assert!(
        export.name.starts_with("mtuprobe-findings-") && export.name.ends_with("-9be2.jsonl"),
        "{}",
        export.name
    );
    for (pane, kind) in [("2", "interface"), ("3", "finding"), ("4", "packet_too_big"), ("5", "histogram")] {
        keys(&mut session, pane);
        let Some(Command::Export(export)) = key(&mut session, KeyCode::Char('e')) else {
            panic!("no export")
        };
        let first = export.content.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line: serde_json::Value = serde_json::from_slice(first).expect("JSON");
        assert_eq!(line["type"], kind);
    }
}

#[test]
fn the_sizes_of_the_selected_pod_are_one_key_away() {
    let mut session = session();
    keys(&mut session, "h");
    let screen = screen(&mut session);
    assert!(screen.contains("1500") && screen.contains("<MTU") && screen.contains("<limit"), "{screen}");
}

#[test]
fn silence_is_not_health_where_nothing_is_seen() {
    let mut session = Session::new(sample::clock(), Palette::new(false));
    assert!(screen(&mut session).contains("loading"));
    for mut message in sample::messages() {
        if let Message::Start(start) = &mut message {
            (start.attached, start.pending) = (Vec::new(), Vec::new());
            session.hear(&message);
        }
    }
    compare("blind", &screen(&mut session));
}

#[test]
fn every_size_of_terminal_can_be_drawn() {
    let mut session = session();
    for pane in ["1", "2", "3", "4", "5", "?"] {
        keys(&mut session, pane);
        for (width, height) in [(1, 1), (20, 5), (50, 12), (79, 23), (80, 24), (300, 90)] {
            drawn(&mut session, width, height);
        }
    }
    assert!(text(&drawn(&mut session, 40, 10)).contains("too small"));
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let is_plain = |session: &mut Session| {
        let buffer = drawn(session, 80, 24);
        buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    };
    let mut session = session();
    assert!(is_plain(&mut session));
    session.palette = Palette::new(true);
    assert!(!is_plain(&mut session));
}
