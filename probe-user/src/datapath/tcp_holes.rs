//! Connections towards pods with a hole, as the kernel side keeps them.
use super::load::{Abi, DatapathError};
use aya::maps::{Array, HashMap, MapData, MapError};
use probe_common::tcp_hole::{self, ARRIVAL_PLACES, ARRIVALS, HOLES, TcpArrivals};
use probe_core::decode;
use probe_core::model::tcp::{HoleState, TcpHole};
use probe_core::model::{SECOND, Time};
use std::collections::BTreeMap;

/// A hole that is younger says nothing: retransmissions are under way.
const YOUNG: Time = SECOND;
/// One that nobody spoke of for so long is forgotten: what becomes of it is not watched any more.
const FORGOTTEN: Time = tcp_hole::WATCH_NS;

/// Reads the holes that stay open.
pub struct TcpHoles {
    holes: HashMap<MapData, u64, Abi<tcp_hole::TcpHole>>,
    arrivals: Array<MapData, Abi<TcpArrivals>>,
    tick_ns: u32,
    /// What was told of a connection last, with the first missing sequence number.
    told: BTreeMap<u64, (u32, HoleState)>,
}

impl TcpHoles {
    pub(super) fn new(
        holes: HashMap<MapData, u64, Abi<tcp_hole::TcpHole>>,
        arrivals: Array<MapData, Abi<TcpArrivals>>,
        tick_ns: u32,
    ) -> Self {
        Self { holes, arrivals, tick_ns, told: BTreeMap::new() }
    }

    /// The holes that have been open for a while, and what became of those told before.
    pub fn read(&mut self, now: Time) -> Result<Vec<TcpHole>, DatapathError> {
        let mut news = Vec::new();
        let keys: Vec<u64> = self
            .holes
            .keys()
            .collect::<Result<_, _>>()
            .map_err(|error| DatapathError::map("read", HOLES, error))?;
        self.told.retain(|key, _| keys.contains(key));
        for key in keys {
            let hole = match self.holes.get(&key, 0) {
                Ok(Abi(hole)) => hole,
                // It was just replaced.
                Err(MapError::KeyNotFound) => continue,
                Err(error) => return Err(DatapathError::map("read", HOLES, error)),
            };
            let place = hole.pair & (ARRIVAL_PLACES - 1);
            let arrivals =
                self.arrivals.get(&place, 0).map_err(|error| DatapathError::map("read", ARRIVALS, error))?;
            let Some(seen) = decode::tcp_hole(now, &hole, Some(&arrivals.0), self.tick_ns) else { continue };
            let told = self.told.get(&key).filter(|(ack, _)| *ack == seen.ack).map(|(_, state)| *state);
            let until = if seen.state == HoleState::Open { now } else { seen.last };
            let is_old = until.saturating_sub(seen.since) >= YOUNG;
            let ended = seen.state != HoleState::Open;
            if seen.last + FORGOTTEN < now || ended && (told == Some(seen.state) || told.is_none() && !is_old)
            {
                // The kernel side replaces what was used least if there is no room.
                match self.holes.remove(&key) {
                    Ok(()) | Err(MapError::KeyNotFound) => continue,
                    Err(error) => return Err(DatapathError::map("remove from", HOLES, error)),
                }
            }
            if is_old || told.is_some() {
                self.told.insert(key, (seen.ack, seen.state));
                news.push(seen);
            }
        }
        Ok(news)
    }
}
