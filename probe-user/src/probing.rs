//! Packets of our own: the probes of a path MTU search, and what comes back.
//!
//! - [`wire`]: probes as bytes; [`answer`]: what an answer is about
//! - [`session`]: raw sockets that carry out a [`Search`](probe_core::path_search::Search)
//! - [`tcp`]: a connection whose peer answers probes
//!
//! Everything blocks and belongs to the network namespace of the calling thread. Probes leave by raw sockets with DF set by
//! hand and `IP_PMTUDISC_PROBE`: learned path MTUs neither limit them nor come from them.
pub mod answer;
pub mod session;
mod socket;
pub mod tcp;
pub mod wire;

use probe_core::model::flow::Family;
use std::net::IpAddr;

/// How the destination is made to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Echo requests.
    Icmp,
    /// Over IPv6: echo requests behind a destination options header that is as long as what an error quotes of a packet.
    /// An error about a plain one leaves a learned path MTU in the kernel, whoever sent it (`icmpv6_err`); of one whose
    /// quote ends before the ICMPv6 header there is nothing to learn (`icmpv6_notify`).
    IcmpBehindOptions,
    /// Datagrams, to a port that nobody listens on or whose owner answers.
    Udp,
    /// Old segments of a connection, which its peer must acknowledge again.
    Tcp,
}

impl Method {
    /// Name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Icmp | Self::IcmpBehindOptions => "icmp",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// The method in words, where one is told from the other.
    pub fn description(self) -> &'static str {
        match self {
            Self::IcmpBehindOptions => "icmp behind destination options",
            Self::Icmp | Self::Udp | Self::Tcp => self.name(),
        }
    }

    /// Number of its protocol.
    pub fn number(self, family: Family) -> u8 {
        match (self, family) {
            (Self::Icmp | Self::IcmpBehindOptions, Family::Ipv4) => 1,
            (Self::Icmp | Self::IcmpBehindOptions, Family::Ipv6) => 58,
            (Self::Udp, _) => 17,
            (Self::Tcp, _) => 6,
        }
    }

    /// Number in the IP header: what follows it.
    pub fn next_header(self, family: Family) -> u8 {
        match (self, family) {
            (Self::IcmpBehindOptions, Family::Ipv6) => wire::DESTINATION_OPTIONS,
            (_, _) => self.number(family),
        }
    }

    /// Whether probes are echo requests.
    pub fn is_echo(self) -> bool {
        match self {
            Self::Icmp | Self::IcmpBehindOptions => true,
            Self::Udp | Self::Tcp => false,
        }
    }
}

/// The two ends of all probes of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// How the destination is made to answer.
    pub method: Method,
    /// Our address.
    pub src: IpAddr,
    /// Our port, or the identifier of echo requests.
    pub src_port: u16,
    /// The destination.
    pub dst: IpAddr,
    /// Its port; 0 for echo requests.
    pub dst_port: u16,
}

impl Ends {
    /// Address family.
    pub fn family(&self) -> Family {
        Family::of(self.dst)
    }
}
