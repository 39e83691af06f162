//! Whose a series is, and for how many there are places.
use probe_core::model::pod::Pod;
use probe_core::model::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};

/// Series of a pod stay so long after it was seen last, so that the last values are scraped.
pub const RETENTION: Time = 600 * SECOND;

/// One without a name, which its interface stands for, until it has one or for so long: it will not come again.
const NAMELESS: Time = 5 * SECOND;

/// Labels of a pod's series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Kubernetes namespace; empty where there is none.
    pub namespace: String,
    /// Name; empty for the node itself.
    pub pod: String,
}

impl Owner {
    /// The node itself.
    pub fn node() -> Self {
        Self { namespace: String::new(), pod: String::new() }
    }

    /// All pods for which there was no place.
    pub fn overflow() -> Self {
        Self { namespace: "overflow".to_owned(), pod: "overflow".to_owned() }
    }

    fn of(pod: &Pod) -> Self {
        let name = pod.name.clone().unwrap_or_else(|| pod.display_name());
        Self { namespace: pod.namespace.clone().unwrap_or_default(), pod: name }
    }
}

/// The pods that have places, and when each was seen last.
#[derive(Debug)]
pub(super) struct Census {
    ceiling: usize,
    /// When each was seen last, and how long it keeps its place from then on.
    seen: BTreeMap<Owner, (Time, Time)>,
}

impl Census {
    pub fn new(ceiling: usize) -> Self {
        Self { ceiling, seen: BTreeMap::new() }
    }

    pub fn set_ceiling(&mut self, ceiling: usize) {
        self.ceiling = ceiling;
    }

    /// Whose series a pod's counts go to; `None` is the node.
    pub fn owner(&mut self, now: Time, pod: Option<&Pod>) -> Owner {
        let Some(pod) = pod else { return Owner::node() };
        let owner = Owner::of(pod);
        if let Some((seen, _)) = self.seen.get_mut(&owner) {
            *seen = now;
            return owner;
        }
        if self.seen.len() >= self.ceiling {
            return Owner::overflow();
        }
        let kept = if pod.name.is_some() { RETENTION } else { NAMELESS };
        self.seen.insert(owner.clone(), (now, kept));
        owner
    }

    /// Whose series a pod's are, without making a place.
    pub fn lookup(&self, pod: Option<&Pod>) -> Owner {
        let Some(pod) = pod else { return Owner::node() };
        let owner = Owner::of(pod);
        if self.seen.contains_key(&owner) { owner } else { Owner::overflow() }
    }

    /// Gives up the places of those that were not seen for long.
    pub fn forget(&mut self, now: Time) -> BTreeSet<Owner> {
        let old = self.seen.extract_if(.., |_, (seen, kept)| *seen + *kept < now);
        old.map(|(owner, _)| owner).collect()
    }
}
