//! Who is in the demonstration: each pod, its fault, its traffic, and what must be said of it.
use crate::probe::Expected;
use crate::topology::namespace::Task;
use crate::topology::{Ends, Family, Network, Overlay, Plan, Pod, Style};
use crate::traffic::{Exchange, Transfer};
use anyhow::Result;
use std::fmt;
use std::time::Duration;

/// Longer than the three seconds after which a stalled flow shows harm.
const STALL: Duration = Duration::from_secs(6);
const MEGABYTE: u32 = 1_000_000;

/// What a pod suffers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// The two ends of its veth differ.
    VethEnds,
    /// Its veth is larger than the uplink, and it is told so.
    LargerThanUplink,
    /// The same, but it drops the ICMP error that says so.
    LargerAndDeaf,
    /// The tunnel's overhead was not subtracted.
    OverlayOverhead,
}

/// One pod of the node, and what it sends.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    name: &'static str,
    style: Style,
    mtu: u32,
    host_mtu: u32,
    fault: Fault,
    to: &'static str,
    exchange: Exchange,
}

/// All of them.
pub const CAST: [Member; 8] = [
    member("web", Style::Routed, 1500, 1500, Fault::None, "server", Exchange::push(300 * MEGABYTE)),
    member("api", Style::Bridged, 1500, 1500, Fault::None, "server", Exchange::pull(300 * MEGABYTE)),
    member("mail", Style::Routed, 1500, 1500, Fault::None, "api", Exchange::push(200 * MEGABYTE)),
    member("search", Style::Routed, 1450, 1450, Fault::None, "index", Exchange::push(100 * MEGABYTE)),
    member("cart", Style::Routed, 1500, 1400, Fault::VethEnds, "server", Exchange::rounds(1440, 100, 1)),
    member(
        "batch",
        Style::Routed,
        9000,
        9000,
        Fault::LargerThanUplink,
        "server",
        Exchange::push(20 * MEGABYTE),
    ),
    member(
        "report",
        Style::Routed,
        9000,
        9000,
        Fault::LargerAndDeaf,
        "server",
        Exchange::push(20 * MEGABYTE),
    ),
    member(
        "orders",
        Style::Bridged,
        1500,
        1500,
        Fault::OverlayOverhead,
        "stock",
        Exchange::push(5 * MEGABYTE),
    ),
];

const fn member(
    name: &'static str,
    style: Style,
    mtu: u32,
    host_mtu: u32,
    fault: Fault,
    to: &'static str,
    exchange: Exchange,
) -> Member {
    Member { name, style, mtu, host_mtu, fault, to, exchange: exchange.limit(STALL) }
}

/// The network with all of them: the uplink and the tunnel are 1,500, the server's link is 9,000.
pub fn build() -> Result<Network> {
    let mut plan = Plan::new()
        .server(Ends::from(9000))
        .overlay(Overlay::vxlan(1500))
        .pod(Pod::routed("index").mtu(1450).on_second_node())
        .pod(Pod::bridged("stock").mtu(1500).on_second_node());
    for member in CAST {
        let pod = match member.style {
            Style::Routed => Pod::routed(member.name),
            Style::Bridged => Pod::bridged(member.name),
        };
        plan = plan.pod(pod.mtu(member.mtu).host_mtu(member.host_mtu));
    }
    let mut network = plan.build()?;
    for member in CAST {
        if member.fault == Fault::LargerAndDeaf {
            network.filter_packet_too_big(member.name, "input")?;
        }
    }
    network.serve(&["server", "api", "index", "stock"])?;
    Ok(network)
}

impl Member {
    /// Starts its traffic.
    pub fn start(self, network: &Network) -> Result<Started> {
        let to = network.address(self.to, Family::V4)?;
        let task = self.exchange.start(network.namespace(self.name)?, to)?;
        Ok(Started { member: self, task })
    }

    /// What must be said of it; none of a healthy one.
    pub fn expected(&self, network: &Network) -> Option<Expected> {
        let expected = match self.fault {
            Fault::None => return None,
            Fault::VethEnds => {
                Expected::black_hole("silent_link_drop").severity("critical").limit(self.host_mtu)
            }
            Fault::LargerThanUplink => Expected::kind("oversize_dropped").outcome("recovered").limit(1500),
            Fault::LargerAndDeaf => Expected::black_hole("icmp_filtered").severity("critical").limit(1500),
            Fault::OverlayOverhead => {
                Expected::kind("oversize_fragmented").outcome("fragmented").limit(1500 - 50)
            }
        };
        Some(expected.pod(network.lab().full_name(self.name)).direction("from_pod").family("ipv4"))
    }

    /// Short name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = match self.style {
            Style::Routed => "routed",
            Style::Bridged => "bridge",
        };
        let fault = match self.fault {
            Fault::None => "healthy",
            Fault::VethEnds => "FAULT a: the two ends of its veth differ",
            Fault::LargerThanUplink => "FAULT b: its veth is larger than the uplink (1500)",
            Fault::LargerAndDeaf => "FAULT b: the same, and it drops the ICMP error that says so",
            Fault::OverlayOverhead => "FAULT c: the tunnel's 50 bytes were not subtracted",
        };
        let mtu = if self.mtu == self.host_mtu {
            self.mtu.to_string()
        } else {
            format!("{}/{}", self.mtu, self.host_mtu)
        };
        write!(formatter, "{:<7} {style}  mtu {mtu:<9}  to {:<7} {fault}", self.name, self.to)
    }
}

/// Traffic under way.
#[derive(Debug)]
pub struct Started {
    member: Member,
    task: Task<Result<Transfer>>,
}

impl Started {
    /// Waits for its end.
    pub fn end(self) -> Result<Act> {
        Ok(Act { member: self.member, transfer: self.task.join()?? })
    }
}

/// What a pod's application saw.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    member: Member,
    transfer: Transfer,
}

impl Act {
    /// Whether the network did to it what its fault says, whatever the product reports.
    pub const fn as_staged(&self) -> bool {
        match self.member.fault {
            Fault::None | Fault::LargerThanUplink | Fault::OverlayOverhead => self.transfer.complete,
            Fault::VethEnds | Fault::LargerAndDeaf => self.transfer.stalled(),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.transfer.took.as_secs_f64();
        let bytes = self.member.exchange.bytes();
        let megabytes = bytes as f64 / f64::from(MEGABYTE);
        write!(formatter, "{:<7} {megabytes:>7.3} MB of TCP with {:<7}", self.member.name, self.member.to)?;
        if self.transfer.complete {
            write!(formatter, "done in {seconds:.2} s, {:.0} MB/s", megabytes / seconds)
        } else if self.transfer.connected {
            write!(formatter, "connected, then nothing for {seconds:.1} s")
        } else {
            formatter.write_str("no connection")
        }
    }
}
