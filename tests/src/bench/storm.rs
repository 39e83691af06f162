//! A storm of policy drops, made within the kernel: a system call for each packet would be the slower half of it.
use crate::{
    frames::{self, IPV4, Ipv4, ethernet, protocol},
    test_run,
};
use anyhow::{Context as _, Result};
use std::{fs::File, io, os::fd::AsRawFd as _, os::fd::OwnedFd, thread, time::Instant};

/// Packets of each thread, per round.
const PACKETS: u32 = 400_000;
const THREADS: usize = 2;
/// Where they go, which [`FILTER`] discards.
const PORT: u16 = 77;

/// Discards them before anything else is done with them, a policy that has nothing to do with sizes.
pub const FILTER: &str =
    "table inet storm { chain prerouting { type filter hook prerouting priority 0; udp dport 77 drop; }; }";

/// A storm that can be let loose again and again.
#[derive(Debug)]
pub struct Storm {
    program: OwnedFd,
    frame: Vec<u8>,
    namespace: File,
    /// Packets a second, of each time.
    pub rates: Vec<f64>,
}

impl Storm {
    /// In the calling thread's network namespace, in which [`FILTER`] has to be in force.
    pub fn new() -> Result<Self> {
        let packet = Ipv4::of(protocol::UDP).packet(&frames::udp(4000, PORT, &[0; 100]));
        let mut frame = ethernet(&[], IPV4, &packet);
        // The loopback device's own address: all zero.
        frame[..6].fill(0);
        let namespace = File::open("/proc/thread-self/ns/net").context("the namespace of the bench")?;
        Ok(Self { program: test_run::load_scatter()?, frame, namespace, rates: Vec::new() })
    }

    /// As fast as the kernel hands packets to its own stack on each CPU, each of another flow: none is counted together
    /// with others.
    pub fn rage(&mut self) -> Result<()> {
        let begin = Instant::now();
        let send = || -> Result<()> {
            // SAFETY: no memory is involved; the thread ends with the storm.
            if unsafe { libc::setns(self.namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error()).context("the namespace of the bench");
            }
            test_run::inject(&self.program, &self.frame, PACKETS)
        };
        thread::scope(|scope| -> Result<()> {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(send)).collect();
            for one in threads {
                one.join().map_err(|_| anyhow::anyhow!("the storm panicked"))??;
            }
            Ok(())
        })?;
        self.rates.push(f64::from(PACKETS) * THREADS as f64 / begin.elapsed().as_secs_f64());
        Ok(())
    }

    /// Packets a second in the fastest one.
    pub fn rate(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }
}
