//! Datapaths of Open vSwitch, their ports and their programmed flows: the module tells of them by generic netlink.
use super::connection::NetlinkError;
use super::generic::{Generic, attributes};
use probe_core::model::flow::Family;
use probe_core::model::vswitch::{SwitchFlow, Vswitch};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Families and commands (`include/uapi/linux/openvswitch.h`).
const DATAPATH_FAMILY: &str = "ovs_datapath";
const VPORT_FAMILY: &str = "ovs_vport";
const FLOW_FAMILY: &str = "ovs_flow";
/// `OVS_DP_CMD_GET`, `OVS_VPORT_CMD_GET` and `OVS_FLOW_CMD_GET`.
const GET: u8 = 3;
/// `struct ovs_header`: index of the datapath's local port, before the attributes of each message.
const HEADER_BYTES: usize = 4;

const VPORT_PORT_NO: u16 = 1;
const VPORT_IFINDEX: u16 = 8;
const FLOW_KEY: u16 = 1;
const FLOW_ACTIONS: u16 = 2;
const FLOW_MASK: u16 = 7;

/// `enum ovs_key_attr`.
mod key {
    pub const IN_PORT: u16 = 3;
    pub const ETHERTYPE: u16 = 6;
    pub const IPV4: u16 = 7;
    pub const IPV6: u16 = 8;
    pub const TUNNEL: u16 = 16;
}

/// `enum ovs_tunnel_key_attr`.
mod tunnel {
    pub const IPV4_DST: u16 = 2;
    pub const DONT_FRAGMENT: u16 = 5;
    pub const GENEVE_OPTIONS: u16 = 8;
    pub const IPV6_DST: u16 = 13;
}

/// `enum ovs_action_attr`, and what some actions hold.
mod action {
    pub const OUTPUT: u16 = 1;
    pub const SET: u16 = 3;
    pub const SAMPLE: u16 = 6;
    pub const SAMPLE_ACTIONS: u16 = 2;
    pub const CLONE: u16 = 20;
    pub const CHECK_PKT_LEN: u16 = 21;
    /// What is done with packets that are not longer: longer ones go to somebody who answers them.
    pub const CHECK_PKT_LEN_LESS_EQUAL: u16 = 3;
}

/// Actions within actions that are followed (`OVS_COPY_ACTIONS_MAX_DEPTH`).
const DEPTH: u32 = 16;
/// Flows of one datapath that are read: a busy one has a hundred thousand, which say nothing that holds for long.
const FLOWS_READ: usize = 2048;

/// All datapaths of a namespace, and what flows say of their tunnels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switching {
    /// The datapaths.
    pub vswitches: Vec<Vswitch>,
    /// By index of the tunnel device.
    pub tunnels: BTreeMap<u32, SwitchedTunnel>,
}

/// What flows ask of a tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchedTunnel {
    /// Where its packets go.
    pub remotes: BTreeSet<IpAddr>,
    /// Some outer packets carry DF.
    pub df: bool,
    /// Bytes of Geneve options at most.
    pub options: u32,
}

/// Asks the module; nothing if it is not loaded.
pub fn switching() -> Result<Switching, NetlinkError> {
    let mut found = Switching::default();
    let (Some(mut datapaths), Some(mut vports)) =
        (Generic::open(DATAPATH_FAMILY)?, Generic::open(VPORT_FAMILY)?)
    else {
        return Ok(found);
    };
    for datapath in datapaths.dump(GET, &[0; HEADER_BYTES])? {
        let Some(header) = datapath.get(..HEADER_BYTES) else { continue };
        let ports = ports(&vports.dump(GET, header)?);
        let flows = match Generic::open(FLOW_FAMILY)? {
            Some(flows) => flows.dump_at_most(GET, header, FLOWS_READ)?,
            None => None,
        };
        let flows = flows.map(|messages| read_flows(&messages, &ports, &mut found.tunnels));
        found.vswitches.push(Vswitch {
            ifindex: header.try_into().map_or(0, u32::from_ne_bytes),
            ports: ports.values().copied().collect(),
            flows,
        });
    }
    Ok(found)
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

fn body(message: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    attributes(message.get(HEADER_BYTES..).unwrap_or_default())
}

fn value_of(attributes: impl IntoIterator<Item = (u16, impl AsRef<[u8]>)>, wanted: u16) -> Option<Vec<u8>> {
    attributes.into_iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value.as_ref().to_vec())
}

/// Index of the device of each port, by the port's number.
fn ports(messages: &[Vec<u8>]) -> BTreeMap<u32, u32> {
    let port = |message: &Vec<u8>| {
        let of = |wanted| number(&value_of(body(message), wanted)?);
        Some((of(VPORT_PORT_NO)?, of(VPORT_IFINDEX)?))
    };
    messages.iter().filter_map(port).collect()
}

/// The flows that send IP packets out, each once, and what they ask of tunnels.
fn read_flows(
    messages: &[Vec<u8>],
    ports: &BTreeMap<u32, u32>,
    tunnels: &mut BTreeMap<u32, SwitchedTunnel>,
) -> Vec<SwitchFlow> {
    let mut flows: Vec<SwitchFlow> = Vec::new();
    for message in messages {
        let part = |wanted| value_of(body(message), wanted).unwrap_or_default();
        let Some(matched) = matched(&part(FLOW_KEY), &part(FLOW_MASK)) else { continue };
        let mut outputs = Vec::new();
        follow(&part(FLOW_ACTIONS), &mut None, &mut outputs, DEPTH);
        for (port, wrapping) in &outputs {
            if let (Some(&ifindex), Some(wrapping)) = (ports.get(port), wrapping) {
                let tunnel = tunnels.entry(ifindex).or_default();
                tunnel.remotes.extend(wrapping.remotes.iter().copied());
                tunnel.df |= wrapping.df;
                tunnel.options = tunnel.options.max(wrapping.options);
            }
        }
        let leaves_by: Vec<u32> = outputs.iter().filter_map(|(port, _)| ports.get(port).copied()).collect();
        let came_by = match matched.in_port {
            None => None,
            Some(port) => match ports.get(&port) {
                Some(&ifindex) => Some(ifindex),
                // Gone meanwhile.
                None => continue,
            },
        };
        if !leaves_by.is_empty() {
            flows.push(SwitchFlow { came_by, destination: matched.destination, leaves_by });
        }
    }
    flows.sort_unstable();
    flows.dedup();
    flows
}

/// What a flow concerns.
#[derive(Debug, Default, PartialEq, Eq)]
struct Matched {
    in_port: Option<u32>,
    destination: Option<(IpAddr, u8)>,
}

/// `None` for what is no IP packet. Without a mask everything in the key has to be equal.
fn matched(key: &[u8], mask: &[u8]) -> Option<Matched> {
    let has_mask = !mask.is_empty();
    let mask_of = |wanted| value_of(attributes(mask), wanted);
    let counts = |wanted| !has_mask || mask_of(wanted).is_some_and(|mask| mask.iter().any(|byte| *byte != 0));
    if let Some(ethertype) = value_of(attributes(key), key::ETHERTYPE).filter(|_| counts(key::ETHERTYPE))
        && !matches!(ethertype.as_slice(), [0x08, 0x00] | [0x86, 0xdd])
    {
        return None;
    }
    let in_port = value_of(attributes(key), key::IN_PORT).filter(|_| counts(key::IN_PORT));
    let family = [(key::IPV4, Family::Ipv4), (key::IPV6, Family::Ipv6)];
    let destination = family.into_iter().find_map(|(wanted, family)| {
        let value = value_of(attributes(key), wanted)?;
        let mask = if has_mask { mask_of(wanted)? } else { vec![0xff; value.len()] };
        network(family, &value, &mask)
    });
    Some(Matched { in_port: in_port.and_then(|port| number(&port)), destination })
}

/// The destination of `struct ovs_key_ipv4` or `ovs_key_ipv6`, both of which begin with the source.
fn network(family: Family, key: &[u8], mask: &[u8]) -> Option<(IpAddr, u8)> {
    let (address, mask): (IpAddr, u32) = match family {
        Family::Ipv4 => {
            let [address, mask] = [key, mask].map(|bytes| <[u8; 4]>::try_from(bytes.get(4..8)?).ok());
            (Ipv4Addr::from(address?).into(), u32::from_be_bytes(mask?).leading_ones())
        }
        Family::Ipv6 => {
            let [address, mask] = [key, mask].map(|bytes| <[u8; 16]>::try_from(bytes.get(16..32)?).ok());
            (Ipv6Addr::from(address?).into(), u128::from_be_bytes(mask?).leading_ones())
        }
    };
    let length = u8::try_from(mask).ok().filter(|&length| length != 0)?;
    Some((address, length))
}

/// Follows actions in their order: the port of each output, and what a tunnel there was asked for before.
fn follow(
    actions: &[u8],
    wrapping: &mut Option<SwitchedTunnel>,
    outputs: &mut Vec<(u32, Option<SwitchedTunnel>)>,
    depth: u32,
) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for (kind, value) in attributes(actions) {
        match kind {
            action::OUTPUT => outputs.extend(number(value).map(|port| (port, wrapping.clone()))),
            action::SET => {
                if let Some(key) = value_of(attributes(value), key::TUNNEL) {
                    *wrapping = Some(asked_of_tunnel(&key));
                }
            }
            // What is set within a clone holds there only.
            action::CLONE => follow(value, &mut wrapping.clone(), outputs, depth),
            action::SAMPLE | action::CHECK_PKT_LEN => {
                let part = if kind == action::SAMPLE {
                    action::SAMPLE_ACTIONS
                } else {
                    action::CHECK_PKT_LEN_LESS_EQUAL
                };
                let inner = value_of(attributes(value), part).unwrap_or_default();
                follow(&inner, &mut wrapping.clone(), outputs, depth);
            }
            _ => {}
        }
    }
}

fn asked_of_tunnel(key: &[u8]) -> SwitchedTunnel {
    let mut asked = SwitchedTunnel::default();
    for (kind, value) in attributes(key) {
        match kind {
            tunnel::IPV4_DST => asked.remotes.extend(<[u8; 4]>::try_from(value).ok().map(IpAddr::from)),
            tunnel::IPV6_DST => asked.remotes.extend(<[u8; 16]>::try_from(value).ok().map(IpAddr::from)),
            tunnel::DONT_FRAGMENT => asked.df = true,
            tunnel::GENEVE_OPTIONS => asked.options = u32::try_from(value.len()).unwrap_or(0),
            _ => {}
        }
    }
    asked
}

#[cfg(test)]
#[path = "vswitch/tests.rs"]
mod tests;
