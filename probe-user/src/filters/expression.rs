//! What one expression of a rule asks of a packet, in the JSON form of nft (`libnftables-json(5)`).
use probe_core::model::flow::Family;
use serde_json::Value;

/// A packet to try rules with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// An ICMP error about size.
    SizeError(Family),
    /// A segment that opens a TCP connection, or answers one.
    Handshake(Family),
}

/// What a match says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It matches; it asks for ICMP.
    YesByIcmp,
    /// It matches.
    Yes,
    /// It does not.
    No,
    /// That depends on more than is known.
    Perhaps,
}

impl Sample {
    fn family(self) -> Family {
        match self {
            Self::SizeError(family) | Self::Handshake(family) => family,
        }
    }

    /// Names and number of the protocol above IP.
    fn protocol(self) -> (&'static [&'static str], u64) {
        match self {
            Self::SizeError(Family::Ipv4) => (&["icmp"], 1),
            Self::SizeError(Family::Ipv6) => (&["ipv6-icmp", "icmpv6"], 58),
            Self::Handshake(_) => (&["tcp"], 6),
        }
    }

    /// Whether it has no such header.
    fn lacks(self, protocol: &str) -> bool {
        match protocol {
            "ip" => self.family() == Family::Ipv6,
            "ip6" => self.family() == Family::Ipv4,
            "icmp" => self != Self::SizeError(Family::Ipv4),
            "icmpv6" => self != Self::SizeError(Family::Ipv6),
            "tcp" | "tcp option" => self.is_error(),
            "udp" | "udplite" | "sctp" | "dccp" | "esp" | "ah" => true,
            _ => false,
        }
    }

    fn is_error(self) -> bool {
        matches!(self, Self::SizeError(_))
    }
}

/// Asks a `match` expression's content.
pub fn ask(sample: Sample, content: &Value) -> Answer {
    let negated = content["op"] == "!=";
    let (left, right) = (&content["left"], &content["right"]);
    let (found, by_icmp) = match field(left) {
        // To ask for a header that is not there is to ask for another packet, whatever its content.
        Some((protocol, _)) if sample.lacks(&protocol) => return Answer::No,
        Some((protocol, name)) => by_field(sample, &protocol, &name, right),
        None => (None, false),
    };
    match found.map(|found| found != negated) {
        Some(true) if by_icmp => Answer::YesByIcmp,
        Some(true) => Answer::Yes,
        Some(false) => Answer::No,
        None => Answer::Perhaps,
    }
}

/// What the left side names: a header's field, a key of the packet's metadata, or an option.
fn field(left: &Value) -> Option<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(masked) = left.get("&").and_then(Value::as_array) {
        return field(masked.first()?);
    }
    if let Some(payload) = left.get("payload") {
        return Some((text(&payload["protocol"])?, text(&payload["field"])?));
    }
    if let Some(meta) = left.get("meta") {
        return Some(("meta".to_owned(), text(&meta["key"])?));
    }
    if let Some(ct) = left.get("ct") {
        return Some(("ct".to_owned(), text(&ct["key"])?));
    }
    left.get("tcp option")
        .map(|option| ("tcp option".to_owned(), option["name"].as_str().unwrap_or("").to_owned()))
}

/// Whether the field has a value of the right side, and whether to ask that is to ask for ICMP.
fn by_field(sample: Sample, protocol: &str, name: &str, right: &Value) -> (Option<bool>, bool) {
    let family = sample.family();
    let (names, number) = sample.protocol();
    match (protocol, name) {
        ("meta", "l4proto") | ("ip", "protocol") | ("ip6", "nexthdr") => {
            let found = includes(right, names, number);
            (found, sample.is_error())
        }
        ("meta", "nfproto" | "protocol") => {
            let (names, number): (&[&str], u64) = match family {
                Family::Ipv4 => (&["ipv4", "ip"], 2),
                Family::Ipv6 => (&["ipv6", "ip6"], 10),
            };
            (includes(right, names, number), false)
        }
        ("icmp" | "icmpv6", _) => (icmp(name, family, right), true),
        // That the segment has SYN is what makes it the sample.
        ("tcp", "flags") | ("tcp option", "maxseg") => (Some(true), false),
        ("ct", "state") if sample.is_error() => (includes(right, &["related"], 4), false),
        _ => (None, false),
    }
}

fn icmp(name: &str, family: Family, right: &Value) -> Option<bool> {
    match (family, name) {
        (Family::Ipv4, "type") => includes(right, &["destination-unreachable"], 3),
        (Family::Ipv4, "code") => includes(right, &["frag-needed"], 4),
        (Family::Ipv6, "type") => includes(right, &["packet-too-big"], 2),
        (Family::Ipv6, "code") => includes(right, &["no-route"], 0),
        // Its next-hop MTU and the like.
        (Family::Ipv4 | Family::Ipv6, _) => None,
    }
}

/// Whether a value, set or range has something in it; `None` where that cannot be told.
fn includes(right: &Value, names: &[&str], number: u64) -> Option<bool> {
    if let Some(members) = right.get("set").and_then(Value::as_array).or(right.as_array()) {
        let found: Vec<Option<bool>> = members.iter().map(|member| includes(member, names, number)).collect();
        if found.contains(&Some(true)) {
            return Some(true);
        }
        return if found.contains(&None) { None } else { Some(false) };
    }
    if let Some([low, high]) = right.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        return Some((low.as_u64()?..=high.as_u64()?).contains(&number));
    }
    match right {
        // `@name` is a set that is kept elsewhere.
        Value::String(name) if name.starts_with('@') => None,
        Value::String(name) => Some(names.contains(&name.as_str())),
        Value::Number(value) => Some(value.as_u64() == Some(number)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
