//! Podman's list of containers, which needs no service.
use super::{Moment, Unavailable};
use probe_core::identity::{Anchor, Names, Record};
use probe_core::model::pod::PodSource;
use serde::Deserialize;
use std::fs;
use std::io;

/// containers/storage keeps it by driver; overlay is the default everywhere.
const LISTS: [&str; 2] = [
    "/var/lib/containers/storage/overlay-containers/containers.json",
    "/var/lib/containers/storage/vfs-containers/containers.json",
];

#[derive(Debug, Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

/// The containers; what they can be recognized by is the id in their control groups.
pub(super) fn read(_moment: Moment) -> Result<Vec<Record>, Unavailable> {
    let mut why = Unavailable::Absent("no containers of Podman on this machine".to_owned());
    for list in LISTS {
        match fs::read(list) {
            Ok(text) => {
                return records(&text).map_err(|error| Unavailable::Silent(format!("read {list}: {error}")));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => why = Unavailable::Silent(format!("read {list}: {error}")),
        }
    }
    Err(why)
}

fn records(text: &[u8]) -> serde_json::Result<Vec<Record>> {
    let stored: Vec<Stored> = serde_json::from_slice(text)?;
    let record = |stored: Stored| Record {
        source: PodSource::Podman,
        names: Names {
            name: stored.names.into_iter().next(),
            container_id: Some(stored.id.clone()),
            ..Names::default()
        },
        id: stored.id,
        anchor: Anchor::default(),
    };
    Ok(stored.into_iter().map(record).collect())
}

#[cfg(test)]
mod tests {
    use super::records;

    #[test]
    fn the_list() {
        let text = br#"[{"id":"c0ffee","names":["web"],"image":"i","layer":"l","metadata":"{}","created":"2024-01-01T00:00:00Z","flags":{}}]"#;
        let found = records(text).expect("a list");
        assert_eq!(found[0].names.name.as_deref(), Some("web"));
        assert_eq!(found[0].names.container_id.as_deref(), Some("c0ffee"));
        assert!(records(b"{").is_err());
    }
}
