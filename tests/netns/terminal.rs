//! `mtuprobe watch` on a terminal: the real binary in a pseudo-terminal.
use anyhow::{Context, Result};
use mtuprobe_tests::attachment;
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::screen::Screen;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// A directory that goes away with it.
struct Directory(PathBuf);

impl Directory {
    fn new(network: &Network) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("mtuprobe-{}", network.node().name()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn network() -> Result<Network> {
    let mut network =
        Plan::new().pod(Pod::routed("pod").mtu(1500).host_mtu(1400)).pod(Pod::bridged("other")).build()?;
    network.serve(&["server"])?;
    Ok(network)
}

fn lose(network: &Network) -> Result<()> {
    let server = network.address("server", Family::V4)?;
    let lost = Datagrams::of(1500, Df::Dont).count(5).run(network.namespace("pod")?, server)?;
    assert!(lost.none(), "a host end of 1400 takes no 1500");
    Ok(())
}

#[test]
fn shows_a_fault_while_it_happens_and_gives_the_terminal_back() -> Result<()> {
    let network = network()?;
    let directory = Directory::new(&network)?;
    let pod = network.lab().full_name("pod");
    let mut screen = Screen::start(network.node(), &["watch"], &[("NO_COLOR", "1")], &directory.0)?;
    screen.wait_until("all interfaces", |text| text.contains("1 Findings") && !text.contains("to come"))?;
    lose(&network)?;
    let text = screen.wait_for("pmtu_black_hole")?;
    for part in ["SEVERITY", "CRITICAL", "1400", "chain", "proof", "now", "kind", "sees "] {
        assert!(text.contains(part), "no {part}:\n{text}");
    }
    for (key, part) in [("2", "uplink"), ("3", "udp "), ("4", "No ICMP error"), ("5", "<MTU")] {
        screen.press(key)?;
        screen.wait_for(part)?;
    }
    screen.press("1/nosuch\r")?;
    screen.wait_for("matches the filter")?;
    screen.press("\x1b")?;
    screen.wait_for("pmtu_black_hole")?;
    screen.press("p")?;
    screen.wait_for("PAUSED")?;
    screen.press("p?")?;
    screen.wait_for("only rows with these words")?;
    screen.press(" ")?;
    screen.resize(40, 132)?;
    screen.wait_until("132 columns", |text| text.lines().any(|line| line.chars().count() > 100))?;
    screen.press("e")?;
    screen.wait_for("exported to mtuprobe-findings-")?;
    screen.press("q")?;
    let left = screen.end()?;
    assert_eq!(left.exit_status(), Some(1), "{}", left.text);
    assert!(left.is_restored, "{}", left.text);
    let raw = String::from_utf8_lossy(&left.raw);
    let last_word = raw.rsplit("\x1b[?1049l").next().unwrap_or_default();
    assert!(last_word.contains("1 CRITICAL") && last_word.contains(&pod), "{last_word}");
    assert!(!raw.contains("\x1b[38;") && !raw.contains("\x1b[31m"), "colours in spite of NO_COLOR");
    let file = fs::read_dir(&directory.0)?.next().context("nothing was exported")??;
    let exported = fs::read_to_string(file.path())?;
    let line: Value = serde_json::from_str(exported.lines().next().unwrap_or_default())?;
    assert_eq!((&line["type"], &line["kind"]), (&"finding".into(), &"pmtu_black_hole".into()), "{line}");
    assert!(attachment::tcx(network.node())?.is_empty() && attachment::clsact(network.node())?.is_empty());
    Ok(())
}

#[test]
fn gives_the_terminal_back_whatever_ends_it() -> Result<()> {
    let network = network()?;
    let directory = Directory::new(&network)?;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGABRT, libc::SIGSEGV] {
        let screen = Screen::start(network.node(), &["watch"], &[], &directory.0)?;
        screen.wait_for("1 Findings")?;
        screen.send(signal)?;
        let left = screen.end()?;
        assert!(left.is_restored, "signal {signal}: {}", left.text);
        let in_good_order = signal == libc::SIGTERM || signal == libc::SIGINT;
        let expected = if in_good_order { (Some(0), None) } else { (None, Some(signal)) };
        assert_eq!((left.exit_status(), left.signal()), expected, "{}", left.text);
    }
    Ok(())
}

#[test]
fn needs_a_terminal_only_where_it_is_asked_for() -> Result<()> {
    let network = network()?;
    let refused = Run::command(network.node(), &["watch", "--output", "tui"]).to_end()?;
    assert_eq!(refused.exit_status(), Some(2), "{}", refused.evidence());
    assert!(refused.stderr().contains("must be a terminal"), "{}", refused.stderr());
    let directory = Directory::new(&network)?;
    let dumb =
        Screen::start(network.node(), &["watch", "--duration", "1s"], &[("TERM", "dumb")], &directory.0)?;
    let left = dumb.end()?;
    let raw = String::from_utf8_lossy(&left.raw);
    assert!(raw.contains("times in UTC") && !raw.contains("SEVERITY"), "{raw}");
    Ok(())
}
