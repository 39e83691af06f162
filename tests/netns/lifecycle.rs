//! The life of an observation: its lines, its ends, and that nothing of it stays behind.
use anyhow::{Result, ensure};
use mtuprobe_tests::attachment::{self, Attachment};
use mtuprobe_tests::probe::{Expected, Run, Signal};
use mtuprobe_tests::topology::{Family, Namespace, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df};
use std::time::{Duration, Instant};

/// A TCX link of a killed process goes a grace period after it, which the kernel may take its time for.
const KERNEL_SLACK: Duration = Duration::from_secs(60);

fn small_network() -> Result<Network> {
    Plan::new().pod(Pod::routed("pod")).pod(Pod::bridged("other")).build()
}

fn nothing_attached(node: &Namespace) -> Result<()> {
    let tcx = attachment::tcx(node)?;
    ensure!(tcx.is_empty(), "left at TCX hooks: {tcx:?}");
    let filters = attachment::clsact(node)?;
    ensure!(filters.is_empty(), "left at clsact hooks: {filters:?}");
    let qdiscs = attachment::clsact_qdiscs(node)?;
    ensure!(qdiscs.is_empty(), "clsact qdiscs left: {qdiscs:?}");
    Ok(())
}

fn programs_gone(programs: &[Attachment]) -> Result<()> {
    let end = Instant::now() + KERNEL_SLACK;
    loop {
        let left: Vec<_> =
            programs.iter().filter(|attachment| attachment::program_exists(attachment.program)).collect();
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < end, "programs left in the kernel: {left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn start_says_what_is_attached_where() -> Result<()> {
    let network = small_network()?;
    let report = Run::watch(network.node()).start()?.stop()?;
    report.expect_silent()?;
    let start = report.lines_of("start").next().expect("a start line");
    for field in ["version", "kernel", "node", "attached", "pending", "senses"] {
        assert!(start.get(field).is_some(), "no {field} in {start}");
    }
    let uplink =
        start["attached"].as_array().into_iter().flatten().find(|entry| entry["interface"] == "eth0");
    assert!(
        uplink.is_some_and(|entry| entry["role"] == "uplink" && entry["hook"] == attachment::hooks()[0]),
        "{start}"
    );
    let senses: Vec<&str> =
        start["senses"].as_array().into_iter().flatten().filter_map(|s| s["name"].as_str()).collect();
    for sense in ["tc", "kfree_skb", "netlink"] {
        assert!(senses.contains(&sense), "no {sense} in {senses:?}");
    }
    let attached = report.lines_of("attached").next().expect("an attached line");
    assert!(attached["attached"].as_u64() >= Some(4), "uplink, two pods, bridge: {attached}");
    Ok(())
}

#[test]
fn both_signals_end_it_in_good_order_under_both_hooks() -> Result<()> {
    let network = small_network()?;
    for &hook in attachment::hooks() {
        for signal in [Signal::Interrupt, Signal::Terminate] {
            let probe = Run::watch(network.node()).with(&["--hook", hook]).start()?;
            let programs = attachment::tcx(network.node())?;
            let filters = attachment::clsact(network.node())?;
            match hook {
                "tcx" => assert!(programs.len() >= 8 && filters.is_empty(), "{programs:?} {filters:?}"),
                _ => assert!(programs.is_empty() && !filters.is_empty(), "{programs:?} {filters:?}"),
            }
            probe.stop_with(signal)?.expect_silent()?;
            nothing_attached(network.node())?;
            programs_gone(&programs)?;
        }
    }
    Ok(())
}

#[test]
fn after_a_kill_the_kernel_or_the_next_run_cleans_up() -> Result<()> {
    let network = small_network()?;
    for &hook in attachment::hooks() {
        let probe = Run::watch(network.node()).with(&["--hook", hook]).start()?;
        let programs = attachment::tcx(network.node())?;
        probe.stop_with(Signal::Kill)?;
        programs_gone(&programs)?;
        let left = attachment::clsact(network.node())?;
        assert_eq!(
            left.is_empty(),
            hook == "tcx",
            "a filter outlives its process, a link does not: {left:?}"
        );
        let next = Run::watch(network.node()).with(&["--hook", hook]).start()?;
        let doubled = attachment::clsact(network.node())?;
        assert!(doubled.len() <= left.len().max(1), "the dead one's filters are still there: {doubled:#?}");
        next.stop()?.expect_silent()?;
        nothing_attached(network.node())?;
    }
    Ok(())
}

#[test]
fn ends_by_itself_after_its_duration() -> Result<()> {
    let network = small_network()?;
    let report = Run::watch(network.node()).with(&["--duration", "1s"]).to_end()?;
    report.expect_silent()?;
    let seconds = report.lines_of("summary").next().and_then(|summary| summary["duration_seconds"].as_f64());
    assert!(seconds >= Some(0.9), "{seconds:?}");
    nothing_attached(network.node())
}

#[test]
fn traffic_goes_on_undisturbed_while_it_comes_and_goes() -> Result<()> {
    let mut network = small_network()?;
    network.serve(&["server"])?;
    let server = network.address("server", Family::V4)?;
    let steady = Datagrams::of(1500, Df::Do)
        .count(400)
        .every(Duration::from_millis(10))
        .start(network.namespace("pod")?, server)?;
    for &hook in attachment::hooks() {
        Run::watch(network.node()).with(&["--hook", hook]).start()?.stop()?.expect_silent()?;
    }
    let delivery = steady.join()??;
    assert!(delivery.all(), "{delivery:?}");
    Ok(())
}

#[test]
fn a_pod_that_comes_later_is_observed_and_one_that_goes_is_forgotten() -> Result<()> {
    let mut network = small_network()?;
    let probe = Run::watch(network.node()).start()?;
    network.add_pod(&Pod::routed("late").mtu(1400).host_mtu(1500))?;
    let interface = Network::host_interface("late");
    probe.wait_for("attach", |line| line["type"] == "attach" && line["interface"] == interface)?;
    network.serve(&["late"])?;
    let late = network.address("late", Family::V4)?;
    assert!(Datagrams::of(1450, Df::Probe).run(network.namespace("server")?, late)?.none());
    let wanted = Expected::black_hole("silent_link_drop")
        .pod(network.lab().full_name("late"))
        .direction("to_pod")
        .severity("critical")
        .limit(1400);
    probe.wait_for_finding(&wanted)?;
    network.remove_pod("late")?;
    probe.wait_for("detach", |line| line["type"] == "detach" && line["interface"] == interface)?;
    let report = probe.stop()?;
    report.expect(&[wanted.text("state", "closed")])
}

#[test]
fn a_pod_of_the_same_name_and_number_is_another_pod() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1400).host_mtu(1500)).build()?;
    let probe = Run::watch(network.node()).start()?;
    network.remove_pod("pod")?;
    let interface = Network::host_interface("pod");
    probe.wait_for("detach", |line| line["type"] == "detach" && line["interface"] == interface)?;
    network.add_pod(&Pod::routed("pod"))?;
    probe.wait_for("attach", |line| line["type"] == "attach" && line["interface"] == interface)?;
    network.serve(&["pod"])?;
    let pod = network.address("pod", Family::V4)?;
    assert!(Datagrams::of(1500, Df::Do).run(network.namespace("server")?, pod)?.all());
    let report = probe.stop()?;
    report.expect_silent()?;
    let open = report.findings().into_iter().filter(|finding| finding.text("state") == "open").count();
    assert_eq!(open, 0, "{}", report.evidence());
    Ok(())
}

#[test]
fn text_leads_with_the_fault_and_ends_with_its_status() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod").mtu(1400).host_mtu(1500)).build()?;
    network.serve(&["pod"])?;
    let text = Run::command(network.node(), &["watch", "--output", "text"]).spawn()?;
    text.wait_for_text(" attached ")?;
    let pod = network.address("pod", Family::V4)?;
    assert!(Datagrams::of(1450, Df::Do).run(network.namespace("server")?, pod)?.none());
    text.wait_for_text("pmtu_black_hole")?;
    let shown = text.stop()?;
    let all = shown.stdout().join("\n");
    assert_eq!(shown.exit_status(), Some(1), "{all}\n{}", shown.stderr());
    for wanted in [&network.lab().full_name("pod"), "1400", "CRITICAL", "ip link set"] {
        assert!(all.contains(wanted), "no {wanted} in:\n{all}");
    }
    Ok(())
}
