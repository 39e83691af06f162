//! `path`: the largest packet that reaches a destination, exact to the byte, whatever the routers say.
mod services;
mod trail;

use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::probe::{Report, Run};
use mtuprobe_tests::topology::{Family, Namespace, Network, OuterDf, Overlay, Plan, Pod};
use mtuprobe_tests::traffic::PORT;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

const FAR: u32 = 1400;

fn far() -> Result<Network> {
    let mut network = Plan::new().far(FAR).pod(Pod::routed("pod")).build()?;
    network.serve(&["far"])?;
    Ok(network)
}

fn with_port(address: IpAddr) -> String {
    SocketAddr::new(address, PORT).to_string()
}

/// Runs `path` from the pod; the report and its `path` line.
fn path(network: &Network, arguments: &[&str]) -> Result<(Report, Value)> {
    let pod = network.lab().full_name("pod");
    let report = Run::command(network.node(), &["path", "--output", "json", "--pod", &pod])
        .with(arguments)
        .to_end()?;
    let line = report.lines_of("path").next().cloned().with_context(|| report.evidence())?;
    Ok((report, line))
}

/// One `path` line with these values, and the exit status that follows from `black_hole`.
fn expect(
    network: &Network,
    arguments: &[&str],
    mtu: u32,
    icmp: Option<&str>,
    black_hole: bool,
) -> Result<Value> {
    let (report, line) = path(network, arguments)?;
    as_expected(&report, &line, mtu, icmp, black_hole)?;
    Ok(line)
}

fn as_expected(report: &Report, line: &Value, mtu: u32, icmp: Option<&str>, black_hole: bool) -> Result<()> {
    ensure!(line["mtu"] == mtu && line["exact"] == true, "{}", report.evidence());
    ensure!(line["icmp"].as_str() == icmp && line["black_hole"] == black_hole, "{}", report.evidence());
    ensure!(report.exit_status() == Some(i32::from(black_hole)), "{}", report.evidence());
    Ok(())
}

fn learned(namespace: &Namespace) -> Result<String> {
    Ok(namespace.output("ip", &["-4", "route", "show", "cache"])?
        + &namespace.output("ip", &["-6", "route", "show", "cache"])?)
}

#[test]
fn routers_that_answer_and_no_trace_in_the_kernel() -> Result<()> {
    let network = far()?;
    let pod = network.namespace("pod")?;
    let before = learned(pod)?;
    for family in Family::ALL {
        let address = network.address("far", family)?;
        let router = network.address("router", family)?.to_string();
        let open = with_port(address);
        let plain = address.to_string();
        for (arguments, protocol) in [
            (vec![plain.as_str()], "icmp"),
            (vec![plain.as_str(), "--protocol", "udp"], "udp"),
            (vec![open.as_str()], "tcp"),
        ] {
            let line = expect(&network, &arguments, FAR, Some("works"), false)?;
            assert_eq!((&line["protocol"], &line["family"]), (&protocol.into(), &family.name().into()));
            assert_eq!(line["limited_by"]["next_hop_mtu"], FAR, "{line}");
            assert_eq!(line["limited_by"]["router"], router.as_str(), "{line}");
            assert_eq!(line["caused"], Value::Array(Vec::new()));
        }
    }
    assert_eq!(learned(pod)?, before);
    Ok(())
}

#[test]
fn routers_that_stay_silent() -> Result<()> {
    let network = far()?;
    network.filter_packet_too_big("router", "output")?;
    for family in Family::ALL {
        let address = network.address("far", family)?;
        for asked in [address.to_string(), with_port(address)] {
            let line = expect(&network, &[&asked], FAR, Some("silent"), true)?;
            // The router before the small link answers a probe that ends there, and nobody behind it.
            let router = network.address("router", family)?.to_string();
            let vanishes = &line["vanishes"];
            assert_eq!(
                (&vanishes["size"], &vanishes["after"]["hop"]),
                (&(FAR + 1).into(), &3.into()),
                "{line}"
            );
            assert_eq!(vanishes["after"]["address"], router.as_str(), "{line}");
            assert_eq!(vanishes["before"]["hop"], 4, "{line}");
        }
    }
    Ok(())
}

#[test]
fn a_router_that_limits_its_errors() -> Result<()> {
    let network = far()?;
    // By number instead of by time: each fourth packet is answered.
    network.namespace("router")?.nft(
        "table inet slow { chain output { type filter hook output priority 0; policy accept;
            icmp type destination-unreachable numgen inc mod 4 < 3 counter drop
            icmpv6 type packet-too-big numgen inc mod 4 < 3 counter drop
        }
}",
    )?;
    for family in Family::ALL {
        let address = network.address("far", family)?;
        for asked in [address.to_string(), with_port(address)] {
            let line = expect(&network, &[&asked], FAR, Some("works"), false)?;
            let number = |name: &str| line["errors"][name].as_u64().unwrap_or(0);
            ensure!(number("received") > 0 && number("received") < number("expected"), "{line}");
        }
    }
    Ok(())
}

/// The router announces another size than the one that passes.
fn lie(announced: u32) -> Result<()> {
    let network = far()?;
    network.namespace("router")?.nft(&format!(
        "table inet lie {{ chain output {{ type filter hook output priority 0; policy accept;
            icmp type destination-unreachable icmp code frag-needed icmp mtu set {announced}
            icmpv6 type packet-too-big icmpv6 mtu set {announced}
        }}
}}"
    ))?;
    for family in Family::ALL {
        let address = network.address("far", family)?;
        let (report, line) = path(&network, &[&address.to_string()])?;
        as_expected(&report, &line, FAR, Some("implausible"), true)?;
        let lies = report
            .lines_of("step")
            .filter_map(|step| step["too_big"].as_array())
            .flatten()
            .filter(|error| error["next_hop_mtu"] == announced && error["verdict"] == "implausible")
            .count();
        ensure!(lies > 0, "the router did not lie: {}", report.evidence());
    }
    Ok(())
}

#[test]
fn a_router_that_announces_no_size() -> Result<()> {
    lie(0)
}

#[test]
fn a_router_that_announces_less_than_anything_carries() -> Result<()> {
    lie(68)
}

#[test]
fn a_router_that_announces_more_than_it_dropped() -> Result<()> {
    lie(9000)
}

#[test]
fn a_twentieth_of_everything_is_lost() -> Result<()> {
    let network = far()?;
    network.filter_packet_too_big("router", "output")?;
    network.namespace("router")?.nft(
        "table inet loss { chain forward { type filter hook forward priority 0; policy accept;
            numgen random mod 100 < 5 counter drop
        }
}",
    )?;
    for family in Family::ALL {
        let address = network.address("far", family)?;
        // The answers of a closed port are limited to one a second, beside the loss.
        let patient = ["--timeout", "150s"];
        for destination in [address.to_string(), with_port(address)] {
            let arguments = [&[destination.as_str()], patient.as_slice()].concat();
            expect(&network, &arguments, FAR, Some("silent"), true)?;
        }
    }
    Ok(())
}

#[test]
fn a_destination_that_limits_its_answers() -> Result<()> {
    let network = far()?;
    network.namespace("far")?.nft(
        "table inet slow { chain output { type filter hook output priority 0; policy accept;
            icmp type echo-reply limit rate over 2/second burst 3 packets counter drop
        }
}",
    )?;
    let address = network.address("far", Family::V4)?;
    expect(&network, &[&address.to_string(), "--protocol", "icmp"], FAR, Some("works"), false)?;
    Ok(())
}

#[test]
fn a_smaller_host_end_drops_silently() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1500).host_mtu(1400)).build()?;
    network.serve(&["server"])?;
    for family in Family::ALL {
        let address = network.address("server", family)?;
        // A veth takes four bytes more, for a VLAN tag.
        let line = expect(&network, &[&with_port(address)], 1404, Some("silent"), true)?;
        assert_eq!(
            (&line["vanishes"]["after"], &line["vanishes"]["before"]["hop"]),
            (&Value::Null, &1.into())
        );
    }
    Ok(())
}

#[test]
fn a_tunnel_with_df_outside() -> Result<()> {
    let mut network = Plan::new()
        .pod(Pod::bridged("pod"))
        .pod(Pod::bridged("remote").on_second_node())
        .overlay(Overlay::vxlan(1500).outer_df(OuterDf::Set))
        .build()?;
    network.serve(&["remote"])?;
    // Over IPv6 the node remembers what the tunnel carries, and answers from the second packet on.
    for (family, icmp) in [(Family::V4, "silent"), (Family::V6, "works")] {
        let remote = network.address("remote", family)?;
        expect(&network, &[&with_port(remote)], 1450, Some(icmp), icmp == "silent")?;
    }
    Ok(())
}

#[test]
fn only_one_port_is_open() -> Result<()> {
    let network = far()?;
    network.namespace("far")?.nft(&format!(
        "table inet closed {{ chain input {{ type filter hook input priority 0; policy drop;
            tcp dport {PORT} accept
            icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
        }}
}}"
    ))?;
    for family in Family::ALL {
        let address = network.address("far", family)?;
        let line = expect(&network, &[&with_port(address)], FAR, Some("works"), false)?;
        assert_eq!(line["protocol"], "tcp");
    }
    Ok(())
}

#[test]
fn from_the_node_itself_and_from_a_named_namespace() -> Result<()> {
    let network = Plan::new().uplink(1400).pod(Pod::routed("pod")).build()?;
    let server = network.address("server", Family::V4)?.to_string();
    let report = Run::command(network.node(), &["path", "--output", "json", &server]).to_end()?;
    let line = report.lines_of("path").next().with_context(|| report.evidence())?;
    assert_eq!((&line["mtu"], &line["icmp"], &line["pod"]), (&1400.into(), &Value::Null, &Value::Null));
    assert_eq!((&line["limited_by"]["interface"], &line["black_hole"]), (&"eth0".into(), &false.into()));
    let refused = report.lines_of("step").find(|step| step["size"] == 1401).context("no step")?;
    assert_eq!((&refused["refused"], &refused["sent"]), (&true.into(), &0.into()));
    let pod = network.lab().full_name("pod");
    for netns in [pod.clone(), format!("/run/netns/{pod}")] {
        let arguments = ["path", "--output", "json", "--netns", &netns, &server];
        let report = Run::command(network.node(), &arguments).to_end()?;
        let line = report.lines_of("path").next().with_context(|| report.evidence())?;
        assert_eq!((&line["mtu"], &line["icmp"]), (&1400.into(), &"works".into()));
    }
    Ok(())
}

#[test]
fn a_route_mtu_is_what_the_sender_sends() -> Result<()> {
    let network = far()?;
    network.namespace("pod")?.ip("route replace default via 169.254.1.1 dev eth0 mtu 1400\n")?;
    let address = network.address("far", Family::V4)?.to_string();
    let line = expect(&network, &[&address], FAR, None, false)?;
    assert_eq!((&line["interface_mtu"], &line["route_mtu"]), (&1500.into(), &1400.into()));
    Ok(())
}

#[test]
fn what_cannot_be_done_is_refused_clearly() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("one")).pod(Pod::routed("two")).build()?;
    let server = network.address("server", Family::V4)?.to_string();
    let all = format!("{}*", network.lab().full_name(""));
    for (arguments, because) in [
        (vec!["--pod", "nosuch", &server], "no pod nosuch"),
        (vec!["--pod", &all, &server], "several pods"),
        (vec!["--netns", "nosuch", &server], "nosuch"),
        (vec!["nosuch.invalid"], "resolve nosuch.invalid"),
        (vec!["10.0.0.1:0"], "no port"),
        (vec!["--protocol", "tcp", &server], "needs an open port"),
        (vec!["--protocol", "nosuch", &server], "nosuch"),
        (vec!["--timeout", "20s", "--protocol", "icmp", "10.101.77.77"], "10.101.77.77"),
    ] {
        Run::command(network.node(), &["path"]).with(&arguments).to_end()?.expect_refusal(because)?;
    }
    let pod = network.lab().full_name("one");
    for (set, arguments, because) in [
        ("-all,+net_raw", vec!["--netns", pod.as_str(), &server], "CAP_SYS_ADMIN"),
        ("-all,+sys_admin", vec![server.as_str()], "CAP_NET_RAW"),
    ] {
        let wrapper = ["setpriv", "--bounding-set", set, "--inh-caps=-all"];
        let run = Run::command(network.node(), &["path"]).with(&arguments).under(&wrapper);
        run.to_end()?.expect_refusal(because)?;
    }
    Ok(())
}
