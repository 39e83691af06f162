//! Datapaths that not every kernel has: run by `cargo xtask vm` in its guests, whose kernels have them all. Needs root.
mod checked;
mod ipvlan;
mod netkit;
mod ordinary;
#[path = "../netns/redirect_peer.rs"]
mod redirect_peer;
mod tunnels;
mod vrf;
mod vswitch;
