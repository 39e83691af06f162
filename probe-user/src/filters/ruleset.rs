//! From the JSON listing of a ruleset to clamps and rules that drop ICMP errors.
//!
//! Each rule is asked whether it takes a sample packet. What an earlier rule takes for certain comes to no later one of the
//! hook; what it takes perhaps (by address, by mark …) does.
use super::expression::{Answer, Sample, ask};
use probe_core::model::filters::{Clamp, ClampSize, ErrorDrop, FilterHook, Filters, RulePlace};
use probe_core::model::flow::Family;
use serde_json::Value;
use std::collections::BTreeMap;

/// Jumps that are followed from a hook: as many as the kernel allows (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;

/// Family, table, name.
type ChainKey<'a> = (&'a str, &'a str, &'a str);

/// What the rules on the way here ask for.
#[derive(Clone, Debug, Default)]
struct Conditions {
    iif: Option<String>,
    oif: Option<String>,
    narrowed: bool,
    by_icmp: bool,
}

impl Conditions {
    /// Every packet like the sample fulfils them.
    fn are_certain(&self) -> bool {
        self.iif.is_none() && self.oif.is_none() && !self.narrowed
    }

    /// They are about packets that never leave the namespace.
    fn ask_for_loopback(&self) -> bool {
        [&self.iif, &self.oif].into_iter().any(|interface| interface.as_deref() == Some("lo"))
    }
}

struct Reader<'a> {
    rules: BTreeMap<ChainKey<'a>, Vec<&'a Value>>,
    found: Filters,
    /// A rule on the sample's way may have accepted it: what comes later cannot be blamed for all of them.
    may_be_accepted: bool,
}

/// What a listing comes to.
pub fn filters(listing: &Value) -> Filters {
    let objects = || listing["nftables"].as_array().into_iter().flatten();
    let mut reader = Reader { rules: BTreeMap::new(), found: Filters::default(), may_be_accepted: false };
    for rule in objects().filter_map(|object| object.get("rule")) {
        if let Some(key) = key(rule, "chain") {
            reader.rules.entry(key).or_default().push(rule);
            reader.found.rules += 1;
        }
    }
    for chain in objects().filter_map(|object| object.get("chain")) {
        let (Some(key), Some(hook)) = (key(chain, "name"), hook(chain)) else { continue };
        for &family in families(key.0) {
            for sample in [Sample::SizeError(family), Sample::Handshake(family)] {
                reader.may_be_accepted = false;
                let is_sealed = reader.walk(key, hook, sample, &Conditions::default(), DEPTH);
                if !is_sealed && chain["policy"] == "drop" {
                    reader.note_default(place(key, None, hook, sample, Conditions::default()), sample);
                }
            }
        }
    }
    reader.found
}

fn key<'a>(object: &'a Value, name: &str) -> Option<ChainKey<'a>> {
    Some((object["family"].as_str()?, object["table"].as_str()?, object[name].as_str()?))
}

/// The hook of a base chain; `None` for one that others jump to.
fn hook(chain: &Value) -> Option<FilterHook> {
    Some(match chain["hook"].as_str()? {
        "prerouting" => FilterHook::Prerouting,
        "input" => FilterHook::Input,
        "forward" => FilterHook::Forward,
        "output" => FilterHook::Output,
        "postrouting" => FilterHook::Postrouting,
        _ => FilterHook::Other,
    })
}

/// Families whose packets the chains of a table family see as IP packets.
fn families(table: &str) -> &'static [Family] {
    match table {
        "ip" => &[Family::Ipv4],
        "ip6" => &[Family::Ipv6],
        "inet" => &Family::ALL,
        _ => &[],
    }
}

impl<'a> Reader<'a> {
    /// Follows a sample through a chain; true if its fate is sealed there.
    fn walk(
        &mut self,
        chain: ChainKey<'a>,
        hook: FilterHook,
        sample: Sample,
        on_the_way: &Conditions,
        depth: usize,
    ) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        for rule in self.rules.get(&chain).cloned().unwrap_or_default() {
            let Some((conditions, effect)) = ask_rule(rule, sample, on_the_way) else { continue };
            let certain = conditions.are_certain();
            match effect {
                Effect::Jump(target) => {
                    if self.walk((chain.0, chain.1, target), hook, sample, &conditions, depth) {
                        return true;
                    }
                }
                Effect::Drop => {
                    let by_icmp = conditions.by_icmp;
                    let place = place(chain, Some(rule), hook, sample, conditions);
                    if by_icmp {
                        let drop = ErrorDrop { place, by_default: false };
                        add(&mut self.found.error_drops, drop, |known| &mut known.place);
                    } else if certain {
                        self.note_default(place, sample);
                    }
                    if certain {
                        return true;
                    }
                }
                Effect::Accept if certain => return true,
                Effect::Clamp(size) => {
                    let place = place(chain, Some(rule), hook, sample, conditions);
                    add(&mut self.found.clamps, Clamp { place, size }, |known| &mut known.place);
                }
                Effect::Accept | Effect::Unknown => self.may_be_accepted |= !conditions.ask_for_loopback(),
                Effect::None => {}
            }
        }
        false
    }

    /// Everything is dropped that comes so far.
    fn note_default(&mut self, place: RulePlace, sample: Sample) {
        match sample {
            Sample::SizeError(_) if !self.may_be_accepted => {
                let drop = ErrorDrop { place, by_default: true };
                add(&mut self.found.error_drops, drop, |known| &mut known.place);
            }
            Sample::SizeError(_) | Sample::Handshake(_) => {}
        }
    }
}

/// A rule of a table of both families is found twice: it is one.
fn add<T>(found: &mut Vec<T>, mut new: T, place: fn(&mut T) -> &mut RulePlace) {
    let added = place(&mut new).clone();
    let same = found
        .iter_mut()
        .map(place)
        .find(|known| (&known.chain, known.handle, known.hook) == (&added.chain, added.handle, added.hook));
    match same {
        Some(known) => {
            let more = added.families.iter().filter(|family| !known.families.contains(family));
            known.families = known.families.iter().chain(more).copied().collect();
        }
        None => found.push(new),
    }
}

fn place(
    (family, table, chain): ChainKey<'_>,
    rule: Option<&Value>,
    hook: FilterHook,
    sample: Sample,
    conditions: Conditions,
) -> RulePlace {
    let families = match sample {
        Sample::SizeError(family) | Sample::Handshake(family) => vec![family],
    };
    RulePlace {
        chain: format!("{family} {table} {chain}"),
        handle: rule.and_then(|rule| rule["handle"].as_u64()),
        hook,
        families,
        iif: conditions.iif,
        oif: conditions.oif,
        narrowed: conditions.narrowed,
    }
}

/// What a rule does to the sample.
enum Effect<'a> {
    None,
    Accept,
    Drop,
    /// What becomes of it is not told, or depends on more than is known.
    Unknown,
    Jump(&'a str),
    Clamp(ClampSize),
}

/// `None` if the rule does not take the sample.
fn ask_rule<'a>(
    rule: &'a Value,
    sample: Sample,
    on_the_way: &Conditions,
) -> Option<(Conditions, Effect<'a>)> {
    let mut conditions = on_the_way.clone();
    let mut effect = Effect::None;
    for expression in rule["expr"].as_array()? {
        let Some((word, content)) = expression.as_object().and_then(|object| object.iter().next()) else {
            continue;
        };
        match word.as_str() {
            "match" if by_interface(content, &mut conditions) => {}
            "match" => match ask(sample, content) {
                Answer::No => return None,
                Answer::Yes => {}
                Answer::YesByIcmp => conditions.by_icmp = true,
                Answer::Perhaps => conditions.narrowed = true,
            },
            "limit" | "quota" | "connlimit" => conditions.narrowed = true,
            "accept" => effect = Effect::Accept,
            "drop" | "reject" => effect = Effect::Drop,
            "vmap" | "queue" | "fwd" | "return" => effect = Effect::Unknown,
            "jump" | "goto" => effect = Effect::Jump(content["target"].as_str()?),
            "mangle" if content["key"]["tcp option"]["name"] == "maxseg" => {
                effect = Effect::Clamp(clamp_size(&content["value"]));
            }
            "xt" => match (content["type"].as_str(), content["name"].as_str()) {
                (_, Some("TCPMSS")) => effect = Effect::Clamp(ClampSize::Unknown),
                (_, Some("tcp" | "tcpmss" | "comment")) => {}
                // What it asks for is not told: with ICMP it may be anything but errors about size.
                (Some("match"), Some("icmp" | "icmp6")) => return None,
                (Some("target"), _) => {
                    conditions.narrowed = true;
                    effect = Effect::Unknown;
                }
                _ => conditions.narrowed = true,
            },
            _ => {}
        }
    }
    // An error's drop has no clamp, and a handshake's none of interest.
    match (sample, &effect) {
        (Sample::SizeError(_), Effect::Clamp(_)) | (Sample::Handshake(_), Effect::Drop | Effect::Accept) => {
            None
        }
        _ => Some((conditions, effect)),
    }
}

fn by_interface(content: &Value, conditions: &mut Conditions) -> bool {
    let (Some(key), Some(name)) = (content["left"]["meta"]["key"].as_str(), content["right"].as_str()) else {
        return false;
    };
    let place = match key {
        "iifname" | "iif" => &mut conditions.iif,
        "oifname" | "oif" => &mut conditions.oif,
        _ => return false,
    };
    if content["op"] != "==" || name.contains('*') || place.as_deref().is_some_and(|known| known != name) {
        conditions.narrowed = true;
    } else {
        *place = Some(name.to_owned());
    }
    true
}

fn clamp_size(value: &Value) -> ClampSize {
    match value.as_u64().and_then(|size| u32::try_from(size).ok()) {
        Some(size) => ClampSize::Fixed(size),
        None if value["rt"]["key"] == "mtu" => ClampSize::Route,
        None => ClampSize::Unknown,
    }
}

#[cfg(test)]
#[path = "ruleset/tests.rs"]
mod tests;
