//! What the tests stand on: networks of namespaces, real traffic, and the real binary.
pub mod topology;
pub mod traffic;
