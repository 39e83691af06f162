//! Where large packets vanish. Small probes with a limited number of hops make each router on the way answer, as traceroute
//! does; a large probe after each shows whether it gets as far. A router looks at the hop limit before it looks at the size
//! (`ip_forward`, `ip6_forward`), so the last one that answers a large probe is the one behind which it vanishes.
use super::CONTROL_SIZE;
use super::pace::Pace;
use crate::model::{SECOND, Time};
use std::net::IpAddr;

/// Hops followed at most, as traceroute does.
const HOPS: u8 = 30;
/// Small probes to one hop without an answer that mean that it tells nothing.
const SMALL_LOST: u32 = 2;
/// Hops in a row that tell nothing after which no more is learned.
const SILENT_HOPS: u32 = 4;
/// Losses of a large probe, each with an answered small one after it, that show that it does not get there.
const LARGE_LOST: u32 = 3;
/// Packets sent at most.
const PACKETS: u32 = 150;
/// Longest duration.
const DURATION: Time = 20 * SECOND;

/// A router, or the destination, by its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// 1 is the first router.
    pub distance: u8,
    /// The address that it answered from.
    pub address: IpAddr,
}

/// Between which hops large packets vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vanishing {
    /// Bytes at layer 3 of the packets.
    pub size: u32,
    /// The last hop that they reached; `None` if not even the first.
    pub after: Option<Hop>,
    /// The nearest hop that small packets reached and they did not.
    pub before: Hop,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceAction {
    /// Send a probe.
    Send {
        /// Its number.
        probe: u16,
        /// Bytes at layer 3.
        size: u32,
        /// Its hop limit.
        hops: u8,
    },
    /// Wait for answers until then.
    Wait(Time),
    /// It is over.
    Done,
}

/// A probe on its way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    probe: u16,
    is_large: bool,
    sent: Time,
}

/// The walk along the hops.
#[derive(Debug)]
pub struct Trace {
    size: u32,
    end: Time,
    pace: Pace,
    next_probe: u16,
    sent: u32,
    pending: Option<Pending>,
    distance: u8,
    /// Who answers at this distance.
    here: Option<Hop>,
    small_lost: u32,
    large_lost: u32,
    /// The last large probe was lost and awaits a small one.
    doubtful: bool,
    silent_hops: u32,
    reached: Option<Hop>,
    vanishing: Option<Vanishing>,
    over: bool,
}

impl Trace {
    /// Follows packets of `size` bytes, which are known not to arrive, with probes that have numbers from `first_probe` on.
    pub fn new(now: Time, size: u32, first_probe: u16, end: Time) -> Self {
        Self {
            size,
            end: end.min(now + DURATION),
            pace: Pace::default(),
            next_probe: first_probe,
            sent: 0,
            pending: None,
            distance: 1,
            here: None,
            small_lost: 0,
            large_lost: 0,
            doubtful: false,
            silent_hops: 0,
            reached: None,
            vanishing: None,
            over: false,
        }
    }

    /// Ends it before it is done.
    pub fn stop(&mut self) {
        self.over = true;
        self.pending = None;
    }

    /// What to do now.
    pub fn poll(&mut self, now: Time) -> TraceAction {
        if let Some(pending) = self.pending {
            let deadline = pending.sent + self.pace.timeout();
            if now < deadline {
                return TraceAction::Wait(deadline);
            }
            self.lose(now, pending);
        }
        self.over |= self.sent >= PACKETS || now >= self.end;
        if self.over {
            return TraceAction::Done;
        }
        if let Some(wait) = self.pace.wait(now) {
            return TraceAction::Wait(wait);
        }
        let is_large = self.here.is_some() && !self.doubtful;
        let probe = self.next_probe;
        self.next_probe = self.next_probe.wrapping_add(1);
        self.sent += 1;
        self.pending = Some(Pending { probe, is_large, sent: now });
        self.pace.sent(now);
        let size = if is_large { self.size } else { CONTROL_SIZE };
        TraceAction::Send { probe, size, hops: self.distance }
    }

    /// The hop limit of a probe ended at a router.
    pub fn handle_expired(&mut self, now: Time, probe: u16, router: IpAddr) {
        let Some(pending) = self.pending.take_if(|pending| pending.probe == probe) else { return };
        self.pace.answered(now, now.saturating_sub(pending.sent));
        if pending.is_large {
            self.reached = Some(Hop { distance: self.distance, address: router });
            self.go_on();
        } else {
            self.small_answered(router);
        }
    }

    /// The destination answered; without a number it is a small probe that it answered, as large ones do not arrive.
    pub fn handle_arrived(&mut self, now: Time, probe: Option<u16>, destination: IpAddr) {
        let is_ours =
            |pending: &mut Pending| !pending.is_large && probe.is_none_or(|probe| probe == pending.probe);
        let Some(pending) = self.pending.take_if(is_ours) else { return };
        self.pace.answered(now, now.saturating_sub(pending.sent));
        self.stop_before(Hop { distance: self.distance, address: destination });
    }

    /// Packets sent.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// What was found; `None` if too few routers answered.
    pub fn vanishing(&self) -> Option<Vanishing> {
        self.vanishing
    }

    fn small_answered(&mut self, router: IpAddr) {
        self.small_lost = 0;
        self.silent_hops = 0;
        let here = *self.here.get_or_insert(Hop { distance: self.distance, address: router });
        if std::mem::take(&mut self.doubtful) {
            self.large_lost += 1;
            if self.large_lost >= LARGE_LOST {
                self.stop_before(here);
            }
        }
    }

    fn lose(&mut self, now: Time, pending: Pending) {
        self.pending = None;
        if pending.is_large {
            self.doubtful = true;
            return;
        }
        self.small_lost += 1;
        self.pace.control_lost(now);
        if self.here.is_none() && self.small_lost >= SMALL_LOST {
            self.silent_hops += 1;
            self.over |= self.silent_hops >= SILENT_HOPS;
            self.go_on();
        } else if self.small_lost >= SMALL_LOST {
            // What was lost beside a small probe says nothing about size: again.
            self.doubtful = false;
            self.small_lost = 0;
        }
    }

    fn go_on(&mut self) {
        self.over |= self.distance >= HOPS;
        self.distance = self.distance.saturating_add(1);
        (self.here, self.small_lost, self.large_lost, self.doubtful) = (None, 0, 0, false);
    }

    fn stop_before(&mut self, before: Hop) {
        self.vanishing = Some(Vanishing { size: self.size, after: self.reached, before });
        self.over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(distance: u8) -> IpAddr {
        IpAddr::from([10, 0, distance, 1])
    }

    /// Walks a path of so many hops, of which the last is the destination. `passes` says whether a packet gets to a hop,
    /// `answers` whether that hop tells of it, by the number of packets sent so far.
    fn walk(hops: u8, passes: impl Fn(u8, u32) -> bool, answers: impl Fn(u8, u32) -> bool) -> Trace {
        let mut now = 0;
        let mut trace = Trace::new(now, 1401, 7, 1000 * SECOND);
        loop {
            match trace.poll(now) {
                TraceAction::Done => return trace,
                TraceAction::Wait(until) => now = until,
                TraceAction::Send { probe, size, hops: limit } => {
                    now += SECOND / 1000;
                    let at = limit.min(hops);
                    if !(1..=at).all(|hop| passes(hop, size)) || !answers(at, trace.sent()) {
                        continue;
                    }
                    if at == hops {
                        trace.handle_arrived(now, Some(probe), address(at));
                    } else {
                        trace.handle_expired(now, probe, address(at));
                    }
                }
            }
        }
    }

    fn hop(distance: u8) -> Hop {
        Hop { distance, address: address(distance) }
    }

    #[test]
    fn the_hop_before_the_small_link_is_named() {
        for small in 1..=4 {
            let trace = walk(4, |hop, size| hop < small || size <= 1400, |_, _| true);
            let found = trace.vanishing().expect("found");
            assert_eq!((found.after, found.before), ((small > 1).then(|| hop(small - 1)), hop(small)));
            assert!(trace.sent() <= 15, "{} packets", trace.sent());
        }
    }

    #[test]
    fn hops_that_tell_nothing_are_passed_over() {
        let trace = walk(5, |hop, size| hop < 4 || size <= 1400, |hop, _| hop != 2 && hop != 4);
        let found = trace.vanishing().expect("found");
        assert_eq!((found.after, found.before), (Some(hop(3)), hop(5)));
        assert_eq!(walk(20, |_, size| size <= 1400, |hop, _| hop == 20).vanishing(), None);
    }

    #[test]
    fn lost_answers_are_no_loss_of_size() {
        let trace = walk(4, |hop, size| hop < 3 || size <= 1400, |_, sent| sent % 3 != 0);
        let found = trace.vanishing().expect("found");
        assert_eq!((found.after, found.before), (Some(hop(2)), hop(3)));
    }

    #[test]
    fn it_ends_where_nobody_answers() {
        let trace = walk(4, |_, _| false, |_, _| true);
        assert_eq!(trace.vanishing(), None);
        assert!(trace.sent() <= 8, "{} packets", trace.sent());
    }
}
