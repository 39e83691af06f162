//! Lines that repeat themselves: a stalled connection makes the same drop and the same error again and again.
use crate::output::Message;
use probe_core::diagnose::Output;
use probe_core::model::{SECOND, Time};
use std::collections::HashMap;

/// The same line is told again after this time at the earliest.
const AGAIN_AFTER: Time = 10 * SECOND;
/// Lines remembered.
const MAX_REMEMBERED: usize = 1024;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    /// It is told, and stands for so many before it that were not.
    Tell(u64),
    /// It is counted for a later one.
    Silent,
}

/// Lines that were told a short while ago, and how many like them came since.
#[derive(Debug, Default)]
pub(super) struct Repetitions {
    told: HashMap<String, (Time, u64)>,
}

impl Repetitions {
    /// Takes a message in; only drops and ICMP errors are many.
    pub fn take(&mut self, message: &Message) -> Repetition {
        let Message::Diagnosis { time, output } = message else { return Repetition::Tell(0) };
        let Some(key) = likeness(output) else { return Repetition::Tell(0) };
        if self.told.len() >= MAX_REMEMBERED {
            self.told.retain(|_, (told, _)| *told + AGAIN_AFTER > *time);
        }
        let is_full = self.told.len() >= MAX_REMEMBERED;
        match self.told.get_mut(&key) {
            Some((told, silent)) if *told + AGAIN_AFTER > *time => {
                *silent += 1;
                Repetition::Silent
            }
            Some((told, silent)) => {
                *told = *time;
                Repetition::Tell(std::mem::take(silent))
            }
            None if is_full => Repetition::Silent,
            None => {
                self.told.insert(key, (*time, 0));
                Repetition::Tell(0)
            }
        }
    }
}

/// What makes two lines alike: everything but time, size and ports.
fn likeness(output: &Output) -> Option<String> {
    match output {
        Output::PacketTooBig(report) => {
            let flow = report.original.map(|flow| (flow.protocol, flow.src, flow.dst));
            let seen_at = report.seen_at.as_ref().map(|(interface, _)| interface);
            Some(format!(
                "{:?} {:?} {:?} {flow:?} {seen_at:?} {:?}",
                report.stage, report.next_hop_mtu, report.reporter, report.verdict
            ))
        }
        Output::Drop(report) => {
            let flow = report.flow.map(|flow| (flow.protocol, flow.src, flow.dst));
            Some(format!("{} {} {:?} {flow:?}", report.location, report.interface, report.limit_mtu))
        }
        Output::Finding(_) | Output::Coverage(_) | Output::Change(_) | Output::Lost(_) => None,
    }
}
