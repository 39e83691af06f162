//! Whether TCP's own probing of the path (RFC 4821, `net.ipv4.tcp_mtu_probing`) rescued a flow, or would have.
use super::discovery::sender_settings;
use super::fault::{Fault, Joint, Judgement};
use crate::model::finding::{Direction, Kind, Outcome};
use crate::model::flow::{Family, Protocol};
use crate::model::settings::{Setting, Settings};
use crate::model::topology::Topology;
use crate::model::{SECOND, Time};

/// Value of the setting when TCP probes only after it met a black hole.
const AFTER_BLACK_HOLE: u32 = 1;
/// `TCP_RTO_MIN`.
const RTO_MIN: Time = SECOND / 5;
/// Timeouts double up to two minutes (`TCP_RTO_MAX`).
const MAX_DOUBLINGS: u32 = 9;
/// Timeouts before it does, where the setting is not known (`TCP_RETR1`).
const TIMEOUTS: u32 = 3;

/// What is to be said of probing; `None` where it makes no difference or nothing is known of the sender.
pub fn in_words(topology: &Topology, fault: &Fault, judgement: Judgement) -> Option<String> {
    let sends = matches!(fault.key.direction, Direction::FromPod | Direction::FromHost);
    if judgement.kind != Kind::PmtuBlackHole || !sends {
        return None;
    }
    let mut flows = fault.flows.values().filter(|flow| flow.flow.protocol == Protocol::Tcp && flow.drops > 0);
    let first = flows.next()?;
    let settings = sender_settings(topology, &first.flow)?;
    let mode = settings.get(Setting::TcpMtuProbing)?;
    let is = format!("{} is {mode} in the sender's network namespace", Setting::TcpMtuProbing.name());
    if judgement.outcome == Outcome::Recovered {
        let delay = flows.chain([first]).map(|flow| flow.last.saturating_sub(flow.first)).max().unwrap_or(0);
        return (mode > 0).then(|| {
            format!(
                "TCP got through all the same, after {}: {is}, so it found the size by itself.",
                seconds(delay)
            )
        });
    }
    // The drop happens within the sender's own call: TCP takes it for a local failure and never counts a timeout.
    let is_synchronous =
        matches!(fault.key.joint, Joint::Veth(_)) && fault.key.direction == Direction::FromPod;
    Some(match (mode, is_synchronous) {
        (0, true) => format!(
            "{is}. 1 would not help: the veth drops within the pod's own sending, which TCP takes for a local failure and \
             not for a loss; 2 would, for it begins with small segments."
        ),
        (AFTER_BLACK_HOLE, true) => format!(
            "{is} and does not help: the veth drops within the pod's own sending, which TCP takes for a local failure and \
             not for a loss; 2 would, for it begins with small segments."
        ),
        (0, false) => {
            format!(
                "{is}; with 1, TCP would find the size by itself once it stood still for {}.",
                seconds(detection(settings))
            )
        }
        (AFTER_BLACK_HOLE, false) => {
            format!(
                "{is}: TCP finds the size by itself once it stood still for {}.",
                seconds(detection(settings))
            )
        }
        _ => {
            let base = settings.get(Setting::TcpBaseMss)?;
            let packet = base + header_length(fault.key.family);
            let is_too_large = fault.limit.mtu.is_some_and(|mtu| packet > mtu);
            return is_too_large.then(|| {
                let name = Setting::TcpBaseMss.name();
                format!("{is}, but the packets of {packet} bytes that it begins with are too big as well ({name} {base}).")
            });
        }
    })
}

/// Whether the sender's TCP probes already: to be told to switch that on helps nobody.
pub fn is_on(topology: &Topology, fault: &Fault) -> bool {
    fault.flows.values().any(|flow| {
        let settings = sender_settings(topology, &flow.flow);
        settings.and_then(|settings| settings.get(Setting::TcpMtuProbing)).is_some_and(|mode| mode > 0)
    })
}

/// How long a connection stands still before it probes (`retransmits_timed_out` with `tcp_retries1` and `TCP_RTO_MIN`); the
/// first timeout after that makes it.
fn detection(settings: &Settings) -> Time {
    let timeouts = settings.get(Setting::TcpRetries1).unwrap_or(TIMEOUTS).min(MAX_DOUBLINGS);
    ((2 << timeouts) - 1) * RTO_MIN
}

/// Bytes of network and TCP header without options.
fn header_length(family: Family) -> u32 {
    match family {
        Family::Ipv4 => 40,
        Family::Ipv6 => 60,
    }
}

fn seconds(delay: Time) -> String {
    let tenths = delay / (SECOND / 10);
    match tenths % 10 {
        0 => format!("{} s", tenths / 10),
        rest => format!("{}.{rest} s", tenths / 10),
    }
}
