//! One loaded kernel side in a network namespace of the test's own, and its programs on frames.
use mtuprobe_tests::{
    bench::{
        measure::stay_on_this_cpu,
        network::{self, Network},
    },
    test_run::{self, Frame},
};
use probe_common::{
    interface::{InterfaceConfig, InterfaceStats, NO_LIMIT, role},
    record::{RecordHeader, direction::INGRESS},
    skip::Skip,
};
use probe_user::datapath::load::{Datapath, Settings};
use std::thread;
use zerocopy::FromBytes;

/// Slot of the interface that frames meet.
const SLOT: u32 = 3;

/// What a test works with.
pub struct Hook {
    /// The kernel side.
    pub datapath: Datapath,
    /// The network around it.
    pub network: Network,
}

/// Runs a test in a network namespace that ends with it, with the kernel side loaded, on one CPU: each CPU has a gate
/// and cached verdicts of its own, so that a packet on another begins anew.
pub fn with_hook(gate_open: bool, test: impl FnOnce(&mut Hook) + Send + 'static) {
    thread::spawn(move || {
        stay_on_this_cpu().unwrap_or_else(|error| panic!("{error:#}"));
        let network = network::enter().unwrap_or_else(|error| panic!("{error:#}"));
        test(&mut Hook::load(network, gate_open));
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

impl Hook {
    /// Loads the kernel side for a network.
    pub fn load(network: Network, gate_open: bool) -> Self {
        let settings = Settings { our_netns: network.netns, slots: 8, gate_open, ring_bytes: 1 << 18 };
        let mut datapath = Datapath::load(&settings).unwrap_or_else(|error| panic!("{error}"));
        datapath.set_interface(Self::config(network.incoming)).unwrap();
        Self { datapath, network }
    }

    /// An interface without limits.
    pub fn config(ifindex: u32) -> InterfaceConfig {
        InterfaceConfig {
            ifindex,
            slot: SLOT,
            role: role::POD,
            limit: [NO_LIMIT, NO_LIMIT],
            peer_limit: NO_LIMIT,
            pod_mtu: NO_LIMIT,
            watched_until: 0,
        }
    }

    /// Changes how the interface is treated.
    pub fn configure(&mut self, change: impl FnOnce(&mut InterfaceConfig)) {
        let mut config = Self::config(self.network.incoming);
        change(&mut config);
        self.datapath.set_interface(config).unwrap();
    }

    /// Runs a program with Ethernet once; every program goes on, whatever the frame.
    pub fn run(&mut self, direction: u8, frame: &Frame) {
        self.run_with(direction, true, frame);
    }

    /// Runs a program once.
    pub fn run_with(&mut self, direction: u8, has_ethernet: bool, frame: &Frame) {
        let frame = frame.clone().at(self.network.incoming);
        let program = self.datapath.classifier(direction, has_ethernet).unwrap();
        let outcome = test_run::run(program.fd().unwrap(), &frame, 1).unwrap();
        assert_eq!(outcome.verdict, -1, "a program has to go on");
    }

    /// Runs a program once on a frame that the kernel itself may refuse; says whether it did not.
    pub fn try_run(&mut self, direction: u8, frame: &Frame) -> bool {
        let frame = frame.clone().at(self.network.incoming);
        let program = self.datapath.classifier(direction, true).unwrap();
        match test_run::run(program.fd().unwrap(), &frame, 1) {
            Ok(outcome) => outcome.verdict == -1,
            Err(error) => {
                let number = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
                assert_eq!(number, Some(libc::EINVAL), "{error:#}");
                false
            }
        }
    }

    /// The counters of a direction, from zero on.
    pub fn take_stats(&mut self, direction: u8) -> InterfaceStats {
        let stats = self.datapath.counters().interface(SLOT, direction).unwrap();
        self.datapath.counters_mut().reset(SLOT).unwrap();
        stats
    }

    /// The counters that one frame at the ingress hook makes.
    pub fn count(&mut self, frame: Vec<u8>) -> InterfaceStats {
        self.count_frame(&Frame::of(frame))
    }

    /// The same for a frame with a context.
    pub fn count_frame(&mut self, frame: &Frame) -> InterfaceStats {
        self.run(INGRESS, frame);
        self.take_stats(INGRESS)
    }

    /// How often a reason to skip was counted since loading.
    pub fn skips(&self, wanted: Skip) -> u64 {
        let skips = self.datapath.counters().skips().unwrap();
        skips.into_iter().find(|(skip, _)| *skip == wanted).unwrap().1
    }

    /// The records in the ring that are of a type.
    pub fn records<T: FromBytes>(&mut self, kind: u16) -> Vec<T> {
        let records = self.datapath.ring().drain(100_000);
        records
            .iter()
            .filter(|record| RecordHeader::read_from_prefix(record).unwrap().0.kind == kind)
            .map(|record| match T::read_from_bytes(record) {
                Ok(record) => record,
                Err(_) => panic!("a record of {} bytes is not of its type", record.len()),
            })
            .collect()
    }
}
