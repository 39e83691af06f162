//! The entry points.
use crate::hook::observe;
use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use network_types::eth::EthHdr;
use probe_common::record::direction::{EGRESS, INGRESS};

/// "Go on": the next program, or the packet's way (`TCX_NEXT`).
const GO_ON: i32 = TC_ACT_UNSPEC;

/// Received, with an Ethernet header.
#[classifier]
pub fn tc_ingress(ctx: TcContext) -> i32 {
    observe::<INGRESS, { EthHdr::LEN }>(ctx.skb.skb);
    GO_ON
}

/// Sent, with an Ethernet header.
#[classifier]
pub fn tc_egress(ctx: TcContext) -> i32 {
    observe::<EGRESS, { EthHdr::LEN }>(ctx.skb.skb);
    GO_ON
}

/// Received, without an Ethernet header.
#[classifier]
pub fn tc_ingress_l3(ctx: TcContext) -> i32 {
    observe::<INGRESS, 0>(ctx.skb.skb);
    GO_ON
}

/// Sent, without an Ethernet header.
#[classifier]
pub fn tc_egress_l3(ctx: TcContext) -> i32 {
    observe::<EGRESS, 0>(ctx.skb.skb);
    GO_ON
}

/// What the programs may use of the kernel depends on it; the kernel side is under both licences.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier would refuse a program that can get here.
    loop {}
}
