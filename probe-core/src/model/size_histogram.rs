//! How many packets of which size a pod sends and gets.
use super::finding::Direction;
use super::pod::Pod;

/// The packets of sizes up to an edge and above the edge before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeBucket {
    /// Largest size in bytes at layer 3; `None` for everything above the last edge.
    pub upper: Option<u32>,
    /// Packets; a segmentation-offload packet counts as the segments that it becomes.
    pub packets: u64,
}

/// Packet sizes of one pod and direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeHistogram {
    /// Whose.
    pub pod: Pod,
    /// The host's interface at which it was counted.
    pub interface: String,
    /// From the pod's point of view.
    pub direction: Direction,
    /// By rising size; the edges are the same for all pods.
    pub buckets: Vec<SizeBucket>,
    /// Packets (segments) in all.
    pub packets: u64,
    /// Their bytes at layer 3.
    pub bytes: u64,
    /// Largest packet (segment) in bytes.
    pub largest: u32,
    /// Packets (segments) above the pod's own MTU.
    pub above_pod_mtu: u64,
}
