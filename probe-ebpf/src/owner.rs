//! Whose packet or socket it is: tracepoints see every network namespace of the kernel, and ours is one of them.
use crate::{
    kernel::{Address, Trusted, offset},
    maps,
};
use probe_common::interface::role;

/// `veth` and `netkit`, as the first eight bytes of their kind. Both begin their private area with the other end
/// (`struct veth_priv`, `struct netkit`).
const PAIRS: [[u8; 8]; maps::PAIR_KINDS as usize] = [*b"veth\0\0\0\0", *b"netkit\0\0"];

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

/// Whether a device in a namespace belongs to this node: it is in the observed namespace or in a pod's, or it is a pair
/// whose other end is in the observed one and no uplink (behind an uplink is another node).
#[inline(always)]
pub fn of_device(device: Address, netns: u32) -> Option<Owner> {
    let owner = of_joined_device(device, netns)?;
    match maps::interface(owner.peer_ifindex) {
        Some(config) if config.role == role::UPLINK => None,
        Some(_) | None => Some(owner),
    }
}

/// The same with the other ends of uplinks: what our own end does not take is dropped there.
#[inline(always)]
pub fn of_joined_device(device: Address, netns: u32) -> Option<Owner> {
    if netns == maps::our_netns() || maps::is_known_netns(netns) {
        return Some(Owner { netns, peer_ifindex: 0 });
    }
    let peer = peer_of(device)?;
    let peer_netns: u32 = peer.follow(&offset::NET_DEVICE_NET).read(&offset::NET_INUM);
    if peer_netns != maps::our_netns() {
        return None;
    }
    Some(Owner { netns, peer_ifindex: peer.read(&offset::NET_DEVICE_IFINDEX) })
}

/// The same for a device that is only known by address.
#[inline(always)]
pub fn of_address(device: Address) -> Option<Owner> {
    if device.0 == 0 {
        return None;
    }
    of_device(device, device.follow(&offset::NET_DEVICE_NET).read(&offset::NET_INUM))
}

/// Whether a socket belongs to this node: by its namespace, else by the device that its route leaves by.
#[inline(always)]
pub fn of_socket(socket: Trusted) -> Option<Owner> {
    let netns = netns_of_socket(socket);
    if netns == maps::our_netns() || maps::is_known_netns(netns) {
        return Some(Owner { netns, peer_ifindex: 0 });
    }
    let device = socket.address().follow(&offset::SOCK_DST).follow(&offset::DST_ENTRY_DEV);
    let owner = of_address(device)?;
    // A route that is no longer the socket's may lead anywhere.
    (owner.netns == netns).then_some(owner)
}

/// The other end of a paired device.
#[inline(always)]
pub fn peer_of(device: Address) -> Option<Address> {
    let ops = device.follow(&offset::NET_DEVICE_LINK_OPS);
    if ops.0 == 0 || !is_pair(ops) {
        return None;
    }
    let peer = device.follow(&offset::NET_DEVICE_PRIVATE);
    (peer.0 != 0).then_some(peer)
}

/// Whether `rtnl_link_ops` are those of a paired kind; learned once by name, told by address from then on.
#[inline(always)]
fn is_pair(ops: Address) -> bool {
    let mut kind = 0;
    while kind < PAIRS.len() {
        let Some(known) = maps::pair_link_ops(kind as u32) else { return false };
        // SAFETY: one aligned word of a map; whoever writes it writes the same.
        if unsafe { known.read_volatile() } == ops.0 {
            return true;
        }
        kind += 1;
    }
    let name = ops.follow(&offset::RTNL_LINK_OPS_KIND).string();
    let mut kind = 0;
    while kind < PAIRS.len() {
        if name == u64::from_ne_bytes(PAIRS[kind]) {
            if let Some(known) = maps::pair_link_ops(kind as u32) {
                // SAFETY: as above.
                unsafe { known.write_volatile(ops.0) };
            }
            return true;
        }
        kind += 1;
    }
    false
}
