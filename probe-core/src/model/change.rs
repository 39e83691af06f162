//! Changes of what MTU depends on.
use super::Time;

/// Something that MTU depends on changed while observing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When it was noticed.
    pub time: Time,
    /// What kind.
    pub what: ChangeKind,
    /// Which interface, route or setting.
    pub object: String,
    /// Before; `None` if it was not there.
    pub from: Option<String>,
    /// After; `None` if it is gone.
    pub to: Option<String>,
}

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// An interface's MTU.
    LinkMtu,
    /// An interface came.
    LinkAdded,
    /// An interface went.
    LinkRemoved,
    /// A route's MTU metric.
    RouteMtu,
    /// A path MTU discovery setting.
    Setting,
    /// A packet filter.
    Filter,
}

impl ChangeKind {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinkMtu => "link_mtu",
            Self::LinkAdded => "link_added",
            Self::LinkRemoved => "link_removed",
            Self::RouteMtu => "route_mtu",
            Self::Setting => "setting",
            Self::Filter => "filter",
        }
    }
}
