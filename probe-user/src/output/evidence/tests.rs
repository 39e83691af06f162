//! What is written is read again as it was.
mod samples;

use super::*;
use crate::output::wall_clock::WallClock;
use crate::output::{Message, Start, sample};
use probe_core::diagnose::{Diagnoser, Output};
use probe_core::model::{SECOND, Time};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

fn recorder(veil: Veil) -> Recorder<Vec<u8>> {
    let clock = WallClock::at(UNIX_EPOCH + Duration::from_nanos(1_783_000_920_123_456_789), 0);
    Recorder::new(Vec::new(), veil, clock, "6.18.44".to_owned(), &samples::senses()).expect("written")
}

fn write(recorder: &mut Recorder<Vec<u8>>, time: Time, entry: &Entry) {
    let written = match entry {
        Entry::Event(event) => recorder.event(time, event),
        Entry::Topology(topology) => recorder.topology(time, topology),
        Entry::Nat(entries) => recorder.nat(time, entries),
        Entry::HookCounters(hooks) => recorder.hook_counters(time, hooks),
        Entry::NetnsCounters(counters) => recorder.netns_counters(time, counters),
        Entry::Exceptions(read) => recorder.exceptions(time, read),
        Entry::Sockets(read) => recorder.sockets(time, read),
        Entry::Timeout => recorder.timeout(time),
        Entry::Message(message) => recorder.message(message),
        Entry::End { .. } => panic!("a message ends it"),
    };
    written.expect("a vector takes everything");
}

fn read(text: &[u8]) -> Vec<(Time, Entry)> {
    let mut reader = Reader::new(text).expect("a recording");
    let entries = std::iter::from_fn(|| reader.next_entry().expect("a slice can be read")).collect();
    assert_eq!(reader.unreadable(), 0, "{}", String::from_utf8_lossy(text));
    entries
}

fn recorded(veil: Veil, entries: &[(Time, Entry)]) -> Vec<u8> {
    let mut recorder = recorder(veil);
    for (time, entry) in entries {
        write(&mut recorder, *time, entry);
    }
    recorder.into_stream()
}

/// Everything that can be recorded, the messages of a whole observation too.
fn entries() -> Vec<(Time, Entry)> {
    let inputs = samples::inputs().into_iter().zip(1..).map(|(entry, time)| (time * SECOND, entry));
    let messages = sample::messages().into_iter().filter_map(|message| {
        let time = match &message {
            Message::Start(Start { time, .. })
            | Message::Progress { time, .. }
            | Message::Attached { time, .. }
            | Message::Attach { time, .. }
            | Message::Detach { time, .. } => 100 * SECOND + time,
            Message::Diagnosis { .. } | Message::Summary(_) => return None,
        };
        Some((time, Entry::Message(at(message, time))))
    });
    inputs.chain(messages).collect()
}

/// The message at another time.
fn at(mut message: Message, then: Time) -> Message {
    match &mut message {
        Message::Start(Start { time, .. })
        | Message::Progress { time, .. }
        | Message::Attached { time, .. }
        | Message::Attach { time, .. }
        | Message::Detach { time, .. }
        | Message::Diagnosis { time, .. } => *time = then,
        Message::Summary(summary) => summary.time = then,
    }
    message
}

#[test]
fn everything_is_read_as_it_was_written() {
    let entries = entries();
    assert_eq!(read(&recorded(Veil::open(), &entries)), entries);
}

#[test]
fn the_header_tells_clock_and_senses() {
    let text = recorder(Veil::open()).into_stream();
    let reader = Reader::new(text.as_slice()).expect("a recording");
    assert_eq!(reader.senses(), samples::senses());
    assert_eq!(reader.clock().boot_unix_nanos(), 1_783_000_920_123_456_789);
}

#[test]
fn the_summary_is_the_end() {
    let mut recorder = recorder(Veil::open());
    let summary = sample::messages().pop().expect("a message");
    recorder.message(&summary).expect("written");
    let lost = BTreeMap::from([("ring_full".to_owned(), 1200)]);
    let end = Entry::End { packets_seen: 1_234_567, lost };
    assert_eq!(read(&recorder.into_stream()), [(42 * SECOND, end)]);
}

#[test]
fn a_topology_is_not_repeated_when_only_counters_change() {
    let mut topology = samples::topology();
    let mut entries = vec![(1, Entry::Topology(topology.clone()))];
    let interface = topology.interfaces.get_mut(&3).expect("the pod's");
    interface.counters.rx_packets += 5;
    interface.peer.as_mut().expect("a pair").counters = None;
    entries.push((2, Entry::Topology(topology.clone())));
    topology.interfaces.remove(&2);
    entries.push((3, Entry::Topology(topology)));
    let text = recorded(Veil::open(), &entries);
    assert_eq!(read(&text), entries);
    let lines: Vec<usize> = text.split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
    assert!(lines[2] * 5 < lines[1], "{lines:?}");
}

#[test]
fn a_reader_skips_what_it_does_not_know() {
    let mut text = String::from_utf8(recorder(Veil::open()).into_stream()).expect("UTF-8");
    text.push_str("{\"type\":\"from_the_future\",\"time\":1,\"thing\":{\"a\":[1]}}\n");
    text.push_str("{\"type\":\"timeout\",\"time\":7,\"why\":\"nobody knows\"}\n");
    assert_eq!(read(text.as_bytes()), [(7, Entry::Timeout)]);
}

#[test]
fn what_is_not_understood_is_counted() {
    let mut text = recorded(Veil::open(), &[(1, Entry::Timeout)]);
    text.extend(b"{\"type\":\"event\",\"time\":2,\"event\":{\"odd\":{}}}\n\xff\n{\"type\":\"timeout\",\"time\":1e300}\n");
    text.extend(b"{\"type\":\"timeout\",\"time\":18446744073709551615}\n{\"type\":\"timeout\",\"time\":3}\n");
    let mut reader = Reader::new(text.as_slice()).expect("a recording");
    let entries: Vec<_> = std::iter::from_fn(|| reader.next_entry().expect("a slice can be read")).collect();
    assert_eq!(entries, [(1, Entry::Timeout), (3, Entry::Timeout)]);
    assert_eq!(reader.unreadable(), 4);
}

#[test]
fn a_recording_that_is_cut_is_read_to_its_last_whole_line() {
    let whole = recorded(Veil::open(), &[(1, Entry::Timeout), (2, Entry::Timeout)]);
    for cut in 1..20 {
        let text = &whole[..whole.len() - cut];
        assert_eq!(read(text), [(1, Entry::Timeout)]);
    }
}

#[test]
fn time_never_goes_back() {
    let text = recorded(Veil::open(), &[(5, Entry::Timeout), (2, Entry::Timeout)]);
    assert_eq!(read(&text), [(5, Entry::Timeout), (5, Entry::Timeout)]);
}

#[test]
fn other_versions_and_other_files_are_refused_with_the_reason() {
    let refusal = |text: &str| Reader::new(text.as_bytes()).expect_err("refused").to_string();
    let header = String::from_utf8(recorder(Veil::open()).into_stream()).expect("UTF-8");
    let newer = refusal(&header.replace("\"version\":1", "\"version\":2"));
    assert!(newer.contains("version 2") && newer.contains("version 1"), "{newer}");
    // Of another version nothing but its number is looked at.
    let newer = refusal("{\"format\":\"mtuprobe-evidence\",\"version\":9,\"senses\":\"all\"}\n");
    assert!(newer.contains("version 9"), "{newer}");
    for other in ["", "\u{7f}ELF\n", "{\"type\":\"start\",\"version\":\"0.1.0\"}\n", "{}"] {
        assert!(refusal(other).contains("no recording"), "{other}");
    }
    assert!(refusal("{\"format\":\"har\",\"version\":1}").contains("\"har\""));
}

#[test]
fn a_redacted_recording_names_nobody() {
    let text = String::from_utf8(recorded(Veil::closed(), &entries())).expect("UTF-8");
    for name in samples::NAMES.iter().chain(&["cart-7d9f", "worker-3", "veth1a2b", "cni-1", "11aa"]) {
        assert!(!text.contains(name), "{name} in {text}");
    }
}

#[test]
fn a_redacted_recording_leads_to_the_same() {
    let entries: Vec<_> = samples::inputs().into_iter().zip(1..).collect();
    let outputs = |entries: Vec<(Entry, Time)>| -> Vec<String> {
        let mut diagnoser = Diagnoser::new(samples::senses());
        for (entry, time) in entries {
            match entry {
                Entry::Event(event) => diagnoser.handle_event(time, event),
                Entry::Topology(topology) => diagnoser.handle_topology(time, topology),
                Entry::Nat(entries) => diagnoser.handle_nat(time, &entries),
                Entry::Exceptions(read) => diagnoser.handle_exceptions(time, read),
                Entry::Sockets(read) => diagnoser.handle_sockets(time, read),
                Entry::HookCounters(hooks) => diagnoser.handle_hook_counters(&hooks),
                Entry::NetnsCounters(counters) => diagnoser.handle_counters(time, counters),
                Entry::Timeout => diagnoser.handle_timeout(time),
                Entry::Message(_) | Entry::End { .. } => {}
            }
        }
        diagnoser.finish(99);
        std::iter::from_fn(|| diagnoser.poll_output())
            .map(|output| match output {
                Output::Finding(finding) => {
                    format!(
                        "{:?} {:?} {:?} {:?}",
                        finding.kind, finding.severity, finding.limit.mtu, finding.counts
                    )
                }
                Output::Drop(drop) => format!("{} {}", drop.length, drop.pod.is_some()),
                Output::PacketTooBig(error) => format!("{:?} {}", error.stage, error.pod.is_some()),
                Output::Coverage(coverage) => format!("{:?}", coverage.state),
                Output::Change(change) => format!("{:?}", change.what),
                Output::Lost(lost) => lost.what,
            })
            .collect()
    };
    let timed = |entries: &[(Entry, Time)]| -> Vec<(Time, Entry)> {
        entries.iter().map(|(entry, time)| (*time, entry.clone())).collect()
    };
    let redacted = read(&recorded(Veil::closed(), &timed(&entries)));
    let redacted = redacted.into_iter().map(|(time, entry)| (entry, time)).collect();
    assert_eq!(outputs(redacted), outputs(entries));
}
