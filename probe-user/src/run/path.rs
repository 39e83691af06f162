//! `path`: the largest packet that reaches a destination, from inside a network namespace.
mod destination;
mod origin;

use super::Verdict;
use crate::cli::{FamilyChoice, OutputForm, ProtocolChoice};
use crate::config::PathConfig;
use crate::datapath::links::{Connection, WayOut, pmtu_exceptions, visit, way_out};
use crate::output::path::{self, PathReport};
use crate::output::wall_clock::monotonic_now;
use crate::probing::Method;
use crate::probing::session::{ProbingError, Session};
use anyhow::{Context as _, anyhow, bail};
use destination::Destination;
use origin::Origin;
use probe_core::model::Time;
use probe_core::model::flow::Family;
use probe_core::model::pmtu_exception::PmtuException;
use probe_core::path_search::{Bounds, CONTROL_SIZE, Search};
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
    let measure = || measure(config, &destination, &origin);
    let report = match &origin.namespace {
        Some(file) => {
            visit(file, measure).with_context(|| format!("enter {} (needs CAP_SYS_ADMIN)", origin.name))??
        }
        None => measure()?,
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
    Ok(if report.found.black_hole { Verdict::Loud } else { Verdict::Quiet })
}

/// Searches from the calling thread's namespace.
fn measure(config: &PathConfig, destination: &Destination, origin: &Origin) -> anyhow::Result<PathReport> {
    let (address, way) = destination
        .addresses
        .iter()
        .find_map(|&address| way_out(address.ip()).transpose().map(|way| way.map(|way| (address, way))))
        .with_context(|| format!("reach {}: no route from {}", destination.text, origin.name))?
        .context("read the route")?;
    let ceiling = ceiling(address.ip(), &way);
    if ceiling <= CONTROL_SIZE {
        bail!("reach {}: {} has an MTU of {ceiling}", destination.text, way.interface);
    }
    let before = exceptions_towards(address.ip())?;
    let mut silent = Vec::new();
    let end = monotonic_now() + Time::try_from(config.timeout.as_nanos()).unwrap_or(Time::MAX / 2);
    for (method, port) in methods(config.protocol, destination)? {
        let target = SocketAddr::new(address.ip(), port);
        let target = if address.ip().is_ipv6() { with_port(address, port) } else { target };
        let mut session = match Session::open(method, target) {
            Ok(session) => session,
            Err(ProbingError::NoConnection { source, .. }) => {
                silent.push(format!("tcp port {port}: {source}"));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let family = Family::of(address.ip());
        let mut search = Search::new(Bounds { family, ceiling, packets: PACKETS, end });
        let shows = config.output != OutputForm::Json && io::stderr().is_terminal();
        session.run(&mut search, |search| {
            if shows {
                show_progress(method, search);
            }
        })?;
        if shows {
            let _nobody_looks = write!(io::stderr(), "\r\x1b[K");
        }
        if let Some(found) = search.found() {
            let learned = exceptions_towards(address.ip())?;
            let caused = learned.into_iter().filter(|exception| !is_known(&before, exception)).collect();
            return Ok(PathReport {
                pod: origin.pod.clone(),
                origin: origin.name.clone(),
                destination: destination.text.clone(),
                ends: *session.ends(),
                way,
                ceiling,
                sent: search.sent(),
                steps: search.steps().to_vec(),
                found,
                learned: before,
                caused,
            });
        }
        silent.push(match search.unreachable() {
            Some((router, what)) => format!("{}: {router} {what}", method.name()),
            None => format!("{}: no answer", method.name()),
        });
    }
    Err(anyhow!("reach {} from {}: {}", destination.text, origin.name, silent.join(", ")))
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
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

/// What is tried, in this order. An ICMPv6 echo request comes late: an error about it leaves a learned path MTU in the kernel
/// (`icmpv6_err`), whoever sent it.
fn methods(protocol: ProtocolChoice, destination: &Destination) -> anyhow::Result<Vec<(Method, u16)>> {
    let udp = (Method::Udp, destination.port.unwrap_or(UDP_PORT));
    let icmp = (Method::Icmp, 0);
    let is_v6 = destination.addresses.first().is_some_and(SocketAddr::is_ipv6);
    let without_port = if is_v6 { [(Method::Udp, UDP_PORT), icmp] } else { [icmp, (Method::Udp, UDP_PORT)] };
    Ok(match (protocol, destination.port) {
        (ProtocolChoice::Icmp, _) => vec![icmp],
        (ProtocolChoice::Udp, _) => vec![udp],
        (ProtocolChoice::Tcp, Some(port)) => vec![(Method::Tcp, port)],
        (ProtocolChoice::Tcp, None) => {
            bail!("--protocol tcp needs an open port: {}:PORT", destination.text)
        }
        (ProtocolChoice::Auto, Some(port)) => [(Method::Tcp, port)].into_iter().chain(without_port).collect(),
        (ProtocolChoice::Auto, None) => {
            without_port.into_iter().chain(TCP_PORTS.map(|port| (Method::Tcp, port))).collect()
        }
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
