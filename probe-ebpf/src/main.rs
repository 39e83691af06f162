#![cfg_attr(target_arch = "bpf", no_std, no_main)]
//! The kernel side of mtuprobe.

#[cfg(target_arch = "bpf")]
mod kernel {
    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
