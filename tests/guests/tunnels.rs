//! Tunnels, each once with its overhead subtracted and once without: what is reported is what traffic meets, and `check`
//! computes the limit to the byte before any comes.
use crate::checked::{check, expect_quiet, expect_reach, expect_warnings};
use anyhow::Result;
use mtuprobe_tests::probe::{Expected, Report, Run};
use mtuprobe_tests::topology::network::UPLINK;
use mtuprobe_tests::topology::{Family, Overlay, Plan, Pod, Wrapping};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};

/// What becomes of a packet that is, with the tunnel's overhead, too big.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The outer packet is cut into fragments; nobody is told.
    Fragmented,
    /// The tunnel device drops it and tells the sender.
    Told,
    /// The outer packet is dropped and the error about it goes to the node itself.
    Lost,
}

struct Case {
    overlay: Overlay,
    family: Family,
    /// Largest inner packet that passes whole, over an underlay of 1500.
    limit: u32,
    fate: Fate,
    /// MTU of the healthy twin, tunnel and pods.
    healthy: u32,
}

impl Case {
    const fn new(wrapping: Wrapping, family: Family, limit: u32, fate: Fate) -> Self {
        Self { overlay: Overlay::of(wrapping, 1500), family, limit, fate, healthy: limit }
    }

    fn network(&self, overlay: Overlay, mtu: u32) -> Plan {
        Plan::new()
            .pod(Pod::routed("pod").mtu(mtu))
            .pod(Pod::routed("remote").mtu(mtu).on_second_node())
            .overlay(overlay)
    }

    /// Pods and tunnel as large as the underlay allows.
    fn is_quiet_when_the_overhead_is_subtracted(&self) -> Result<()> {
        let overlay = self.overlay.mtu(self.healthy);
        let mut network = self.network(overlay, self.healthy).build()?;
        network.serve(&["remote"])?;
        let remote = network.address("remote", self.family)?;
        let checked = check(network.node())?;
        expect_quiet(&checked)?;
        let full = network.lab().full_name("pod");
        expect_reach(&checked, &full, "other_node", self.family.name(), self.healthy, None)?;
        let probe = Run::watch(network.node()).start()?;
        let pod = network.namespace("pod")?;
        assert!(Datagrams::of(self.healthy, Df::Do).run(pod, remote)?.all());
        assert!(Exchange::push(300_000).run(pod, remote)?.complete);
        let report = probe.stop()?;
        report.expect_silent()?;
        assert!(report.findings().is_empty(), "{}", report.evidence());
        Ok(())
    }

    /// Pods and tunnel as large as the underlay itself.
    fn is_named_when_it_is_not(&self) -> Result<()> {
        let mut network = self.network(self.overlay, 1500).build()?;
        network.serve(&["remote"])?;
        let remote = network.address("remote", self.family)?;
        self.is_computed(&check(network.node())?, &network.lab().full_name("pod"))?;
        let probe = Run::watch(network.node()).start()?;
        let pod = network.namespace("pod")?;
        assert!(Datagrams::of(self.limit, Df::Do).run(pod, remote)?.all(), "{} passes whole", self.limit);
        let _lost_or_not = Datagrams::of(1500, Df::Probe).count(20).run(pod, remote)?;
        let transfer = Exchange::push(300_000).run(pod, remote)?;
        let report = probe.stop()?;
        let expected = match self.fate {
            Fate::Fragmented => Expected::kind("oversize_fragmented").outcome("fragmented"),
            Fate::Told => Expected::kind("oversize_dropped"),
            Fate::Lost => Expected::black_hole("icmp_misdirected"),
        };
        let pod = network.lab().full_name("pod");
        let expected = expected.direction("from_pod").family(self.family.name()).limit(self.limit);
        let expected = expected.pod(pod).limit_is("overlay", "underlay_minus_overhead");
        report.expect(&[expected])?;
        assert!(transfer.complete || self.fate == Fate::Lost, "{transfer:?}");
        Ok(())
    }

    fn is_computed(&self, checked: &Report, pod: &str) -> Result<()> {
        let by = format!("{} over {UPLINK}", self.overlay.device());
        expect_reach(checked, pod, "other_node", self.family.name(), self.limit, Some(&by))?;
        let too_large = Expected::kind("overlay_mtu_exceeds_underlay")
            .limit(self.limit)
            .limit_is("overlay", "underlay_minus_overhead");
        expect_warnings(checked, vec![too_large])
    }

    fn run(&self) -> Result<()> {
        self.is_quiet_when_the_overhead_is_subtracted()?;
        self.is_named_when_it_is_not()
    }
}

#[test]
fn geneve() -> Result<()> {
    Case::new(Wrapping::Geneve, Family::V4, 1450, Fate::Fragmented).run()
}

#[test]
fn wireguard() -> Result<()> {
    Case::new(Wrapping::Wireguard, Family::V4, 1440, Fate::Fragmented).run()
}

#[test]
fn wireguard_over_ipv6() -> Result<()> {
    // What is larger than the 1420 that are left is filled up to a multiple of 16, of which 1408 is the last that fits.
    let case = Case::new(Wrapping::Wireguard, Family::V6, 1408, Fate::Fragmented);
    Case { overlay: case.overlay.over(Family::V6), healthy: 1420, ..case }.run()
}

#[test]
fn ipip() -> Result<()> {
    Case::new(Wrapping::Ipip, Family::V4, 1480, Fate::Told).run()
}

#[test]
fn gre() -> Result<()> {
    Case::new(Wrapping::Gre, Family::V4, 1476, Fate::Told).run()
}

#[test]
fn sit() -> Result<()> {
    Case::new(Wrapping::Sit, Family::V6, 1480, Fate::Told).run()
}

#[test]
fn gretap() -> Result<()> {
    Case::new(Wrapping::Gretap, Family::V4, 1462, Fate::Told).run()
}

#[test]
fn ip6gre() -> Result<()> {
    Case::new(Wrapping::Ip6gre, Family::V4, 1448, Fate::Told).run()
}

#[test]
fn ip6tnl() -> Result<()> {
    Case::new(Wrapping::Ip6tnl, Family::V6, 1452, Fate::Told).run()
}
