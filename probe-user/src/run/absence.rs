//! Pods that somebody asked for and that are not there.
use crate::config::PodPattern;
use crate::system::{CAP_NET_ADMIN, has_capability};
use probe_core::model::pod::Pod;

/// Pods named in an error at most.
const NAMED: usize = 10;

/// Why no pods may be seen where there are some.
pub(super) fn blindness(pods: &[Pod]) -> Option<&'static str> {
    (pods.is_empty() && !has_capability(CAP_NET_ADMIN))
        .then_some("no pods can be told from other links without CAP_NET_ADMIN")
}

/// That no pod matches, and which there are.
pub(super) fn no_pod(pattern: &PodPattern, pods: &[Pod]) -> String {
    if let Some(why) = blindness(pods) {
        return format!("no pod {pattern}: {why}");
    }
    if pods.is_empty() {
        return format!("no pod {pattern}: no pods are reachable from this network namespace");
    }
    format!("no pod {pattern} on this node; there are {}", names(pods))
}

/// Names of pods, each once, the first of them.
pub(super) fn names<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> String {
    let mut names: Vec<String> = pods.into_iter().map(Pod::display_name).collect();
    names.sort();
    names.dedup();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &more
}
