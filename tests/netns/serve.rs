//! `mtuprobe serve`: metrics that a real Prometheus takes, health, findings over HTTP, its configuration and its manager.
mod posts;

use anyhow::{Context, Result};
use mtuprobe_tests::probe::{Run, Signal};
use mtuprobe_tests::service::{self, ADDRESS, Metrics, Scratch, Service};
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::{Datagrams, Df, Exchange};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longer than the three seconds after which a stalled flow shows harm.
const STALL: Duration = Duration::from_secs(5);

/// A black hole: the uplink is smaller, and the pod's own filter drops the errors.
fn deaf_pod() -> Result<Network> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("deaf")).pod(Pod::routed("pod")).build()?;
    network.serve(&["server"])?;
    network.filter_packet_too_big("deaf", "input")?;
    Ok(network)
}

fn push(network: &Network) -> Result<()> {
    let server = network.address("server", Family::V4)?;
    let stalled = Exchange::push(1_000_000).limit(STALL).run(network.namespace("deaf")?, server)?;
    assert!(stalled.stalled(), "{stalled:?}");
    Ok(())
}

/// `promtool check metrics` accepts a page, without lint.
fn promtool_accepts(page: &str) -> Result<()> {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool (Debian: prometheus), which `cargo xtask setup` installs")?;
    let mut input = child.stdin.take().context("its input")?;
    std::io::Write::write_all(&mut input, page.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    Ok(())
}

#[test]
fn metrics_findings_and_health_tell_of_a_black_hole() -> Result<()> {
    let network = deaf_pod()?;
    let service = Service::start(network.node(), &[])?;
    let (pod, server) = (network.namespace("pod")?, network.address("server", Family::V4)?);
    assert!(Datagrams::of(1300, Df::Do).count(20).reply(100, Df::Do).run(pod, server)?.all());
    push(&network)?;
    let deaf = format!("pod=\"{}\"", network.lab().full_name("deaf"));
    let page = service.wait_for("a critical finding", |page| {
        let critical = ["severity=\"critical\"", "certainty=\"confirmed\"", deaf.as_str()];
        page.sum("mtuprobe_findings", &critical) == Some(1.0)
            && page.sum("mtuprobe_causes_losing", &["severity=\"critical\""]) == Some(1.0)
    })?;
    let quiet = format!("pod=\"{}\"", network.lab().full_name("pod"));
    let sizes = |le: &str| {
        let labels = [quiet.as_str(), "direction=\"from_pod\"", le];
        page.sum("mtuprobe_packet_size_bytes_bucket", &labels).unwrap_or(0.0)
    };
    assert_eq!(sizes("le=\"1400\"") - sizes("le=\"1280\""), 20.0, "{}", page.0);
    let dropped = ["stage=\"dropped\"", "verdict=\"plausible\"", deaf.as_str()];
    assert!(page.sum("mtuprobe_packet_too_big_total", &dropped) >= Some(1.0), "{}", page.0);
    let lost = [deaf.as_str(), "where=\"node\"", "direction=\"from_pod\""];
    assert!(page.sum("mtuprobe_size_drops_total", &lost) >= Some(1.0), "{}", page.0);
    let oversize = [deaf.as_str(), "protocol=\"tcp\"", "df=\"true\""];
    assert!(page.sum("mtuprobe_oversize_packets_total", &oversize) >= Some(1.0), "{}", page.0);
    let uplink = ["interface=\"eth0\"", "role=\"uplink\""];
    assert_eq!(page.sum("mtuprobe_interface_mtu_bytes", &uplink), Some(1400.0), "{}", page.0);
    promtool_accepts(&page.0)?;

    let open = service::get(network.node(), ADDRESS, "/metrics", &["Accept: application/openmetrics-text"])?;
    assert!(open.headers.contains("application/openmetrics-text; version=1.0.0"), "{}", open.headers);
    assert!(open.body.ends_with("# EOF\n") && open.body.contains("le=\"1500.0\""), "{}", open.body);

    let findings = service.findings()?;
    let black_hole = findings.iter().find(|finding| finding["reason"] == "icmp_filtered");
    let black_hole = black_hole.with_context(|| format!("{findings:?}"))?;
    assert_eq!((&black_hole["type"], &black_hole["state"]), (&"finding".into(), &"open".into()));
    assert_eq!(black_hole["flows"][0]["dst"], server.to_string());
    assert_eq!(service.get("/healthz")?.status, 200);
    gave_up_rights(service.pid())?;
    let report = service.stop()?;
    assert_eq!(report.exit_status(), Some(0), "{}", report.evidence());
    assert_eq!(report.stdout(), [""; 0], "standard output is for results");
    for part in ["pmtu_black_hole", "icmp_filtered", "attached", "WARN"] {
        assert!(report.stderr().contains(part), "no {part}: {}", report.stderr());
    }
    Ok(())
}

/// Of its threads, the one that talks to others has no capability left, and none may get new ones.
fn gave_up_rights(pid: u32) -> Result<()> {
    let mut names = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = std::fs::read_to_string(task?.path().join("status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned()).with_context(|| format!("no {name} in {status}"))
        };
        let held = u64::from_str_radix(&field("CapPrm:")?, 16)?;
        // CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH, CAP_PERFMON, CAP_BPF
        let allowed = [12, 19, 21, 2, 38, 39].iter().fold(0, |set, bit| set | 1_u64 << bit);
        assert_eq!(held & !allowed, 0, "{status}");
        assert_eq!(field("NoNewPrivs:")?, "1", "{status}");
        let name = field("Name:")?;
        assert!(name != "network" || held == 0, "{status}");
        names.push(name);
    }
    assert!(names.iter().any(|name| name == "network"), "{names:?}");
    Ok(())
}

#[test]
fn a_real_prometheus_fires_the_shipped_alerts() -> Result<()> {
    let network = deaf_pod()?;
    let service = Service::start(network.node(), &["--log-level", "warn"])?;
    let scratch = Scratch::new("prometheus")?;
    let rules = include_str!("../../deploy/helm/mtuprobe/files/alerts.yaml");
    // The same rules, without the patience of a person on call.
    let eager: String = rules
        .lines()
        .map(|line| if line.trim_start().starts_with("for: ") { "        for: 1s" } else { line })
        .flat_map(|line| [line, "\n"])
        .collect();
    scratch.write("alerts.yaml", &eager)?;
    let config = scratch.write(
        "prometheus.yaml",
        "global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [alerts.yaml]\nscrape_configs:\n  - job_name: mtuprobe\n    honor_labels: true\n    static_configs: [{ targets: ['127.0.0.1:14600'] }]\n",
    )?;
    let mut prometheus = network
        .node()
        .command("prometheus")
        .args([format!("--config.file={config}"), "--web.listen-address=127.0.0.1:14601".to_owned()])
        .arg(format!("--storage.tsdb.path={}", scratch.path().join("data").display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("prometheus, which `cargo xtask setup` installs")?;
    let outcome = alerts_fire(&network);
    // It is ours, and no clean end is needed: its data goes with the directory.
    prometheus.kill().and_then(|()| prometheus.wait())?;
    drop(service);
    outcome
}

fn alerts_fire(network: &Network) -> Result<()> {
    let ask = |path: &str| -> Option<serde_json::Value> {
        let answer = service::get(network.node(), "127.0.0.1:14601", path, &[]).ok()?;
        serde_json::from_str(&answer.body).ok()
    };
    service::wait("a healthy target", || {
        let targets = ask("/api/v1/targets")?;
        (targets["data"]["activeTargets"][0]["health"] == "up").then_some(())
    })?;
    push(network)?;
    let firing = || -> Option<Vec<String>> {
        let alerts = ask("/api/v1/alerts")?;
        let alerts = alerts["data"]["alerts"].as_array()?.clone();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        Some(firing.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect())
    };
    let fired = service::wait("both alerts", || {
        let fired = firing()?;
        let both = ["MtuBlackHole", "MtuErrorsDropped"].map(|name| fired.iter().any(|alert| alert == name));
        both.iter().all(|fires| *fires).then_some(fired)
    })?;
    let others = fired.iter().filter(|name| !matches!(name.as_str(), "MtuBlackHole" | "MtuErrorsDropped"));
    assert_eq!(others.count(), 0, "{fired:?}");
    Ok(())
}

#[test]
fn counters_go_on_when_a_pod_goes_and_comes_again() -> Result<()> {
    let mut network = Plan::new().pod(Pod::routed("pod")).pod(Pod::routed("other")).build()?;
    network.serve(&["server"])?;
    let name = network.lab().full_name("pod");
    let server = network.address("server", Family::V4)?;
    let sent = |page: &Metrics| {
        let labels = [&*format!("pod=\"{name}\""), "direction=\"from_pod\"", "le=\"1450\""];
        let below = [labels[0], labels[1], "le=\"1440\""];
        page.sum("mtuprobe_packet_size_bytes_bucket", &labels).unwrap_or(0.0)
            - page.sum("mtuprobe_packet_size_bytes_bucket", &below).unwrap_or(0.0)
    };
    // The network is changed while the service runs in its node: the service borrows a handle of its own.
    let node = mtuprobe_tests::topology::Namespace::open(network.node().name().to_owned())?;
    let service = Service::start(&node, &["--max-pods", "3"])?;
    assert!(Datagrams::of(1450, Df::Do).count(7).run(network.namespace("pod")?, server)?.all());
    service.wait_for("seven packets", |page| sent(page) == 7.0)?;
    assert!(Datagrams::of(1450, Df::Do).count(4).run(network.namespace("pod")?, server)?.all());
    network.remove_pod("pod")?;
    // What was sent just before the end is counted, and stays.
    service.wait_for("the pod is gone", |page| {
        let attached = page.sum("mtuprobe_attached_interfaces", &["role=\"pod\""]);
        assert!(sent(page) >= 7.0, "{}", page.0);
        attached == Some(1.0) && sent(page) == 11.0
    })?;
    network.add_pod(&Pod::routed("pod"))?;
    service.wait_for("it is back", |page| {
        page.sum("mtuprobe_attached_interfaces", &["role=\"pod\""]) == Some(2.0)
    })?;
    assert!(Datagrams::of(1450, Df::Do).count(5).run(network.namespace("pod")?, server)?.all());
    service.wait_for("all sixteen", |page| sent(page) == 16.0)?;
    // A fourth one finds no place.
    network.add_pod(&Pod::routed("third"))?;
    network.add_pod(&Pod::routed("fourth"))?;
    service.wait_for("the overflow", |page| {
        page.sum("mtuprobe_packet_size_bytes_count", &["pod=\"overflow\""]).is_some()
    })?;
    assert_eq!(service.stop()?.exit_status(), Some(0));
    Ok(())
}

#[test]
fn a_service_manager_is_told_and_a_reload_is_taken_in() -> Result<()> {
    let network = Plan::new().pod(Pod::routed("pod")).build()?;
    let scratch = Scratch::new("serve")?;
    let config = scratch.write("mtuprobe.toml", "log_form = \"json\"\nhistogram_pods = \"all\"\n")?;
    let socket = scratch.path().join("notify");
    let manager = UnixDatagram::bind(&socket)?;
    manager.set_read_timeout(Some(mtuprobe_tests::probe::PATIENCE))?;
    let hear = |wanted: &str| -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let length = manager.recv(&mut buffer).with_context(|| format!("waiting for {wanted}"))?;
            if String::from_utf8_lossy(&buffer[..length]).contains(wanted) {
                return Ok(());
            }
        }
    };
    let notify = format!("NOTIFY_SOCKET={}", socket.display());
    let run = Run::command(network.node(), &["serve", "--config", &config]).under(&[
        "env",
        &notify,
        "WATCHDOG_USEC=1000000",
    ]);
    let mut service = Service::start_run(network.node(), &run)?;
    hear("READY=1")?;
    hear("WATCHDOG=1")?;
    hear("STATUS=")?;
    let shown = |page: &Metrics| page.sum("mtuprobe_packet_size_bytes_count", &[]).is_some();
    service.wait_for("histograms", shown)?;
    scratch
        .write("mtuprobe.toml", "log_form = \"json\"\nhistogram_pods = \"none\"\nlisten = \"[::1]:1\"\n")?;
    service.probe().send(Signal::HangUp)?;
    hear("RELOADING=1")?;
    service.wait_for("no histograms any more", |page| !shown(page))?;
    // What is wrong changes nothing.
    scratch.write("mtuprobe.toml", "log_level = \"info\"\nhistogram_pods = \"all\"\nmax_pods = \"x\"\n")?;
    service.probe().send(Signal::HangUp)?;
    hear("RELOADING=1")?;
    hear("READY=1")?;
    assert!(!shown(&service.metrics()?));
    service.probe().send(Signal::Terminate)?;
    hear("STOPPING=1")?;
    let report = service.stop()?;
    assert_eq!(report.exit_status(), Some(0), "{}", report.evidence());
    for line in report.stderr().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        assert!(entry["level"].is_string() && entry["message"].is_string(), "{line}");
    }
    for part in ["mtuprobe.toml:3: max_pods: ", "taken in by a restart only", "listen"] {
        assert!(report.stderr().contains(part), "no {part}: {}", report.stderr());
    }
    Ok(())
}

#[test]
fn what_is_configured_wrongly_is_refused() -> Result<()> {
    let network = Plan::new().build()?;
    let scratch = Scratch::new("refused")?;
    let config = scratch.write("bad.toml", "\nlog_level = \"loud\"\n")?;
    let serve = |arguments: &[&str]| Run::command(network.node(), &["serve"]).with(arguments).to_end();
    serve(&["--config", &config])?.expect_refusal("bad.toml:2: log_level: \"loud\" is none of error")?;
    serve(&["--config", "/nosuch.toml"])?.expect_refusal("/nosuch.toml")?;
    serve(&["--findings-token-file", "/nosuch"])?.expect_refusal("/nosuch")?;
    serve(&["--listen", "192.0.2.250:1"])?.expect_refusal("192.0.2.250:1")?;
    // Beyond loopback findings need the token.
    let token = scratch.write("token", "secret\n")?;
    let everywhere = ["--listen", "0.0.0.0:14600", "--findings-token-file", &token];
    let service = Service::start(network.node(), &everywhere)?;
    let address = network.node().output("ip", &["-4", "-o", "addr", "show", "eth0"])?;
    let own = address.split_whitespace().nth(3).and_then(|own| own.split('/').next());
    let own = format!("{}:14600", own.context("no address of eth0")?);
    let status = |headers: &[&str]| {
        service::get(network.node(), &own, "/findings", headers).map(|answer| answer.status)
    };
    assert_eq!(status(&[])?, 403);
    assert_eq!(status(&["Authorization: Bearer wrong"])?, 403);
    assert_eq!(status(&["Authorization: Bearer secret"])?, 200);
    assert_eq!(service::get(network.node(), &own, "/metrics", &[])?.status, 200);
    assert_eq!(service.stop()?.exit_status(), Some(0));
    Ok(())
}
