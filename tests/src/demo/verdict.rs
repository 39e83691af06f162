//! Whether exactly the faulty pods were named, each with what it has.
use super::cast::{Act, CAST};
use crate::probe::{Finding, Report};
use crate::topology::Network;
use anyhow::Result;
use std::io::Write;

/// Prints a line per pod, and says whether all are right.
pub fn print(out: &mut impl Write, network: &Network, acts: &[Act], report: &Report) -> Result<bool> {
    let loud = report.loud();
    let mut right = true;
    writeln!(out, "\nCheck: exactly the faulty pods, and the fault of each")?;
    for member in CAST {
        let name = network.lab().full_name(member.name());
        let named: Vec<&Finding> = loud.iter().filter(|finding| finding.pod() == Some(&name)).collect();
        let (well, said) = match (member.expected(network), named.as_slice()) {
            (None, []) => (true, "not named".to_owned()),
            (Some(expected), [finding]) => (expected.accepts(finding), finding.to_string()),
            (Some(_), []) => (false, "NOT NAMED".to_owned()),
            (None | Some(_), several) => {
                (false, several.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
        };
        right &= well;
        writeln!(out, "  {} {:<7} {said}", mark(well), member.name())?;
    }
    for finding in loud.iter().filter(|finding| is_stranger(finding, network)) {
        right = false;
        writeln!(out, "  {} {finding}", mark(false))?;
    }
    for act in acts.iter().filter(|act| !act.as_staged()) {
        right = false;
        writeln!(out, "  {} the lab is not as it should be: {act}", mark(false))?;
    }
    if report.exit_status() != Some(1) {
        right = false;
        writeln!(out, "  {} exit status {:?} instead of 1", mark(false), report.exit_status())?;
    }
    Ok(right)
}

fn is_stranger(finding: &Finding, network: &Network) -> bool {
    !CAST.iter().any(|member| finding.pod() == Some(&network.lab().full_name(member.name())))
}

const fn mark(well: bool) -> &'static str {
    if well { "ok   " } else { "WRONG" }
}
