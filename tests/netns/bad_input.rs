//! What an observation is given wrongly, or finds strange: the right behaviour, or a clear refusal with status 2.
use anyhow::{Context, Result};
use mtuprobe_tests::attachment;
use mtuprobe_tests::probe::{Expected, Run};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::Instant;

/// A DaemonSet's capabilities and no other.
pub const LEAST: [&str; 4] =
    ["setpriv", "--bounding-set", "-all,+bpf,+net_admin,+perfmon", "--inh-caps=-all"];
const NONE: [&str; 4] = ["setpriv", "--bounding-set", "-all", "--inh-caps=-all"];
const MANY: usize = 300;

#[test]
fn an_unknown_interface_is_refused() -> Result<()> {
    let network = Plan::new().build()?;
    for option in ["--interface", "--uplink"] {
        Run::watch(network.node()).with(&[option, "nosuch0"]).to_end()?.expect_refusal("nosuch0")?;
    }
    Ok(())
}

#[test]
fn a_pod_that_is_not_there_is_told_of() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let pod = network.lab().full_name("pod");
    let there = format!("there are {pod}");
    Run::command(network.node(), &["check", "--pod", "nosuch"]).to_end()?.expect_refusal(&there)?;
    let report = Run::command(network.node(), &["check", "--pod", &pod, "--pod", "a/*"]).to_end()?;
    assert_eq!(report.exit_status(), Some(0), "{}", report.evidence());
    assert!(report.stderr().contains("no pod a/*"), "{}", report.evidence());
    let report = Run::watch(network.node()).with(&["--pod", "nosuch"]).start()?.stop()?;
    assert_eq!(report.exit_status(), Some(0), "{}", report.evidence());
    assert!(report.stderr().contains("no pod nosuch on this node"), "{}", report.evidence());
    Ok(())
}

#[test]
fn bad_usage_is_refused() -> Result<()> {
    let network = Plan::new().build()?;
    for arguments in [&["--hook", "nosuch"][..], &["--duration", "soon"], &["--nosuch"], &["--output", "xml"]]
    {
        let report = Run::watch(network.node()).with(arguments).to_end()?;
        assert_eq!(report.exit_status(), Some(2), "{arguments:?}: {}", report.evidence());
        assert!(!report.stderr().is_empty() && report.stdout().is_empty(), "{}", report.evidence());
    }
    Ok(())
}

#[test]
fn without_privilege_it_says_what_it_needs() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let report = Run::watch(network.node()).under(&NONE).to_end()?;
    report.expect_refusal("CAP_")?;
    assert_eq!(report.stdout().len(), 0, "{}", report.evidence());
    Ok(())
}

#[test]
fn three_capabilities_are_enough() -> Result<()> {
    let mut network = Plan::new()
        .uplink(1400)
        .pod(Pod::routed("veth").mtu(1500).host_mtu(1300))
        .pod(Pod::routed("deaf"))
        .build()?;
    network.serve(&["server"])?;
    network.filter_packet_too_big("deaf", "input")?;
    let probe = Run::watch(network.node()).under(&LEAST).start()?;
    let server = network.address("server", Family::V4)?;
    let limit = std::time::Duration::from_secs(5);
    let deaf = Exchange::push(1_000_000).limit(limit).start(network.namespace("deaf")?, server)?;
    assert!(Datagrams::of(1350, Df::Dont).run(network.namespace("veth")?, server)?.none());
    assert!(deaf.join()??.stalled());
    probe.stop()?.expect(&[
        Expected::black_hole("silent_link_drop").pod(network.lab().full_name("veth")).limit(1300).confirmed(),
        Expected::black_hole("icmp_filtered").pod(network.lab().full_name("deaf")).limit(1400).confirmed(),
    ])
}

#[test]
fn an_interface_without_ethernet_header() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let tun = network.node().run(Tun::open)??;
    network.node().ip("link set tun9 up mtu 1400\naddress add 10.250.0.1/24 dev tun9\n")?;
    let probe = Run::watch(network.node()).with(&["--interface", "tun9"]).start()?;
    for length in [60_u16, 576, 1400] {
        tun.receive(&udp_packet(length))?;
    }
    let report = probe.stop()?;
    report.expect_silent()?;
    assert_eq!(report.lines_of("lost").count(), 0, "{}", report.evidence());
    let start = report.lines_of("start").next().context("no start line")?;
    let attached = start["attached"].as_array().into_iter().flatten();
    assert!(attached.into_iter().any(|entry| entry["interface"] == "tun9"), "{start}");
    Ok(())
}

#[test]
fn interfaces_that_vanish_while_attaching() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("stays")).build()?;
    let names: Vec<String> = (0..8).map(|number| format!("gone{number}")).collect();
    for name in &names {
        network.add_pod(&Pod::routed(name))?;
    }
    let probe = Run::watch(network.node()).with(&["--hook", "tcx"]).spawn()?;
    for name in &names {
        network.remove_pod(name)?;
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    probe.wait_for("attached", |line| line["type"] == "attached")?;
    probe.stop()?.expect_silent()?;
    assert!(attachment::tcx(network.node())?.is_empty());
    Ok(())
}

#[test]
fn three_hundred_veths() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let mut crowd = String::new();
    for number in 0..MANY {
        let peer = network.lab().full_name("server");
        crowd += &format!("link add many{number} type veth peer name peer{number} netns {peer}\n");
        crowd += &format!("link set many{number} up\n");
    }
    network.node().ip(&crowd)?;
    for hook in ["clsact", "tcx"] {
        let begin = Instant::now();
        let probe = Run::watch(network.node()).with(&["--hook", hook]).spawn()?;
        let (started, _) = probe.wait_timed("start", |line| line["type"] == "start")?;
        let (attached, _) = probe.wait_timed("attached", |line| line["type"] == "attached")?;
        let ending = Instant::now();
        let report = probe.stop()?;
        println!(
            "{hook}: start after {:?}, attached after {:?}, ended in {:?}",
            started - begin,
            attached - begin,
            ending.elapsed()
        );
        report.expect_silent()?;
        assert!(
            attachment::tcx(network.node())?.is_empty()
                && attachment::clsact_qdiscs(network.node())?.is_empty()
        );
    }
    Ok(())
}

#[test]
fn a_pod_without_a_name_is_still_a_pod() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1400).host_mtu(1500)).build()?;
    network.serve(&["pod"])?;
    let named = std::path::Path::new("/run/netns").join(network.lab().full_name("pod"));
    // SAFETY: a path with its zero byte, which the call only reads.
    let unmounted = unsafe {
        libc::umount2(
            std::ffi::CString::new(named.as_os_str().as_encoded_bytes())?.as_ptr(),
            libc::MNT_DETACH,
        )
    };
    assert_eq!(unmounted, 0, "{}", std::io::Error::last_os_error());
    std::fs::remove_file(&named)?;
    let probe = Run::watch(network.node()).start()?;
    let pod = network.address("pod", Family::V4)?;
    assert!(Datagrams::of(1450, Df::Do).run(network.namespace("server")?, pod)?.none());
    let report = probe.stop()?;
    report.expect(&[Expected::black_hole("silent_link_drop").direction("to_pod").limit(1400)])?;
    let finding = report.loud().remove(0);
    assert_eq!(
        finding.json()["pod"]["host_interface"],
        Network::host_interface("pod"),
        "{}",
        report.evidence()
    );
    Ok(())
}

/// A tun device, whose packets have no Ethernet header.
struct Tun {
    file: std::fs::File,
}

impl Tun {
    fn open() -> Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).open("/dev/net/tun").context("opening /dev/net/tun")?;
        // SAFETY: ifreq is integers and a union of integers, for which zeros are a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(b"tun9") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: TUNSETIFF reads an ifreq, which this is.
        let made = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw const request) };
        anyhow::ensure!(made == 0, "making tun9: {}", std::io::Error::last_os_error());
        Ok(Self { file })
    }

    /// Has the kernel receive a packet on it.
    fn receive(&self, packet: &[u8]) -> Result<()> {
        (&self.file).write_all(packet).context("writing to tun9")
    }
}

/// An IPv4 packet with a UDP header, of this length at layer 3; no checksums.
fn udp_packet(length: u16) -> Vec<u8> {
    let mut packet = vec![0; usize::from(length)];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[6] = 0x40;
    packet[8] = 64;
    packet[9] = libc::IPPROTO_UDP as u8;
    packet[12..16].copy_from_slice(&[10, 250, 0, 2]);
    packet[16..20].copy_from_slice(&[10, 250, 0, 1]);
    packet[24..26].copy_from_slice(&(length - 20).to_be_bytes());
    packet
}
