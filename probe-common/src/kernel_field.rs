//! Fields of kernel structures that the tracepoint programs read.
//!
//! Each is a global of the kernel side that holds the field's offset in bytes. User space sets them before loading, from
//! the running kernel's BTF; a field that this kernel does not have is [`ABSENT`], and the programs do without.

/// Offset of a field that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// One field and the global that holds its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelField {
    /// Name of the global.
    pub global: &'static str,
    /// Name of the structure.
    pub structure: &'static str,
    /// The member, with dots between the names of nested ones; anonymous members are not named.
    pub path: &'static str,
}

/// `u32` global: offset of a network device's private area from the device (`netdev_priv`).
pub const NET_DEVICE_PRIVATE: &str = "NET_DEVICE_PRIVATE";

/// Calls a macro with every field: `GLOBAL = "structure", "path";` …
#[macro_export]
macro_rules! for_each_kernel_field {
    ($receiver:ident) => {
        $receiver! {
            SK_BUFF_DEV = "sk_buff", "dev";
            SK_BUFF_SK = "sk_buff", "sk";
            SK_BUFF_HEAD = "sk_buff", "head";
            SK_BUFF_TAIL = "sk_buff", "tail";
            SK_BUFF_END = "sk_buff", "end";
            SK_BUFF_LEN = "sk_buff", "len";
            SK_BUFF_PROTOCOL = "sk_buff", "protocol";
            SK_BUFF_NETWORK_HEADER = "sk_buff", "network_header";
            SK_BUFF_REFDST = "sk_buff", "_skb_refdst";
            SK_BUFF_CB = "sk_buff", "cb";
            SHARED_INFO_GSO_SIZE = "skb_shared_info", "gso_size";
            TCP_SKB_CB_SEQ = "tcp_skb_cb", "seq";
            TCP_SKB_CB_GSO_SEGS = "tcp_skb_cb", "tcp_gso_segs";
            TCP_SKB_CB_GSO_SIZE = "tcp_skb_cb", "tcp_gso_size";
            NET_DEVICE_IFINDEX = "net_device", "ifindex";
            NET_DEVICE_MTU = "net_device", "mtu";
            NET_DEVICE_NAME = "net_device", "name";
            NET_DEVICE_NET = "net_device", "nd_net.net";
            NET_DEVICE_LINK_OPS = "net_device", "rtnl_link_ops";
            RTNL_LINK_OPS_KIND = "rtnl_link_ops", "kind";
            NET_INUM = "net", "ns.inum";
            NET_OPS = "net", "ns.ops";
            NET_LIST = "net", "list.next";
            TASK_NSPROXY = "task_struct", "nsproxy";
            NSPROXY_NET = "nsproxy", "net_ns";
            DST_ENTRY_DEV = "dst_entry", "dev";
            DST_ENTRY_METRICS = "dst_entry", "_metrics";
            SOCK_NET = "sock", "__sk_common.skc_net.net";
            SOCK_FAMILY = "sock", "__sk_common.skc_family";
            SOCK_STATE = "sock", "__sk_common.skc_state";
            SOCK_LOCAL_PORT = "sock", "__sk_common.skc_num";
            SOCK_REMOTE_PORT = "sock", "__sk_common.skc_dport";
            SOCK_LOCAL_IPV4 = "sock", "__sk_common.skc_rcv_saddr";
            SOCK_REMOTE_IPV4 = "sock", "__sk_common.skc_daddr";
            SOCK_LOCAL_IPV6 = "sock", "__sk_common.skc_v6_rcv_saddr";
            SOCK_REMOTE_IPV6 = "sock", "__sk_common.skc_v6_daddr";
            SOCK_DST = "sock", "sk_dst_cache";
            SOCK_PROTOCOL = "sock", "sk_protocol";
            CONNECTION_RTO = "inet_connection_sock", "icsk_rto";
            CONNECTION_PMTU = "inet_connection_sock", "icsk_pmtu_cookie";
            TCP_HEADER_LEN = "tcp_sock", "tcp_header_len";
            TCP_BYTES_ACKED = "tcp_sock", "bytes_acked";
            TCP_BYTES_RECEIVED = "tcp_sock", "bytes_received";
            TCP_MSS_CACHE = "tcp_sock", "mss_cache";
            TCP_SND_UNA = "tcp_sock", "snd_una";
            TCP_SND_NXT = "tcp_sock", "snd_nxt";
            TCP_TOTAL_RETRANS = "tcp_sock", "total_retrans";
            TCP_DATA_SEGS_OUT = "tcp_sock", "data_segs_out";
            TCP_DATA_SEGS_IN = "tcp_sock", "data_segs_in";
            TCP_RCV_TSTAMP = "tcp_sock", "rcv_tstamp";
            TCP_SRTT_US = "tcp_sock", "srtt_us";
        }
    };
}

macro_rules! list {
    ($($global:ident = $structure:literal, $path:literal;)*) => {
        /// Every field.
        pub const FIELDS: &[KernelField] =
            &[$(KernelField { global: stringify!($global), structure: $structure, path: $path }),*];
    };
}
for_each_kernel_field!(list);
