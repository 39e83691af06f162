use super::*;
use crate::output::sample;
use probe_core::model::finding::Direction;
use probe_core::model::size_histogram::SizeBucket;
use serde_json::Value;

const EDGES: [Option<u32>; 5] = [Some(64), Some(1280), Some(1450), Some(1500), None];

fn histogram(name: &str, direction: Direction, packets: [u64; 5]) -> SizeHistogram {
    let pod = probe_core::model::pod::Pod { name: Some(name.to_owned()), ..sample::pod() };
    SizeHistogram {
        pod,
        interface: format!("veth-{name}"),
        direction,
        buckets: EDGES
            .into_iter()
            .zip(packets)
            .map(|(upper, packets)| SizeBucket { upper, packets })
            .collect(),
        packets: packets.iter().sum(),
        bytes: 1_234_567,
        largest: 1500,
        above_pod_mtu: packets[4],
    }
}

fn shown(form: OutputForm, compare: bool, histograms: Vec<SizeHistogram>) -> String {
    let sheet = Sheet { time: 5_000_000_000, observed: 5_000_000_000, histograms };
    let mut out = Vec::new();
    Picture::new(form, compare, false).write(&mut out, &sheet, WallClock::of_boot(0)).expect("a vector");
    String::from_utf8(out).expect("text")
}

#[test]
fn bars_with_shares_and_the_own_mtu() {
    let text =
        shown(OutputForm::Text, false, vec![histogram("cart", Direction::FromPod, [0, 50, 25, 25, 0])]);
    let expected = "\
mtuprobe histogram  00:00:05 UTC  5 s  sizes in bytes at layer 3
shop/cart sends  veth-cart  MTU 1500  100 packets  1.2 MB  largest 1500
    1280           50  50.0%  50.0%  ████████████████████████████
    1450           25  25.0%  75.0%  ██████████████
    1500           25  25.0% 100.0%  ██████████████  < MTU
";
    assert_eq!(text, expected);
}

#[test]
fn what_is_above_the_own_mtu_is_told() {
    let text = shown(OutputForm::Text, false, vec![histogram("cart", Direction::ToPod, [1, 0, 0, 0, 3])]);
    assert!(text.contains("largest 1500  3 above the MTU"), "{text}");
    assert!(text.contains("  larger            3  75.0% 100.0%"), "{text}");
}

#[test]
fn two_pods_side_by_side_fit_in_80_columns() {
    let histograms = vec![
        histogram("cart", Direction::FromPod, [1, 0, 0, 9, 0]),
        histogram("cart", Direction::ToPod, [0; 5]),
        histogram("web", Direction::FromPod, [0, 0, 4, 0, 0]),
        histogram("web", Direction::ToPod, [0; 5]),
    ];
    let text = shown(OutputForm::Text, true, histograms.clone());
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("    1500            9  90.0% █████████ <MTU            0   0.0%"), "{text}");
    let one = shown(OutputForm::Text, true, histograms[..2].to_vec());
    assert!(one.contains("compare: name two pods"), "{one}");
}

#[test]
fn a_line_per_pod_and_direction() {
    let text = shown(OutputForm::Json, false, vec![histogram("cart", Direction::FromPod, [1, 2, 3, 4, 5])]);
    let line: Value = serde_json::from_str(&text).expect("one line");
    assert!(text.starts_with("{\"type\":\"histogram\""), "{text}");
    assert_eq!(line["pod"]["name"], "cart");
    assert_eq!((line["direction"].as_str(), line["packets"].as_u64()), (Some("from_pod"), Some(15)));
    assert_eq!(line["buckets"][1], serde_json::json!({"le": 1280, "packets": 2}));
    assert_eq!(line["buckets"][4], serde_json::json!({"le": null, "packets": 5}));
}

#[test]
fn nothing_is_said_to_be_nothing() {
    assert!(shown(OutputForm::Text, false, Vec::new()).contains("no pod is observed"));
}
