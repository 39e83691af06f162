//! The kernel makes a frag-needed (`icmp:icmp_send`).
use crate::{
    buffer::{self, Buffer},
    flow::{Flow, mix},
    gate::Gate,
    kernel::{Trusted, offset},
    maps::{self, Use},
    owner::{self, Owner},
    packet::{ICMP_FRAG_NEEDED, ICMP_UNREACHABLE, Packet},
    ring,
    window::{Window, copy},
};
use probe_common::{
    gate::class,
    icmp_send::IcmpSendRecord,
    record::{PacketBytes, RecordHeader, SNAP, direction, kind},
};

/// An ICMP error is about to be made, about this packet.
#[inline(always)]
pub fn observe(skb: Trusted, icmp_type: u32, code: u32) {
    if icmp_type != u32::from(ICMP_UNREACHABLE) || code != u32::from(ICMP_FRAG_NEEDED) {
        return;
    }
    let device = skb.follow(&offset::SK_BUFF_DEV);
    let skb = Buffer(skb);
    let Some(owner) = owner_of(skb, device) else { return };
    let Some(memory) = maps::window(Use::IcmpSend) else { return };
    let bytes = (&raw mut memory.bytes).cast::<PacketBytes>();
    let captured = skb.copy_packet::<{ SNAP as u32 }>(bytes);
    let ethertype = skb.ethertype();
    let window = Window::new(memory, captured as usize);
    let ifindex: u32 = device.address().read(&offset::NET_DEVICE_IFINDEX);
    let salt = mix(u64::from(kind::ICMP_SEND), u64::from(owner.netns) << 32 | u64::from(ifindex));
    let packet = Packet::or_none(&window, ethertype);
    let hash = if packet.ethertype == 0 { salt } else { Flow::of(&window, &packet).hash(salt) };
    let Some(mut gate) = Gate::of(hash) else { return };
    let bucket = owner.netns ^ ifindex;
    if gate.holds(1, 1) || !gate.has_token(class::PACKET_TOO_BIG, bucket) {
        return;
    }
    let packets = gate.pass(class::PACKET_TOO_BIG, bucket, 0, 1);
    let egress = buffer::egress(skb.route());
    ring::send::<IcmpSendRecord>(|record| {
        // SAFETY: the ring's memory is as large as the record; the window is larger than a packet copy.
        unsafe {
            (*record).header = RecordHeader {
                kind: kind::ICMP_SEND,
                direction: direction::NONE,
                l2_len: 0,
                ifindex,
                time_ns: ring::now(),
                packets,
                captured,
            };
            (*record).netns = owner.netns;
            (*record).peer_ifindex = owner.peer_ifindex;
            (*record).egress_ifindex = egress.ifindex;
            (*record).egress_mtu = egress.mtu;
            (*record).route_mtu = egress.route_mtu;
            (*record).ethertype = ethertype.into();
            copy(bytes, &raw mut (*record).packet);
        }
    });
}

/// The error is made in the namespace of the packet's device, else of its route's.
#[inline(always)]
fn owner_of(skb: Buffer, device: Trusted) -> Option<Owner> {
    let netns = owner::netns_of_device(device);
    if netns != 0 {
        return owner::of_device(device, netns);
    }
    owner::of_address(skb.route().follow(&offset::DST_ENTRY_DEV))
}
