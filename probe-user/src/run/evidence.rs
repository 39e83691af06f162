//! From the ring to events, and what was lost on the way.
use crate::datapath::counters::Skip;
use crate::datapath::load::{Datapath, DatapathError};
use crate::datapath::locations::{Reasons, class_of};
use probe_core::decode::{Captured, KernelNames, Record, captured, decode};
use probe_core::model::Time;
use probe_core::model::event::{Event, Lost};
use std::collections::{BTreeMap, HashMap};

/// Records taken at a time; the gates let through fewer between two ticks.
const BATCH: usize = 8192;

/// Reads the ring and remembers what its numbers mean.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    symbols: HashMap<u64, String>,
    /// Lost since the beginning, by name.
    lost: BTreeMap<&'static str, u64>,
    /// What of it was told.
    told: BTreeMap<&'static str, u64>,
}

/// The tables of the running kernel.
struct Names<'a> {
    reasons: &'a Reasons,
    symbols: &'a HashMap<u64, String>,
}

impl KernelNames for Names<'_> {
    fn drop_reason(&self, reason: u32) -> Option<&str> {
        self.reasons.name(reason)
    }

    fn symbol(&self, address: u64) -> Option<&str> {
        self.symbols.get(&address).map(String::as_str)
    }
}

impl Evidence {
    /// The events that came since the last call, and the packets that they brought along; code locations that the kernel
    /// side asks about are answered.
    pub fn drain(
        &mut self,
        datapath: &mut Datapath,
    ) -> Result<Vec<(Event, Option<Captured>)>, DatapathError> {
        let mut events = Vec::new();
        for bytes in datapath.ring().drain(BATCH) {
            let names = Names { reasons: datapath.reasons(), symbols: &self.symbols };
            match decode(&bytes, &names) {
                Ok(Record::Event(event)) => events.push((event, captured(&bytes))),
                Ok(Record::Location(location)) => {
                    datapath.set_location_class(location.address, class_of(&location.symbol))?;
                    self.symbols.insert(location.address, location.symbol);
                }
                Err(error) => *self.lost.entry(error.name()).or_default() += 1,
            }
        }
        Ok(events)
    }

    /// At the end: packets that the gate still holds back for a next record of their flow, which will not come.
    pub fn count_held_back(&mut self, datapath: &Datapath) -> Result<(), DatapathError> {
        let held = datapath.counters().held_back()?;
        if held > 0 {
            self.lost.insert(HELD_BACK, held);
        }
        Ok(())
    }

    /// What was lost since the last call.
    pub fn lost(&mut self, now: Time, datapath: &Datapath) -> Result<Vec<Lost>, DatapathError> {
        for (skip, count) in datapath.counters().skips()? {
            if count > 0 {
                self.lost.insert(skip.name(), count);
            }
        }
        let mut news = Vec::new();
        for (&what, &count) in &self.lost {
            let told = self.told.insert(what, count).unwrap_or(0);
            if count > told {
                let why = why(what).to_owned();
                news.push(Lost {
                    time: now,
                    what: what.to_owned(),
                    count: count - told,
                    interface: None,
                    why,
                });
            }
        }
        Ok(news)
    }

    /// All that was lost, by name.
    pub fn lost_in_all(&self) -> BTreeMap<String, u64> {
        self.lost.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect()
    }
}

/// Name of packets that were held back to the end.
const HELD_BACK: &str = "held_back";

/// What a name of lost evidence means, for people.
fn why(what: &str) -> &'static str {
    if what == HELD_BACK {
        return "packets of a flow were held back and no further record of it came to count them";
    }
    match Skip::ALL.iter().find(|skip| skip.name() == what) {
        Some(Skip::RingFull) => "the ring had no room for a record",
        Some(Skip::GateReplaced) => "records of a flow were held back and another flow took its place",
        Some(Skip::InterfaceRate) => "an interface caused more records than it may",
        Some(Skip::CpuRate) => "a CPU caused more records than it may",
        Some(Skip::UnknownInterface) => "packets met a program on an interface that is not configured",
        Some(Skip::Truncated) => "packets are shorter than their own headers say",
        Some(Skip::VlanDepth) => "packets have more VLAN tags than are read",
        Some(Skip::ExtensionHeaders) => "packets have more IPv6 extension headers than are read",
        Some(Skip::GsoHeaders) => "headers of offloaded packets were not understood",
        Some(Skip::BadVersion) => "the IP version of packets contradicts their EtherType",
        Some(Skip::MapFull) => "a map in the kernel had no room",
        Some(Skip::FilterSample) => "filters dropped more ordinary packets than the sample takes",
        Some(Skip::ReadFailed) => "kernel memory could not be read",
        None => "a record was not understood",
    }
}
