//! Events.
use super::mirror::{Mirror, Time, mirror, mirror_names};
use super::packet::Packet;
use super::size_drop::{IcmpGenerated, PacketDropped};
use super::tcp::{TcpHole, TcpRetransmit, TcpStateChange};
use super::veil::{InterfaceName, Veil, Words};
use probe_core::model::{event, packet_too_big};
use serde::{Deserialize, Serialize};

macro_rules! events {
    ($($variant:ident($type:ty),)*) => {
        /// An observation, by what was observed.
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum Event { $($variant($type),)* }

        impl Mirror for Event {
            type Model = event::Event;

            fn of(model: &Self::Model, veil: &mut Veil) -> Self {
                match model { $(event::Event::$variant(value) => Self::$variant(<$type>::of(value, veil)),)* }
            }

            fn into_model(self) -> Self::Model {
                match self { $(Self::$variant(value) => event::Event::$variant(value.into_model()),)* }
            }
        }
    };
}

events! {
    Oversize(Oversize),
    PacketTooBig(PacketTooBigSeen),
    Fragment(FragmentSeen),
    Dropped(PacketDropped),
    IcmpGenerated(IcmpGenerated),
    TcpRetransmit(TcpRetransmit),
    TcpStateChange(TcpStateChange),
    TcpMss(MssSeen),
    TcpHole(TcpHole),
    Lost(Lost),
}

mirror_names! {
    HookDirection = packet_too_big::HookDirection {
        Ingress,
        Egress,
    }
}

mirror_names! {
    OversizeHow = event::OversizeHow {
        Route,
        Peer,
        Device,
        Tunnel,
    }
}

mirror! {
    Oversize = event::Oversize {
        time: Time,
        packets: u32,
        ifindex: u32,
        direction: HookDirection,
        length: u32,
        limit: u32,
        how: OversizeHow,
        egress_ifindex: Option<u32>,
        gso: bool,
        packet: Packet,
    }
}

mirror! {
    PacketTooBigSeen = packet_too_big::PacketTooBigSeen {
        time: Time,
        packets: u32,
        ifindex: u32,
        direction: HookDirection,
        packet: Packet,
    }
}

mirror! {
    FragmentSeen = event::FragmentSeen {
        time: Time,
        packets: u32,
        ifindex: u32,
        direction: HookDirection,
        packet: Packet,
    }
}

mirror! {
    MssSeen = event::MssSeen {
        time: Time,
        ifindex: u32,
        direction: HookDirection,
        packet: Packet,
    }
}

mirror! {
    Lost = event::Lost {
        time: Time,
        what: String,
        count: u64,
        interface: Option<InterfaceName>,
        why: Words,
    }
}
