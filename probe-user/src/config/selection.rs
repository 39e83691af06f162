//! Which interfaces and pods are observed.
use probe_core::model::finding::{Finding, LimitAt};
use probe_core::model::interface::{Interface, Role};
use probe_core::model::pod::Pod;
use probe_core::model::topology::Topology;
use std::fmt;
use std::str::FromStr;

/// Which pods, interfaces and uplinks somebody asked for; empty lists ask for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Pods.
    pub pods: Vec<PodPattern>,
    /// Interfaces by name.
    pub interfaces: Vec<String>,
    /// Uplinks by name, instead of the devices of the default routes.
    pub uplinks: Vec<String>,
}

/// When an interface is to be attached at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Before `start`.
    First,
    /// Paced, after `start`.
    Later,
}

/// Virtual devices that carry nobody's traffic from one place to another.
const IDLE_KINDS: [&str; 5] = ["dummy", "ifb", "nlmon", "vcan", "netdevsim"];

impl Selection {
    /// Whether and when an interface is observed.
    pub fn urgency(&self, topology: &Topology, interface: &Interface) -> Option<Urgency> {
        if !self.interfaces.is_empty() {
            return self.interfaces.contains(&interface.name).then_some(Urgency::First);
        }
        let pod = topology.pod_behind(interface.ifindex);
        match interface.role {
            Role::Uplink | Role::Overlay => Some(Urgency::First),
            Role::Pod if self.pods.is_empty() => Some(Urgency::Later),
            Role::Pod => pod.is_some_and(|pod| self.wants_pod(pod)).then_some(Urgency::First),
            Role::Bridge | Role::Port if self.pods.is_empty() => Some(Urgency::Later),
            Role::Link if self.pods.is_empty() => carries_traffic(interface).then_some(Urgency::Later),
            Role::Bridge | Role::Port | Role::Link => None,
        }
    }

    /// Whether a finding is about an interface that was asked for: the limiting one, or the host's end of a pod
    /// concerned. What lies at no interface of this node (a path) is everybody's.
    pub fn wants_place(&self, finding: &Finding) -> bool {
        let pods = finding.pod.iter().chain(&finding.pods);
        let mut places = pods
            .filter_map(|pod| pod.host_interface.as_ref())
            .chain(finding.limit.interface.iter().filter(|_| finding.limit.at != LimitAt::Pod))
            .peekable();
        self.interfaces.is_empty()
            || places.peek().is_none()
            || places.any(|place| self.interfaces.contains(place))
    }

    /// Whether a finding is about what was asked for. What is nobody's is shown unless somebody was asked for.
    pub fn is_about(&self, finding: &Finding) -> bool {
        let of_pod = finding.pod.as_ref().map_or(self.pods.is_empty(), |pod| self.wants_pod(pod))
            || finding.pods.iter().any(|pod| self.wants_pod(pod));
        of_pod && self.wants_place(finding)
    }

    /// What was asked for and is none of these pods.
    pub fn without_pod<'a>(&'a self, pods: &[Pod]) -> impl Iterator<Item = &'a PodPattern> {
        self.pods.iter().filter(|pattern| !pods.iter().any(|pod| pattern.matches(pod)))
    }

    /// Whether findings of a pod are wanted.
    pub fn wants_pod(&self, pod: &Pod) -> bool {
        self.pods.is_empty() || self.pods.iter().any(|pattern| pattern.matches(pod))
    }
}

/// A veth carries traffic as soon as it is there; anything else once it is up.
fn carries_traffic(interface: &Interface) -> bool {
    let idle = interface.name == "lo" || IDLE_KINDS.contains(&interface.kind.as_str());
    !idle && (interface.up || interface.peer.is_some())
}

/// `NAMESPACE/NAME` with `*` and `?` in either part; `NAME` alone is a pod without Kubernetes namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPattern {
    namespace: Option<String>,
    name: String,
}

impl fmt::Display for PodPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name } = self;
        namespace.iter().try_for_each(|namespace| write!(f, "{namespace}/"))?;
        f.write_str(name)
    }
}

impl FromStr for PodPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if name.is_empty() || name.contains('/') || namespace == Some("") {
            return Err("expected NAMESPACE/NAME or NAME".to_owned());
        }
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }
}

impl PodPattern {
    /// Whether a pod with these labels is meant; without Kubernetes the namespace is empty.
    pub fn matches_labels(&self, namespace: &str, name: &str) -> bool {
        let in_namespace = match &self.namespace {
            Some(pattern) => !namespace.is_empty() && glob(pattern.as_bytes(), namespace.as_bytes()),
            None => namespace.is_empty(),
        };
        in_namespace && glob(self.name.as_bytes(), name.as_bytes())
    }

    /// Whether a pod is meant.
    pub fn matches(&self, pod: &Pod) -> bool {
        let namespace = match (&self.namespace, &pod.namespace) {
            (Some(pattern), Some(namespace)) => glob(pattern.as_bytes(), namespace.as_bytes()),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        namespace && pod.name.as_ref().is_some_and(|name| glob(self.name.as_bytes(), name.as_bytes()))
    }
}

/// `*` stands for any text, `?` for one character. Linear: only the last `*` is ever tried again.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut in_pattern, mut in_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern, in_text));
                in_pattern += 1;
            }
            Some(&character) if character == b'?' || Some(&character) == text.get(in_text) => {
                in_pattern += 1;
                in_text += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                in_pattern = star_at + 1;
                in_text = taken + 1;
            }
        }
    }
    pattern.iter().skip(in_pattern).all(|character| *character == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::model::pod::PodSource;

    fn pod(namespace: Option<&str>, name: &str) -> Pod {
        Pod {
            namespace: namespace.map(str::to_owned),
            name: Some(name.to_owned()),
            uid: None,
            container_id: None,
            netns: None,
            netns_inode: None,
            host_ifindex: None,
            host_interface: None,
            pod_interface: None,
            pod_mtu: None,
            addresses: Vec::new(),
            source: PodSource::Netns,
            pid: None,
            ..Pod::default()
        }
    }

    #[test]
    fn patterns() {
        let matches = |pattern: &str, namespace, name| {
            pattern.parse::<PodPattern>().expect("a pattern").matches(&pod(namespace, name))
        };
        assert!(matches("shop/cart-7d9f", Some("shop"), "cart-7d9f"));
        assert!(matches("shop/cart-*", Some("shop"), "cart-7d9f"));
        assert!(matches("*/c?rt*9*", Some("shop"), "cart-7d9f"));
        assert!(!matches("shop/cart", Some("shop"), "cart-7d9f"));
        assert!(!matches("shop/*", None, "blue"));
        assert!(matches("blue", None, "blue"));
        assert!(!matches("blue", Some("shop"), "blue"));
    }

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXb", false),
            ("?", "", false),
            ("a**", "a", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
