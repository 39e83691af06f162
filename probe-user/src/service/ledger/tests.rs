use super::*;
use crate::datapath::interfaces::CountedWay;
use probe_core::model::SECOND;
use probe_core::model::finding::LimitAt;
use probe_core::model::interface::{DeviceCounters, Interface, Role};
use probe_core::model::pod::{Pod, PodSource};
use probe_core::model::size_histogram::SizeBucket;

fn interface(ifindex: u32, name: &str, role: Role) -> Interface {
    Interface::plain(ifindex, name, "veth", 1500, role)
}

fn pod(name: &str, host_ifindex: u32) -> Pod {
    Pod {
        namespace: Some("shop".to_owned()),
        name: Some(name.to_owned()),
        uid: None,
        container_id: None,
        netns: None,
        netns_inode: Some(host_ifindex),
        host_ifindex: Some(host_ifindex),
        host_interface: Some(format!("veth{host_ifindex}")),
        pod_interface: Some("eth0".to_owned()),
        pod_mtu: Some(1500),
        addresses: Vec::new(),
        source: PodSource::Cri,
        pid: None,
        ..Pod::default()
    }
}

/// An uplink with index 1, and pods.
fn topology(pods: &[(&str, u32)]) -> Topology {
    let mut topology = Topology::default();
    topology.interfaces.insert(1, interface(1, "eth0", Role::Uplink));
    for &(name, ifindex) in pods {
        topology.interfaces.insert(ifindex, interface(ifindex, &format!("veth{ifindex}"), Role::Pod));
        topology.pods.push(pod(name, ifindex));
    }
    topology
}

fn counted(ifindex: u32, packets: u64) -> Counted {
    let buckets = vec![SizeBucket { upper: Some(1500), packets }, SizeBucket { upper: None, packets: 0 }];
    let way = CountedWay {
        buckets,
        bytes: packets * 1000,
        packets,
        device_packets: packets,
        fragments: packets / 10,
        candidates: packets / 2,
        oversize: 0,
    };
    Counted { ifindex, ingress: way.clone(), egress: way }
}

fn sent(ledger: &Ledger, namespace: &str, name: &str) -> Option<u64> {
    let owner = Owner { namespace: namespace.to_owned(), pod: name.to_owned() };
    ledger.hooks.sizes.get(&(owner, Direction::FromPod)).map(|sizes| sizes.bytes / 1000)
}

#[test]
fn counts_go_on_when_a_pod_comes_again_under_its_name() {
    let mut ledger = Ledger::new(10);
    ledger.read_hooks(SECOND, &topology(&[("db-0", 7)]), Vec::new(), vec![counted(7, 100)]);
    ledger.read_hooks(2 * SECOND, &topology(&[("db-0", 7)]), Vec::new(), vec![counted(7, 150)]);
    assert_eq!(sent(&ledger, "shop", "db-0"), Some(150));
    // It went with ten packets more, and another interface, even of the same index, begins at zero.
    let departed = vec![counted(7, 160)];
    ledger.read_hooks(3 * SECOND, &topology(&[("db-0", 7)]), departed, vec![counted(7, 5)]);
    assert_eq!(sent(&ledger, "shop", "db-0"), Some(165));
    ledger.read_hooks(4 * SECOND, &topology(&[("db-0", 9)]), vec![counted(7, 5)], vec![counted(9, 3)]);
    assert_eq!(sent(&ledger, "shop", "db-0"), Some(168));
}

#[test]
fn an_index_that_another_pod_takes_over_mixes_nothing() {
    let mut ledger = Ledger::new(10);
    ledger.read_hooks(SECOND, &topology(&[("a", 7)]), Vec::new(), vec![counted(7, 100)]);
    ledger.read_hooks(2 * SECOND, &topology(&[("b", 7)]), vec![counted(7, 120)], vec![counted(7, 4)]);
    assert_eq!(sent(&ledger, "shop", "a"), Some(120));
    assert_eq!(sent(&ledger, "shop", "b"), Some(4));
}

#[test]
fn series_of_a_pod_that_went_stay_for_a_while() {
    let mut ledger = Ledger::new(10);
    ledger.read_hooks(SECOND, &topology(&[("a", 7)]), Vec::new(), vec![counted(7, 100)]);
    ledger.read_hooks(2 * SECOND, &topology(&[]), vec![counted(7, 110)], Vec::new());
    assert_eq!(sent(&ledger, "shop", "a"), Some(110));
    ledger.read_hooks(SECOND + RETENTION - 1, &topology(&[]), Vec::new(), Vec::new());
    assert_eq!(sent(&ledger, "shop", "a"), Some(110));
    ledger.read_hooks(2 * SECOND + RETENTION, &topology(&[]), Vec::new(), Vec::new());
    assert_eq!(sent(&ledger, "shop", "a"), None);
}

#[test]
fn pods_beyond_the_ceiling_share_a_series() {
    let mut ledger = Ledger::new(2);
    let pods = [("a", 7), ("b", 8), ("c", 9), ("d", 10)];
    let counts = || (7..=10).map(|ifindex| counted(ifindex, 50)).collect();
    ledger.read_hooks(SECOND, &topology(&pods), Vec::new(), counts());
    assert_eq!(sent(&ledger, "shop", "a"), Some(50));
    assert_eq!(sent(&ledger, "shop", "c"), None);
    assert_eq!(sent(&ledger, "overflow", "overflow"), Some(100));
    assert_eq!(ledger.hooks.sizes.len(), 6, "two pods and the overflow, each both ways");
    // What one of them leaves in the overflow never falls.
    ledger.read_hooks(2 * SECOND, &topology(&pods[..3]), vec![counted(10, 60)], vec![counted(9, 50)]);
    assert_eq!(sent(&ledger, "overflow", "overflow"), Some(110));
}

#[test]
fn interfaces_that_are_no_pods_are_bounded_too() {
    let mut ledger = Ledger::new(2);
    let mut topology = topology(&[]);
    for ifindex in 1..=600 {
        topology.interfaces.insert(ifindex, interface(ifindex, &format!("eth{ifindex}"), Role::Link));
    }
    let counts = (1..=600).map(|ifindex| counted(ifindex, 2)).collect();
    ledger.read_hooks(SECOND, &topology, Vec::new(), counts);
    assert_eq!(ledger.hooks.packets.len(), 2 * (MAX_INTERFACES + 1));
    let all: u64 = ledger.hooks.packets.values().sum();
    assert_eq!(all, 600 * 2 * 2);
}

fn tally(packets: u64, dropped: u64) -> Tally {
    Tally {
        finding: "abc".to_owned(),
        pod: Some(pod("a", 7)),
        direction: Direction::FromPod,
        at: LimitAt::Node,
        packets: BTreeMap::from([((Some(Protocol::Tcp), true), packets)]),
        dropped,
    }
}

#[test]
fn what_faults_have_come_to_is_added_up() {
    let mut ledger = Ledger::new(2);
    ledger.read_hooks(SECOND, &topology(&[("a", 7)]), Vec::new(), Vec::new());
    for (time, packets, dropped) in [(1, 5, 2), (2, 9, 4), (3, 9, 4)] {
        ledger.read_tallies(time * SECOND, vec![tally(packets, dropped)]);
    }
    // The fault was forgotten, and came again.
    ledger.read_tallies(4 * SECOND, Vec::new());
    ledger.read_tallies(5 * SECOND, vec![tally(3, 1)]);
    assert_eq!(ledger.oversize.values().copied().collect::<Vec<_>>(), [12]);
    assert_eq!(ledger.drops.values().copied().collect::<Vec<_>>(), [5]);
    let (owner, direction, protocol, df) = ledger.oversize.keys().next().expect("a series");
    assert_eq!((owner.pod.as_str(), *direction, *protocol, *df), ("a", Direction::FromPod, "tcp", true));
}

#[test]
fn coverage_is_the_share_of_what_devices_counted() {
    let mut ledger = Ledger::new(2);
    let at = |packets: u64| {
        let mut topology = topology(&[]);
        if let Some(uplink) = topology.interfaces.get_mut(&1) {
            uplink.counters = DeviceCounters { rx_packets: packets, tx_packets: packets, ..uplink.counters };
        }
        topology
    };
    let mut read = |device, hook| {
        ledger.read_coverage(&at(device), &[counted(1, hook)], |_| Some(true));
        ledger.coverage.shares.get(&(Role::Uplink, "ingress")).copied()
    };
    assert_eq!(read(1000, 0), None);
    assert_eq!(read(1050, 50), None, "too few to judge by");
    assert_eq!(read(1200, 100), Some(0.5));
    assert_eq!(read(1201, 101), Some(0.5), "the last one with enough");
    assert_eq!(read(2000, 1000), Some(1.0));
}

#[test]
fn what_a_dying_pod_sent_last_is_its_own() {
    let mut ledger = Ledger::new(10);
    ledger.read_hooks(SECOND, &topology(&[("a", 7)]), Vec::new(), vec![counted(7, 100)]);
    // Its namespace is gone already, and with it name and other end.
    let mut dying = topology(&[]);
    dying.interfaces.insert(7, interface(7, "veth7", Role::Link));
    ledger.read_hooks(2 * SECOND, &dying, Vec::new(), vec![counted(7, 130)]);
    assert_eq!(sent(&ledger, "shop", "a"), Some(130));
}

#[test]
fn a_pod_without_a_name_keeps_no_place() {
    let mut ledger = Ledger::new(1);
    let mut nameless = topology(&[("a", 7)]);
    nameless.pods[0].name = None;
    ledger.read_hooks(SECOND, &nameless, Vec::new(), vec![counted(7, 10)]);
    for second in 2..9 {
        ledger.read_hooks(second * SECOND, &topology(&[("a", 7)]), Vec::new(), vec![counted(7, 20)]);
    }
    ledger.read_hooks(9 * SECOND, &topology(&[("a", 7)]), Vec::new(), vec![counted(7, 50)]);
    assert_eq!(sent(&ledger, "shop", "a"), Some(30));
}
