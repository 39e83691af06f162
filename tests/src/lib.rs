//! What the tests stand on: networks of namespaces, real traffic, and the real binary.
pub mod attachment;
pub mod demo;
pub mod probe;
pub mod topology;
pub mod traffic;
