use super::*;
use crate::decode::frames::*;

const SYN_FLOW: &str = "tcp 10.1.2.3:41822 -> 10.9.0.7:443";

fn outer(hex: &str) -> Packet {
    packet::read(&bytes(hex)).expect("an outer packet")
}

fn inner_flow(hex: &str, encapsulation: Encapsulation) -> Option<String> {
    inner(&outer(hex), encapsulation, None).map(|packet| packet.flow.to_string())
}

fn in_udp(port: &str, payload: &str) -> String {
    format!("45000080 0001 0000 40110000 c0000201 c0000202 c001 {port} 0060 0000 {payload} {TCP_SYN}")
}

fn in_ip(protocol: &str, payload: &str) -> String {
    format!("45000080 0001 0000 40{protocol}0000 c0000201 c0000202 {payload} {TCP_SYN}")
}

#[test]
fn vxlan_at_its_port() {
    let packet = outer(VXLAN_OUTER);
    let found = inner(&packet, Encapsulation::Vxlan, Some(4789)).expect("an inner packet");
    assert_eq!((found.flow.to_string().as_str(), found.length), (SYN_FLOW, 60));
    assert_eq!(inner(&packet, Encapsulation::Vxlan, Some(8472)), None);
    assert_eq!(inner(&packet, Encapsulation::Gre, None), None);
}

#[test]
fn geneve_options_are_skipped() {
    let hex =
        in_udp("17c1", "0200 6558 00000700 0102 80 01 aabbccdd 020202020202010101010101 8100 0007 0800");
    assert_eq!(inner_flow(&hex, Encapsulation::Geneve).as_deref(), Some(SYN_FLOW));
}

#[test]
fn gre_with_key_and_sequence() {
    let plain = in_ip("2f", "0000 0800");
    assert_eq!(inner_flow(&plain, Encapsulation::Gre).as_deref(), Some(SYN_FLOW));
    let tap = in_ip("2f", "3000 6558 00000007 00000001 0202020202020101010101010800");
    assert_eq!(inner_flow(&tap, Encapsulation::Gre).as_deref(), Some(SYN_FLOW));
    // Version 1 is PPTP (RFC 2637).
    assert_eq!(inner_flow(&in_ip("2f", "3001 880b 00000007"), Encapsulation::Gre), None);
}

#[test]
fn ip_in_ip() {
    assert_eq!(inner_flow(&in_ip("04", ""), Encapsulation::Ip).as_deref(), Some(SYN_FLOW));
}

#[test]
fn kinds_of_the_kernel() {
    assert_eq!(Encapsulation::of_link_kind("sit"), Some(Encapsulation::Ip));
    assert_eq!(Encapsulation::of_link_kind("wireguard"), None);
}

#[test]
fn no_bytes_panic() {
    let whole = bytes(VXLAN_OUTER);
    for seed in 0..20_000 {
        if let Some(packet) = packet::read(&damaged(&whole, seed)) {
            for encapsulation in
                [Encapsulation::Vxlan, Encapsulation::Geneve, Encapsulation::Gre, Encapsulation::Ip]
            {
                inner(&packet, encapsulation, None);
            }
            for parse in [vxlan, geneve, gre, ethernet] {
                parse(&packet.payload);
            }
        }
    }
}
