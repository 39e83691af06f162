//! One line of a recording behind the first.
use super::counters::{CountersOf, HookCounters, NatEntry};
use super::event::Event;
use super::mirror::{Mirror as _, Time};
use super::pmtu_exception::NetnsExceptions;
use super::pod::Pod;
use super::session::{AttachedInterface, Start};
use super::tcp_socket::NetnsSockets;
use super::topology::Topology;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line {
    Topology {
        time: Time,
        /// Missing if only counters changed since the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topology: Option<Topology>,
        /// Of the interfaces whose counters changed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        counters: Vec<CountersOf>,
    },
    Event {
        time: Time,
        event: Event,
    },
    Nat {
        time: Time,
        entries: Vec<NatEntry>,
    },
    HookCounters {
        time: Time,
        hooks: Vec<HookCounters>,
    },
    NetnsCounters {
        time: Time,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pod_host_ifindex: Option<u32>,
        /// Those that changed since the last line of this namespace.
        values: BTreeMap<String, u64>,
    },
    /// What a network namespace has learned of path MTUs, all of it.
    Exceptions {
        time: Time,
        read: NetnsExceptions,
    },
    /// Sockets of a network namespace that were asked for.
    Sockets {
        time: Time,
        read: NetnsSockets,
    },
    /// Time passed for the diagnosis.
    Timeout {
        time: Time,
    },
    Start(Start),
    Progress {
        time: Time,
        attached: usize,
        pending: usize,
    },
    Attached {
        time: Time,
        count: usize,
        took: Time,
    },
    Attach {
        time: Time,
        interface: AttachedInterface,
        pod: Option<Pod>,
    },
    Detach {
        time: Time,
        interface: AttachedInterface,
        pod: Option<Pod>,
    },
    /// The observation ended in good order.
    End {
        time: Time,
        packets_seen: u64,
        lost: BTreeMap<String, u64>,
    },
    /// A line of a later program.
    #[serde(other)]
    Unknown,
}

impl Line {
    /// When; `None` of a line that is not known.
    pub fn time(&self) -> Option<probe_core::model::Time> {
        match self {
            Self::Start(start) => Some(start.time()),
            Self::Topology { time, .. }
            | Self::Event { time, .. }
            | Self::Nat { time, .. }
            | Self::HookCounters { time, .. }
            | Self::NetnsCounters { time, .. }
            | Self::Exceptions { time, .. }
            | Self::Sockets { time, .. }
            | Self::Timeout { time }
            | Self::Progress { time, .. }
            | Self::Attached { time, .. }
            | Self::Attach { time, .. }
            | Self::Detach { time, .. }
            | Self::End { time, .. } => Some(time.into_model()),
            Self::Unknown => None,
        }
    }
}
