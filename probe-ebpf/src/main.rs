//! The kernel side of mtuprobe: entry points only.
//!
//! On the host this is an ordinary crate: what is pure (headers, segments, flows) has its unit tests there.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(not(target_arch = "bpf"), expect(dead_code, reason = "the programs exist in the kernel only"))]

mod flow;
mod packet;
mod protocol;
mod segments;
mod size_histogram;
mod window;

macro_rules! kernel_only {
    ($($module:ident)*) => { $(#[cfg(target_arch = "bpf")] mod $module;)* };
}
kernel_only! {
    buffer debug event fast fragment gate hook icmp_send kernel maps oversize owner packet_too_big pod_settings ring
    size_drop skip slow tcp tcp_close tcp_hole tcp_mss tcp_retransmit
}

/// The entry points.
#[cfg(target_arch = "bpf")]
mod entry {
    use crate::{hook, icmp_send, kernel::Trusted, pod_settings, size_drop, tcp_close, tcp_retransmit};
    use aya_ebpf::{
        bindings::TC_ACT_UNSPEC,
        macros::{btf_tracepoint, classifier},
        programs::{BtfTracePointContext, TcContext},
    };
    use core::ffi::c_void;
    use network_types::eth::EthHdr;
    use probe_common::record::direction::{EGRESS, INGRESS};

    /// "Go on": the next program, or the packet's way (`TCX_NEXT`).
    const GO_ON: i32 = TC_ACT_UNSPEC;

    #[classifier]
    fn tc_ingress(ctx: TcContext) -> i32 {
        hook::observe::<INGRESS, { EthHdr::LEN }>(ctx.skb.skb);
        GO_ON
    }

    #[classifier]
    fn tc_egress(ctx: TcContext) -> i32 {
        hook::observe::<EGRESS, { EthHdr::LEN }>(ctx.skb.skb);
        GO_ON
    }

    #[classifier]
    fn tc_ingress_l3(ctx: TcContext) -> i32 {
        hook::observe::<INGRESS, 0>(ctx.skb.skb);
        GO_ON
    }

    #[classifier]
    fn tc_egress_l3(ctx: TcContext) -> i32 {
        hook::observe::<EGRESS, 0>(ctx.skb.skb);
        GO_ON
    }

    #[btf_tracepoint(function = "kfree_skb")]
    fn kfree_skb(ctx: BtfTracePointContext) -> i32 {
        size_drop::observe(Trusted::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
        0
    }

    #[btf_tracepoint(function = "icmp_send")]
    fn icmp_send(ctx: BtfTracePointContext) -> i32 {
        icmp_send::observe(Trusted::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
        0
    }

    #[btf_tracepoint(function = "tcp_retransmit_skb")]
    fn tcp_retransmit(ctx: BtfTracePointContext) -> i32 {
        tcp_retransmit::observe(Trusted::new(ctx.arg(0)), Trusted::new(ctx.arg(1)));
        0
    }

    #[btf_tracepoint(function = "inet_sock_set_state")]
    fn tcp_close(ctx: BtfTracePointContext) -> i32 {
        tcp_close::observe(Trusted::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
        0
    }

    /// The library has no attribute for iterators; their arguments are passed as those of tracepoints are.
    #[unsafe(no_mangle)]
    #[unsafe(link_section = "iter/bpf_map")]
    fn pod_settings(ctx: *mut c_void) -> i32 {
        pod_settings::observe(BtfTracePointContext::new(ctx).arg(0));
        0
    }

    /// What the programs may use of the kernel depends on it.
    #[unsafe(no_mangle)]
    #[unsafe(link_section = "license")]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

    #[panic_handler]
    fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
        // The verifier refuses a program that can get here.
        loop {}
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
