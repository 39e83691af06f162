//! What a search leaves in the kernel: nothing, or what it tells of.
use super::{FAR, expect, far, learned};
use anyhow::{Result, ensure};
use mtuprobe_tests::topology::Family;
use serde_json::{Value, json};

#[test]
fn errors_about_icmpv6_echo_leave_a_trace_that_is_told() -> Result<()> {
    let network = far()?;
    let pod = network.namespace("pod")?;
    let echo = |family| -> Result<Value> {
        let address = network.address("far", family)?.to_string();
        expect(&network, &[&address, "--protocol", "icmp"], FAR, Some("works"), false)
    };
    let before = learned(pod)?;
    let line = echo(Family::V4)?;
    assert_eq!((learned(pod)?, &line["caused"]), (before, &json!([])));
    // Here the kernel takes an error whoever sent the request (`icmpv6_err`).
    let line = echo(Family::V6)?;
    assert_eq!((&line["caused"][0]["mtu"], &line["learned"]), (&FAR.into(), &json!([])), "{line}");
    let after = learned(pod)?;
    ensure!(after.contains(&format!("mtu {FAR}")), "{after}");
    // It is reported, never flushed, and no limit for the next search.
    let line = echo(Family::V6)?;
    assert_eq!((&line["caused"], &line["learned"][0]["mtu"]), (&json!([]), &FAR.into()), "{line}");
    Ok(())
}
