//! Places where a packet meets an MTU.
use std::fmt;

/// Whose device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The sending pod's.
    Pod,
    /// The node's.
    Node,
    /// The receiving pod's.
    OtherPod,
}

impl Place {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
            Self::OtherPod => "other_pod",
        }
    }
}

/// What becomes of a packet that is larger than a joint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Beyond {
    /// The sender's own kernel refuses it, or cuts it into fragments first.
    Refused,
    /// It is dropped, and an ICMP error is sent (`ip_forward`, `ip6_forward`); without DF it is fragmented.
    Told,
    /// It is dropped without a word (`is_skb_forwardable`).
    Silent,
    /// A tunnel's outer packet leaves as fragments.
    Fragmented,
    /// A tunnel's outer packet is dropped, and the error goes to the tunnel, not to the sender.
    Misdirected,
}

/// A place where a packet meets an MTU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Joint {
    /// Name of the interface.
    pub interface: String,
    /// Its index in its namespace.
    pub ifindex: u32,
    /// Whose it is.
    pub place: Place,
    /// The interface that the chain begins with, rather than a device of the pod's that leads there.
    pub is_pod_interface: bool,
    /// Its MTU in bytes for the family.
    pub mtu: u32,
    /// The MTU metric in bytes of the route that leads to it, if that counts here.
    pub route_mtu: Option<u32>,
    /// Bytes that it adds for what comes after it.
    pub overhead: u32,
    /// Bytes that it fills packets up to a multiple of, but not beyond its own MTU (`calculate_skb_padding`).
    pub padding: Option<u32>,
    /// Not known how much it adds.
    pub overhead_unknown: bool,
    /// What becomes of larger packets.
    pub beyond: Beyond,
}

impl Joint {
    /// Largest packet in bytes that it takes, with what was added before.
    pub fn takes(&self) -> u32 {
        self.route_mtu.map_or(self.mtu, |mtu| mtu.min(self.mtu))
    }
}

impl fmt::Display for Joint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.interface, self.mtu)?;
        if let Some(mtu) = self.route_mtu.filter(|&mtu| mtu < self.mtu) {
            write!(formatter, " (route {mtu})")?;
        }
        match (self.overhead, self.overhead_unknown) {
            (_, true) => write!(formatter, " (−?)"),
            (0, false) => Ok(()),
            (overhead, false) => write!(formatter, " (−{overhead})"),
        }
    }
}

/// A tunnel that fills packets up, in bytes.
struct Filling {
    multiple: u32,
    /// Of its device.
    mtu: u32,
    /// What was added before it.
    before: u32,
}

impl Filling {
    /// What is left of the room behind it.
    fn limit(&self, room: u32) -> u32 {
        let here = room + self.before;
        let filled =
            if self.mtu <= here { here } else { here - here.checked_rem(self.multiple).unwrap_or(0) };
        filled.saturating_sub(self.before)
    }
}

/// What each joint leaves of an inner packet, in bytes.
fn limits(chain: &[Joint]) -> impl Iterator<Item = u32> {
    let mut filling: Option<Filling> = None;
    chain.iter().scan(0_u32, move |added, joint| {
        let room = joint.takes().saturating_sub(*added);
        let limit = filling.as_ref().map_or(room, |filling| filling.limit(room));
        if let Some(multiple) = joint.padding {
            filling = Some(Filling { multiple, mtu: joint.mtu, before: *added });
        }
        *added += joint.overhead;
        Some(limit)
    })
}

/// Largest packet in bytes that passes whole.
pub fn largest(chain: &[Joint]) -> u32 {
    limits(chain).min().unwrap_or(0)
}

/// Largest packet in bytes that passes whole behind a joint.
pub fn largest_behind(chain: &[Joint], index: usize) -> u32 {
    limits(chain).skip(index + 1).min().unwrap_or(0)
}

/// The joint that a packet meets first which is just too big.
pub fn limiting(chain: &[Joint]) -> Option<usize> {
    let largest = largest(chain);
    limits(chain).position(|limit| limit == largest)
}

/// What becomes of a packet of `size` bytes, and where; `None` if it passes whole.
pub fn meets(chain: &[Joint], size: u32) -> Option<usize> {
    limits(chain).position(|limit| limit < size)
}

/// A joint in words: a tunnel with its underlay where that is what leaves no more.
pub fn name(chain: &[Joint], index: usize) -> Option<String> {
    let joint = chain.get(index)?;
    let limits: Vec<u32> = limits(chain).collect();
    let limit = limits.get(index)?;
    let before =
        index.checked_sub(1).and_then(|before| chain.get(before)).filter(|before| before.overhead > 0);
    let behind = chain.get(index + 1).filter(|_| joint.overhead > 0 && limits.get(index + 1) == Some(limit));
    Some(match (before, behind) {
        (Some(tunnel), _) => format!("{} over {}", tunnel.interface, joint.interface),
        (None, Some(underlay)) => format!("{} over {}", joint.interface, underlay.interface),
        (None, None) if joint.route_mtu.is_some_and(|mtu| mtu < joint.mtu) => {
            format!("a route's MTU at {}", joint.interface)
        }
        (None, None) => joint.interface.clone(),
    })
}
