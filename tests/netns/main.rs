//! The whole binary on real veths. Needs root; each network is made of namespaces of its own.
//!
//! One file per finding kind, then the networks in which nothing is wrong, the life of an observation, what it is
//! given wrongly, what is recorded of it, what lives beside it, and the other commands that observe. `links` asks the reader of links alone; `symptoms` proves, without the product, that the faults hurt as told.
mod bad_input;
mod bridge_mtu_mismatch;
mod check;
mod churn;
mod doubts;
mod evidence_files;
mod filters;
mod floor;
mod fragments_lost;
mod healthy;
mod hidden_losses;
mod histogram;
mod lifecycle;
mod links;
mod mss_exceeds_path;
mod mtu_below_ipv6_minimum;
mod neighbours;
mod overflow;
mod overlay_mtu_exceeds_underlay;
mod oversize_dropped;
mod oversize_fragmented;
mod packet_too_big_implausible;
mod path;
mod path_silent;
mod pmtu_black_hole;
mod pmtu_exception_suspicious;
mod pmtud_disabled;
mod pod_mtu_exceeds_egress;
mod pod_settings;
mod readme;
mod recording;
mod redirect_peer;
mod serve;
mod sockets;
mod storm;
mod symptoms;
mod terminal;
mod veth_mtu_mismatch;
