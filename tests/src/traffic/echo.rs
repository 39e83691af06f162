//! Echo requests of a given IP length, by the system's `ping`.
use crate::topology::{Family, Namespace};
use anyhow::{Context, Result};
use std::net::IpAddr;
use std::process::Stdio;

const ICMP_HEADER: u32 = 8;

/// Echo requests to send, always with DF.
#[derive(Clone, Copy, Debug)]
pub struct Pings {
    length: u32,
    count: u32,
}

impl Pings {
    /// One request of this length in bytes at layer 3.
    pub const fn of(length: u32) -> Self {
        Self { length, count: 1 }
    }

    /// How many.
    pub const fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// Sends from a namespace and waits for the answers.
    pub fn run(self, from: &Namespace, to: IpAddr) -> Result<Echo> {
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        let payload = self.length - family.header() - ICMP_HEADER;
        let output = from
            .command("ping")
            .args(["-n", "-M", "do", "-i", "0.2", "-W", "1"])
            .args(["-c", &self.count.to_string(), "-s", &payload.to_string(), &to.to_string()])
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .context("running ping: is iputils-ping installed?")?;
        Ok(Echo::read(&String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr)))
    }
}

/// What became of [`Pings`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// Answered requests.
    pub answered: u32,
    /// MTU that the last error about size announced, in bytes at layer 3.
    pub too_big: Option<u32>,
    /// Refused by the sender's own kernel, which knows a smaller path MTU.
    pub refused: u32,
}

impl Echo {
    fn read(stdout: &str, stderr: &str) -> Self {
        let answered = stdout.lines().filter(|line| line.contains(" bytes from ")).count() as u32;
        let refused = stderr.lines().filter(|line| line.contains("message too long")).count() as u32;
        let too_big = stdout
            .lines()
            .filter(|line| line.contains("Frag needed") || line.contains("Packet too big"))
            .filter_map(|line| {
                let number = line.rsplit_once("mtu")?.1.trim_start_matches([' ', '=']);
                number.trim_end_matches(')').parse().ok()
            })
            .next_back();
        Self { answered, too_big, refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers_and_errors_of_both_families() {
        let v4 = "From 10.1.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1400)\n";
        assert_eq!(Echo::read(v4, "").too_big, Some(1400));
        let v6 =
            "From fd42::1 icmp_seq=1 Packet too big: mtu=1400\n1448 bytes from fd42::2: icmp_seq=2 ttl=62\n";
        assert_eq!(Echo::read(v6, ""), Echo { answered: 1, too_big: Some(1400), refused: 0 });
        let refused = "ping: local error: message too long, mtu=1400\n";
        assert_eq!(Echo::read("", refused).refused, 1);
    }
}
