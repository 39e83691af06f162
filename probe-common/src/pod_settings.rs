//! Settings of all network namespaces, as an iterator program reads them from `struct net`.
//!
//! The iterator of BPF maps serves as the occasion: each of its objects yields the next [`NAMESPACES_AT_A_TIME`]
//! namespaces of the kernel's list, and behind the last one a record of namespace 0. Whoever has seen that stops reading.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Name of the program.
pub const PROGRAM: &str = "pod_settings";

/// Namespaces that one object of the iterator yields.
pub const NAMESPACES_AT_A_TIME: u32 = 128;

/// Calls a macro with every setting: `GLOBAL = "member of struct net";` … in the order of [`PodSettingsRecord::values`].
#[macro_export]
macro_rules! for_each_pod_setting {
    ($receiver:ident) => {
        $receiver! {
            SETTING_IP_NO_PMTU_DISC = "ipv4.sysctl_ip_no_pmtu_disc";
            SETTING_IP_FORWARD_USE_PMTU = "ipv4.sysctl_ip_fwd_use_pmtu";
            SETTING_MIN_PMTU = "ipv4.ip_rt_min_pmtu";
            SETTING_MTU_EXPIRES = "ipv4.ip_rt_mtu_expires";
            SETTING_MIN_ADV_MSS = "ipv4.ip_rt_min_advmss";
            SETTING_TCP_MTU_PROBING = "ipv4.sysctl_tcp_mtu_probing";
            SETTING_TCP_BASE_MSS = "ipv4.sysctl_tcp_base_mss";
            SETTING_TCP_MTU_PROBE_FLOOR = "ipv4.sysctl_tcp_mtu_probe_floor";
            SETTING_TCP_RETRIES1 = "ipv4.sysctl_tcp_retries1";
            SETTING_IPV6_MTU_EXPIRES = "ipv6.sysctl.ip6_rt_mtu_expires";
            SETTING_IPV6_MIN_ADV_MSS = "ipv6.sysctl.ip6_rt_min_advmss";
        }
    };
}

/// One setting and the global that holds its offset in `struct net` ([`ABSENT`](crate::kernel_field::ABSENT) without).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingField {
    /// Name of the global.
    pub global: &'static str,
    /// The member of `struct net`.
    pub path: &'static str,
}

macro_rules! list {
    ($($global:ident = $path:literal;)*) => {
        /// Every setting, in the order of [`PodSettingsRecord::values`].
        pub const FIELDS: &[SettingField] =
            &[$(SettingField { global: stringify!($global), path: $path }),*];
    };
}
for_each_pod_setting!(list);

/// Number of settings.
pub const SETTINGS: usize = FIELDS.len();

/// The settings of one namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PodSettingsRecord {
    /// Inode of the namespace; 0: there are no more.
    pub netns: u32,
    /// Four bytes from each setting's place on. How many of them are the value is known from the kernel's BTF.
    pub values: [[u8; 4]; SETTINGS],
}
const _: () = assert!(size_of::<PodSettingsRecord>() == 4 + 4 * SETTINGS);
