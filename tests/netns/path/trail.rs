//! What a search leaves in the kernel, nothing or what it tells of, and what it tells when it is ended.
use super::{FAR, expect, far, learned};
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::probe::{Run, Signal};
use mtuprobe_tests::runtime::wait_until;
use mtuprobe_tests::topology::Family;
use serde_json::{Value, json};

#[test]
fn echo_leaves_no_trace_and_where_it_must_it_is_told() -> Result<()> {
    let network = far()?;
    let pod = network.namespace("pod")?;
    let echo = |family| -> Result<Value> {
        let address = network.address("far", family)?.to_string();
        expect(&network, &[&address, "--protocol", "icmp"], FAR, Some("works"), false)
    };
    let before = learned(pod)?;
    for family in Family::ALL {
        let line = echo(family)?;
        assert_eq!((learned(pod)?, &line["caused"]), (before.clone(), &json!([])));
        assert_eq!(line["unanswered"], json!([]), "{line}");
    }
    // Where options are dropped, or only long ones, echo requests go without: the kernel takes an error about those whoever
    // sent them (`icmpv6_err`).
    let filter = "table inet old { chain forward { type filter hook forward priority 0; policy accept;
            dst hdrlength > 100 counter drop
        }
}";
    network.namespace("router")?.nft(filter)?;
    let line = echo(Family::V6)?;
    assert_eq!(line["unanswered"][0], "icmp behind destination options: only small packets are answered");
    assert_eq!((&line["caused"][0]["mtu"], &line["learned"]), (&FAR.into(), &json!([])), "{line}");
    let after = learned(pod)?;
    ensure!(after.contains(&format!("mtu {FAR}")), "{after}");
    // It is reported, never flushed, and no limit for the next search.
    let line = echo(Family::V6)?;
    assert_eq!((&line["caused"], &line["learned"][0]["mtu"]), (&json!([]), &FAR.into()), "{line}");
    Ok(())
}

#[test]
fn a_search_that_is_interrupted_tells_what_is_known() -> Result<()> {
    let network = far()?;
    let address = network.address("far", Family::V4)?.to_string();
    let pod = network.lab().full_name("pod");
    for output in ["json", "text"] {
        // The first probe is answered and nothing after it: the search is not over soon.
        let namespace = network.namespace("far")?;
        namespace.nft(
            "table inet dead {}
delete table inet dead
table inet dead { chain input { type filter hook input priority 0; policy accept;
            icmp type echo-request counter numgen inc mod 100000 >= 1 drop
        }
}",
        )?;
        let arguments = ["path", "--output", output, "--protocol", "icmp", "--pod", &pod, &address];
        let mut probe = Run::command(network.node(), &arguments).spawn()?;
        wait_until("the second probe", || {
            let rules = namespace.output("nft", &["list", "table", "inet", "dead"])?;
            Ok((!rules.contains("packets 0 ") && !rules.contains("packets 1 ")).then_some(()))
        })?;
        probe.send(Signal::Interrupt)?;
        let report = probe.wait()?;
        ensure!(report.exit_status() == Some(130), "{}", report.evidence());
        if output == "json" {
            let line = report.lines_of("path").next().with_context(|| report.evidence())?;
            let interrupted = (&line["mtu"], &line["exact"], &line["interrupted"], &line["black_hole"]);
            assert_eq!(interrupted, (&128.into(), &false.into(), &true.into(), &false.into()), "{line}");
        } else {
            let text = report.stdout().join("\n");
            ensure!(text.contains("at least 128 passes; the search was interrupted"), "{text}");
        }
    }
    Ok(())
}
