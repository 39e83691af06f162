//! TCX links at the head of an interface's chain (Linux 6.6 and later).
#![expect(clippy::wildcard_enum_match_arm, reason = "aya's errors are non-exhaustive")]
use crate::datapath::classifiers::Classifiers;
use crate::datapath::load::DatapathError;
use aya::programs::links::LinkOrder;
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::{ProgramError, TcAttachType};
use aya::sys::SyscallError;
use probe_common::record::direction::{EGRESS, INGRESS};
use std::collections::BTreeMap;
use std::io;

/// Our links; each is a file descriptor, so the kernel takes them away with the process, however it ends.
#[derive(Debug, Default)]
pub(super) struct Tcx {
    links: BTreeMap<u32, Vec<SchedClassifierLink>>,
}

/// Why a link could not be made.
#[derive(Debug)]
pub(super) enum TcxError {
    /// The kernel said so.
    System(io::Error),
    /// Something else.
    Other(String),
}

impl Tcx {
    /// Puts a program before all others on each direction of an interface.
    pub fn attach(
        &mut self,
        programs: &mut Classifiers,
        ifindex: u32,
        name: &str,
        has_ethernet: bool,
    ) -> Result<(), TcxError> {
        let mut links = Vec::new();
        for (direction, attach_type) in [(INGRESS, TcAttachType::Ingress), (EGRESS, TcAttachType::Egress)] {
            let program = programs.classifier(direction, has_ethernet)?;
            let order = TcAttachOptions::TcxOrder(LinkOrder::first());
            let id = program.attach_with_options(name, attach_type, order)?;
            // Kept here, by interface: aya's own list would hold it until the program is dropped.
            links.push(program.take_link(id)?);
        }
        self.links.insert(ifindex, links);
        Ok(())
    }

    /// Takes our programs off an interface.
    pub fn detach(&mut self, ifindex: u32) {
        self.links.remove(&ifindex);
    }
}

impl From<DatapathError> for TcxError {
    fn from(error: DatapathError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<ProgramError> for TcxError {
    fn from(error: ProgramError) -> Self {
        let number = match &error {
            ProgramError::SyscallError(SyscallError { io_error, .. }) => io_error.raw_os_error(),
            ProgramError::TcError(aya::programs::tc::TcError::IoError(io_error)) => io_error.raw_os_error(),
            _ => None,
        };
        match number {
            Some(number) => Self::System(io::Error::from_raw_os_error(number)),
            None => Self::Other(error.to_string()),
        }
    }
}
