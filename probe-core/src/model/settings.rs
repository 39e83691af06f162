//! Settings of a network namespace that path MTU discovery depends on (`struct net`, `/proc/sys/net`).
use std::collections::BTreeMap;

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Setting {
    /// 0: sockets over IPv4 discover; 1, 2, 3: see [`Discovery`] (`icmp_unreach`, `inet_create`).
    IpNoPmtuDisc,
    /// 0: the route metric or the device counts for packets that are forwarded; 1: what was learned as well
    /// (`ip_dst_mtu_maybe_forward`).
    IpForwardUsePmtu,
    /// Smallest path MTU in bytes that is learned over IPv4; below it the route is locked at it
    /// (`__ip_rt_update_pmtu`).
    MinPmtu,
    /// Seconds that a learned path MTU lives, IPv4.
    MtuExpires,
    /// Smallest MSS in bytes that is announced (`ipv4_default_advmss`).
    MinAdvMss,
    /// 0: no probing; 1: after a black hole was detected; 2: always (RFC 4821, `tcp_mtu_probing`). Both families.
    TcpMtuProbing,
    /// Segment size in bytes that probing begins with (`tcp_mtup_init`).
    TcpBaseMss,
    /// Segment size in bytes that black hole detection does not go below (`tcp_mtu_probing`).
    TcpMtuProbeFloor,
    /// Timeouts after which probing of kind 1 begins (`tcp_write_timeout`).
    TcpRetries1,
    /// Seconds that a learned path MTU lives, IPv6.
    Ipv6MtuExpires,
    /// Smallest MSS in bytes that is announced, IPv6.
    Ipv6MinAdvMss,
}

impl Setting {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::IpNoPmtuDisc,
        Self::IpForwardUsePmtu,
        Self::MinPmtu,
        Self::MtuExpires,
        Self::MinAdvMss,
        Self::TcpMtuProbing,
        Self::TcpBaseMss,
        Self::TcpMtuProbeFloor,
        Self::TcpRetries1,
        Self::Ipv6MtuExpires,
        Self::Ipv6MinAdvMss,
    ];

    /// Name for `sysctl`; with slashes for dots it is the path below `/proc/sys`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IpNoPmtuDisc => "net.ipv4.ip_no_pmtu_disc",
            Self::IpForwardUsePmtu => "net.ipv4.ip_forward_use_pmtu",
            Self::MinPmtu => "net.ipv4.route.min_pmtu",
            Self::MtuExpires => "net.ipv4.route.mtu_expires",
            Self::MinAdvMss => "net.ipv4.route.min_adv_mss",
            Self::TcpMtuProbing => "net.ipv4.tcp_mtu_probing",
            Self::TcpBaseMss => "net.ipv4.tcp_base_mss",
            Self::TcpMtuProbeFloor => "net.ipv4.tcp_mtu_probe_floor",
            Self::TcpRetries1 => "net.ipv4.tcp_retries1",
            Self::Ipv6MtuExpires => "net.ipv6.route.mtu_expires",
            Self::Ipv6MinAdvMss => "net.ipv6.route.min_adv_mss",
        }
    }

    /// The setting with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|setting| setting.name() == name)
    }
}

/// What `net.ipv4.ip_no_pmtu_disc` makes of path MTU discovery over IPv4. In each mode but the first, sockets that do not
/// ask for it themselves (`IP_MTU_DISCOVER`) send without DF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// 0: as it should be.
    On,
    /// 1: an error counts as one that announces nothing: the route is locked at `min_pmtu`.
    PinsToMinimum,
    /// 2: errors are thrown away.
    IgnoresErrors,
    /// 3: errors are accepted for protocols that can verify them (TCP, SCTP, DCCP), else thrown away.
    AcceptsVerified,
}

impl Discovery {
    /// The value of the setting.
    pub const fn value(self) -> u32 {
        match self {
            Self::On => 0,
            Self::PinsToMinimum => 1,
            Self::IgnoresErrors => 2,
            Self::AcceptsVerified => 3,
        }
    }
}

/// Settings of one network namespace. One that this kernel does not have, or that could not be read, is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Values by setting.
    pub values: BTreeMap<Setting, u32>,
}

impl Settings {
    /// The value of a setting, if it is known.
    pub fn get(&self, setting: Setting) -> Option<u32> {
        self.values.get(&setting).copied()
    }

    /// Path MTU discovery over IPv4, if it is known.
    pub fn discovery(&self) -> Option<Discovery> {
        Some(match self.get(Setting::IpNoPmtuDisc)? {
            0 => Discovery::On,
            2 => Discovery::IgnoresErrors,
            3 => Discovery::AcceptsVerified,
            // What the kernel has no name for falls to the same branch as 1 (`icmp_unreach`).
            _ => Discovery::PinsToMinimum,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_settings() {
        for &setting in Setting::ALL {
            assert_eq!(Setting::named(setting.name()), Some(setting));
        }
        assert_eq!(Setting::named("net.ipv4.tcp_sack"), None);
    }

    #[test]
    fn an_unknown_setting_says_nothing_of_discovery() {
        assert_eq!(Settings::default().discovery(), None);
        let with = |value| Settings { values: BTreeMap::from([(Setting::IpNoPmtuDisc, value)]) }.discovery();
        assert_eq!(with(0), Some(Discovery::On));
        assert_eq!(with(2), Some(Discovery::IgnoresErrors));
        assert_eq!(with(7), Some(Discovery::PinsToMinimum));
    }
}
