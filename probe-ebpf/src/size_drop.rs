//! Packets that the kernel frees (`skb:kfree_skb`): for their size, and those that break path MTU discovery.
use crate::{
    buffer::{self, Buffer},
    debug,
    flow::{Flow, mix},
    gate::Gate,
    kernel::{Address, Trusted, offset},
    maps::{self, Use},
    owner::{self, Owner},
    packet::{Packet, flag},
    ring, skip,
    window::{Window, clear, copy},
};
use aya_ebpf::helpers::generated::bpf_snprintf;
use probe_common::{
    gate::class as gate_class,
    location::{self, LocationRecord, SYMBOL_LEN},
    record::{PacketBytes, RecordHeader, SNAP, direction, kind},
    size_drop::class,
    skip::Skip,
};

/// Prints the function that an address is in.
static SYMBOL_FORMAT: [u8; 4] = *b"%ps\0";

/// A packet is freed.
#[inline(always)]
pub fn observe(skb: Trusted, address: u64, reason: u32) {
    // Cheap things first: this runs for every drop of the machine.
    let class = maps::reason_class(reason).unwrap_or(class::FILTER);
    if class == class::IGNORED {
        return;
    }
    let device = skb.follow(&offset::SK_BUFF_DEV);
    let netns = owner::netns_of_device(device);
    let Some(owner) = owner_of(skb, device, netns) else { return };
    let class = if class == class::LOCATION {
        match maps::location_class(address) {
            Some(location::class::IGNORED) => return,
            Some(location::class::FILTER) => class::FILTER,
            Some(_) => class::SIZE,
            None => {
                ask(address);
                class::SIZE
            }
        }
    } else {
        class
    };
    report(Buffer(skb), address, reason, class, owner);
}

/// Whose packet it is: its device's, else its socket's, else its route's device's. A netns of 0 is no device: locally
/// made packets have none yet, and in a socket's queue the field holds other things.
#[inline(always)]
fn owner_of(skb: Trusted, device: Trusted, netns: u32) -> Option<Owner> {
    if netns != 0 {
        return owner::of_joined_device(device, netns);
    }
    let netns = owner::netns_of_socket(skb.follow(&offset::SK_BUFF_SK));
    if netns != 0 && owner::is_ours(netns) {
        return Some(Owner { netns, peer_ifindex: 0 });
    }
    let route = Buffer(skb).route();
    if route.0 == 0 {
        return None;
    }
    let device = route.follow(&offset::DST_ENTRY_DEV);
    if netns == 0 { owner::of_address(device) } else { owner::of_foreign(device, netns) }
}

/// Tells user space of a place not met before.
#[inline(always)]
fn ask(address: u64) {
    match maps::remember_location(address, location::class::ASKED) {
        Ok(()) => {}
        // -EEXIST: another CPU asked just now.
        Err(-17) => return,
        Err(_) => return skip::count(Skip::MapFull),
    }
    ring::send::<LocationRecord>(|record| {
        let data = [address];
        // SAFETY: the ring's memory is as large as the record; the format is a constant of read-only data.
        unsafe {
            (*record).header = RecordHeader {
                kind: kind::LOCATION,
                direction: direction::NONE,
                time_ns: ring::now(),
                packets: 1,
                ..RecordHeader::default()
            };
            (*record).address = address;
            let symbol = (&raw mut (*record).symbol).cast();
            let printed = bpf_snprintf(
                symbol,
                SYMBOL_LEN as u32,
                SYMBOL_FORMAT.as_ptr().cast(),
                data.as_ptr().cast_mut().cast(),
                8,
            );
            if printed < 0 {
                *symbol.cast::<u8>() = 0;
            }
        }
    });
}

#[inline(always)]
fn report(skb: Buffer, address: u64, reason: u32, class: u32, owner: Owner) {
    let Some(memory) = maps::window(Use::SizeDrop) else { return };
    let bytes = (&raw mut memory.bytes).cast::<PacketBytes>();
    let ethertype = skb.ethertype();
    if class == class::FILTER || class == class::ICMP_OR_FRAGMENT {
        // Most drops are policy, and of other packets: only as many bytes are looked at as this takes.
        let captured = skb.copy_packet::<HEADERS>(bytes);
        let window = Window::new(memory, captured as usize);
        let packet = Packet::or_none(&window, ethertype);
        if !matters(&packet) {
            if class == class::FILTER && packet.ethertype != 0 {
                let hash = Flow::of(&window, &packet).hash(sample_salt(skb, address, reason));
                sample(skb, hash, Drop { address, reason, owner, packets: 0, captured, ethertype }, bytes);
            }
            return;
        }
    }
    let captured = skb.copy_packet::<{ SNAP as u32 }>(bytes);
    let window = Window::new(memory, captured as usize);
    let packet = Packet::or_none(&window, ethertype);
    let device = skb.0.address().follow(&offset::SK_BUFF_DEV);
    let ifindex: u32 = device.read(&offset::NET_DEVICE_IFINDEX);
    // Sizes are told apart: a prober's few packets of each are no fault.
    let salt = mix(address, u64::from(reason) << 32 | u64::from(ifindex)) ^ u64::from(skb.len());
    let hash = if packet.ethertype == 0 { salt } else { Flow::of(&window, &packet).hash(salt) };
    let Some(mut gate) = Gate::of(hash) else { return };
    let bucket = owner.netns ^ ifindex;
    if gate.holds(1, 1) || !gate.has_token(gate_class::SIZE_DROP, bucket) {
        return;
    }
    debug::line!("drop: reason {}, at {:x}, netns {}, {} bytes", reason, address, owner.netns, skb.len());
    let packets = gate.pass(gate_class::SIZE_DROP, bucket, 0, 1);
    // Where the reason alone decided, the place is still to be named.
    if maps::location_class(address).is_none() {
        ask(address);
    }
    fill(skb, device, ifindex, Drop { address, reason, owner, packets, captured, ethertype }, bytes);
}

/// Bytes that tell what a packet is, without IPv6 extension headers.
const HEADERS: u32 = 64;

/// No IP and TCP headers together are longer: a larger packet carries data.
const LARGEST_HEADERS: u32 = 120;

/// Small packets of a flow are sampled apart: that they are dropped too says that it is not the size.
#[inline(always)]
fn sample_salt(skb: Buffer, address: u64, reason: u32) -> u64 {
    mix(address, u64::from(reason) << 32 | u64::from(skb.len() > LARGEST_HEADERS))
}

/// Reports an ordinary packet that a filter dropped, if its flow and its device have not reported enough. Most drops are
/// policy: what follows is done for each.
#[inline(always)]
fn sample(skb: Buffer, hash: u64, drop: Drop, bytes: *const PacketBytes) {
    let Some(mut gate) = Gate::of(hash) else { return };
    let bucket = drop.owner.netns;
    if gate.holds(1, 1) || !gate.has_token(gate_class::FILTERED, bucket) {
        return;
    }
    let packets = gate.pass(gate_class::FILTERED, bucket, 0, 1);
    if maps::location_class(drop.address).is_none() {
        ask(drop.address);
    }
    let device = skb.0.address().follow(&offset::SK_BUFF_DEV);
    let ifindex: u32 = device.read(&offset::NET_DEVICE_IFINDEX);
    fill(skb, device, ifindex, Drop { packets, ..drop }, bytes);
}

/// Whether a packet is an ICMP packet too big or a fragment.
#[inline(always)]
fn matters(packet: &Packet) -> bool {
    packet.flags & (flag::PACKET_TOO_BIG | flag::FIRST_FRAGMENT | flag::LATER_FRAGMENT) != 0
}

struct Drop {
    address: u64,
    reason: u32,
    owner: Owner,
    packets: u32,
    captured: u32,
    ethertype: u16,
}

#[inline(always)]
fn fill(skb: Buffer, device: Address, ifindex: u32, drop: Drop, bytes: *const PacketBytes) {
    let egress = buffer::egress(skb.route());
    let Some(record) = maps::size_drop_scratch() else { return };
    // SAFETY: the memory of this program and CPU alone, as large as the record.
    unsafe {
        (*record).header = RecordHeader {
            kind: kind::SIZE_DROP,
            direction: direction::NONE,
            l2_len: 0,
            ifindex,
            time_ns: ring::now(),
            packets: drop.packets,
            captured: drop.captured,
        };
        (*record).location = drop.address;
        (*record).reason = drop.reason;
        (*record).netns = drop.owner.netns;
        (*record).peer_ifindex = drop.owner.peer_ifindex;
        (*record).device_mtu = device.read(&offset::NET_DEVICE_MTU);
        (*record).peer_mtu = owner::peer_of(device).map_or(0, |peer| peer.read(&offset::NET_DEVICE_MTU));
        (*record).egress_ifindex = egress.ifindex;
        (*record).egress_mtu = egress.mtu;
        (*record).egress_netns = egress.netns;
        (*record).route_mtu = egress.route_mtu;
        (*record).skb_len = skb.len();
        (*record).gso_size = skb.gso_size();
        (*record).ethertype = drop.ethertype.into();
        clear(&raw mut (*record).device);
        device.at(&offset::NET_DEVICE_NAME).copy(&raw mut (*record).device);
        copy(bytes, &raw mut (*record).packet);
        ring::output(&*record);
    }
}
