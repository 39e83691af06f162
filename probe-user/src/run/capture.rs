//! `--pcap`: the packets that are too big, those that were dropped for it, and the ICMP errors about them, with what is
//! known of each as its comment.
use crate::config::CaptureConfig;
use crate::output::Message;
use crate::output::complaint::complain;
use crate::output::pcapng::{Frame, Pcapng, Way};
use crate::output::wall_clock::WallClock;
use crate::system;
use anyhow::Context as _;
use probe_core::decode::{Captured, MAX_CAPTURED};
use probe_core::diagnose::Output;
use probe_core::model::event::{Event, OversizeHow};
use probe_core::model::finding::{Finding, State};
use probe_core::model::flow::Flow;
use probe_core::model::packet::{Packet, Transport};
use probe_core::model::packet_too_big::HookDirection;
use probe_core::model::topology::Topology;
use probe_core::model::{SECOND, Time};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufWriter};

/// A packet waits so long for the finding that it belongs to.
const PATIENCE: Time = 4 * SECOND;
/// Packets that wait at most; the oldest goes into the file then.
const MAX_WAITING: usize = 20_000;
/// Flows whose finding is remembered.
const MAX_FLOWS: usize = 20_000;
/// Bytes of a UDP or ICMP header.
const SHORT_HEADER: u32 = 8;

/// A packet that waits for its finding.
struct Waiting {
    time: Time,
    interface: String,
    way: Way,
    length: u32,
    bytes: Vec<u8>,
    /// The flow that a finding would name.
    flow: Flow,
    what: String,
    /// It is in the file only if a finding names it: filters drop for many reasons.
    needs_finding: bool,
}

/// A file of packets.
pub(super) struct Capture {
    name: String,
    file: Option<Pcapng<BufWriter<File>>>,
    snaplen: Option<u32>,
    clock: WallClock,
    waiting: VecDeque<Waiting>,
    findings: HashMap<Flow, String>,
}

impl Capture {
    /// Opens the file: what is wrong with it is told at once.
    pub fn create(config: &CaptureConfig, clock: WallClock) -> anyhow::Result<Self> {
        let name = config.file.display().to_string();
        let begin = || -> io::Result<Pcapng<BufWriter<File>>> {
            let system = format!("Linux {}", system::kernel_release());
            let application = concat!("mtuprobe ", env!("CARGO_PKG_VERSION"));
            let most = u32::try_from(MAX_CAPTURED).unwrap_or(u32::MAX);
            let snaplen = config.snaplen.unwrap_or(most).min(most);
            let mut file =
                Pcapng::new(BufWriter::new(File::create(&config.file)?), snaplen, &system, application)?;
            file.flush()?;
            Ok(file)
        };
        let file = begin().with_context(|| format!("write packets to {name}"))?;
        let (waiting, findings) = (VecDeque::new(), HashMap::new());
        Ok(Self { name, file: Some(file), snaplen: config.snaplen, clock, waiting, findings })
    }

    /// Takes a packet in.
    pub fn take(&mut self, captured: Captured, event: &Event, topology: &Topology) {
        let Some((packet, interface, what, needs_finding)) = told(event, topology) else { return };
        let room = usize::try_from(self.snaplen.unwrap_or_else(|| headers(packet))).unwrap_or(usize::MAX);
        let bytes = captured.bytes.get(..room).unwrap_or(&captured.bytes).to_vec();
        let flow = match &packet.transport {
            Transport::PacketTooBig { original: Some(original), .. } => original.flow,
            Transport::PacketTooBig { original: None, .. }
            | Transport::Tcp(_)
            | Transport::Udp
            | Transport::Icmp { .. }
            | Transport::Opaque => packet.flow,
        };
        let way = match captured.direction {
            Some(HookDirection::Ingress) => Way::In,
            Some(HookDirection::Egress) => Way::Out,
            None => Way::Unknown,
        };
        let (time, length) = (captured.time, packet.length);
        self.waiting.push_back(Waiting { time, interface, way, length, bytes, flow, what, needs_finding });
    }

    /// Hears which finding has which flows.
    pub fn hear(&mut self, message: &Message) {
        match message {
            Message::Diagnosis { output: Output::Finding(finding), .. } => self.know(finding),
            Message::Summary(summary) => summary.findings.iter().for_each(|finding| self.know(finding)),
            Message::Diagnosis { .. }
            | Message::Start(_)
            | Message::Progress { .. }
            | Message::Attached { .. }
            | Message::Attach { .. }
            | Message::Detach { .. } => {}
        }
    }

    fn know(&mut self, finding: &Finding) {
        if finding.state == State::Retracted {
            self.findings.retain(|_, text| !text.contains(&finding.id));
            return;
        }
        let reason = finding.reason.map(|reason| format!("/{}", reason.name())).unwrap_or_default();
        let (kind, severity) = (finding.kind.name(), finding.severity.name());
        let text = format!("finding {} {severity} {kind}{reason}: {}", finding.id, finding.title);
        for report in &finding.flows {
            let flows = [Some(report.flow), report.nat];
            for flow in flows.into_iter().flatten() {
                if self.findings.len() < MAX_FLOWS || self.findings.contains_key(&flow) {
                    self.findings.insert(flow, text.clone());
                }
            }
        }
    }

    /// Writes the packets that have waited long enough.
    pub fn advance(&mut self, now: Time) {
        let mut written = false;
        while self.waiting.len() > MAX_WAITING
            || self.waiting.front().is_some_and(|first| first.time + PATIENCE <= now)
        {
            let Some(first) = self.waiting.pop_front() else { break };
            self.write(&first);
            written = true;
        }
        if written {
            self.attempt(Pcapng::flush);
        }
    }

    /// Writes all that still wait.
    pub fn finish(&mut self) {
        while let Some(first) = self.waiting.pop_front() {
            self.write(&first);
        }
        self.attempt(Pcapng::flush);
    }

    fn write(&mut self, packet: &Waiting) {
        let finding = self.findings.get(&packet.flow).or_else(|| self.findings.get(&packet.flow.reversed()));
        if packet.needs_finding && finding.is_none() {
            return;
        }
        let comment = match finding {
            Some(finding) => format!("{finding}\n{}", packet.what),
            None => packet.what.clone(),
        };
        let unix_nanos = self.clock.boot_unix_nanos().saturating_add(packet.time);
        self.attempt(|file| {
            file.write(&Frame {
                interface: &packet.interface,
                unix_nanos,
                way: packet.way,
                length: packet.length,
                bytes: &packet.bytes,
                comment: &comment,
            })
        });
    }

    /// A full disk ends the file, not the observation.
    fn attempt(&mut self, write: impl FnOnce(&mut Pcapng<BufWriter<File>>) -> io::Result<()>) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = write(file) {
            complain(&format_args!("write packets to {}: {error}; the file ends here", self.name));
            self.file = None;
        }
    }
}

/// The packet of an event, where it was met, what is said of it, and whether it is worth keeping only with a finding.
fn told<'a>(event: &'a Event, topology: &Topology) -> Option<(&'a Packet, String, String, bool)> {
    let name = |ifindex: u32| {
        topology.interface(ifindex).map_or_else(|| format!("interface {ifindex}"), |found| found.name.clone())
    };
    let more =
        |packets: u32| if packets > 1 { format!(", stands for {packets} packets") } else { String::new() };
    match event {
        Event::Oversize(seen) => {
            let how = match seen.how {
                OversizeHow::Route => "its route",
                OversizeHow::Peer => "the other end of the veth",
                OversizeHow::Device => "the interface",
                OversizeHow::Tunnel => "the tunnel",
            };
            let by = seen.egress_ifindex.map(|egress| format!(" by {}", name(egress))).unwrap_or_default();
            let more = more(seen.packets);
            let what = format!("too big: {} bytes, {how}{by} takes {}{more}", seen.length, seen.limit);
            Some((&seen.packet, name(seen.ifindex), what, false))
        }
        Event::PacketTooBig(seen) => {
            let Transport::PacketTooBig { next_hop_mtu, .. } = &seen.packet.transport else { return None };
            let what =
                format!("ICMP packet too big: the next hop takes {next_hop_mtu}{}", more(seen.packets));
            Some((&seen.packet, name(seen.ifindex), what, false))
        }
        Event::Dropped(drop) => {
            let packet = drop.packet.as_ref()?;
            let place = if drop.location.is_empty() { "an unknown place" } else { &drop.location };
            let what = format!("dropped: {} in {place}{}", drop.reason, more(drop.packets));
            let interface = match (drop.device.as_str(), topology.pod_in_netns(drop.netns)) {
                ("", _) => "no device".to_owned(),
                (device, Some(pod)) => format!("{device} in pod {}", pod.display_name()),
                (device, None) => device.to_owned(),
            };
            let is_error = matches!(packet.transport, Transport::PacketTooBig { .. });
            Some((packet, interface, what, drop.reason != "PKT_TOO_BIG" && !is_error))
        }
        Event::Fragment(_)
        | Event::IcmpGenerated(_)
        | Event::TcpRetransmit(_)
        | Event::TcpStateChange(_)
        | Event::TcpMss(_)
        | Event::TcpHole(_)
        | Event::Lost(_) => None,
    }
}

/// Bytes of a packet's headers; of an error also those of the packet that it quotes.
fn headers(packet: &Packet) -> u32 {
    let transport = match &packet.transport {
        Transport::Tcp(tcp) => tcp.header_len.max(SHORT_HEADER),
        Transport::Udp | Transport::Icmp { .. } => SHORT_HEADER,
        Transport::PacketTooBig { original, .. } => {
            SHORT_HEADER + original.as_ref().map_or(0, |original| headers(original))
        }
        Transport::Opaque => 0,
    };
    packet.header_len + transport
}
