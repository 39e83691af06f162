//! Datapaths that not every kernel has: run by `cargo xtask vm` in its guests, whose kernels have them all. Needs root.
mod ipvlan;
mod netkit;
mod tunnels;
mod vrf;
mod vswitch;
