//! Rounds of test runs, interleaved with an empty program's.
use crate::test_run::{Frame, run};
use anyhow::{Context as _, Result};
use std::{io, os::fd::AsFd, time::Instant};

/// Bytes that are walked through to throw out the caches of one core.
const CACHES: usize = 4 << 20;

/// Nanoseconds of one round, the program's and the empty one's.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Of the program.
    pub program: f64,
    /// Of the empty one.
    pub empty: f64,
}

/// What the rounds of one case gave.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The cheapest round less the empty program's cheapest.
    pub quiet: f64,
    /// The median of the differences round by round.
    pub typical: f64,
    /// The cheapest round over the empty program's.
    pub ratio: f64,
}

/// Keeps the thread on the CPU that it is on: the counters are per CPU, and a migration costs a round.
pub fn stay_on_this_cpu() -> Result<()> {
    // SAFETY: the set is a plain value and as large as told.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(usize::try_from(libc::sched_getcpu()).unwrap_or(0), &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result != 0 {
        return Err(io::Error::last_os_error()).context("stay on one CPU");
    }
    Ok(())
}

/// Nanoseconds a run, over `repeat` runs in a row.
pub fn hot(program: &impl AsFd, frame: &Frame, repeat: u32) -> Result<f64> {
    let start = Instant::now();
    run(program, frame, repeat)?;
    Ok(start.elapsed().as_nanos() as f64 / f64::from(repeat))
}

/// Nanoseconds of one run with cold caches, by the kernel's clock.
pub fn cold(program: &impl AsFd, frame: &Frame, memory: &mut [u8]) -> Result<f64> {
    for byte in memory.iter_mut().step_by(64) {
        *byte = byte.wrapping_add(1);
    }
    Ok(run(program, frame, 1)?.nanoseconds.into())
}

/// Memory for [`cold`].
pub fn caches() -> Vec<u8> {
    vec![1; CACHES]
}

impl Cost {
    /// From at least one round.
    pub fn of(rounds: &[Round]) -> Self {
        let cheapest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let program = cheapest(&mut rounds.iter().map(|round| round.program));
        let empty = cheapest(&mut rounds.iter().map(|round| round.empty));
        let mut differences: Vec<f64> = rounds.iter().map(|round| round.program - round.empty).collect();
        differences.sort_by(f64::total_cmp);
        let typical = differences.get(differences.len() / 2).copied().unwrap_or(f64::NAN);
        Self { quiet: program - empty, typical, ratio: program / empty }
    }

    /// For cold runs single ones say nothing: the median of each side.
    pub fn of_medians(rounds: &[Round]) -> Self {
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let program = median(rounds.iter().map(|round| round.program).collect());
        let empty = median(rounds.iter().map(|round| round.empty).collect());
        Self { quiet: program - empty, typical: program - empty, ratio: program / empty }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_rounds_and_the_median_are_told() {
        let rounds =
            [(50.0, 40.0), (60.0, 41.0), (49.0, 45.0)].map(|(program, empty)| Round { program, empty });
        let cost = Cost::of(&rounds);
        assert_eq!((cost.quiet, cost.typical), (9.0, 10.0));
        assert_eq!(cost.ratio, 49.0 / 40.0);
        assert_eq!(Cost::of_medians(&rounds).quiet, 9.0);
    }
}
