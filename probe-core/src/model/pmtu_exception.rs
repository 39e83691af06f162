//! Path MTUs that a network namespace has learned: one exception to a route for each destination.
use super::flow::Family;
use super::route::Route;
use super::settings::{Setting, Settings};
use std::net::IpAddr;

/// A path MTU that a namespace's routing remembers for one destination, from an ICMP error or from what a tunnel of its
/// own told (`fnhe_*` in `net/ipv4/route.c`, `rt6_exception` in `net/ipv6/route.c`; `ip route show cache`).
///
/// IPv4 shows one only once a packet has been routed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PmtuException {
    /// Inode of the network namespace.
    pub netns: u32,
    /// Where to.
    pub destination: IpAddr,
    /// Path MTU in bytes.
    pub mtu: u32,
    /// The announced size was below `min_pmtu`: the path MTU stays there, and packets go without DF.
    pub locked: bool,
    /// Seconds until it is forgotten.
    pub expires: u32,
    /// Sockets that hold on to it at this moment (references beyond that of the table, `rta_clntref`).
    pub users: u32,
    /// Index of the device that packets leave by, in that namespace.
    pub ifindex: Option<u32>,
    /// Its name there.
    pub interface: Option<String>,
    /// Next hop.
    pub gateway: Option<IpAddr>,
}

/// All that one namespace has learned, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetnsExceptions {
    /// Inode of the network namespace.
    pub netns: u32,
    /// One for each destination and next hop.
    pub exceptions: Vec<PmtuException>,
    /// Routes on which nothing is learned: their MTU is locked.
    pub locked: Vec<Route>,
}

/// Seconds that a learned path MTU lives unless a setting says otherwise (`DEFAULT_MTU_EXPIRES`, `ip6_rt_mtu_expires`).
const LIFETIME: u32 = 600;

impl PmtuException {
    /// Family.
    pub fn family(&self) -> Family {
        Family::of(self.destination)
    }

    /// Seconds since it was learned or last confirmed, by what the settings of its namespace say of its life. A life that
    /// was shortened meanwhile makes it look young.
    pub fn age(&self, settings: Option<&Settings>) -> u32 {
        let setting = match self.family() {
            Family::Ipv4 => Setting::MtuExpires,
            Family::Ipv6 => Setting::Ipv6MtuExpires,
        };
        settings.and_then(|settings| settings.get(setting)).unwrap_or(LIFETIME).saturating_sub(self.expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn its_age_follows_from_the_time_that_is_left() {
        let exception = PmtuException {
            netns: 1,
            destination: [10, 0, 0, 1].into(),
            mtu: 1400,
            locked: false,
            expires: 590,
            users: 0,
            ifindex: None,
            interface: None,
            gateway: None,
        };
        assert_eq!(exception.age(None), 10);
        let shorter = Settings { values: BTreeMap::from([(Setting::MtuExpires, 300)]) };
        assert_eq!(exception.age(Some(&shorter)), 0);
        let longer = Settings { values: BTreeMap::from([(Setting::MtuExpires, 900)]) };
        assert_eq!(exception.age(Some(&longer)), 310);
    }
}
