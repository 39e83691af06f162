//! Which interfaces some living instance observes, seen from outside.
use super::Mechanism;
use super::clsact::Clsact;
use aya::programs::{SchedClassifier, TcAttachType};
use probe_core::model::interface::Role;
use probe_core::model::topology::Topology;
use std::collections::BTreeMap;

/// What the names of our programs at an ingress begin with.
const PROGRAM: &str = "tc_ingress";

/// How the interfaces that lead to pods are observed; those without programs of ours, or whose programs we may not look
/// at (`CAP_SYS_ADMIN`), are left out.
pub fn hooked(topology: &Topology) -> BTreeMap<u32, Mechanism> {
    let mut clsact = Clsact::open().ok();
    let mut found = BTreeMap::new();
    for interface in topology.with_role(Role::Pod) {
        let mut by_clsact = || clsact.as_mut().is_some_and(|clsact| clsact.has_ours(interface.ifindex));
        if has_tcx(&interface.name) {
            found.insert(interface.ifindex, Mechanism::Tcx);
        } else if by_clsact() {
            found.insert(interface.ifindex, Mechanism::Clsact);
        }
    }
    found
}

fn has_tcx(interface: &str) -> bool {
    SchedClassifier::query_tcx(interface, TcAttachType::Ingress).is_ok_and(|(_, programs)| {
        programs.iter().any(|program| program.name_as_str().is_some_and(|name| name.starts_with(PROGRAM)))
    })
}
