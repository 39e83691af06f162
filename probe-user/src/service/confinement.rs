//! What the service gives up: rights that it never needs, at its start, and on the thread that talks to others all of them.
//!
//! Capabilities, `no_new_privs` and Landlock belong to a thread and are inherited by those that it starts. So the process
//! gives up first and starts threads then. Landlock is for the network's thread only: it would also forbid to look at
//! processes of pods (`ptrace_access_check`), by which their namespaces are told apart.
use anyhow::{Context as _, anyhow};
use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, path_beneath_rules,
};
use std::io;
use std::path::PathBuf;

/// What observing needs (docs/rights.md): the three, and those that tell more of pods where they were granted.
const KEPT: [Capability; 6] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_PERFMON,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_PTRACE,
    // Records of container runtimes are for root alone, also where root has no rights of its own.
    Capability::CAP_DAC_READ_SEARCH,
];

/// What the network's thread may read: its own figures, name resolution, and what a kubelet mounts.
const READABLE: [&str; 4] = ["/proc", "/etc", "/run/secrets", "/var/run/secrets"];

/// Newest rules that are known here; an older kernel keeps those that it has.
const RULES: ABI = ABI::V5;

/// Gives up all capabilities but those that observing needs, also for programs that are started. To be called before
/// there are threads.
///
/// # Errors
/// The kernel refuses.
pub fn confine_process() -> anyhow::Result<()> {
    let wanted = CapsHashSet::from(KEPT);
    let held = caps::read(None, CapSet::Permitted).context("read the capabilities")?;
    let kept: CapsHashSet = held.intersection(&wanted).copied().collect();
    // Only who has CAP_SETPCAP can bound what others get; who has not is bounded already.
    if held.contains(&Capability::CAP_SETPCAP) {
        let bound = caps::read(None, CapSet::Bounding).context("read the capabilities")?;
        for capability in bound.difference(&wanted) {
            caps::drop(None, CapSet::Bounding, *capability).context("bound the capabilities")?;
        }
    }
    caps::clear(None, CapSet::Inheritable).context("give up inheritable capabilities")?;
    caps::set(None, CapSet::Effective, &kept).context("give up capabilities")?;
    caps::set(None, CapSet::Permitted, &kept).context("give up capabilities")?;
    forbid_new_rights().context("forbid new rights")
}

/// Gives up everything on the thread that talks to others: all capabilities, and all files but a few to read.
///
/// # Errors
/// The kernel refuses.
pub fn confine_network(readable: &[PathBuf]) -> anyhow::Result<()> {
    for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted] {
        caps::clear(None, set).context("give up capabilities")?;
    }
    let status = landlock(readable).map_err(|error| anyhow!("give up files: {error}"))?;
    let files = match status {
        RulesetStatus::FullyEnforced => "given up",
        RulesetStatus::PartiallyEnforced => "given up as far as this kernel can",
        RulesetStatus::NotEnforced => "not given up: this kernel has no Landlock",
    };
    tracing::debug!(files, "the network's thread is confined");
    Ok(())
}

fn landlock(readable: &[PathBuf]) -> Result<RulesetStatus, landlock::RulesetError> {
    let places = READABLE.map(PathBuf::from).into_iter().chain(readable.iter().cloned());
    // A place that does not exist needs no rule.
    let places: Vec<PathBuf> = places.filter(|place| place.exists()).collect();
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        // It listens already, and where it posts to is nobody's business here.
        .handle_access(AccessNet::BindTcp)?
        .create()?
        .add_rules(path_beneath_rules(places, reading))?
        .restrict_self()?;
    Ok(status.ruleset)
}

fn forbid_new_rights() -> io::Result<()> {
    // SAFETY: prctl with these numbers touches no memory of ours.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
