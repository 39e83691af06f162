use super::*;
use probe_core::model::interface::{Peer, Role};

fn interface(ifindex: u32, role: Role) -> Interface {
    let peer = (role == Role::Pod).then(Peer::default);
    Interface { peer, ..Interface::plain(ifindex, &format!("if{ifindex}"), "veth", 1500, role) }
}

fn topology(interfaces: &[Interface]) -> Topology {
    let interfaces = interfaces.iter().map(|interface| (interface.ifindex, interface.clone())).collect();
    Topology { interfaces, ..Topology::default() }
}

fn indexes(requests: &[Request]) -> Vec<u32> {
    requests.iter().map(|request| request.ifindex).collect()
}

#[test]
fn uplinks_first_and_pods_paced() {
    let mut attachments = Attachments::new(Selection::default());
    let topology = topology(&[interface(2, Role::Uplink), interface(7, Role::Pod)]);
    let difference = attachments.begin(0, &topology);
    assert_eq!(indexes(&difference.requests), [2]);
    assert!(attachments.awaits(Some(Urgency::First)));
    attachments.note_attached(2, Mechanism::Tcx);
    assert_eq!(attachments.came(0), [], "it was there at the start");
    assert!(!attachments.awaits(Some(Urgency::First)) && attachments.awaits(None));
    assert_eq!(attachments.pending(), ["if7"]);
    assert_eq!(attachments.paced(0).iter().map(|request| request.pace).collect::<Vec<_>>(), [Pace::Paced]);
}

#[test]
fn a_new_pod_gets_no_qdisc_before_its_sandbox_is_ready() {
    let mut attachments = Attachments::new(Selection::default());
    attachments.begin(0, &topology(&[]));
    let snapshot = topology(&[interface(7, Role::Pod)]);
    let difference = attachments.update(SECOND, &snapshot, &BTreeSet::new());
    assert_eq!(difference.requests.len(), 1);
    assert_eq!((difference.requests[0].pace, difference.requests[0].may_make_qdisc), (Pace::Urgent, false));
    attachments.note_postponed(7);
    assert_eq!(indexes(&attachments.due(5 * SECOND)), [0; 0]);
    let due = attachments.due(11 * SECOND);
    assert!(due.len() == 1 && due[0].may_make_qdisc);
    assert_eq!(attachments.due(12 * SECOND), []);
    attachments.note_attached(7, Mechanism::Clsact);
    let events = attachments.came(12 * SECOND);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].interface.interface.as_str(), events[0].interface.hook), ("if7", Hook::Clsact));
    assert_eq!(attachments.came(12 * SECOND), []);
}

#[test]
fn a_new_pod_is_told_of_once_it_is_known() {
    let mut attachments = Attachments::new(Selection::default());
    attachments.begin(0, &topology(&[]));
    let snapshot = topology(&[interface(7, Role::Pod)]);
    attachments.update(SECOND, &snapshot, &BTreeSet::new());
    attachments.note_attached(7, Mechanism::Tcx);
    assert_eq!(attachments.came(SECOND + 1), []);
    assert_eq!(attachments.came(2 * SECOND).len(), 1, "in vain");
}

#[test]
fn an_index_that_is_anothers_now_is_attached_anew() {
    let mut attachments = Attachments::new(Selection::default());
    attachments.begin(0, &topology(&[interface(7, Role::Uplink)]));
    attachments.note_attached(7, Mechanism::Tcx);
    let other = Interface { kind: "vxlan".to_owned(), ..interface(7, Role::Overlay) };
    let difference = attachments.update(SECOND, &topology(&[other]), &BTreeSet::from([7]));
    assert_eq!((difference.gone, indexes(&difference.requests)), (vec![7], vec![7]));
    assert_eq!(difference.went.len(), 1);
}

#[test]
fn what_is_refused_is_not_awaited() {
    let mut attachments = Attachments::new(Selection::default());
    let snapshot = topology(&[interface(7, Role::Uplink), interface(8, Role::Uplink)]);
    attachments.begin(0, &snapshot);
    attachments.note_refused(7);
    attachments.note_vanished(8);
    assert!(!attachments.awaits(None));
    let again = attachments.update(SECOND, &snapshot, &BTreeSet::new());
    assert_eq!(indexes(&again.requests), [8], "it was there after all");
}
