//! Settings of all network namespaces, read by an iterator program: no namespace is entered, no process looked for.
use super::btf::Btf;
use super::iterator::Iterator;
use super::load::{DatapathError, absent};
use aya::Ebpf;
use aya::programs::{Iter, ProgramError};
use probe_common::kernel_field::ABSENT;
use probe_common::pod_settings::{FIELDS, PROGRAM, SETTINGS};
use probe_core::decode::{NetnsSettings, SettingsLayout, is_last_of_settings, pod_settings};
use std::io::{self, Read as _};

/// The iterator that serves as the occasion.
const OCCASION: &str = "bpf_map";
/// Bytes asked for at a time; the iterator goes on to further objects until it has so many.
const AT_A_TIME: usize = 1024;
/// More than there can be: an end of the reading for a program that does not end.
const MOST: usize = 1 << 20;

/// Reads the settings.
#[derive(Debug)]
pub struct PodSettings {
    iterator: Iterator,
    layout: SettingsLayout,
}

/// Offsets of the settings in `struct net` as globals of the kernel side, and how wide each is.
pub(super) fn fields(kernel: &Btf, tick_ns: u32) -> (Vec<(&'static str, u32)>, SettingsLayout) {
    let mut layout = SettingsLayout { widths: [0; SETTINGS], tick_ns };
    let mut offsets = Vec::new();
    for (field, width) in FIELDS.iter().zip(&mut layout.widths) {
        let found = kernel.member_offset("net", field.path).zip(kernel.member_size("net", field.path));
        let (offset, size) = found.unwrap_or((ABSENT, 0));
        *width = u8::try_from(size).unwrap_or(0);
        offsets.push((field.global, offset));
    }
    (offsets, layout)
}

impl PodSettings {
    pub(super) fn load(
        ebpf: &mut Ebpf,
        btf: &aya::Btf,
        layout: SettingsLayout,
    ) -> Result<Self, DatapathError> {
        let refused =
            |operation| move |error: ProgramError| DatapathError::program(operation, PROGRAM, &error);
        let program = ebpf.program_mut(PROGRAM).ok_or_else(|| absent("program", PROGRAM))?;
        let program: &mut Iter = program.try_into().map_err(refused("use"))?;
        super::classifiers::load_patiently(|| program.load(OCCASION, btf)).map_err(refused("load"))?;
        let iterator = Iterator::of(program).map_err(refused("use"))?;
        let reader = Self { iterator, layout };
        // The kernel may refuse only now, and a list that does not end is no good either.
        reader.read().map_err(|error| DatapathError::of("run", "program pod_settings", &error))?;
        Ok(reader)
    }

    /// Reads the settings of all network namespaces of this kernel: less than a millisecond for 150 of them.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn read(&self) -> io::Result<NetnsSettings> {
        let mut file = self.iterator.walk()?;
        let mut bytes = Vec::new();
        let mut some = [0; AT_A_TIME];
        loop {
            let length = file.read(&mut some)?;
            bytes.extend_from_slice(some.get(..length).unwrap_or_default());
            if length == 0 || is_last_of_settings(&bytes) || bytes.len() > MOST {
                return Ok(pod_settings(&bytes, &self.layout));
            }
        }
    }
}
