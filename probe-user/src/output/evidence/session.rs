//! What the observation said of itself: it belongs to the recording so that a replay can say it again.
use super::interface::Role;
use super::mirror::{Mirror, Time, mirror, mirror_names};
use super::veil::{InterfaceName, NodeName, Veil, Words};
use crate::output;
use probe_core::diagnose;
use std::borrow::Cow;

mirror! {
    #[derive(Clone, Copy)]
    Senses = diagnose::Senses {
        tc: bool,
        kfree_skb: bool,
        icmp_send: bool,
        tcp_retransmit: bool,
        conntrack: bool,
    }
}

mirror! {
    Start = output::Start {
        time: Time,
        version: Cow<'static, str>,
        kernel: String,
        node: NodeName,
        attached: Vec<AttachedInterface>,
        pending: Vec<InterfaceName>,
        senses: Vec<Sense>,
    }
}

mirror_names! {
    Hook = output::Hook {
        Tcx,
        Clsact,
    }
}

mirror! {
    AttachedInterface = output::AttachedInterface {
        interface: InterfaceName,
        role: Role,
        hook: Hook,
    }
}

mirror_names! {
    SenseState = output::SenseState {
        Works,
        Degraded,
        Missing,
    }
}

mirror! {
    Sense = output::Sense {
        name: Cow<'static, str>,
        state: SenseState,
        why: Option<Words>,
    }
}

impl Mirror for Cow<'static, str> {
    type Model = Self;

    fn of(model: &Self, _veil: &mut Veil) -> Self {
        model.clone()
    }

    fn into_model(self) -> Self {
        self
    }
}

impl Start {
    pub fn time(&self) -> probe_core::model::Time {
        self.time.into_model()
    }
}
