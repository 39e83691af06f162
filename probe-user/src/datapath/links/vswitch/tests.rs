use super::super::generic::attribute;
use super::*;

const HEADER: [u8; HEADER_BYTES] = [7, 0, 0, 0];

fn word(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_ne_bytes())
}

fn ipv4(destination: [u8; 4]) -> Vec<u8> {
    let key = [&[10, 9, 9, 9][..], &destination, &[6, 0, 64, 0]].concat();
    attribute(key::IPV4, &key)
}

/// A flow of IPv4 packets from port 1 to a network, with actions.
fn flow(destination: [u8; 4], mask: [u8; 4], actions: &[u8]) -> Vec<u8> {
    let part = |ethertype: [u8; 2], port: u32, address| {
        [word(key::IN_PORT, port), attribute(key::ETHERTYPE, &ethertype), ipv4(address)].concat()
    };
    [
        HEADER.to_vec(),
        attribute(FLOW_KEY, &part([8, 0], 1, destination)),
        attribute(FLOW_MASK, &part([0xff; 2], u32::MAX, mask)),
        attribute(FLOW_ACTIONS, actions),
    ]
    .concat()
}

/// Devices 101, 102, 103 of ports 1, 2, 3.
fn numbered() -> BTreeMap<u32, u32> {
    let message = |number: u32| {
        [HEADER.to_vec(), word(VPORT_PORT_NO, number), word(VPORT_IFINDEX, 100 + number)].concat()
    };
    ports(&[1, 2, 3].map(message))
}

fn read(messages: &[Vec<u8>]) -> (Vec<SwitchFlow>, BTreeMap<u32, SwitchedTunnel>) {
    let mut tunnels = BTreeMap::new();
    (read_flows(messages, &numbered(), &mut tunnels), tunnels)
}

#[test]
fn a_flow_is_read_with_its_ports_and_its_destination() {
    let messages = [flow([10, 1, 2, 0], [255, 255, 255, 0], &word(action::OUTPUT, 2))];
    let wanted = SwitchFlow {
        came_by: Some(101),
        destination: Some((IpAddr::from([10, 1, 2, 0]), 24)),
        leaves_by: vec![102],
    };
    assert_eq!(read(&messages).0, [wanted]);
    // A destination that does not count.
    let any = flow([10, 1, 2, 0], [0; 4], &word(action::OUTPUT, 2));
    assert_eq!(read(&[any.clone(), any]).0.iter().map(|flow| flow.destination).collect::<Vec<_>>(), [None]);
}

#[test]
fn what_is_no_ip_packet_or_goes_nowhere_is_left_out() {
    let part = |ethertype: [u8; 2]| [word(key::IN_PORT, 1), attribute(key::ETHERTYPE, &ethertype)].concat();
    let arp = [
        HEADER.to_vec(),
        attribute(FLOW_KEY, &part([8, 6])),
        attribute(FLOW_ACTIONS, &word(action::OUTPUT, 2)),
    ]
    .concat();
    let dropped = flow([10, 1, 2, 0], [255; 4], &[]);
    let to_the_daemon = flow([10, 1, 2, 0], [255; 4], &attribute(2, &word(1, 99)));
    assert_eq!(read(&[arp, dropped, to_the_daemon]), (Vec::new(), BTreeMap::new()));
}

#[test]
fn actions_within_actions_are_followed_and_tunnels_told() {
    let wrapping = [
        attribute(tunnel::IPV4_DST, &[10, 0, 0, 3]),
        attribute(tunnel::DONT_FRAGMENT, &[]),
        attribute(tunnel::GENEVE_OPTIONS, &[0; 8]),
    ]
    .concat();
    let in_tunnel =
        [attribute(action::SET, &attribute(key::TUNNEL, &wrapping)), word(action::OUTPUT, 3)].concat();
    let by_length = [
        attribute(1, &1442_u16.to_ne_bytes()),
        attribute(2, &attribute(2, &word(1, 99))),
        attribute(action::CHECK_PKT_LEN_LESS_EQUAL, &word(action::OUTPUT, 2)),
    ]
    .concat();
    let actions =
        [attribute(action::CLONE, &in_tunnel), attribute(action::CHECK_PKT_LEN, &by_length)].concat();
    let (flows, tunnels) = read(&[flow([10, 1, 2, 0], [255; 4], &actions)]);
    assert_eq!(flows.iter().map(|flow| flow.leaves_by.clone()).collect::<Vec<_>>(), [vec![103, 102]]);
    let asked = SwitchedTunnel { remotes: [IpAddr::from([10, 0, 0, 3])].into(), df: true, options: 8 };
    assert_eq!(tunnels, BTreeMap::from([(103, asked)]));
}

#[test]
fn nested_without_end_ends() {
    let mut actions = word(action::OUTPUT, 2);
    for _ in 0..100 {
        actions = attribute(action::CLONE, &actions);
    }
    assert_eq!(read(&[flow([10, 1, 2, 0], [255; 4], &actions)]).0, []);
}
