//! The loaded programs.
use super::load::{DatapathError, absent};
use aya::Ebpf;
use aya::programs::{ProgramError, SchedClassifier};
use probe_common::record::direction::INGRESS;

/// The TC programs, and with them the tracepoint programs, which stay attached for as long as this lives.
pub struct Classifiers {
    ebpf: Ebpf,
}

impl Classifiers {
    pub(super) fn new(ebpf: Ebpf) -> Self {
        Self { ebpf }
    }

    /// The program for a [`direction`](probe_common::record::direction) and a device with or without an Ethernet header,
    /// loaded when it is first asked for: the verifier takes a while, and most nodes have no device without.
    pub fn classifier(
        &mut self,
        direction: u8,
        has_ethernet: bool,
    ) -> Result<&mut SchedClassifier, DatapathError> {
        let name = match (direction == INGRESS, has_ethernet) {
            (true, true) => "tc_ingress",
            (true, false) => "tc_ingress_l3",
            (false, true) => "tc_egress",
            (false, false) => "tc_egress_l3",
        };
        let program = self.ebpf.program_mut(name).ok_or_else(|| absent("program", name))?;
        let program: &mut SchedClassifier =
            program.try_into().map_err(|error: ProgramError| DatapathError::program("use", name, &error))?;
        if program.fd().is_err() {
            program.load().map_err(|error| DatapathError::program("load", name, &error))?;
        }
        Ok(program)
    }

    pub(super) fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }
}
