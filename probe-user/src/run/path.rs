//! `path`: the largest packet that reaches a destination, from inside a network namespace.
mod destination;
mod interruption;
mod origin;

use super::Verdict;
use crate::cli::{FamilyChoice, OutputForm, ProtocolChoice};
use crate::config::PathConfig;
use crate::datapath::links::{Connection, WayOut, pmtu_exceptions, visit, way_out};
use crate::output::complaint::fail;
use crate::output::path::{self, Asked, PathReport};
use crate::output::wall_clock::monotonic_now;
use crate::probing::Method;
use crate::probing::session::{ASKED, ProbingError, Session};
use anyhow::{Context as _, anyhow, bail};
use destination::Destination;
use interruption::Interruption;
use origin::Origin;
use probe_core::model::Time;
use probe_core::model::flow::Family;
use probe_core::model::pmtu_exception::PmtuException;
use probe_core::path_search::{Bounds, CONTROL_SIZE, Found, IcmpVerdict, Search, Trace};
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{IpAddr, SocketAddr};

/// Packets sent at most.
const PACKETS: u32 = 400;
/// Where traceroute begins: nobody listens there.
const UDP_PORT: u16 = 33434;
/// Ports that are asked when nothing else was answered.
const TCP_PORTS: [u16; 2] = [443, 80];

/// Searches the path MTU to a destination.
///
/// # Errors
/// Nothing can be measured: no such pod or namespace, no privilege, or the destination does not answer.
pub fn path(config: &PathConfig) -> anyhow::Result<Verdict> {
    let destination = Destination::resolve(&config.destination, config.family)?;
    let origin = Origin::find(config)?;
    let interruption = Interruption::listen().context("listen to signals")?;
    let measure = || measure(config, &destination, &origin, &interruption);
    let report = match &origin.namespace {
        Some(file) => visit(file, measure).map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => anyhow!("enter {}: it is none", origin.name),
            _ => anyhow!("enter {}: {error} (needs CAP_SYS_ADMIN)", origin.name),
        })?,
        None => measure(),
    };
    let report = match report {
        Err(error) if interruption.came() => {
            fail(&format_args!("{error:#}"));
            return Ok(Verdict::Interrupted);
        }
        report => report?,
    };
    let mut stream = io::stdout().lock();
    let written = match config.output {
        OutputForm::Json => path::json_lines(&report, &mut stream),
        OutputForm::Auto | OutputForm::Text => path::text(&report, &mut stream),
    };
    match written.and_then(|()| stream.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(error).context("write the results");
        }
        Ok(()) | Err(_) => {}
    }
    Ok(match (report.interrupted, report.found.black_hole) {
        (true, _) => Verdict::Interrupted,
        (false, true) => Verdict::Loud,
        (false, false) => Verdict::Quiet,
    })
}

/// Searches from the calling thread's namespace: each address that there is a route to, until one answers.
fn measure(
    config: &PathConfig,
    destination: &Destination,
    origin: &Origin,
    interruption: &Interruption,
) -> anyhow::Result<PathReport> {
    let end = monotonic_now() + Time::try_from(config.timeout.as_nanos()).unwrap_or(Time::MAX / 2);
    let mut silent = Vec::new();
    for &address in &destination.addresses {
        let Some(way) = way_out(address.ip()).context("read the route")? else {
            silent.push(format!("{}: no route", address.ip()));
            continue;
        };
        let told = silent.len();
        let attempt = Attempt { config, destination, origin, interruption, address, way, end };
        if let Some(report) = attempt.measure(&mut silent)? {
            return Ok(report);
        }
        if destination.addresses.len() > 1 {
            silent.iter_mut().skip(told).for_each(|text| *text = format!("{}: {text}", address.ip()));
        }
    }
    Err(anyhow!("reach {} from {}: {}", destination.text, origin.name, silent.join(", ")))
}

/// A search towards one address.
struct Attempt<'a> {
    config: &'a PathConfig,
    destination: &'a Destination,
    origin: &'a Origin,
    interruption: &'a Interruption,
    address: SocketAddr,
    way: WayOut,
    end: Time,
}

impl Attempt<'_> {
    /// By one method after the other, until something is answered; adds to `silent` what is not.
    fn measure(&self, silent: &mut Vec<String>) -> anyhow::Result<Option<PathReport>> {
        let ip = self.address.ip();
        let ceiling = ceiling(ip, &self.way);
        if ceiling <= CONTROL_SIZE {
            bail!("reach {}: {} has an MTU of {ceiling}", self.destination.text, self.way.interface);
        }
        let before = exceptions_towards(ip)?;
        for (method, port) in methods(self.config.protocol, self.destination, ip.is_ipv6())? {
            if monotonic_now() >= self.end {
                silent.push("the time is over (--timeout)".to_owned());
                return Ok(None);
            }
            let mut target = self.address;
            target.set_port(port);
            let mut session = match Session::open(method, target) {
                Ok(session) => session,
                Err(ProbingError::NoConnection { cause, .. }) => {
                    silent.push(format!("tcp port {port}: {cause}"));
                    continue;
                }
                Err(ProbingError::Unreachable { cause, .. }) => {
                    silent.push(cause.to_string());
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            };
            let family = Family::of(ip);
            // Options are what some networks drop.
            let least = if method == Method::IcmpBehindOptions { family.minimum_mtu() } else { 0 };
            let bounds = Bounds { family, ceiling, least, packets: PACKETS, end: self.end };
            let mut search = Search::new(bounds);
            self.interruption.searching(true);
            self.search(method, &mut session, &mut search)?;
            let Some(found) = search.found() else {
                self.interruption.searching(false);
                if self.interruption.came() {
                    bail!("interrupted before anything was known");
                }
                silent.push(nothing_by(method, &search));
                continue;
            };
            let (found, asked) = match method {
                Method::IcmpBehindOptions => self.confirmed(found, &mut search)?,
                Method::Icmp | Method::Udp | Method::Tcp => (found, None),
            };
            if method == Method::IcmpBehindOptions && found.black_hole {
                // Routers' answers to what they let go no further are errors, too.
                session = Session::open(Method::Icmp, target)?;
            }
            let trace = self.follow(&mut session, &search, &found)?;
            let learned = exceptions_towards(ip)?;
            let caused = learned.into_iter().filter(|exception| !is_known(&before, exception)).collect();
            return Ok(Some(PathReport {
                pod: self.origin.pod.clone(),
                origin: self.origin.name.clone(),
                destination: self.destination.text.clone(),
                ends: *session.ends(),
                way: self.way.clone(),
                ceiling,
                sent: search.sent()
                    + asked.map_or(0, |asked| asked.sent)
                    + trace.as_ref().map_or(0, Trace::sent),
                steps: search.steps().to_vec(),
                vanishing: trace.and_then(|trace| trace.vanishing()),
                found,
                asked,
                interrupted: self.interruption.came(),
                unanswered: std::mem::take(silent),
                learned: before,
                caused,
            }));
        }
        Ok(None)
    }

    fn search(&self, method: Method, session: &mut Session, search: &mut Search) -> anyhow::Result<()> {
        let shows = self.config.output != OutputForm::Json && io::stderr().is_terminal();
        session.run(search, self.interruption.descriptor(), |search| {
            if shows {
                show_progress(method, search);
            }
        })?;
        if shows {
            let _nobody_looks = write!(io::stderr(), "\r\x1b[K");
        }
        Ok(())
    }

    /// What keeps track of connections or translates addresses on the way back does not know whose packet is quoted by an
    /// error about options, and may drop it: where none came back it is asked for with packets that everybody knows, datagrams
    /// first, because an error about them leaves nothing in the kernel.
    fn confirmed(&self, found: Found, search: &mut Search) -> anyhow::Result<(Found, Option<Asked>)> {
        let Some(size) = found.fails.filter(|_| found.icmp == Some(IcmpVerdict::Silent)) else {
            return Ok((found, None));
        };
        let mut asked = Asked::default();
        for (method, port) in [(Method::Udp, UDP_PORT), (Method::Icmp, 0)] {
            let mut target = self.address;
            target.set_port(port);
            let mut other = Session::open(method, target)?;
            for (router, mtu) in other.ask(size, search.next_probe(), self.interruption.descriptor())? {
                search.note_too_big(size, router, mtu);
                asked.received += 1;
            }
            asked.expected = ASKED.into();
            asked.sent += asked.expected;
            if self.interruption.came() {
                let open = Found { icmp: None, black_hole: false, ..found };
                return Ok((open, None));
            }
            if asked.received > 0 {
                break;
            }
        }
        Ok((search.found().unwrap_or(found), Some(asked)))
    }

    /// Finds out where larger packets vanish, if nobody tells.
    fn follow(&self, session: &mut Session, search: &Search, found: &Found) -> anyhow::Result<Option<Trace>> {
        let Some(size) = found.fails.filter(|_| found.black_hole) else { return Ok(None) };
        let mut trace = Trace::new(monotonic_now(), size, search.next_probe(), self.end);
        session.follow(&mut trace, self.interruption.descriptor())?;
        Ok(Some(trace))
    }
}

/// What the sender's own route and device take.
fn ceiling(destination: IpAddr, way: &WayOut) -> u32 {
    let mut ceiling = way.mtu.min(u32::from(u16::MAX) - 1);
    if let Some(mtu) = way.route_mtu.filter(|&mtu| mtu > 0) {
        ceiling = ceiling.min(mtu);
    }
    if destination.is_ipv6() {
        // Router advertisements may say less than the device does.
        let file = format!("/proc/sys/net/ipv6/conf/{}/mtu", way.interface);
        let advertised = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        ceiling = ceiling.min(advertised.unwrap_or(ceiling));
    }
    ceiling
}

/// Why a method brought nothing.
fn nothing_by(method: Method, search: &Search) -> String {
    let by = method.description();
    match search.unreachable() {
        Some((router, what)) => format!("{by}: {router} {what}"),
        None if search.is_answered() => format!("{by}: only small packets are answered"),
        None => format!("{by}: no answer"),
    }
}

/// What is tried, in this order. A plain ICMPv6 echo request comes last: an error about it leaves a learned path MTU in the
/// kernel.
fn methods(
    protocol: ProtocolChoice,
    destination: &Destination,
    is_v6: bool,
) -> anyhow::Result<Vec<(Method, u16)>> {
    let udp = (Method::Udp, destination.port.unwrap_or(UDP_PORT));
    let icmp = (Method::Icmp, 0);
    let echo = if is_v6 { vec![(Method::IcmpBehindOptions, 0), icmp] } else { vec![icmp] };
    let mut without_port = vec![echo[0], (Method::Udp, UDP_PORT)];
    if destination.port.is_none() {
        without_port.extend(TCP_PORTS.map(|port| (Method::Tcp, port)));
    }
    without_port.extend(&echo[1..]);
    Ok(match (protocol, destination.port) {
        (ProtocolChoice::Icmp, _) => echo,
        (ProtocolChoice::Udp, _) => vec![udp],
        (ProtocolChoice::Tcp, Some(port)) => vec![(Method::Tcp, port)],
        (ProtocolChoice::Tcp, None) => {
            bail!("--protocol tcp needs an open port: {}:PORT", destination.text)
        }
        (ProtocolChoice::Auto, Some(port)) => [(Method::Tcp, port)].into_iter().chain(without_port).collect(),
        (ProtocolChoice::Auto, None) => without_port,
    })
}

fn exceptions_towards(destination: IpAddr) -> anyhow::Result<Vec<PmtuException>> {
    let mut connection = Connection::open()?;
    let mut exceptions = pmtu_exceptions(&mut connection, 0).context("read learned path MTUs")?;
    exceptions.retain(|exception| exception.destination == destination);
    Ok(exceptions)
}

fn is_known(before: &[PmtuException], exception: &PmtuException) -> bool {
    before.iter().any(|old| old.mtu == exception.mtu && old.ifindex == exception.ifindex)
}

fn show_progress(method: Method, search: &Search) {
    let size = search.steps().last().map_or(0, |step| step.size);
    let passes = search.found().map_or(0, |found| found.mtu);
    // Nobody looks if it cannot be written.
    let _nobody_looks = write!(
        io::stderr(),
        "\r\x1b[K{}: {} packets sent, {passes} passes, trying {size}",
        method.name(),
        search.sent()
    );
}

/// Whether a family is wanted.
fn wants(family: FamilyChoice, address: &SocketAddr) -> bool {
    match family {
        FamilyChoice::Auto => true,
        FamilyChoice::Ipv4 => address.is_ipv4(),
        FamilyChoice::Ipv6 => address.is_ipv6(),
    }
}
