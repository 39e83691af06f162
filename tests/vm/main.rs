//! What has to hold on every kernel: on this one, and linked statically in the guests of `cargo xtask vm`. Needs root.
mod faults;
mod programs;
