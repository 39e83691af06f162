//! Packet filters of the calling thread's network namespace, as far as path MTU discovery depends on them.
mod expression;
mod presence;
mod ruleset;

use probe_core::model::filters::Filters;
use std::fs;
use std::io;
use std::process::{Command, Stdio};

/// Why rules could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FiltersError {
    /// The kernel refuses to tell whether there are any.
    #[error("list nftables: {0} (needs CAP_NET_ADMIN)")]
    Refused(io::Error),
    /// There are rules and nothing to list them.
    #[error("list nftables: run nft: {0} (install the package nftables)")]
    NoTool(io::Error),
    /// The tool failed.
    #[error("list nftables: nft: {0}")]
    Failed(String),
    /// The listing is none.
    #[error("list nftables: nft's listing is not understood: {0}")]
    NotUnderstood(#[from] serde_json::Error),
}

/// What nftables has, rules of `iptables-nft` included. The tool is run only where there is a table at all.
///
/// # Errors
/// The kernel refuses, or the tool is not there or fails.
pub fn read() -> Result<Filters, FiltersError> {
    if !presence::has_tables().map_err(FiltersError::Refused)? {
        return Ok(Filters::default());
    }
    // As a child of this thread it runs in this thread's namespace.
    let output = Command::new("nft")
        .args(["--json", "list", "ruleset"])
        .stdin(Stdio::null())
        .output()
        .map_err(FiltersError::NoTool)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(FiltersError::Failed(text.lines().next().unwrap_or_default().to_owned()));
    }
    Ok(ruleset::filters(&serde_json::from_slice(&output.stdout)?))
}

/// Tables of the older `iptables`, whose rules no netlink tells: `ip mangle`, `ip6 filter` ….
pub fn legacy_tables() -> Vec<String> {
    let tables = |file: &str, family: &str| -> Vec<String> {
        // Not there without the module, not readable for others than root: there is nothing to name.
        let text = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        text.lines().map(|table| format!("{family} {table}")).collect()
    };
    [tables("ip_tables_names", "ip"), tables("ip6_tables_names", "ip6")].concat()
}
