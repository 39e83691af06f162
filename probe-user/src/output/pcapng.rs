//! Packets as a file for Wireshark: pcapng (draft-ietf-opsawg-pcapng), raw IP, times in nanoseconds.
//!
//! An own writer of three kinds of block: the crate for it had no release for years.
use std::io::{self, Write};

/// `LINKTYPE_RAW`: packets begin with their IP header.
const RAW_IP: u16 = 101;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// Tells the reader in which order bytes are.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Options; `opt_comment` and `opt_endofopt` are the same in all blocks.
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const COMMENT: u16 = 1;
    pub(super) const SYSTEM: u16 = 3;
    pub(super) const APPLICATION: u16 = 4;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const TIME_RESOLUTION: u16 = 9;
    pub(super) const PACKET_FLAGS: u16 = 2;
}

/// Which way a packet went, from the interface's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Received.
    In,
    /// Sent.
    Out,
    /// It was met elsewhere.
    Unknown,
}

/// One packet.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// Where it was met.
    pub interface: &'a str,
    /// Unix time in nanoseconds.
    pub unix_nanos: u64,
    /// Which way it went.
    pub way: Way,
    /// Bytes at layer 3 that it had.
    pub length: u32,
    /// Its first bytes, from the network header on.
    pub bytes: &'a [u8],
    /// What is to be said of it.
    pub comment: &'a str,
}

/// Writes a file of one section; each interface gets a block when it is first met.
#[derive(Debug)]
pub struct Pcapng<W> {
    stream: W,
    snaplen: u32,
    interfaces: Vec<String>,
}

impl<W: Write> Pcapng<W> {
    /// Begins a file; `snaplen` is the largest copy of a packet in bytes.
    ///
    /// # Errors
    /// The stream cannot be written to.
    pub fn new(mut stream: W, snaplen: u32, system: &str, application: &str) -> io::Result<Self> {
        let mut body = Vec::new();
        body.extend(BYTE_ORDER_MAGIC.to_ne_bytes());
        body.extend(1_u16.to_ne_bytes());
        body.extend(0_u16.to_ne_bytes());
        // Length of the section: not told.
        body.extend(u64::MAX.to_ne_bytes());
        add_option(&mut body, option::SYSTEM, system.as_bytes());
        add_option(&mut body, option::APPLICATION, application.as_bytes());
        add_option(&mut body, option::END, &[]);
        write_block(&mut stream, SECTION_HEADER, &body)?;
        Ok(Self { stream, snaplen, interfaces: Vec::new() })
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// The stream cannot be written to.
    pub fn write(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let interface = self.interface(frame.interface)?;
        let flags: u32 = match frame.way {
            Way::Unknown => 0,
            Way::In => 1,
            Way::Out => 2,
        };
        let captured = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        let mut body = Vec::new();
        body.extend(interface.to_ne_bytes());
        let [high, low] = [frame.unix_nanos >> 32, frame.unix_nanos & u64::from(u32::MAX)];
        for half in [high, low] {
            body.extend(u32::try_from(half).unwrap_or(u32::MAX).to_ne_bytes());
        }
        body.extend(captured.to_ne_bytes());
        body.extend(frame.length.max(captured).to_ne_bytes());
        body.extend(frame.bytes);
        pad(&mut body);
        add_option(&mut body, option::COMMENT, frame.comment.as_bytes());
        add_option(&mut body, option::PACKET_FLAGS, &flags.to_ne_bytes());
        add_option(&mut body, option::END, &[]);
        write_block(&mut self.stream, ENHANCED_PACKET, &body)
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// The stream cannot be written to.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    /// Number of the block of an interface.
    fn interface(&mut self, name: &str) -> io::Result<u32> {
        if let Some(index) = self.interfaces.iter().position(|known| known == name) {
            return Ok(u32::try_from(index).unwrap_or(u32::MAX));
        }
        let mut body = Vec::new();
        body.extend(RAW_IP.to_ne_bytes());
        body.extend(0_u16.to_ne_bytes());
        body.extend(self.snaplen.to_ne_bytes());
        add_option(&mut body, option::INTERFACE_NAME, name.as_bytes());
        // Ten to the minus ninth.
        add_option(&mut body, option::TIME_RESOLUTION, &[9]);
        add_option(&mut body, option::END, &[]);
        write_block(&mut self.stream, INTERFACE_DESCRIPTION, &body)?;
        self.interfaces.push(name.to_owned());
        Ok(u32::try_from(self.interfaces.len() - 1).unwrap_or(u32::MAX))
    }
}

/// To a multiple of four bytes.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn add_option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    // Longer texts are cut: an option's length has 16 bits.
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    body.extend(code.to_ne_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_ne_bytes());
    body.extend(value);
    pad(body);
}

fn write_block(stream: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 12).map_err(io::Error::other)?.to_ne_bytes();
    stream.write_all(&kind.to_ne_bytes())?;
    stream.write_all(&length)?;
    stream.write_all(body)?;
    stream.write_all(&length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    }

    #[test]
    fn blocks_are_well_formed_and_interfaces_are_told_once() {
        let mut file = Vec::new();
        let mut pcapng = Pcapng::new(&mut file, 192, "Linux 6.18", "mtuprobe").expect("a vector");
        for (interface, bytes) in [("eth0", &[1, 2, 3, 4, 5][..]), ("veth1", &[6]), ("eth0", &[7, 8])] {
            let frame = Frame {
                interface,
                unix_nanos: 1_783_000_920_123_456_789,
                way: Way::Out,
                length: 1500,
                bytes,
                comment: "finding f3a9c1",
            };
            pcapng.write(&frame).expect("a vector");
        }
        let mut kinds = Vec::new();
        let mut at = 0;
        while at < file.len() {
            let length = usize::try_from(number(&file, at + 4)).expect("small");
            assert_eq!(length % 4, 0);
            assert_eq!(
                number(&file, at + length - 4),
                number(&file, at + 4),
                "the length stands at both ends"
            );
            kinds.push(number(&file, at));
            at += length;
        }
        assert_eq!(kinds, [SECTION_HEADER, 1, 6, 1, 6, 6]);
    }
}
