//! What `check` tells, as text and as JSON Lines.
mod json;
mod table;
mod text;

pub use json::json_lines;
pub use text::text;

use probe_core::model::Time;
use probe_core::model::finding::Finding;
use probe_core::model::pod::Pod;
use probe_core::model::survey::Survey;
use probe_core::reach::Reach;
use std::borrow::Cow;

/// What was read and what it comes to.
#[derive(Clone, Debug)]
pub struct Checked {
    /// When.
    pub time: Time,
    /// How long it took, in nanoseconds.
    pub took: Time,
    /// Version of this program.
    pub version: Cow<'static, str>,
    /// Release of the kernel.
    pub kernel: String,
    /// Name of the node.
    pub node: String,
    /// What was read.
    pub survey: Survey,
    /// The largest packets of the pods that were asked for.
    pub reaches: Vec<Reach>,
    /// What was found, as far as it is to be shown.
    pub findings: Vec<Finding>,
    /// Findings of less severity than is to be shown.
    pub hidden: usize,
}

impl Checked {
    /// The pod of a namespace, or `None` for the node's own.
    fn owner(&self, netns: u32) -> Option<&Pod> {
        self.survey.node.pod_in_netns(netns)
    }
}
