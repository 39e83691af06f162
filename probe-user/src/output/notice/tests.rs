use super::*;
use crate::output::sample;
use crate::service::post::Book;
use probe_core::model::SECOND;
use serde_json::Value;

fn notice(pods: u32) -> Notice {
    let findings: Vec<_> = (0..pods)
        .map(|number| {
            let mut finding = sample::finding();
            finding.id = format!("f{number}");
            if let Some(pod) = &mut finding.pod {
                pod.uid = Some(format!("uid-{number}"));
                pod.name = Some(format!("cart-{number}"));
            }
            finding
        })
        .collect();
    let mut book = Book::new(Severity::Warning);
    book.look(SECOND, &findings);
    book.look(10 * SECOND, &findings).pop().expect("a notice")
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

#[test]
fn an_event_about_the_only_pod() {
    let (path, body) = event(&notice(1), "worker-3", sample::clock()).expect("an event");
    let event = parsed(&body);
    assert_eq!(path, "/api/v1/namespaces/shop/events");
    let object = &event["involvedObject"];
    assert_eq!(
        [&object["kind"], &object["name"], &object["namespace"], &object["uid"]],
        ["Pod", "cart-0", "shop", "uid-0"]
    );
    assert_eq!([&event["reason"], &event["type"]], ["PmtuBlackHole", "Warning"]);
    assert_eq!(event["metadata"]["namespace"], "shop");
    assert!(
        event["message"].as_str().is_some_and(|text| text.starts_with("critical confirmed: ")),
        "{event}"
    );
    assert!(event["lastTimestamp"].as_str().is_some_and(|time| time.len() == 20), "{event}");
}

#[test]
fn an_event_about_the_node_where_many_suffer() {
    let (path, body) = event(&notice(7), "worker-3", sample::clock()).expect("an event");
    let event = parsed(&body);
    assert_eq!(path, "/api/v1/namespaces/default/events");
    assert_eq!([&event["involvedObject"]["kind"], &event["involvedObject"]["name"]], ["Node", "worker-3"]);
    let message = event["message"].as_str().expect("a message");
    assert!(message.contains("cart-4 and 2 more"), "{message}");
}

#[test]
fn a_message_for_a_webhook() {
    let body = webhook_message(&notice(2), "worker-3", sample::clock()).expect("a message");
    let message = parsed(&body);
    assert_eq!([&message["type"], &message["state"], &message["node"]], ["cause", "open", "worker-3"]);
    assert_eq!(message["cause"]["pods_affected"], 2);
    assert_eq!(message["pods"][1]["name"], "cart-1");
    assert_eq!(message["findings"][0]["kind"], "pmtu_black_hole");
    assert!(message["text"].as_str().is_some_and(|text| text.starts_with("mtuprobe on worker-3: critical")));
}
