//! Learned path MTUs.
use super::mirror::mirror;
use super::topology::Route;
use super::veil::{Address, InterfaceName};
use probe_core::model::pmtu_exception;

mirror! {
    PmtuException = pmtu_exception::PmtuException {
        netns: u32,
        destination: Address,
        mtu: u32,
        locked: bool,
        expires: u32,
        users: u32,
        ifindex: Option<u32>,
        interface: Option<InterfaceName>,
        gateway: Option<Address>,
    }
}

mirror! {
    NetnsExceptions = pmtu_exception::NetnsExceptions {
        netns: u32,
        exceptions: Vec<PmtuException>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        locked: Vec<Route>,
    }
}
