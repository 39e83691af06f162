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
            load_patiently(|| program.load())
                .map_err(|error| DatapathError::program("load", name, &error))?;
        }
        Ok(program)
    }

    pub(super) fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }
}

/// Loads a program, again if a signal came: the verifier gives up then (`signal_pending` in `do_check`), and a terminal
/// that changes its size is reason enough.
pub(super) fn load_patiently(load: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    repeat(
        load,
        |error| matches!(error, ProgramError::LoadError { io_error, .. } if io_error.raw_os_error() == Some(libc::EAGAIN)),
    )
}

fn repeat<E>(mut attempt: impl FnMut() -> Result<(), E>, is_passing: impl Fn(&E) -> bool) -> Result<(), E> {
    const ATTEMPTS: u32 = 10;
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(error) if is_passing(&error) => {}
            result => return result,
        }
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use super::repeat;

    /// Attempts until the end, if those before fail like this.
    fn attempts(failures: &[&str]) -> (usize, Result<(), String>) {
        let mut made = 0;
        let attempt = || {
            made += 1;
            failures.get(made - 1).map_or(Ok(()), |error| Err((*error).to_owned()))
        };
        let result = repeat(attempt, |error| error == "signal");
        (made, result)
    }

    #[test]
    fn a_signal_is_no_refusal() {
        assert_eq!(attempts(&["signal", "signal"]), (3, Ok(())));
        assert_eq!(attempts(&["signal", "refused"]), (2, Err("refused".to_owned())));
        assert_eq!(attempts(&["signal"; 20]), (10, Err("signal".to_owned())));
    }
}
