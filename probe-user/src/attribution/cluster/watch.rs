//! Lists and watches (Kubernetes API concepts, "Efficient detection of changes").
use super::Shared;
use super::endpoint::Endpoint;
use super::objects::{List, Object, Pod, Service, WatchEvent};
use super::state::State;
use crate::attribution::sources::Unavailable;
use crate::http_client::{Connection, HttpError};
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, timeout};

/// Objects asked for at a time.
const PAGE: u32 = 500;
/// How long the server is asked to keep a watch.
const WATCH_SECONDS: u32 = 300;
/// A watch that is silent for so long beyond that is dead: bookmarks come every minute.
const SILENCE: Duration = Duration::from_secs(330);
/// Longest line of a watch: an object is 1.5 MiB at most.
const MAX_LINE: usize = 4 << 20;
/// Between attempts, doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Addresses looked up are forgotten so often.
const LOOKUPS_HOLD: Duration = Duration::from_secs(120);

/// Watches this node's pods and all services, and looks addresses up, until nobody asks any more.
pub(super) async fn all(endpoint: &Endpoint, node: &str, shared: &Shared, wanted: UnboundedReceiver<IpAddr>) {
    let pods = Watch::<Pod> {
        endpoint,
        shared,
        path: "/api/v1/pods",
        selector: Some(format!("spec.nodeName={node}")),
        objects: |state| &mut state.pods,
    };
    let services = Watch::<Service> {
        endpoint,
        shared,
        path: "/api/v1/services",
        selector: None,
        objects: |state| &mut state.services,
    };
    tokio::select! {
        () = look_up(endpoint, shared, wanted) => {}
        () = pods.forever() => {}
        () = services.forever() => {}
    }
}

struct Watch<'a, T> {
    endpoint: &'a Endpoint,
    shared: &'a Shared,
    path: &'static str,
    selector: Option<String>,
    objects: fn(&mut State) -> &mut BTreeMap<String, T>,
}

/// How a watch ended.
enum End {
    /// In good order, or cut: it goes on from the last version.
    GoOn,
    /// What it would go on from is too old.
    ListAgain,
}

impl<T: Object> Watch<'_, T> {
    async fn forever(&self) {
        let mut pause = FIRST_PAUSE;
        let mut version: Option<String> = None;
        loop {
            match self.once(&mut version, &mut pause).await {
                Ok(End::GoOn) => {}
                Ok(End::ListAgain) => version = None,
                Err(error) => {
                    if is_gone(&error) {
                        version = None;
                    }
                    let why = format!("{}: {}: {error}", self.endpoint.name(), self.path);
                    self.shared.change(|state| state.fail(Unavailable::Silent(why)));
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            }
            // A server that ends every watch at once must not be asked without a pause.
            sleep(FIRST_PAUSE / 5).await;
        }
    }

    async fn once(&self, version: &mut Option<String>, pause: &mut Duration) -> Result<End, HttpError> {
        let mut connection = self.endpoint.connect().await?;
        let token = self.endpoint.token()?;
        let since = match version.clone() {
            Some(since) => since,
            None => self.list(&mut connection, token.as_deref()).await?,
        };
        *version = Some(since.clone());
        let query = format!(
            "{}watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={since}",
            self.query()
        );
        let response = connection.get(&self.endpoint.path(&query), token.as_deref()).await?;
        self.shared.change(State::heal);
        *pause = FIRST_PAUSE;
        let mut body = response.into_body();
        let mut line = Vec::new();
        loop {
            let frame = match timeout(SILENCE, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                // Ended, cut, or dead: nothing is lost, since the version is known.
                Ok(Some(Err(_)) | None) | Err(_) => return Ok(End::GoOn),
            };
            let Ok(data) = frame.into_data() else { continue };
            for part in data.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(part);
                if line.len() > MAX_LINE {
                    return Ok(End::ListAgain);
                }
                if part.ends_with(b"\n") {
                    if let Some(end) = self.take(&line, version) {
                        return Ok(end);
                    }
                    line.clear();
                }
            }
        }
    }

    /// Takes a line of a watch in.
    fn take(&self, line: &[u8], version: &mut Option<String>) -> Option<End> {
        let Ok(event) = serde_json::from_slice::<WatchEvent<T>>(line) else {
            // Something new: a list says what is.
            return (!line.trim_ascii().is_empty()).then_some(End::ListAgain);
        };
        let (object, is_there) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, true),
            WatchEvent::Deleted(object) => (object, false),
            WatchEvent::Bookmark(mark) => {
                *version = Some(mark.metadata.resource_version);
                return None;
            }
            WatchEvent::Error(status) if status.code == StatusCode::GONE.as_u16() => {
                return Some(End::ListAgain);
            }
            // Whatever it is, it does not say that something was missed.
            WatchEvent::Error(_) => return Some(End::GoOn),
        };
        *version = Some(object.metadata().resource_version.clone());
        self.shared.change(|state| {
            let objects = (self.objects)(state);
            let uid = object.metadata().uid.clone();
            if is_there {
                objects.insert(uid, object);
            } else {
                objects.remove(&uid);
            }
        });
        None
    }

    /// Lists all; the version to go on from.
    async fn list(&self, connection: &mut Connection, token: Option<&str>) -> Result<String, HttpError> {
        let mut found = BTreeMap::new();
        let mut continues = String::new();
        loop {
            let query = format!("{}limit={PAGE}&continue={continues}", self.query());
            let list: List<T> = connection.get_json(&self.endpoint.path(&query), token).await?;
            found.extend(list.items.into_iter().map(|object| (object.metadata().uid.clone(), object)));
            continues = list.metadata.continues;
            if continues.is_empty() {
                self.shared.change(|state| {
                    *(self.objects)(state) = found;
                    state.heal();
                    if self.selector.is_some() {
                        state.note_pods();
                    }
                });
                return Ok(list.metadata.resource_version);
            }
        }
    }

    fn query(&self) -> String {
        let selector = self.selector.as_ref().map(|selector| format!("fieldSelector={selector}&"));
        format!("{}?{}", self.path, selector.unwrap_or_default())
    }
}

fn is_gone(error: &HttpError) -> bool {
    matches!(error, HttpError::Status { status, .. } if *status == StatusCode::GONE)
}

/// Finds the pods of addresses, one after the other.
async fn look_up(endpoint: &Endpoint, shared: &Shared, mut wanted: UnboundedReceiver<IpAddr>) {
    let mut forget = Instant::now() + LOOKUPS_HOLD;
    while let Some(address) = wanted.recv().await {
        if Instant::now() >= forget {
            forget = Instant::now() + LOOKUPS_HOLD;
            shared.change(State::forget_looked_up);
        }
        if shared.read(|state| state.knows(address)) {
            continue;
        }
        let found = match find(endpoint, address).await {
            Ok(list) => list.items.into_iter().find(|pod| pod.addresses().contains(&address)),
            // No name, and no second question until what is known is forgotten.
            Err(_) => None,
        };
        shared.change(|state| state.note_looked_up(address, found.map(|pod| pod.metadata)));
    }
}

async fn find(endpoint: &Endpoint, address: IpAddr) -> Result<List<Pod>, HttpError> {
    let mut connection = endpoint.connect().await?;
    let path = endpoint.path(&format!("/api/v1/pods?fieldSelector=status.podIP={address}&limit=5"));
    connection.get_json(&path, endpoint.token()?.as_deref()).await
}
