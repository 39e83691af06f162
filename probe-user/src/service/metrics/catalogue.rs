//! The metrics by name. `docs/metrics.md` explains each with its labels.
use super::{Kind, Metric};

macro_rules! metrics {
    ($($(#[$doc:meta])* $constant:ident = $kind:ident $name:literal $help:literal;)*) => {
        $($(#[$doc])* pub static $constant: Metric = Metric { name: $name, kind: Kind::$kind, help: $help };)*
        /// All of them.
        pub static ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    /// Sizes of packets.
    PACKET_SIZE_BYTES = Histogram "mtuprobe_packet_size_bytes"
        "Sizes at layer 3 of the packets that a pod sends and gets; segmentation-offload packets as the segments that they become.";
    /// Packets that met a limit.
    OVERSIZE_PACKETS_TOTAL = Counter "mtuprobe_oversize_packets_total"
        "Packets that were dropped, fragmented or refused for their size, or whose own route is smaller.";
    /// Packets dropped for their size.
    SIZE_DROPS_TOTAL = Counter "mtuprobe_size_drops_total"
        "Packets dropped for their size, by where the limit is.";
    /// ICMP errors.
    PACKET_TOO_BIG_TOTAL = Counter "mtuprobe_packet_too_big_total"
        "ICMP frag-needed and ICMPv6 packet-too-big errors, once at each stage that they reached.";
    /// Fragments.
    FRAGMENTS_TOTAL = Counter "mtuprobe_fragments_total"
        "IP fragments that passed an interface.";
    /// Packets at interfaces that are no pod's.
    INTERFACE_PACKETS_TOTAL = Counter "mtuprobe_interface_packets_total"
        "Packets (segments) that passed an interface that is no pod's.";
    /// Packets above the smallest limit.
    CANDIDATE_PACKETS_TOTAL = Counter "mtuprobe_candidate_packets_total"
        "Packets above the smallest limit of their interface, whose own route may well carry them.";
    /// Open findings.
    FINDINGS = Gauge "mtuprobe_findings"
        "Findings that stand.";
    /// Open causes.
    CAUSES = Gauge "mtuprobe_causes"
        "Causes of findings that stand: what one fault does to many pods is one.";
    /// Causes that lose packets now.
    CAUSES_LOSING = Gauge "mtuprobe_causes_losing"
        "Causes that met packets within the last two minutes, and lost them.";
    /// What is seen.
    COVERAGE_RATIO = Gauge "mtuprobe_coverage_ratio"
        "Share of the packets counted by devices that passed our hooks, over the last reading with enough of them.";
    /// Changes.
    MTU_CHANGES_TOTAL = Counter "mtuprobe_mtu_changes_total"
        "Changes of what MTUs depend on.";
    /// MTUs.
    INTERFACE_MTU_BYTES = Gauge "mtuprobe_interface_mtu_bytes"
        "MTU of an interface; with a pod's labels that of the pod's own end.";
    /// Lost evidence.
    EVIDENCE_LOST_TOTAL = Counter "mtuprobe_evidence_lost_total"
        "Observations that were lost or held back before they were read.";
    /// Attached interfaces.
    ATTACHED_INTERFACES = Gauge "mtuprobe_attached_interfaces"
        "Interfaces that are observed.";
    /// Interfaces that are not.
    PENDING_INTERFACES = Gauge "mtuprobe_pending_interfaces"
        "Interfaces that are to be observed and are not yet.";
    /// Senses.
    SENSE_STATE = Gauge "mtuprobe_sense_working"
        "Whether a sense works: 1, in part 0.5, not 0.";
    /// Ready.
    READY = Gauge "mtuprobe_ready"
        "1 once everything found at the start is observed, as /readyz says.";
    /// Posts.
    POSTS_TOTAL = Counter "mtuprobe_posts_total"
        "Causes posted as Kubernetes Events or to the webhook, by what became of it.";
    /// Version.
    BUILD_INFO = Gauge "mtuprobe_build_info"
        "Always 1; the labels tell the version and the kernel.";
    /// CPU time.
    PROCESS_CPU_SECONDS_TOTAL = Counter "process_cpu_seconds_total"
        "User and system CPU time of this process.";
    /// Descriptors.
    PROCESS_OPEN_FDS = Gauge "process_open_fds"
        "Open file descriptors.";
    /// Limit of descriptors.
    PROCESS_MAX_FDS = Gauge "process_max_fds"
        "File descriptors that may be open.";
    /// Address space.
    PROCESS_VIRTUAL_MEMORY_BYTES = Gauge "process_virtual_memory_bytes"
        "Virtual memory.";
    /// Memory.
    PROCESS_RESIDENT_MEMORY_BYTES = Gauge "process_resident_memory_bytes"
        "Resident memory.";
    /// Start.
    PROCESS_START_TIME_SECONDS = Gauge "process_start_time_seconds"
        "Start of this process, seconds since 1970.";
    /// Threads.
    PROCESS_THREADS = Gauge "process_threads"
        "Threads.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len(), "twice the same name");
        for metric in ALL {
            let is_counter = metric.kind == Kind::Counter;
            assert_eq!(metric.name.ends_with("_total"), is_counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
