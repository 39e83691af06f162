//! With fewer rights, down to none: what cannot be seen is named.
use super::{check, reach, unseen};
use anyhow::{Result, ensure};
use mtuprobe_tests::probe::{Report, Run};
use mtuprobe_tests::topology::{Network, Overlay, Plan, Pod};

fn network() -> Result<Network> {
    Plan::new()
        .pod(Pod::bridged("bridged").mtu(1450))
        .pod(Pod::routed("routed").mtu(1450))
        .pod(Pod::bridged("remote").mtu(1450).on_second_node())
        .overlay(Overlay::vxlan(1450))
        .build()
}

fn check_under(network: &Network, options: &[&str]) -> Result<Report> {
    let wrapper = [&["setpriv"], options].concat();
    Run::command(network.node(), &["check", "--output", "json"]).under(&wrapper).to_end()
}

#[test]
fn root_sees_all() -> Result<()> {
    let network = network()?;
    assert_eq!(unseen(&check(&network)?), Vec::<String>::new());
    Ok(())
}

#[test]
fn without_the_right_to_enter_pods_their_ends_are_still_seen() -> Result<()> {
    let network = network()?;
    let report = check_under(&network, &["--bounding-set=-all,+net_admin", "--inh-caps=-all"])?;
    ensure!(report.exit_status() == Some(0), "{}", report.evidence());
    assert_eq!(unseen(&report), ["pods_inside"]);
    let remote = reach(&network, &report, "routed", "other_node", "ipv4")?;
    assert_eq!((&remote["mtu"], &remote["pod_mtu"]), (&1450.into(), &1450.into()));
    Ok(())
}

#[test]
fn without_any_capability() -> Result<()> {
    let network = network()?;
    for options in [
        &["--bounding-set=-all", "--inh-caps=-all"][..],
        &["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"],
    ] {
        let report = check_under(&network, options)?;
        ensure!(report.exit_status() == Some(0), "{options:?}\n{}", report.evidence());
        let unseen = unseen(&report);
        for what in ["pod_links", "pods_inside", "filters"] {
            ensure!(unseen.iter().any(|found| found == what), "{what} in {unseen:?}");
        }
        ensure!(report.lines_of("reach").next().is_some(), "{}", report.evidence());
    }
    Ok(())
}
