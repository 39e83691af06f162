//! What the tests stand on: networks of namespaces, real traffic, and the real binary.
pub mod attachment;
pub mod bench;
mod bpf_request;
pub mod demo;
pub mod documents;
pub mod frames;
pub mod lesser_kernel;
pub mod probe;
pub mod release;
pub mod runtime;
pub mod screen;
pub mod service;
pub mod test_run;
pub mod topology;
pub mod traffic;
