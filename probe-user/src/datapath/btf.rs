//! Reads the kernel's own type information (BTF): offsets of structure members, values of enumerations.
//!
//! aya keeps the members of its own reader to itself, and the other maintained crate has a licence that does not fit
//! this tree. The bytes come from the kernel, yet nothing here trusts them: every offset is checked, every walk bounded.

use std::{fs, io, ops::Range, path::Path};

/// Where the running kernel shows its type information.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
/// Typedefs and qualifiers that are followed to the type behind them.
const MAX_INDIRECTIONS: usize = 32;
/// Anonymous members inside one another that are looked into.
const MAX_DEPTH: usize = 16;
/// Members that one look-up passes at most.
const MAX_MEMBERS: usize = 100_000;

/// The kinds of types that are told apart (`include/uapi/linux/btf.h`).
mod kind {
    pub const INT: u32 = 1;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file could not be read.
    #[error("read {path}: {error} (the kernel needs CONFIG_DEBUG_INFO_BTF)")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The bytes are no type information, or contradict themselves.
    #[error("type information of the kernel: {0}")]
    Malformed(&'static str),
}

/// Type information, indexed.
#[derive(Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    /// Offset of each type's record; type numbers begin at 1.
    types: Vec<usize>,
    strings: Range<usize>,
}

/// One type.
#[derive(Clone, Copy)]
struct Record {
    kind: u32,
    /// Whether offsets of members carry the size of bit fields.
    flag: bool,
    members: usize,
    name: u32,
    /// Size in bytes, or the number of the type behind.
    size_or_type: u32,
    /// Offset of what follows.
    at: usize,
}

impl Btf {
    /// The running kernel's.
    pub fn of_kernel() -> Result<Self, BtfError> {
        Self::read(Path::new(VMLINUX))
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        let bytes =
            fs::read(path).map_err(|error| BtfError::Read { path: path.display().to_string(), error })?;
        Self::parse(bytes)
    }

    /// Indexes type information in the byte order of this machine.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let (types, strings) = sections(&bytes).ok_or(BtfError::Malformed("no header, or beyond the end"))?;
        let mut btf = Self { bytes, types: Vec::new(), strings };
        let mut at = types.start;
        while at < types.end {
            let record =
                btf.record_at(at).ok_or(BtfError::Malformed("a type of an unknown kind or cut short"))?;
            btf.types.push(at);
            at = record.at + record.trailer().unwrap_or(0);
        }
        Ok(btf)
    }

    /// Offset in bytes of a member, with dots between nested names (`__sk_common.skc_net.net`); members of anonymous
    /// structures and unions belong to the one around them. `None` if this kernel has none, or it is a bit field.
    pub fn member_offset(&self, structure: &str, path: &str) -> Option<u32> {
        self.place(structure, path).map(|(offset, _)| offset)
    }

    /// Size in bytes of a member that is an integer, a structure or a union; see [`Self::member_offset`] for the path.
    pub fn member_size(&self, structure: &str, path: &str) -> Option<u32> {
        let (_, record) = self.place(structure, path)?;
        let record = record?;
        matches!(record.kind, kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64)
            .then_some(record.size_or_type)
    }

    /// Offset in bytes of a member, and the type behind it.
    fn place(&self, structure: &str, path: &str) -> Option<(u32, Option<Record>)> {
        let mut record = Some(self.find(structure)?);
        let mut bits = 0u32;
        let mut budget = MAX_MEMBERS;
        for name in path.split('.') {
            let (offset, member_type) = self.member(record?, name, 0, &mut budget)?;
            bits = bits.checked_add(offset)?;
            record = self.behind(member_type);
        }
        bits.is_multiple_of(8).then_some((bits / 8, record))
    }

    /// Size in bytes of a structure or union.
    pub fn size_of(&self, structure: &str) -> Option<u32> {
        self.find(structure).map(|record| record.size_or_type)
    }

    /// The number of a type definition, such as `btf_trace_kfree_skb`.
    pub fn typedef(&self, name: &str) -> Option<u32> {
        let index = self.types.iter().position(|at| {
            self.record_at(*at).is_some_and(|record| {
                record.kind == kind::TYPEDEF && self.string(record.name) == Some(name.as_bytes())
            })
        })?;
        u32::try_from(index + 1).ok()
    }

    /// The names and values of an enumeration.
    pub fn enumeration(&self, name: &str) -> Option<Vec<(String, u32)>> {
        let record = self.records().find(|record| {
            matches!(record.kind, kind::ENUM | kind::ENUM64)
                && self.string(record.name) == Some(name.as_bytes())
        })?;
        let step = if record.kind == kind::ENUM { 8 } else { 12 };
        let mut values = Vec::new();
        for index in 0..record.members {
            let at = record.at + index * step;
            let name = self.string(word(&self.bytes, at)?)?;
            values.push((String::from_utf8_lossy(name).into_owned(), word(&self.bytes, at + 4)?));
        }
        Some(values)
    }

    fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.types.iter().filter_map(|at| self.record_at(*at))
    }

    fn find(&self, structure: &str) -> Option<Record> {
        self.records().find(|record| {
            matches!(record.kind, kind::STRUCT | kind::UNION)
                && self.string(record.name) == Some(structure.as_bytes())
        })
    }

    /// Offset in bits and type of a member.
    fn member(&self, record: Record, wanted: &str, depth: usize, budget: &mut usize) -> Option<(u32, u32)> {
        if depth > MAX_DEPTH || !matches!(record.kind, kind::STRUCT | kind::UNION) {
            return None;
        }
        for index in 0..record.members {
            *budget = budget.checked_sub(1)?;
            let at = record.at + index * 12;
            let (name, member_type, raw) =
                (word(&self.bytes, at)?, word(&self.bytes, at + 4)?, word(&self.bytes, at + 8)?);
            let (offset, bit_field) =
                if record.flag { (raw & 0xff_ffff, raw >> 24 != 0) } else { (raw, false) };
            let name = self.string(name)?;
            if name == wanted.as_bytes() {
                return (!bit_field).then_some((offset, member_type));
            }
            if name.is_empty()
                && let Some(inner) = self.behind(member_type)
                && let Some((inner_offset, found)) = self.member(inner, wanted, depth + 1, budget)
            {
                return Some((offset.checked_add(inner_offset)?, found));
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn behind(&self, number: u32) -> Option<Record> {
        let mut number = number;
        for _ in 0..MAX_INDIRECTIONS {
            let at = *self.types.get((number as usize).checked_sub(1)?)?;
            let record = self.record_at(at)?;
            match record.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    number = record.size_or_type;
                }
                _ => return Some(record),
            }
        }
        None
    }

    fn record_at(&self, at: usize) -> Option<Record> {
        let info = word(&self.bytes, at + 4)?;
        let record = Record {
            kind: info >> 24 & 0x1f,
            flag: info >> 31 != 0,
            members: (info & 0xffff) as usize,
            name: word(&self.bytes, at)?,
            size_or_type: word(&self.bytes, at + 8)?,
            at: at + 12,
        };
        let end = record.at.checked_add(record.trailer()?)?;
        (end <= self.bytes.len()).then_some(record)
    }

    fn string(&self, offset: u32) -> Option<&[u8]> {
        let strings = self.bytes.get(self.strings.clone())?;
        let rest = strings.get(offset as usize..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest.get(..end)
    }
}

impl Record {
    /// Bytes that follow the record; `None` for a kind of a later kernel.
    fn trailer(&self) -> Option<usize> {
        match self.kind {
            kind::INT | kind::VAR | kind::DECL_TAG => Some(4),
            kind::ARRAY => Some(12),
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => Some(self.members * 12),
            kind::ENUM | kind::FUNC_PROTO => Some(self.members * 8),
            1..=kind::ENUM64 => Some(0),
            _ => None,
        }
    }
}

/// Where the types and the strings lie.
fn sections(bytes: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let magic = bytes.get(..2)?;
    if magic != MAGIC.to_ne_bytes() {
        return None;
    }
    let header = word(bytes, 4)? as usize;
    let section = |offset: u32, length: u32| {
        let start = header.checked_add(offset as usize)?;
        let end = start.checked_add(length as usize)?;
        (end <= bytes.len()).then_some(start..end)
    };
    Some((section(word(bytes, 8)?, word(bytes, 12)?)?, section(word(bytes, 16)?, word(bytes, 20)?)?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(four.try_into().ok()?))
}

#[cfg(test)]
mod tests;
