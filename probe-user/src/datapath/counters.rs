//! What the kernel side counts: added up over the CPUs.
use super::load::{Abi, DatapathError};
use aya::maps::{MapData, PerCpuArray, PerCpuValues};
use probe_common::gate::FlowGate;
use probe_common::interface::InterfaceStats;
pub use probe_common::skip::Skip;

/// The counters of interfaces and of what went unrecorded.
pub struct Counters {
    stats: PerCpuArray<MapData, Abi<InterfaceStats>>,
    skips: PerCpuArray<MapData, u64>,
    gates: PerCpuArray<MapData, Abi<FlowGate>>,
    cpus: usize,
}

impl Counters {
    pub(super) fn new(
        stats: PerCpuArray<MapData, Abi<InterfaceStats>>,
        skips: PerCpuArray<MapData, u64>,
        gates: PerCpuArray<MapData, Abi<FlowGate>>,
    ) -> Result<Self, DatapathError> {
        let cpus = aya::util::nr_cpus().map_err(|(path, error)| DatapathError::System {
            operation: "count the possible CPUs",
            object: path.to_owned(),
            error,
        })?;
        Ok(Self { stats, skips, gates, cpus })
    }

    /// Interfaces that have a place.
    pub fn slots(&self) -> u32 {
        self.stats.len() / 2
    }

    /// The counters of a slot and a [`direction`](probe_common::record::direction), added up over the CPUs.
    pub fn interface(&self, slot: u32, direction: u8) -> Result<InterfaceStats, DatapathError> {
        let index = slot * 2 + u32::from(direction);
        let values = self
            .stats
            .get(&index, 0)
            .map_err(|error| DatapathError::map("read", "INTERFACE_STATS", error))?;
        let mut sum = InterfaceStats::ZERO;
        for value in values.iter() {
            sum.add(&value.0);
        }
        Ok(sum)
    }

    /// Sets both directions of a slot to zero, for its next interface.
    pub fn reset(&mut self, slot: u32) -> Result<(), DatapathError> {
        for direction in 0..2 {
            let zero =
                PerCpuValues::try_from(vec![Abi(InterfaceStats::ZERO); self.cpus]).map_err(|error| {
                    DatapathError::System { operation: "reset", object: "INTERFACE_STATS".into(), error }
                })?;
            self.stats
                .set(slot * 2 + direction, zero, 0)
                .map_err(|error| DatapathError::map("reset", "INTERFACE_STATS", error))?;
        }
        Ok(())
    }

    /// Packets that the gates hold back for the next record of their flow.
    pub fn held_back(&self) -> Result<u64, DatapathError> {
        let mut held = 0;
        for index in 0..self.gates.len() {
            let values =
                self.gates.get(&index, 0).map_err(|error| DatapathError::map("read", "FLOW_GATES", error))?;
            held += values.iter().map(|gate| u64::from(gate.0.held)).sum::<u64>();
        }
        Ok(held)
    }

    /// What went unrecorded since loading, by reason.
    pub fn skips(&self) -> Result<Vec<(Skip, u64)>, DatapathError> {
        let count = |skip: Skip| {
            let values = self
                .skips
                .get(&(skip as u32), 0)
                .map_err(|error| DatapathError::map("read", "SKIPS", error))?;
            Ok((skip, values.iter().sum()))
        };
        Skip::ALL.iter().map(|skip| count(*skip)).collect()
    }
}
