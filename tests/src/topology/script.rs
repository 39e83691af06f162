//! Commands collected per namespace, so that a network takes few processes.
use std::collections::BTreeMap;
use std::fmt::Write;

/// Lines for `ip -batch` and kernel settings, by the short name of the namespace.
#[derive(Debug, Default)]
pub struct Script {
    /// Made in this order; a namespace's lines run together.
    order: Vec<String>,
    lines: BTreeMap<String, String>,
    settings: BTreeMap<String, Vec<(String, String)>>,
}

impl Script {
    /// Adds one `ip` command.
    pub fn ip(&mut self, namespace: &str, command: impl AsRef<str>) {
        if !self.lines.contains_key(namespace) {
            self.order.push(namespace.to_owned());
        }
        let lines = self.lines.entry(namespace.to_owned()).or_default();
        // Writing to a String cannot fail.
        let _infallible = writeln!(lines, "{}", command.as_ref());
    }

    /// Adds a kernel setting, which is made after the commands.
    pub fn setting(&mut self, namespace: &str, name: impl Into<String>, value: impl Into<String>) {
        self.settings.entry(namespace.to_owned()).or_default().push((name.into(), value.into()));
    }

    /// The commands by namespace, in the order in which the namespaces were first named.
    pub fn commands(&self) -> impl Iterator<Item = (&str, &str)> {
        self.order.iter().filter_map(|name| Some((name.as_str(), self.lines.get(name)?.as_str())))
    }

    /// The settings by namespace.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &[(String, String)])> {
        self.settings.iter().map(|(name, settings)| (name.as_str(), settings.as_slice()))
    }
}
