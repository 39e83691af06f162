//! Notices about causes: the message of a webhook, and a Kubernetes Event (API reference, core/v1 Event).
use super::json_lines::wire::finding::FindingWire;
use super::wall_clock::WallClock;
use crate::service::post::{Notice, Turn};
use probe_core::model::finding::Severity;
use serde::Serialize;

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    state: &'static str,
    node: &'a str,
    time: String,
    /// One line; the key that chat services show.
    text: String,
    cause: CauseWire<'a>,
    pods: Vec<PodName<'a>>,
    findings: Vec<FindingWire<'a>>,
}

#[derive(Serialize)]
struct CauseWire<'a> {
    id: &'a str,
    title: &'a str,
    scope: &'static str,
    kind: &'static str,
    reason: Option<&'static str>,
    severity: &'static str,
    certainty: &'static str,
    pods_affected: usize,
    pods_total: u32,
    changed: Option<&'a str>,
    first_seen: String,
    last_seen: String,
}

#[derive(Serialize)]
struct PodName<'a> {
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

/// What a webhook gets.
///
/// # Errors
/// It cannot be written as JSON.
pub fn webhook_message(notice: &Notice, node: &str, clock: WallClock) -> serde_json::Result<Vec<u8>> {
    let cause = &notice.cause;
    let pods = cause.pods.values();
    serde_json::to_vec(&Message {
        r#type: "cause",
        state: notice.turn.name(),
        node,
        time: clock.rfc3339(notice.time),
        text: format!("mtuprobe on {node}: {}", cause.sentence(notice.turn)),
        cause: CauseWire {
            id: &cause.id,
            title: &cause.title,
            scope: cause.scope,
            kind: cause.kind.name(),
            reason: cause.reason.map(|reason| reason.name()),
            severity: cause.severity.name(),
            certainty: cause.certainty.name(),
            pods_affected: cause.pods.len(),
            pods_total: cause.pods_total,
            changed: cause.changed.as_deref(),
            first_seen: clock.rfc3339(cause.first_seen),
            last_seen: clock.rfc3339(cause.last_seen),
        },
        pods: pods
            .map(|pod| PodName { namespace: pod.namespace.as_deref(), name: pod.name.as_deref() })
            .collect(),
        findings: notice.findings.iter().map(|finding| FindingWire::new(finding, clock)).collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    involved_object: Object<'a>,
    reason: String,
    message: String,
    r#type: &'static str,
    source: Source<'a>,
    first_timestamp: String,
    last_timestamp: String,
    count: u32,
    reporting_component: &'static str,
    reporting_instance: &'a str,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: String,
    namespace: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    api_version: &'static str,
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
}

#[derive(Serialize)]
struct Source<'a> {
    component: &'static str,
    host: &'a str,
}

/// An Event about the one pod that suffers, else about the node; with the path that it is posted to.
///
/// # Errors
/// It cannot be written as JSON.
pub fn event(notice: &Notice, node: &str, clock: WallClock) -> serde_json::Result<(String, Vec<u8>)> {
    let cause = &notice.cause;
    let pod = cause.only_pod();
    let (object, namespace) = match pod.and_then(|pod| pod.name.as_deref().zip(pod.namespace.as_deref())) {
        Some((name, namespace)) => {
            let uid = pod.and_then(|pod| pod.uid.as_deref());
            (Object { api_version: "v1", kind: "Pod", name, namespace: Some(namespace), uid }, namespace)
        }
        // As the kubelet does: a node's uid is its name, and it lives in no namespace.
        None => (
            Object { api_version: "v1", kind: "Node", name: node, namespace: None, uid: Some(node) },
            "default",
        ),
    };
    let harmful = cause.severity >= Severity::Warning && notice.turn != Turn::Closed;
    let event = Event {
        api_version: "v1",
        kind: "Event",
        metadata: Metadata { name: format!("{}.{}{:x}", object.name, cause.id, notice.time), namespace },
        reason: camel_case(cause.kind.name()),
        message: cause.sentence(notice.turn),
        r#type: if harmful { "Warning" } else { "Normal" },
        source: Source { component: "mtuprobe", host: node },
        first_timestamp: seconds(clock.rfc3339(cause.first_seen)),
        last_timestamp: seconds(clock.rfc3339(notice.time)),
        count: 1,
        reporting_component: "mtuprobe",
        reporting_instance: node,
        involved_object: object,
    };
    Ok((format!("/api/v1/namespaces/{namespace}/events"), serde_json::to_vec(&event)?))
}

/// `metav1.Time` has no fractions of a second.
fn seconds(time: String) -> String {
    time.split_once('.').map_or(time.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// `pmtu_black_hole` as `PmtuBlackHole`.
fn camel_case(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}

#[cfg(test)]
#[path = "notice/tests.rs"]
mod tests;
