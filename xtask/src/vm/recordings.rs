//! Evidence that the tests of a guest recorded: it comes by the console, compressed and as text.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::workspace::run;

/// Recordings in the order in which they came: name, and lines of base64.
#[derive(Debug, Default)]
pub struct Recordings {
    files: Vec<(String, String)>,
}

impl Recordings {
    /// The recording with this name begins.
    pub fn begin(&mut self, name: &str) {
        self.files.push((name.to_owned(), String::new()));
    }

    /// The next line of the last one.
    pub fn take(&mut self, line: &str) {
        if let Some((_, text)) = self.files.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }

    /// Unpacks them to a directory.
    pub fn write(&self, directory: &Path) -> Result<()> {
        if self.files.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        for (name, text) in &self.files {
            let path = directory.join(name);
            let packed = path.with_extension("base64");
            fs::write(&packed, text).with_context(|| format!("write {}", packed.display()))?;
            let mut decode = Command::new("busybox")
                .args(["base64", "-d"])
                .arg(&packed)
                .stdout(Stdio::piped())
                .spawn()
                .context("run busybox base64")?;
            let bytes = decode.stdout.take().context("the pipe from busybox base64")?;
            let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
            run(Command::new("busybox").args(["gunzip", "-c"]).stdin(bytes).stdout(file))?;
            decode.wait().context("wait for busybox base64")?;
            fs::remove_file(&packed).with_context(|| format!("remove {}", packed.display()))?;
        }
        println!("{} recordings in {}", self.files.len(), directory.display());
        Ok(())
    }
}
