//! What redaction puts in the place of names and addresses.
//!
//! The same name gets the same pseudonym everywhere in a recording, numbered as they come. Addresses keep what a
//! diagnosis depends on: family and class, and which of them share a prefix. They are mixed with a key that exists only
//! while the recording is written, so nobody can compute them back.

mod address;
mod payload;

pub(super) use address::{Address, Network};
pub(super) use payload::veiled as veiled_payload;

use super::mirror::Mirror;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::RandomState;
use std::net::IpAddr;

/// Lets everything through, or puts pseudonyms in the place of names and addresses.
#[derive(Clone, Debug)]
pub struct Veil {
    pseudonyms: Option<Pseudonyms>,
}

#[derive(Clone, Debug, Default)]
struct Pseudonyms {
    key: RandomState,
    names: HashMap<(&'static str, String), String>,
    count: HashMap<&'static str, u32>,
}

impl Veil {
    /// Nothing is changed.
    pub fn open() -> Self {
        Self { pseudonyms: None }
    }

    /// Names and addresses get pseudonyms.
    pub fn closed() -> Self {
        Self { pseudonyms: Some(Pseudonyms::default()) }
    }

    /// Whether names and addresses get pseudonyms.
    pub fn is_closed(&self) -> bool {
        self.pseudonyms.is_some()
    }

    /// A node's name, which is known from here on.
    pub fn node(&mut self, name: &str) -> String {
        self.name("node", name)
    }

    /// A text for people or of JSON, whose names are those that were met before.
    pub fn of_text(&self, text: &str) -> String {
        self.text(text)
    }

    /// A name; the stem tells what it is of.
    fn name(&mut self, stem: &'static str, name: &str) -> String {
        match &mut self.pseudonyms {
            Some(pseudonyms) => pseudonyms.name(stem, name),
            None => name.to_owned(),
        }
    }

    fn address(&self, address: IpAddr) -> IpAddr {
        match &self.pseudonyms {
            Some(pseudonyms) => address::mixed(address, &pseudonyms.key),
            None => address,
        }
    }

    /// A text for people, in which names and addresses may occur.
    fn text(&self, text: &str) -> String {
        match &self.pseudonyms {
            Some(pseudonyms) => pseudonyms.text(text),
            None => text.to_owned(),
        }
    }
}

impl Pseudonyms {
    fn name(&mut self, stem: &'static str, name: &str) -> String {
        let known = self.names.entry((stem, name.to_owned()));
        let new = || {
            let number = self.count.entry(stem).or_default();
            *number += 1;
            format!("{stem}{number}")
        };
        known.or_insert_with(new).clone()
    }

    /// What is made of the characters of names is looked up as a whole.
    fn text(&self, text: &str) -> String {
        let is_part = |character: char| character.is_alphanumeric() || "._-/@:".contains(character);
        let mut veiled = String::new();
        let mut rest = text;
        while let Some(begin) = rest.find(is_part) {
            let (before, from) = rest.split_at(begin);
            let end = from.find(|character| !is_part(character)).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            let name = word.trim_end_matches(['.', ':']);
            veiled.push_str(before);
            veiled.push_str(&self.word(name));
            veiled.push_str(word.strip_prefix(name).unwrap_or_default());
            rest = after;
        }
        veiled + rest
    }

    fn word(&self, word: &str) -> String {
        if let Ok(address) = word.parse() {
            return address::mixed(address, &self.key).to_string();
        }
        // A network, or an address with a port; a pod's name behind its namespace.
        for separator in ['/', ':'] {
            if let Some((first, second)) = word.rsplit_once(separator)
                && !first.is_empty()
                && !second.is_empty()
            {
                let is_whole = self.names.keys().any(|(_, name)| name == word);
                if !is_whole {
                    return format!("{}{separator}{}", self.word(first), self.word(second));
                }
            }
        }
        let known = self.names.iter().find(|((_, name), _)| name == word);
        known.map_or_else(|| word.to_owned(), |(_, pseudonym)| pseudonym.clone())
    }
}

/// A name of something, by what it is of.
macro_rules! names {
    ($($(#[$meta:meta])* $type:ident = $stem:literal;)*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
            #[serde(transparent)]
            pub(super) struct $type(String);

            impl Mirror for $type {
                type Model = String;

                fn of(name: &String, veil: &mut Veil) -> Self {
                    Self(veil.name($stem, name))
                }

                fn into_model(self) -> String {
                    self.0
                }
            }
        )*
    };
}

names! {
    /// Name of a pod.
    PodName = "pod";
    /// Kubernetes namespace.
    NamespaceName = "namespace";
    /// Kubernetes uid.
    Uid = "uid";
    /// Id of a container.
    ContainerId = "container";
    /// Name of a container.
    ContainerName = "container-name";
    /// Name of a node.
    NodeName = "node";
    /// Path of a network namespace.
    NetnsPath = "/run/netns/netns";
}

/// Name of an interface. That of the loopback device is the same everywhere, and tells what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct InterfaceName(String);

impl Mirror for InterfaceName {
    type Model = String;

    fn of(name: &String, veil: &mut Veil) -> Self {
        Self(if name == "lo" || name.is_empty() { name.clone() } else { veil.name("if", name) })
    }

    fn into_model(self) -> String {
        self.0
    }
}

/// A text for people, in which names and addresses may occur.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Words(String);

impl Mirror for Words {
    type Model = String;

    fn of(text: &String, veil: &mut Veil) -> Self {
        Self(veil.text(text))
    }

    fn into_model(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_veil_changes_nothing() {
        let mut veil = Veil::open();
        assert_eq!(veil.name("if", "veth1"), "veth1");
        assert_eq!(veil.text("attach veth1: refused"), "attach veth1: refused");
    }

    #[test]
    fn names_are_numbered_as_they_come_and_stay() {
        let mut veil = Veil::closed();
        assert_eq!(["a", "b", "a"].map(|name| veil.name("pod", name)), ["pod1", "pod2", "pod1"]);
        assert_eq!(veil.name("if", "a"), "if1");
        assert_eq!(InterfaceName::of(&"lo".to_owned(), &mut veil).into_model(), "lo");
    }

    #[test]
    fn names_and_addresses_in_texts() {
        let mut veil = Veil::closed();
        veil.name("if", "veth1a2b");
        let address: IpAddr = "10.1.2.3".parse().expect("an address");
        let mixed = veil.address(address);
        assert_eq!(
            veil.text("attach veth1a2b: 10.1.2.3 is busy (veth1a2b)."),
            format!("attach if1: {mixed} is busy (if1).")
        );
    }
}
