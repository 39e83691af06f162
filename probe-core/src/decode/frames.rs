//! Packets by name, for tests.
use bytes::Bytes;

/// TCP SYN 10.1.2.3:41822 → 10.9.0.7:443, MSS 1460.
pub(super) const TCP_SYN: &str = "4500003c 1c46 4000 40060000 0a010203 0a090007 \
    a35e01bb 0a0b0c0d 00000000 a002faf0 00000000 020405b4 0402 080a0000000100000000 01 030307";

/// A router's frag-needed 1400 about a 1,500-byte segment, with 8 bytes of it behind the IP header.
pub(super) const FRAG_NEEDED: &str = "45000038 0001 0000 3f010000 0a000601 0a010203 0304 0000 0000 0578 \
    450005dc 1c47 4000 3f060000 0a010203 0a090007 a35e01bb 0a0b0c0d";

/// A router's packet too big 1400 about a 1,500-byte UDP packet.
pub(super) const PACKET_TOO_BIG_V6: &str = "60000000 0038 3a 40 fd0000000000000000000000000000fe fd000000000000000000000000000001 \
    0200 0000 00000578 \
    60000000 05b4 11 3f fd000000000000000000000000000001 fd000000000000000000000000000002 1f90003505b40000";

/// VXLAN, port 4789, VNI 7: Ethernet, and [`TCP_SYN`] in it.
pub(super) const VXLAN_OUTER: &str = "4500006e 0001 0000 40110000 c0000201 c0000202 c001 12b5 005a 0000 \
    0800000000000700 0202020202020101010101010800 4500003c 1c46 4000 40060000 0a010203 0a090007 \
    a35e01bb 0a0b0c0d 00000000 a002faf0 00000000 020405b4 0402 080a0000000100000000 01 030307";

/// From hexadecimal digits; white space is for the reader.
pub(super) fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> =
        hex.chars().filter_map(|character| character.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}

/// A copy with some bytes replaced and its end cut, the same for the same seed (xorshift).
pub(super) fn damaged(whole: &[u8], seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut copy = whole.to_vec();
    for _ in 0..1 + next() % 8 {
        let at = next() % copy.len();
        copy[at] = next() as u8;
    }
    copy.truncate(1 + next() % copy.len());
    copy.into()
}
