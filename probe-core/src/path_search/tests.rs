use super::*;
use crate::model::SECOND;

const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 6, 1));

/// A path that is simulated.
#[derive(Clone, Copy, Debug)]
struct Path {
    family: Family,
    ceiling: u32,
    mtu: u32,
    /// What must pass.
    least: u32,
    /// What its router announces for what is larger; `None` says nothing.
    announces: Option<u32>,
    /// Per mille of packets and answers lost.
    loss: u64,
    /// The destination answers at most once in this time, after a burst of six.
    answers_every: Time,
}

impl Path {
    const fn of(mtu: u32) -> Self {
        Self {
            family: Family::Ipv4,
            ceiling: 1500,
            mtu,
            least: 0,
            announces: None,
            loss: 0,
            answers_every: 0,
        }
    }

    fn search(self, seed: u64) -> Search {
        self.timed(seed).0
    }

    /// The search when it was over, and how long it took.
    fn timed(self, seed: u64) -> (Search, Time) {
        let mut random = seed;
        let mut lost = move |per_mille: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % 1000 < per_mille
        };
        let bounds = Bounds {
            family: self.family,
            ceiling: self.ceiling,
            least: self.least,
            packets: 400,
            end: 300 * SECOND,
        };
        let mut search = Search::new(bounds);
        let (mut now, mut tokens, mut last) = (0, 6 * self.answers_every, 0);
        loop {
            match search.poll(now) {
                Action::Done => return (search, now),
                Action::Wait(until) => now = until,
                Action::Send { probe, size } => {
                    now += SECOND / 1000;
                    if size > self.ceiling {
                        search.handle_refused(probe);
                        continue;
                    }
                    if lost(self.loss) {
                        continue;
                    }
                    tokens = (tokens + now - last).min(6 * self.answers_every);
                    last = now;
                    let limited = tokens < self.answers_every;
                    if size > self.mtu {
                        if let Some(announced) = self.announces.filter(|_| !lost(self.loss)) {
                            search.handle_too_big(probe, ROUTER, announced);
                        }
                    } else if !limited && !lost(self.loss) {
                        tokens -= self.answers_every;
                        search.handle_answer(now, probe);
                    }
                }
            }
        }
    }

    fn found(self, seed: u64) -> Found {
        self.search(seed).found().expect("something was answered")
    }
}

#[test]
fn a_path_that_carries_everything_takes_three_packets() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let search = Path { family, ..Path::of(1500) }.search(1);
        let found = search.found().expect("answers");
        assert_eq!((found.mtu, found.icmp, found.black_hole), (1500, None, false));
        assert!(found.is_exact() && search.sent() <= 3, "{search:?}");
        let own = search.steps().iter().find(|step| step.size == 1501).expect("asked");
        assert_eq!((own.verdict(), own.sent), (StepVerdict::Refused, 0));
    }
}

#[test]
fn an_honest_router_is_believed_after_two_probes() {
    let search = Path { announces: Some(1400), ..Path::of(1400) }.search(1);
    let found = search.found().expect("answers");
    assert_eq!((found.mtu, found.icmp), (1400, Some(IcmpVerdict::Works)));
    assert_eq!(found.router, Some((ROUTER, 1400)));
    assert!(!found.black_hole && found.is_exact() && search.sent() <= 6, "{}", search.sent());
}

#[test]
fn every_size_is_found_without_a_word_from_routers() {
    for mtu in (130..=9000).step_by(37).chain([128, 129, 1199, 1200, 1201, 8999, 9000]) {
        let found = Path { ceiling: 9000, ..Path::of(mtu) }.found(u64::from(mtu));
        assert_eq!((found.mtu, found.is_exact()), (mtu, true));
        assert_eq!(found.black_hole, mtu < 9000);
        assert_eq!(found.icmp, (mtu < 9000).then_some(IcmpVerdict::Silent));
    }
}

#[test]
fn loss_is_not_size() {
    for seed in 0..300 {
        let mtu = 1300 + u32::try_from(seed % 201).expect("small");
        for announces in [None, Some(mtu)] {
            let path = Path { loss: 50, announces, ..Path::of(mtu) };
            let found = path.found(seed);
            assert_eq!((found.mtu, found.is_exact()), (mtu, true), "seed {seed} {path:?}");
        }
    }
}

#[test]
fn loss_takes_seconds_and_not_minutes() {
    let mut longest = 0;
    for seed in 0..300 {
        let (search, took) = Path { loss: 25, ..Path::of(1400) }.timed(seed);
        assert_eq!(search.found().map(|found| found.mtu), Some(1400));
        longest = took.max(longest);
    }
    assert!(longest < 25 * SECOND, "{} ms", longest / 1_000_000);
}

#[test]
fn limited_answers_are_waited_for() {
    for (loss, longest) in [(0, 60), (50, 100)] {
        for seed in 0..300 {
            let mtu = 1300 + u32::try_from(seed % 201).expect("small");
            let path = Path { answers_every: SECOND, loss, ..Path::of(mtu) };
            let (search, took) = path.timed(seed);
            let found = search.found().expect("answers");
            assert_eq!((found.mtu, found.is_exact()), (mtu, true), "seed {seed}");
            assert!(took < longest * SECOND, "{} s", took / SECOND);
        }
    }
}

#[test]
fn what_cannot_be_true_is_not_believed() {
    for announced in [0, 67, 68, 1500, 1501, 9000] {
        let path = Path { announces: Some(announced), ..Path::of(1400) };
        let found = path.found(1);
        assert_eq!((found.mtu, found.is_exact(), found.black_hole), (1400, true, true), "{announced}");
        assert_eq!(found.icmp, Some(IcmpVerdict::Implausible), "{announced}");
        assert_eq!(found.router, None);
    }
    let low = Path { family: Family::Ipv6, announces: Some(1279), ..Path::of(1400) }.found(1);
    assert_eq!((low.mtu, low.icmp, low.black_hole), (1400, Some(IcmpVerdict::Implausible), true));
}

#[test]
fn a_plausible_lie_is_found_out() {
    let less = Path { announces: Some(1300), ..Path::of(1400) }.found(1);
    assert_eq!((less.mtu, less.icmp), (1400, Some(IcmpVerdict::Implausible)));
    assert!(!less.black_hole, "the sender shrinks more than it must, but it shrinks");
    let more = Path { announces: Some(1450), ..Path::of(1400) }.found(1);
    assert_eq!((more.mtu, more.is_exact(), more.black_hole), (1400, true, true), "{more:?}");
}

#[test]
fn a_silent_destination_ends_soon() {
    let search = Path { loss: 1000, ..Path::of(1500) }.search(1);
    assert_eq!(search.found(), None);
    assert!(search.sent() <= 8, "{}", search.sent());
}

#[test]
fn packets_and_time_are_bounded() {
    for (packets, end) in [(20, 300 * SECOND), (400, 2 * SECOND)] {
        let bounds = Bounds { family: Family::Ipv4, ceiling: 1500, least: 0, packets, end };
        let mut search = Search::new(bounds);
        let mut now = 0;
        loop {
            match search.poll(now) {
                Action::Done => break,
                Action::Wait(until) => now = until,
                Action::Send { probe, size } if size <= 700 => search.handle_answer(now, probe),
                Action::Send { .. } => {}
            }
        }
        assert!(search.sent() <= packets && now <= end + SECOND);
        let found = search.found().expect("answers");
        assert!(!found.is_exact() && found.mtu <= 700, "{found:?}");
    }
}

#[test]
fn answers_without_number_go_to_the_smallest() {
    let mut search =
        Search::new(Bounds { family: Family::Ipv4, ceiling: 1500, least: 0, packets: 9, end: SECOND });
    assert_eq!(search.poll(0), Action::Send { probe: 1, size: CONTROL_SIZE });
    assert_eq!(search.unnumbered(0), Some(1));
    search.handle_answer(1, 1);
    assert_eq!(search.unnumbered(0), None);
}

#[test]
fn what_every_path_carries_is_no_border() {
    let filtered = Path { family: Family::Ipv6, least: 1280, ..Path::of(1000) };
    let search = filtered.search(1);
    assert_eq!(search.found(), None);
    assert!(search.steps().iter().all(|step| step.size == CONTROL_SIZE || step.size >= 1280), "{search:?}");
    let found = Path { family: Family::Ipv6, least: 1280, ..Path::of(1400) }.found(1);
    assert_eq!((found.mtu, found.is_exact()), (1400, true));
}

#[test]
fn what_is_known_when_it_is_stopped() {
    let bounds = Bounds { family: Family::Ipv4, ceiling: 1500, least: 0, packets: 9, end: SECOND };
    let mut search = Search::new(bounds);
    let Action::Send { probe, size } = search.poll(0) else { panic!("{search:?}") };
    search.handle_answer(0, probe);
    search.stop();
    assert_eq!(search.poll(0), Action::Done);
    let found = search.found().expect("one answer");
    assert_eq!((found.mtu, found.is_exact(), found.black_hole), (size, false, false));
}
