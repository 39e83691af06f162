//! Recorded lists and watches over real connections: bookmarks, versions that are too old, tokens that are, and cuts.
mod stub;

use super::*;
use probe_core::identity::Record;
use std::time::SystemTime;
use stub::{Reply, Stub, Then, wait_until};

const PODS: &str = include_str!("tests/pods.json");
const SERVICES: &str = include_str!("tests/services.json");
const WATCH: &str = include_str!("tests/watch.jsonl");
const EXPIRED: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1000 (1300)","reason":"Expired","code":410}}
"#;
const NO_PODS: &str = r#"{"kind":"PodList","metadata":{"resourceVersion":"1300"},"items":[]}"#;
const DNS: &str = r#"{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"coredns-5d78","namespace":"kube-system","uid":"d","labels":{"k8s-app":"kube-dns"}},"spec":{},"status":{"phase":"Running","podIP":"10.244.2.5"}}]}"#;

fn start(stub: &Stub, name: &str, token: &str) -> (Cluster, stub::Config) {
    let config = stub.kubeconfig(name, token);
    (Cluster::start(&Access::Kubeconfig(config.path()), "worker-3"), config)
}

fn records(cluster: &Cluster) -> Result<Vec<Record>, Unavailable> {
    cluster.records(Moment { now: 0, wall: SystemTime::now() })
}

fn names(cluster: &Cluster) -> Vec<String> {
    let records = records(cluster).unwrap_or_default();
    records.into_iter().filter_map(|record| record.names.name).collect()
}

fn is_watch(path: &str) -> bool {
    path.contains("watch=1")
}

/// What everybody answers about services.
fn of_services(path: &str) -> Option<Reply> {
    path.starts_with("/api/v1/services")
        .then(|| if is_watch(path) { Reply::watch("", Then::Stay) } else { Reply::ok(SERVICES) })
}

#[test]
fn a_watch_that_is_cut_goes_on_from_its_bookmark() {
    let stub = Stub::start(|asked, before| {
        let path = &asked.path;
        if let Some(reply) = of_services(path) {
            return reply;
        }
        let watched = before.iter().any(|asked| asked.path.contains("/pods?") && is_watch(&asked.path));
        match (is_watch(path), watched) {
            (false, _) => Reply::ok(PODS),
            (true, false) => Reply::watch(WATCH, Then::Cut),
            (true, true) => Reply::watch("", Then::Stay),
        }
    });
    let (cluster, _config) = start(&stub, "cut", "t");
    wait_until("the second watch", || {
        stub.asked()
            .iter()
            .any(|asked| asked.path.contains("/pods?") && asked.path.contains("resourceVersion=1200"))
    });
    assert_eq!(names(&cluster), ["cart-7d9f8b6c5-x2x4z", "till-0"], "the host's network is nobody's");
    let found = records(&cluster).expect("an answer");
    let owners: Vec<String> = found
        .iter()
        .filter_map(|record| record.names.owner.as_ref())
        .map(|owner| format!("{}/{}", owner.kind, owner.name))
        .collect();
    assert_eq!(owners, ["Deployment/cart", "StatefulSet/till"]);
    let asked = stub.asked();
    let lists = asked.iter().filter(|asked| asked.path.contains("/pods?") && !is_watch(&asked.path));
    assert_eq!(lists.count(), 1, "{asked:#?}");
    assert!(asked.iter().all(|asked| asked.token.as_deref() == Some("t")));
    assert!(
        asked
            .iter()
            .filter(|asked| asked.path.contains("/pods?"))
            .all(|asked| { asked.path.contains("fieldSelector=spec.nodeName=worker-3") })
    );
}

#[test]
fn a_version_that_is_too_old_is_listed_again() {
    for in_stream in [true, false] {
        let stub = Stub::start(move |asked, before| {
            let path = &asked.path;
            if let Some(reply) = of_services(path) {
                return reply;
            }
            let watched = before.iter().any(|asked| asked.path.contains("/pods?") && is_watch(&asked.path));
            match (is_watch(path), watched, in_stream) {
                (false, false, _) => Reply::ok(PODS),
                (false, true, _) => Reply::ok(NO_PODS),
                (true, false, true) => Reply::watch(EXPIRED, Then::Stay),
                (true, false, false) => Reply::status(410, EXPIRED),
                (true, true, _) => Reply::watch("", Then::Stay),
            }
        });
        let (cluster, _config) = start(&stub, if in_stream { "gone-stream" } else { "gone-status" }, "t");
        wait_until("the new version", || {
            stub.asked()
                .iter()
                .any(|asked| is_watch(&asked.path) && asked.path.contains("resourceVersion=1300"))
        });
        assert_eq!(names(&cluster), [] as [&str; 0], "what is gone is forgotten");
    }
}

#[test]
fn a_token_that_is_renewed_is_read_again() {
    let stub = Stub::start(|asked, _| {
        if asked.token.as_deref() != Some("new") {
            return Reply::status(
                401,
                r#"{"kind":"Status","status":"Failure","message":"Unauthorized","code":401}"#,
            );
        }
        of_services(&asked.path).unwrap_or_else(|| {
            if is_watch(&asked.path) { Reply::watch("", Then::Stay) } else { Reply::ok(PODS) }
        })
    });
    let (cluster, config) = start(&stub, "token", "old");
    wait_until(
        "a refusal",
        || matches!(records(&cluster), Err(Unavailable::Silent(why)) if why.contains("401")),
    );
    config.renew("new");
    wait_until("names", || names(&cluster) == ["cart-7d9f8b6c5-x2x4z"]);
}

#[test]
fn a_server_that_goes_away_keeps_its_names_and_is_used_again() {
    let stub = Stub::start(|asked, before| {
        let path = &asked.path;
        if let Some(reply) = of_services(path) {
            return reply;
        }
        let lists = before.iter().filter(|asked| asked.path.contains("/pods?")).count();
        match (is_watch(path), lists) {
            (false, _) => Reply::ok(PODS),
            (true, 1) => Reply::watch("", Then::End),
            (true, 2..5) => Reply::status(503, "going down"),
            (true, _) => Reply::watch(WATCH, Then::Stay),
        }
    });
    let (cluster, _config) = start(&stub, "away", "t");
    wait_until(
        "a failure",
        || matches!(records(&cluster), Err(Unavailable::Silent(why)) if why.contains("503")),
    );
    wait_until("the pod that came meanwhile", || names(&cluster).contains(&"till-0".to_owned()));
}

#[test]
fn both_ends_have_names() {
    let stub = Stub::start(|asked, _| {
        if asked.path.contains("status.podIP=10.244.2.5") {
            return Reply::ok(DNS);
        }
        if asked.path.contains("status.podIP") {
            return Reply::ok(NO_PODS);
        }
        of_services(&asked.path).unwrap_or_else(|| {
            if is_watch(&asked.path) { Reply::watch("", Then::Stay) } else { Reply::ok(PODS) }
        })
    });
    let (cluster, _config) = start(&stub, "ends", "t");
    let told =
        |address: &str| cluster.party(address.parse().expect("an address")).map(|party| party.to_string());
    wait_until("the service", || told("10.96.0.10").as_deref() == Some("service kube-system/kube-dns"));
    wait_until("the remote pod", || {
        told("10.244.2.5").as_deref() == Some("kube-system/coredns-5d78 (service kube-dns)")
    });
    wait_until("this node's pod", || {
        told("fd00:10:244:1::7").as_deref() == Some("shop/cart-7d9f8b6c5-x2x4z")
    });
    assert_eq!(told("203.0.113.9"), None);
    wait_until("a look-up in vain", || {
        stub.asked().iter().any(|asked| asked.path.contains("status.podIP=203.0.113.9"))
    });
    // Nobody is asked twice.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(told("203.0.113.9"), None);
    let asked = stub.asked();
    assert_eq!(asked.iter().filter(|asked| asked.path.contains("203.0.113.9")).count(), 1);
}

#[test]
fn without_a_way_to_it_there_is_a_reason() {
    let missing = Cluster::start(&Access::Kubeconfig("/nonexistent/config".into()), "n");
    let why = records(&missing).expect_err("no file");
    assert!(matches!(&why, Unavailable::Silent(why) if why.contains("/nonexistent/config")), "{why:?}");
}
