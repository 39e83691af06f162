//! A place of its own for a runtime: network, mount and process namespace, and a directory. Ending its first process ends
//! all that runs there.
use super::{files, wait_until};
use crate::probe::Run;
use crate::topology::Namespace;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// The place. Dropping it ends and removes everything.
#[derive(Debug)]
pub struct Holder<'network> {
    namespace: &'network Namespace,
    directory: PathBuf,
    outer: Child,
    init: u32,
}

impl<'network> Holder<'network> {
    /// Runs a script as the first process; its argument is the directory.
    pub fn start(namespace: &'network Namespace, directory: &Path, script: &str) -> Result<Self> {
        let outer = namespace
            .command("unshare")
            .args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "private"])
            .args(["sh", "-c", script, "init"])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("init.log")).context("making a log")?)
            .spawn()
            .context("starting unshare")?;
        let mut holder = Self { namespace, directory: directory.to_owned(), outer, init: 0 };
        let outer = holder.outer.id();
        holder.init = wait_until("the first process", || Ok(files::child_of(outer)))?;
        wait_until("its directories", || Ok(directory.join("mounted").exists().then_some(())))?;
        Ok(holder)
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs a program there, in all its namespaces.
    pub fn inside(&self, command: &[&str]) -> Result<String> {
        let enter = self.enter();
        let enter: Vec<&str> = enter.iter().map(String::as_str).collect();
        let arguments: Vec<&str> = enter[1..].iter().chain(command).copied().collect();
        self.namespace.output(enter[0], &arguments)
    }

    /// Runs a program in the network namespace bound to a file there.
    pub fn inside_pod(&self, netns: &str, command: &[&str]) -> Result<String> {
        let network = format!("--net={netns}");
        self.inside(&[&["nsenter", &network, "--"], command].concat())
    }

    /// `mtuprobe` there, by way of another program if one is given.
    pub fn probe(&self, wrapper: &[&str], arguments: &[&str]) -> Run<'network> {
        let enter = self.enter();
        let all: Vec<&str> = enter.iter().map(String::as_str).chain(wrapper.iter().copied()).collect();
        Run::command(self.namespace, arguments).under(&all)
    }

    /// Ends all that runs there.
    pub fn end(&mut self) {
        let _ended_already = self.outer.kill();
        let _waited_for = self.outer.wait();
        let init = Path::new("/proc").join(self.init.to_string());
        let _busy = wait_until("the end of all processes", || Ok((!init.exists()).then_some(())));
    }

    fn enter(&self) -> Vec<String> {
        let init = self.init.to_string();
        ["nsenter", "-t", &init, "-m", "-p", "--"].map(str::to_owned).to_vec()
    }
}

impl Drop for Holder<'_> {
    fn drop(&mut self) {
        self.end();
        let _left = fs::remove_dir_all(&self.directory);
    }
}
