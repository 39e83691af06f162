use super::*;

/// As nft 1.0.6 lists it.
const LISTING: &str = include_str!("listing.json");

fn found() -> Filters {
    filters(&serde_json::from_str(LISTING).expect("JSON"))
}

#[test]
fn clamps_are_found_with_their_interfaces() {
    let found = found();
    let clamps: Vec<_> = found
        .clamps
        .iter()
        .map(|clamp| (clamp.size, clamp.place.oif.as_deref(), clamp.place.families.len(), clamp.place.hook))
        .collect();
    let hook = FilterHook::Forward;
    assert_eq!(clamps, [(ClampSize::Route, None, 2, hook), (ClampSize::Fixed(1360), Some("ppp0"), 2, hook)]);
    assert!(found.clamps.iter().all(|clamp| !clamp.place.narrowed), "{found:?}");
    assert!(found.clamp_both_ways(Family::Ipv6, "eth0", 1400));
}

#[test]
fn a_clamp_of_one_way_is_none_of_both() {
    let mut found = found();
    found.clamps.remove(0);
    assert!(!found.clamp_both_ways(Family::Ipv4, "ppp0", 1400));
}

#[test]
fn rules_that_drop_errors_about_size_are_told_from_others() {
    let found = found();
    let drops: Vec<_> = found
        .error_drops
        .iter()
        .map(|drop| {
            let place = &drop.place;
            (place.chain.as_str(), place.hook.name(), place.families.clone(), place.narrowed)
        })
        .collect();
    // What is dropped at the input comes after what accepts related packets.
    assert_eq!(
        drops,
        [
            ("inet t errs", "forward", vec![Family::Ipv4], false),
            ("inet t errs", "forward", vec![Family::Ipv6], false),
        ]
    );
}

#[test]
fn without_an_earlier_rule_the_later_ones_count() {
    let mut listing: Value = serde_json::from_str(LISTING).expect("JSON");
    let objects = listing["nftables"].as_array_mut().expect("a list");
    objects.retain(|object| object["rule"]["handle"] != 12 && object["rule"]["handle"] != 7);
    let drops = filters(&listing).error_drops;
    let found: Vec<_> = drops.iter().map(|drop| (drop.place.handle, drop.place.narrowed)).collect();
    // What rule 13 drops of IPv4, the policy drops of IPv6.
    assert_eq!(found, [(Some(11), true), (Some(9), false), (Some(13), false), (None, false)], "{drops:?}");
}

#[test]
fn nothing_is_made_of_nothing() {
    assert_eq!(filters(&Value::Null), Filters::default());
}

/// A chain at `input` that drops by policy, with one rule.
fn default_deny(expressions: Value) -> Filters {
    filters(&serde_json::json!({"nftables": [
        {"chain": {"family": "inet", "table": "t", "name": "c", "handle": 1, "type": "filter", "hook": "input", "prio": 0,
                   "policy": "drop"}},
        {"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 2, "expr": expressions}},
    ]}))
}

#[test]
fn a_policy_drops_what_no_rule_accepts() {
    let state = |states: &[&str]| {
        serde_json::json!([
            {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": states}},
            {"accept": null},
        ])
    };
    assert_eq!(default_deny(state(&["established", "related"])).error_drops, []);
    let deaf = default_deny(state(&["established"]));
    let drops: Vec<_> =
        deaf.error_drops.iter().map(|drop| (drop.by_default, drop.place.families.len())).collect();
    assert_eq!(drops, [(true, 2)]);
    // What accepts some packets, or does what is not told, may accept these.
    for perhaps in [
        serde_json::json!([{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.0.0.1"}},
                           {"accept": null}]),
        serde_json::json!([{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": []}}}]),
    ] {
        let found = default_deny(perhaps);
        assert!(
            found.error_drops.iter().all(|drop| !drop.place.families.contains(&Family::Ipv4)),
            "{found:?}"
        );
    }
}
