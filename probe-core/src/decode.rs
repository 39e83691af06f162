//! Bytes from the kernel or the wire → [`crate::model`] values.
//!
//! Decoding is total: no bytes panic it. What is not understood is an [`UndecodableRecord`], which the caller counts
//! by its [`UndecodableRecord::name`].

mod captured;
mod cursor;
#[cfg(test)]
mod frames;
mod network;
pub mod packet;
mod pod_settings;
mod record;
mod tcp_hole;
pub mod tunnel;

pub use captured::{Captured, MAX_CAPTURED, captured};
pub use pod_settings::{NetnsSettings, SettingsLayout, is_last_of_settings, pod_settings};
pub use tcp_hole::tcp_hole;

use crate::model::Time;
use crate::model::event::Event;
use bytes::Bytes;
use probe_common::record::kind;
use thiserror::Error;

/// What numbers of the running kernel mean; only the loaded datapath can tell.
pub trait KernelNames {
    /// Name of a drop reason, with or without the prefix `SKB_DROP_REASON_`.
    fn drop_reason(&self, reason: u32) -> Option<&str>;

    /// Symbol at a code address, without offset.
    fn symbol(&self, address: u64) -> Option<&str>;
}

/// What a ring record says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events, and none is stored")]
pub enum Record {
    /// An observation.
    Event(Event),
    /// A code location that the kernel side has not met before and wants to have classified.
    Location(NewLocation),
}

/// A code location met for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLocation {
    /// When.
    pub time: Time,
    /// The address.
    pub address: u64,
    /// Its symbol without offset and module; empty where it could not be had.
    pub symbol: String,
}

/// Why a record was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UndecodableRecord {
    /// A kind that this version does not know.
    #[error("ring record of unknown kind {0}")]
    UnknownKind(u16),
    /// Shorter than its kind.
    #[error("ring record of kind {kind} has {length} bytes only")]
    Short {
        /// The kind; 0 if not even the header is there.
        kind: u16,
        /// Bytes that are there.
        length: usize,
    },
    /// Its packet cannot be read.
    #[error("packet in a ring record of kind {0} cannot be read")]
    UnreadablePacket(u16),
    /// A field has a value that it cannot have.
    #[error("ring record of kind {0} contradicts itself")]
    Contradiction(u16),
}

impl UndecodableRecord {
    /// The name in `lost` lines and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownKind(_) => "undecodable_kind",
            Self::Short { .. } => "undecodable_length",
            Self::UnreadablePacket(_) => "undecodable_packet",
            Self::Contradiction(_) => "undecodable_value",
        }
    }
}

/// Decodes a ring record.
///
/// # Errors
/// The record is not understood; nothing else is wrong then, and the next one may well be.
pub fn decode(bytes: &Bytes, names: &dyn KernelNames) -> Result<Record, UndecodableRecord> {
    let header = record::header(bytes)?;
    let event = match header.kind {
        kind::OVERSIZE => record::oversize(bytes)?,
        kind::PACKET_TOO_BIG => record::packet_too_big(bytes)?,
        kind::FRAGMENT => record::fragment(bytes)?,
        kind::SIZE_DROP => record::size_drop(bytes, names)?,
        kind::LOCATION => return record::location(bytes).map(Record::Location),
        kind::ICMP_SEND => record::icmp_send(bytes)?,
        kind::TCP_RETRANSMIT => record::tcp_retransmit(bytes)?,
        kind::TCP_CLOSE => record::tcp_close(bytes)?,
        kind::TCP_MSS => record::tcp_mss(bytes)?,
        unknown => return Err(UndecodableRecord::UnknownKind(unknown)),
    };
    Ok(Record::Event(event))
}
