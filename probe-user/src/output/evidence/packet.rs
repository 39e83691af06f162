//! Flows and packets.
use super::mirror::{Mirror, mirror, mirror_names};
use super::veil::{Address, Veil, veiled_payload};
use bytes::Bytes;
use probe_core::model::{flow, packet};
use serde::{Deserialize, Serialize, Serializer, de};

mirror_names! {
    Family = flow::Family {
        Ipv4,
        Ipv6,
    }
}

/// The number in the IP header.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Protocol(u8);

impl Mirror for Protocol {
    type Model = flow::Protocol;

    fn of(model: &Self::Model, _veil: &mut Veil) -> Self {
        Self(model.number())
    }

    fn into_model(self) -> Self::Model {
        flow::Protocol::from_number(self.0)
    }
}

mirror! {
    Flow = flow::Flow {
        protocol: Protocol,
        src: Address,
        src_port: u16,
        dst: Address,
        dst_port: u16,
    }
}

mirror! {
    Headers = packet::Packet {
        flow: Flow,
        length: u32,
        df: bool,
        fragment: Option<Fragment>,
        id: u32,
        ttl: u8,
        header_len: u32,
        transport: Transport,
        payload: Payload,
    }
}

/// A packet, whose payload can only be redacted by what its headers say of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Packet(Headers);

impl Mirror for Packet {
    type Model = packet::Packet;

    fn of(model: &Self::Model, veil: &mut Veil) -> Self {
        let mut headers = Headers::of(model, veil);
        if veil.is_closed() {
            headers.payload = Payload(veiled_payload(model, veil));
        }
        Self(headers)
    }

    fn into_model(self) -> Self::Model {
        self.0.into_model()
    }
}

mirror! {
    Fragment = packet::Fragment {
        id: u32,
        offset: u32,
        more: bool,
    }
}

mirror! {
    TcpHeader = packet::TcpHeader {
        seq: u32,
        ack: u32,
        flags: u8,
        header_len: u32,
        mss: Option<u16>,
        sack: bool,
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Transport {
    Tcp(TcpHeader),
    Udp,
    PacketTooBig { next_hop_mtu: u32, original: Option<Box<Packet>> },
    Icmp { kind: u8, code: u8 },
    Opaque,
}

impl Mirror for Transport {
    type Model = packet::Transport;

    fn of(model: &Self::Model, veil: &mut Veil) -> Self {
        match model {
            packet::Transport::Tcp(header) => Self::Tcp(TcpHeader::of(header, veil)),
            packet::Transport::Udp => Self::Udp,
            packet::Transport::PacketTooBig { next_hop_mtu, original } => {
                Self::PacketTooBig { next_hop_mtu: *next_hop_mtu, original: Mirror::of(original, veil) }
            }
            packet::Transport::Icmp { kind, code } => Self::Icmp { kind: *kind, code: *code },
            packet::Transport::Opaque => Self::Opaque,
        }
    }

    fn into_model(self) -> Self::Model {
        match self {
            Self::Tcp(header) => packet::Transport::Tcp(header.into_model()),
            Self::Udp => packet::Transport::Udp,
            Self::PacketTooBig { next_hop_mtu, original } => {
                packet::Transport::PacketTooBig { next_hop_mtu, original: original.into_model() }
            }
            Self::Icmp { kind, code } => packet::Transport::Icmp { kind, code },
            Self::Opaque => packet::Transport::Opaque,
        }
    }
}

/// Bytes as hexadecimal digits.
#[derive(Debug)]
pub(super) struct Payload(Bytes);

impl Mirror for Payload {
    type Model = Bytes;

    fn of(model: &Bytes, _veil: &mut Veil) -> Self {
        Self(model.clone())
    }

    fn into_model(self) -> Bytes {
        self.0
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let bytes = digits.as_bytes().chunks(2).map(|pair| {
            let text = str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
            u8::from_str_radix(text, 16).ok()
        });
        let bytes: Option<Bytes> = bytes.collect();
        bytes.map(Self).ok_or_else(|| de::Error::custom("not pairs of hexadecimal digits"))
    }
}
