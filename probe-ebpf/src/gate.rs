//! How many events may leave the kernel; what is held back is counted. See [`probe_common::gate`].
use crate::{maps, skip};
use aya_ebpf::helpers::bpf_jiffies64;
use probe_common::{
    gate::{
        CPU_BUCKET, CPU_RATE, FLOW_BURST, FLOW_INTERVAL_NS, FLOW_QUIET_NS, FlowGate, RATES, TokenBucket,
        bucket_index, class,
    },
    skip::Skip,
};

/// The gate as one packet meets it.
pub struct Gate {
    flow: &'static mut FlowGate,
    hash: u32,
    tick: u64,
}

impl Gate {
    /// The gate for a flow's hash, of which the lower half is used.
    #[inline(always)]
    pub fn of(hash: u64) -> Option<Self> {
        let hash = hash as u32;
        // SAFETY: a value of this CPU alone; programs that interrupt each other lose a count at worst.
        let flow = unsafe { &mut *maps::flow_gate(hash)? };
        // The verifier replaces this call by a load.
        // SAFETY: the helper has no preconditions.
        let tick = unsafe { bpf_jiffies64() };
        Some(Self { flow, hash, tick })
    }

    /// Whether the flow sent a record a moment ago, about a limit that this size exceeds too; then the packets are
    /// counted for the next record.
    #[inline(always)]
    pub fn holds(&mut self, size: u32, packets: u32) -> bool {
        if maps::gate_open() || self.flow.hash != self.hash || size <= self.flow.limit {
            return false;
        }
        if self.flow.burst < FLOW_BURST || self.since_last() >= FLOW_INTERVAL_NS {
            return false;
        }
        self.flow.held = self.flow.held.wrapping_add(packets);
        true
    }

    /// Nanoseconds since the flow's last record.
    #[inline(always)]
    fn since_last(&self) -> u64 {
        u64::from((self.tick as u32).wrapping_sub(self.flow.last_tick)) * maps::tick_ns()
    }

    /// Whether the interface and the CPU have a token for a class of events; if not, the packet is counted as skipped.
    #[inline(always)]
    pub fn has_token(&self, class: u32, ifindex: u32) -> bool {
        if maps::gate_open() {
            return true;
        }
        let Some(interface) = bucket(bucket_index(class, ifindex)) else { return false };
        let quiet = interface.fill(self.tick, maps::tick_ns());
        if !interface.has_token(RATES[class as usize]) {
            skip::count(if class == class::FILTERED { Skip::FilterSample } else { Skip::InterfaceRate });
            return false;
        }
        let Some(cpu) = bucket(CPU_BUCKET) else { return false };
        cpu.fill(self.tick, maps::tick_ns());
        if !quiet && !cpu.has_token(CPU_RATE) {
            skip::count(Skip::CpuRate);
            return false;
        }
        true
    }

    /// Lets a record through that [`Self::has_token`] allowed; gives the number of packets that it stands for.
    #[inline(always)]
    pub fn pass(self, class: u32, ifindex: u32, limit: u32, packets: u32) -> u32 {
        let quiet = self.since_last() >= FLOW_QUIET_NS;
        let flow = self.flow;
        let mut total = packets;
        let mut burst = 1;
        if flow.hash == self.hash {
            total = total.wrapping_add(flow.held);
            if !quiet {
                burst = flow.burst.saturating_add(1);
            }
        } else if flow.held != 0 {
            skip::count_many(Skip::GateReplaced, flow.held.into());
        }
        *flow = FlowGate { hash: self.hash, held: 0, last_tick: self.tick as u32, limit, burst };
        if !maps::gate_open() {
            if let Some(interface) = bucket(bucket_index(class, ifindex)) {
                interface.take(RATES[class as usize]);
            }
            if let Some(cpu) = bucket(CPU_BUCKET) {
                cpu.take(CPU_RATE);
            }
        }
        total
    }
}

#[inline(always)]
fn bucket(place: u32) -> Option<&'static mut TokenBucket> {
    // SAFETY: a value of this CPU alone.
    maps::token_bucket(place).map(|bucket| unsafe { &mut *bucket })
}
