//! Packet filter rules that path MTU discovery depends on: those that clamp segment sizes, and those that drop ICMP errors.
use super::flow::Family;

/// Where in the stack a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterHook {
    /// Before routing.
    Prerouting,
    /// To the namespace itself.
    Input,
    /// Through it.
    Forward,
    /// From the namespace itself.
    Output,
    /// After routing.
    Postrouting,
    /// At a device (`ingress`, `egress`), or in a chain that none of the hooks leads to.
    Other,
}

impl FilterHook {
    /// Name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Other => "other",
        }
    }

    /// Whether packets that are routed through the namespace pass it.
    pub fn sees_forwarded(self) -> bool {
        match self {
            Self::Prerouting | Self::Forward | Self::Postrouting => true,
            Self::Input | Self::Output | Self::Other => false,
        }
    }
}

/// What a clamp sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClampSize {
    /// What the routes of both directions carry (`rt mtu`, `--clamp-mss-to-pmtu`).
    Route,
    /// A segment size in bytes.
    Fixed(u32),
    /// The listing does not tell (`xt` targets of older tools).
    Unknown,
}

/// A rule's place and the packets that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlace {
    /// `family table chain`, as `nft list chain` takes it.
    pub chain: String,
    /// Handle of the rule.
    pub handle: Option<u64>,
    /// Where it stands.
    pub hook: FilterHook,
    /// Families; both for tables of family `inet`.
    pub families: Vec<Family>,
    /// Interface that its packets come by, if the rule asks.
    pub iif: Option<String>,
    /// Interface that its packets leave by, if the rule asks.
    pub oif: Option<String>,
    /// It asks for more than that (addresses, marks, sets …): only some packets are concerned.
    pub narrowed: bool,
}

/// A rule that lowers the segment size that TCP announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// Where.
    pub place: RulePlace,
    /// To what.
    pub size: ClampSize,
}

impl Clamp {
    /// Whether it keeps all forwarded TCP of a family that it sees at `limit` bytes per packet.
    fn fits(&self, family: Family, limit: u32) -> bool {
        let small = match self.size {
            ClampSize::Route | ClampSize::Unknown => true,
            ClampSize::Fixed(mss) => mss.saturating_add(family.tcp_headers()) <= limit,
        };
        let place = &self.place;
        small && place.families.contains(&family) && place.hook.sees_forwarded() && !place.narrowed
    }
}

/// A rule that drops ICMP errors about size, or a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorDrop {
    /// Where.
    pub place: RulePlace,
    /// Not because they are ICMP: everything is dropped there that no rule before accepts, and none accepts them.
    pub by_default: bool,
}

/// What the packet filters of a namespace do to path MTU discovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Clamps.
    pub clamps: Vec<Clamp>,
    /// Rules that drop ICMP errors.
    pub error_drops: Vec<ErrorDrop>,
    /// Number of rules that were read.
    pub rules: u32,
}

impl Filters {
    /// Whether clamps keep all forwarded TCP of a family that leaves by an interface, both ways, at `limit` bytes per
    /// packet. A clamp of one way only limits what the other side sends.
    pub fn clamp_both_ways(&self, family: Family, interface: &str, limit: u32) -> bool {
        let is = |name: &Option<String>| name.as_deref().is_none_or(|name| name == interface);
        let fitting = || self.clamps.iter().filter(|clamp| clamp.fits(family, limit));
        let out = fitting().any(|clamp| clamp.place.iif.is_none() && is(&clamp.place.oif));
        let back = fitting().any(|clamp| clamp.place.oif.is_none() && is(&clamp.place.iif));
        out && back
    }

    /// Rules of some hooks that drop a family's errors.
    pub fn error_drops(
        &self,
        family: Family,
        hooks: &'static [FilterHook],
    ) -> impl Iterator<Item = &ErrorDrop> {
        self.error_drops
            .iter()
            .filter(move |drop| drop.place.families.contains(&family) && hooks.contains(&drop.place.hook))
    }
}
