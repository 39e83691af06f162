//! Pods that come and go, and sources that tell of them late, early, twice and wrongly.
use super::*;
use std::net::IpAddr;

const X: u32 = 4_026_531_900;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A pod as the topology shows it.
fn seen(ifindex: u32, inode: u32, ip: &str) -> Pod {
    Pod {
        netns_inode: Some(inode),
        host_ifindex: Some(ifindex),
        host_interface: Some(format!("veth{ifindex}")),
        pod_interface: Some("eth0".to_owned()),
        addresses: vec![address(ip)],
        ..Pod::default()
    }
}

fn record(source: PodSource, id: &str, name: &str) -> Record {
    let names = Names {
        namespace: Some("shop".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(format!("uid-{name}")),
        ..Names::default()
    };
    Record { source, id: id.to_owned(), names, anchor: Anchor::default() }
}

fn by_inode(source: PodSource, id: &str, name: &str, inode: u32) -> Record {
    let anchor = Anchor { netns_inode: Some(inode), ..Anchor::default() };
    Record { anchor, ..record(source, id, name) }
}

/// A node on which time passes.
#[derive(Default)]
struct Node {
    registry: Registry,
    topology: Topology,
    now: Time,
}

impl Node {
    fn shows(&mut self, seconds: Time, pods: &[Pod]) -> &mut Self {
        self.shows_after(seconds, pods, &[])
    }

    fn shows_after(&mut self, seconds: Time, pods: &[Pod], removed: &[u32]) -> &mut Self {
        self.now += seconds * SECOND;
        self.topology = Topology { pods: pods.to_vec(), ..Topology::default() };
        self.registry.fill(self.now, &mut self.topology, &removed.iter().copied().collect());
        self
    }

    fn hears(&mut self, seconds: Time, source: PodSource, records: Vec<Record>) -> &mut Self {
        self.now += seconds * SECOND;
        self.registry.learn(self.now, source, records);
        if let Some(topology) = self.registry.renamed(&self.topology) {
            self.topology = topology;
        }
        self
    }

    fn names(&self) -> Vec<Option<&str>> {
        self.topology.pods.iter().map(|pod| pod.name.as_deref()).collect()
    }

    fn departed(&self) -> Vec<Option<&str>> {
        self.topology.departed.iter().map(|pod| pod.name.as_deref()).collect()
    }
}

#[test]
fn a_name_that_comes_late_changes_no_key() {
    let mut node = Node::default();
    node.shows(1, &[seen(5, X, "10.0.0.2")]);
    let key = node.topology.pods[0].key();
    node.hears(1, PodSource::Cri, vec![by_inode(PodSource::Cri, "a", "cart", X)]);
    assert_eq!(node.names(), [Some("cart")]);
    assert_eq!(node.topology.pods[0].key(), key);
    assert_eq!(node.topology.pods[0].source, PodSource::Cri);
}

#[test]
fn the_best_source_names_and_others_complete() {
    let mut node = Node::default();
    node.shows(1, &[seen(5, X, "10.0.0.2")]);
    let mut cni = by_inode(PodSource::Cni, "n", "cart", X);
    cni.names.container_id = Some("c0ffee".to_owned());
    let mut cgroup = by_inode(PodSource::Cgroup, "g", "wrong", X);
    cgroup.names.labels.insert("of".to_owned(), "another".to_owned());
    node.hears(0, PodSource::Cgroup, vec![cgroup]);
    assert_eq!((node.names(), node.topology.pods[0].source), (vec![Some("wrong")], PodSource::Cgroup));
    node.hears(0, PodSource::Cni, vec![cni]);
    assert_eq!((node.names(), node.topology.pods[0].source), (vec![Some("cart")], PodSource::Cni));
    let mut cri = by_inode(PodSource::Cri, "c", "cart", X);
    cri.names.labels.insert("app".to_owned(), "cart".to_owned());
    node.hears(0, PodSource::Cri, vec![cri]);
    let pod = &node.topology.pods[0];
    assert_eq!((pod.source, pod.container_id.as_deref()), (PodSource::Cri, Some("c0ffee")));
    assert_eq!(pod.labels.len(), 1, "{:?}", pod.labels);
}

#[test]
fn a_source_that_falls_silent_or_forgets_loses_no_name_of_a_pod_that_is_there() {
    let mut node = Node::default();
    node.shows(1, &[seen(5, X, "10.0.0.2")]);
    node.hears(1, PodSource::Cri, vec![by_inode(PodSource::Cri, "a", "cart", X)]);
    // Started again, and empty.
    node.hears(1, PodSource::Cri, Vec::new());
    for _ in 0..100 {
        node.shows(10, &[seen(5, X, "10.0.0.2")]);
    }
    assert_eq!(node.names(), [Some("cart")]);
}

#[test]
fn a_namespace_number_that_is_given_again_mixes_nobody() {
    let mut node = Node::default();
    node.shows(1, &[]);
    node.shows(1, &[seen(5, X, "10.0.0.2")]);
    node.hears(1, PodSource::Cri, vec![by_inode(PodSource::Cri, "a", "cart", X)]);
    // Its successor has the same number and the same address, and the runtime still lists the old one.
    node.shows_after(1, &[seen(6, X, "10.0.0.2")], &[5]);
    assert_eq!((node.names(), node.departed()), (vec![None], vec![Some("cart")]));
    let mut old = by_inode(PodSource::Cri, "a", "cart", X);
    old.anchor = Anchor { addresses: vec![address("10.0.0.2")], ..Anchor::default() };
    node.hears(1, PodSource::Cri, vec![old.clone()]);
    assert_eq!(node.names(), [None]);
    node.hears(1, PodSource::Cri, vec![old, by_inode(PodSource::Cri, "b", "till", X)]);
    assert_eq!((node.names(), node.departed()), (vec![Some("till")], vec![Some("cart")]));
    let keys = [node.topology.pods[0].key(), node.topology.departed[0].key()];
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn an_interface_index_that_is_given_again_is_another_pods() {
    let mut node = Node::default();
    node.shows(1, &[seen(5, X, "10.0.0.2")]);
    node.hears(1, PodSource::Cri, vec![by_inode(PodSource::Cri, "a", "cart", X)]);
    let before = node.topology.pods[0].key();
    node.shows_after(1, &[seen(5, X, "10.0.0.2")], &[5]);
    assert_eq!(node.names(), [None]);
    assert_ne!(node.topology.pods[0].key(), before);
}

#[test]
fn an_address_that_is_given_again_mixes_nobody() {
    let mut node = Node::default();
    node.shows(1, &[]);
    let anchor = |created| Anchor {
        addresses: vec![address("10.0.0.2")],
        created: Some(created),
        ..Anchor::default()
    };
    let old = Record { anchor: anchor(SECOND), ..record(PodSource::Cri, "a", "cart") };
    node.hears(1, PodSource::Cri, vec![old.clone()]);
    // Nobody saw the old pod's interface; the new one has its address two minutes later.
    node.shows(120, &[seen(9, X, "10.0.0.2")]);
    node.hears(1, PodSource::Cri, vec![old.clone()]);
    assert_eq!(node.names(), [None]);
    let new = Record { anchor: anchor(node.now), ..record(PodSource::Cri, "b", "till") };
    node.hears(1, PodSource::Cri, vec![old, new]);
    assert_eq!(node.names(), [Some("till")]);
}

#[test]
fn a_pod_is_named_when_it_is_gone_already() {
    let mut node = Node::default();
    node.shows(1, &[]);
    let file = "/run/netns/cni-7f3b1c52-0f6e-4a57-9c1e-2f4b6d8e0a1c";
    let short = Pod { netns: Some(file.to_owned()), ..seen(5, X, "10.0.0.2") };
    node.shows(1, std::slice::from_ref(&short));
    node.shows_after(1, &[], &[5]);
    assert_eq!(node.departed(), [None]);
    let anchor = Anchor { netns: Some(format!("/var{file}")), ended: true, ..Anchor::default() };
    node.hears(1, PodSource::Cri, vec![Record { anchor, ..record(PodSource::Cri, "a", "job") }]);
    assert_eq!(node.departed(), [Some("job")]);
    node.shows(90, &[]);
    assert_eq!(node.departed(), [] as [Option<&str>; 0]);
}

#[test]
fn two_interfaces_of_one_namespace_are_one_pod() {
    let mut node = Node::default();
    let second = Pod { pod_interface: Some("net1".to_owned()), ..seen(6, X, "10.1.0.2") };
    node.shows(1, &[seen(5, X, "10.0.0.2")]);
    node.shows(1, &[seen(5, X, "10.0.0.2"), second]);
    node.hears(1, PodSource::Cri, vec![by_inode(PodSource::Cri, "a", "cart", X)]);
    assert_eq!(node.names(), [Some("cart"), Some("cart")]);
    assert_eq!(node.topology.pods[0].key(), node.topology.pods[1].key());
    assert_eq!(node.topology.pods[1].pod_interface.as_deref(), Some("net1"));
}

#[test]
fn the_cluster_adds_labels_and_owner_by_name() {
    let mut node = Node::default();
    node.shows(1, &[seen(5, X, "10.0.0.2"), seen(6, X + 1, "10.0.0.3")]);
    let mut cluster = record(PodSource::Kubernetes, "uid-cart", "cart");
    cluster.names.owner =
        Some(crate::model::pod::Owner { kind: "Deployment".to_owned(), name: "cart".to_owned() });
    let mut other = record(PodSource::Kubernetes, "uid-till", "till");
    other.anchor.addresses = vec![address("10.0.0.3")];
    node.hears(1, PodSource::Cri, vec![by_inode(PodSource::Cri, "a", "cart", X)]);
    node.hears(1, PodSource::Kubernetes, vec![cluster, other]);
    let [cart, till] = &node.topology.pods[..] else { panic!("two pods") };
    assert_eq!(
        (cart.source, cart.owner.as_ref().map(|owner| owner.kind.as_str())),
        (PodSource::Cri, Some("Deployment"))
    );
    assert_eq!((till.source, till.name.as_deref()), (PodSource::Kubernetes, Some("till")));
}

#[test]
fn thousands_of_pods_leave_nothing_behind() {
    let mut node = Node::default();
    node.shows(1, &[]);
    let mut most = 0;
    for number in 0..4000_u32 {
        // Numbers, addresses and names come again and again, as on a node that runs jobs.
        let (name, inode) = (format!("job-{}", number % 7), X + number % 3);
        node.shows_after(0, &[seen(number + 10, inode, "10.0.0.2")], &[number + 9]);
        node.hears(0, PodSource::Cri, vec![by_inode(PodSource::Cri, &number.to_string(), &name, inode)]);
        assert_eq!(node.names(), [Some(name.as_str())], "{number}");
        node.now += SECOND / 3;
        most = most.max(node.registry.kept());
    }
    node.shows(120, &[]);
    node.hears(0, PodSource::Cri, Vec::new());
    node.shows(120, &[]);
    assert!(most < 1000, "{most}");
    assert_eq!(node.registry.kept(), 0);
}
