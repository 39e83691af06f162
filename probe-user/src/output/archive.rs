//! Files in one archive: tar, packed by gzip.
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// What a member may be done with: its owner's to read.
const MODE: u32 = 0o600;

/// An archive that grows.
pub struct Archive {
    builder: Builder<GzEncoder<File>>,
    /// Directory of all members.
    directory: String,
    /// Unix time in seconds of all members.
    time: u64,
}

impl Archive {
    /// Begins an archive; one that is there already stays as it is.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path, directory: String, time: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
        Ok(Self { builder: Builder::new(GzEncoder::new(file, Compression::default())), directory, time })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(MODE);
        header.set_mtime(self.time);
        header.set_size(content.len() as u64);
        let path = format!("{}/{name}", self.directory);
        self.builder.append_data(&mut header, path, content)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> io::Result<()> {
        self.builder.into_inner()?.finish()?.sync_all()
    }
}
