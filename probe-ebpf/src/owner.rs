//! Whose packet or socket it is: tracepoints see every network namespace of the kernel, and ours is one of them.
use crate::{
    kernel::{Address, Trusted, offset},
    maps,
};
use probe_common::interface::role;

/// `veth` and `netkit`, as the first eight bytes of their kind. Both begin their private area with the other end
/// (`struct veth_priv`, `struct netkit`).
const PAIRS: [[u8; 8]; 2] = [*b"veth\0\0\0\0", *b"netkit\0\0"];

/// Something of this node.
#[derive(Clone, Copy, Default)]
pub struct Owner {
    /// Inode of its network namespace.
    pub netns: u32,
    /// The end of the pair that is in the observed namespace; 0 if it is no pair, or where its namespace said enough.
    pub peer_ifindex: u32,
}

/// The network namespace of a device, by plain loads.
#[inline(always)]
pub fn netns_of_device(device: Trusted) -> u32 {
    device.follow(&offset::NET_DEVICE_NET).number(&offset::NET_INUM)
}

/// The network namespace of a socket, by plain loads.
#[inline(always)]
pub fn netns_of_socket(socket: Trusted) -> u32 {
    socket.follow(&offset::SOCK_NET).number(&offset::NET_INUM)
}

/// Whether a namespace is the observed one or a pod's.
#[inline(always)]
pub fn is_ours(netns: u32) -> bool {
    netns == maps::our_netns() || maps::is_known_netns(netns)
}

/// Whether a device in a namespace belongs to this node: it is in a namespace of ours, or it is a pair whose other end is
/// in the observed one: also that of an uplink, for what our own end does not take is dropped there.
#[inline(always)]
pub fn of_joined_device(device: Trusted, netns: u32) -> Option<Owner> {
    if is_ours(netns) {
        return Some(Owner { netns, peer_ifindex: 0 });
    }
    of_pair(device.address(), device.follow(&offset::NET_DEVICE_LINK_OPS).address(), netns)
}

/// The same, but not behind an uplink: there is another node.
#[inline(always)]
pub fn of_device(device: Trusted, netns: u32) -> Option<Owner> {
    not_behind_uplink(of_joined_device(device, netns)?)
}

/// The same for a device that is only known by address.
#[inline(always)]
pub fn of_address(device: Address) -> Option<Owner> {
    if device.0 == 0 {
        return None;
    }
    let netns = device.follow(&offset::NET_DEVICE_NET).read(&offset::NET_INUM);
    if is_ours(netns) { Some(Owner { netns, peer_ifindex: 0 }) } else { of_foreign(device, netns) }
}

/// The same for a device in a namespace that is not ours.
#[inline(always)]
pub fn of_foreign(device: Address, netns: u32) -> Option<Owner> {
    not_behind_uplink(of_pair(device, device.follow(&offset::NET_DEVICE_LINK_OPS), netns)?)
}

#[inline(always)]
fn not_behind_uplink(owner: Owner) -> Option<Owner> {
    match maps::interface(owner.peer_ifindex) {
        Some(config) if config.role == role::UPLINK => None,
        Some(_) | None => Some(owner),
    }
}

#[inline(always)]
fn of_pair(device: Address, ops: Address, netns: u32) -> Option<Owner> {
    let peer = peer_by_kind(device, ops)?;
    let peer_netns: u32 = peer.follow(&offset::NET_DEVICE_NET).read(&offset::NET_INUM);
    if peer_netns != maps::our_netns() {
        return None;
    }
    Some(Owner { netns, peer_ifindex: peer.read(&offset::NET_DEVICE_IFINDEX) })
}

/// Whether a socket belongs to this node: by its namespace, else by the device that its route leaves by. A container nested
/// in a pod is the pod's: its pair ends in the pod's namespace.
#[inline(always)]
pub fn of_socket(socket: Trusted) -> Option<Owner> {
    let netns = netns_of_socket(socket);
    if is_ours(netns) {
        return Some(Owner { netns, peer_ifindex: 0 });
    }
    let device = socket.address().follow(&offset::SOCK_DST).follow(&offset::DST_ENTRY_DEV);
    if device.0 == 0 {
        return None;
    }
    let device_netns: u32 = device.follow(&offset::NET_DEVICE_NET).read(&offset::NET_INUM);
    // A route that is no longer the socket's may lead anywhere.
    if device_netns != netns {
        return None;
    }
    let peer = peer_of(device)?;
    let peer_netns: u32 = peer.follow(&offset::NET_DEVICE_NET).read(&offset::NET_INUM);
    if peer_netns == maps::our_netns() {
        return not_behind_uplink(Owner { netns, peer_ifindex: peer.read(&offset::NET_DEVICE_IFINDEX) });
    }
    maps::is_known_netns(peer_netns).then_some(Owner { netns: peer_netns, peer_ifindex: 0 })
}

/// The other end of a paired device.
#[inline(always)]
pub fn peer_of(device: Address) -> Option<Address> {
    peer_by_kind(device, device.follow(&offset::NET_DEVICE_LINK_OPS))
}

#[inline(always)]
fn peer_by_kind(device: Address, ops: Address) -> Option<Address> {
    if ops.0 == 0 || !is_pair(ops) {
        return None;
    }
    let peer = device.follow(&offset::NET_DEVICE_PRIVATE);
    (peer.0 != 0).then_some(peer)
}

/// Whether `rtnl_link_ops` are those of a paired kind: learned once by name, told by address from then on.
#[inline(always)]
fn is_pair(ops: Address) -> bool {
    let Some(known) = maps::link_kinds() else { return false };
    let mut place = 0;
    while place < maps::LINK_KINDS_KNOWN {
        // SAFETY: within the map's value; whoever writes a place writes the same.
        let address = unsafe { (&raw const (*known)[place]).read_volatile() };
        if address == ops.0 {
            return place < PAIRS.len();
        }
        if address == 0 && place >= PAIRS.len() {
            break;
        }
        place += 1;
    }
    let name = ops.follow(&offset::RTNL_LINK_OPS_KIND).string();
    let mut kind = 0;
    while kind < PAIRS.len() {
        if name == u64::from_ne_bytes(PAIRS[kind]) {
            place = kind;
            break;
        }
        kind += 1;
    }
    if place < maps::LINK_KINDS_KNOWN {
        // SAFETY: as above.
        unsafe { (&raw mut (*known)[place]).write_volatile(ops.0) };
    }
    kind < PAIRS.len()
}
