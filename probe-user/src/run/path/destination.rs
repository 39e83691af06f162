//! `DEST[:PORT]`, resolved where this program runs.
use super::wants;
use crate::cli::FamilyChoice;
use anyhow::{Context as _, bail};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

/// Where probes go.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// As it was asked for, without the port.
    pub text: String,
    /// Its addresses, in the resolver's order.
    pub addresses: Vec<SocketAddr>,
    /// The port, if one was given.
    pub port: Option<u16>,
}

impl Destination {
    pub fn resolve(text: &str, family: FamilyChoice) -> anyhow::Result<Self> {
        let (host, port) = split(text)?;
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, 0)],
            Err(_) => (host, 0_u16).to_socket_addrs().with_context(|| format!("resolve {host}"))?.collect(),
        };
        let addresses: Vec<SocketAddr> = found.into_iter().filter(|address| wants(family, address)).collect();
        if addresses.is_empty() {
            bail!("resolve {host}: no address of the family asked for");
        }
        let is_of_many = |ip: IpAddr| ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        if addresses.iter().any(|address| is_of_many(address.ip()) || address.ip().is_unspecified()) {
            bail!("{host} is no address of one host");
        }
        Ok(Self { text: host.to_owned(), addresses, port })
    }
}

/// Host and port; an IPv6 address with a port is in brackets.
fn split(text: &str) -> anyhow::Result<(&str, Option<u16>)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or((!rest.is_empty()).then_some(rest))),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        bail!("{text}: expected DEST or DEST:PORT");
    }
    let port = port.map(|port| match port.parse() {
        Ok(0) | Err(_) => bail!("{text}: {port} is no port"),
        Ok(port) => Ok(port),
    });
    Ok((host, port.transpose()?))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn hosts_and_ports() {
        for (text, host, port) in [
            ("10.0.0.1", "10.0.0.1", None),
            ("10.0.0.1:443", "10.0.0.1", Some(443)),
            ("fd42::1", "fd42::1", None),
            ("[fd42::1]", "fd42::1", None),
            ("[fd42::1]:80", "fd42::1", Some(80)),
            ("name.example:80", "name.example", Some(80)),
        ] {
            assert_eq!(split(text).expect("valid"), (host, port));
        }
        for text in ["", ":80", "a:b", "a:0", "a:70000", "[fd42::1]x"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
