//! The command that shows whether a fault is gone: a search of the path MTU, the way that the lost packets went.
use super::fault::Joint;
use super::rules::Case;
use crate::model::finding::{Direction, Fix, FixWhen};
use crate::model::flow::{Flow, Protocol};
use crate::model::pod::Pod;
use std::net::SocketAddr;

/// How `size` bytes are shown to pass again; `None` as the size where only bounds of it are known.
pub(super) fn verification(case: &Case<'_>, size: Option<u32>) -> Fix {
    let command = case.fault.flows.keys().next().and_then(|flow| search(case, flow));
    let passes = size
        .map_or_else(|| "finds the size exactly".to_owned(), |size| format!("{size} bytes and more pass"));
    let ends = "mtuprobe closes this finding";
    let text = match &command {
        Some(_) => format!("run on this node: {passes}, with status 0, and {ends}"),
        None => match size {
            Some(size) => format!("{size}-byte packets pass with DF set, and {ends}"),
            None => format!("large packets pass with DF set, and {ends}"),
        },
    };
    Fix { when: FixWhen::Verify, command, text }
}

/// How a mismatch that no packet need have met is seen to be gone.
pub(super) fn of_mismatch(pod: Option<&Pod>) -> Fix {
    let only = pod.filter(|pod| pod.name.is_some()).map(|pod| format!(" --pod {}", pod.display_name()));
    Fix {
        when: FixWhen::Verify,
        command: Some(format!("mtuprobe check{}", only.unwrap_or_default())),
        text: "run on this node: does not tell it any more".to_owned(),
    }
}

/// The search from the sender, or, where that is another machine, the nearest to it that can be had here.
fn search(case: &Case<'_>, flow: &Flow) -> Option<String> {
    let topology = case.topology;
    let forth = |from: &str| format!("mtuprobe path{from} {}", destination(flow));
    // An echo reply is as large as its request: it measures the way back too.
    let back = |from: &str| format!("mtuprobe path{from} --protocol icmp {}", flow.src);
    match (case.fault.key.direction, &case.fault.pod) {
        (Direction::FromPod, Some(pod)) => from(pod).map(|from| forth(&from)),
        (Direction::FromPod, None) => None,
        (Direction::FromHost, _) => Some(forth("")),
        (Direction::ToPod | Direction::ToHost, receiver) => {
            if let Some(sender) = topology.pod_with_address(flow.src) {
                return from(sender).map(|from| forth(&from));
            }
            let is_here = topology.is_own_address(flow.src);
            let is_beyond = matches!(case.fault.key.joint, Joint::Router(..) | Joint::SilentPath);
            match receiver {
                Some(pod) if is_beyond && !is_here => from(pod).map(|from| back(&from)),
                None if !is_here => Some(back("")),
                Some(_) | None => Some(forth("")),
            }
        }
    }
}

/// The option that names where probes leave from; `None` where no way into the pod is known.
fn from(pod: &Pod) -> Option<String> {
    match (&pod.name, &pod.netns, pod.pid) {
        (Some(_), _, _) => Some(format!(" --pod {}", pod.display_name())),
        (None, Some(path), _) => Some(format!(" --netns {path}")),
        (None, None, Some(pid)) => Some(format!(" --netns {pid}")),
        (None, None, None) => None,
    }
}

/// With the port where a service answers; the other end of its connections has a higher one.
fn destination(flow: &Flow) -> String {
    let serves = flow.protocol == Protocol::Tcp && flow.dst_port != 0 && flow.dst_port < flow.src_port;
    if serves { SocketAddr::new(flow.dst, flow.dst_port).to_string() } else { flow.dst.to_string() }
}
