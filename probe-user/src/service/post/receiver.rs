//! Who is told: the API server, with an Event, and a webhook.
use super::client::{HttpUrl, PostError, Server};
use super::{NotedCause, Notice, Turn};
use crate::output::notice::{event, webhook_message};
use crate::output::wall_clock::WallClock;
use anyhow::{Context as _, anyhow};
use probe_core::model::pod::Pod;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a pod finds what its service account may use.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Somebody who is told.
#[derive(Debug)]
pub struct Receiver {
    server: Server,
    token_file: Option<PathBuf>,
    form: Form,
    node: String,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Event,
    Webhook,
}

/// A webhook.
///
/// # Errors
/// Its certificates cannot be read.
pub fn webhook(
    url: HttpUrl,
    authority: Option<&Path>,
    token_file: Option<PathBuf>,
    node: String,
) -> anyhow::Result<Receiver> {
    let server = Server::new(url, authority).context("webhook")?;
    Ok(Receiver { server, token_file, form: Form::Webhook, node })
}

/// The API server of the cluster that this is a pod of.
///
/// # Errors
/// This is no pod, or its service account is not mounted.
pub fn kubernetes(node: String) -> anyhow::Result<Receiver> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let host = variable("KUBERNETES_SERVICE_HOST")
        .context("Kubernetes Events: not in a cluster (no KUBERNETES_SERVICE_HOST)")?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
    let url =
        format!("https://{host}:{port}/").parse().map_err(|error| anyhow!("Kubernetes Events: {error}"))?;
    let account = Path::new(ACCOUNT);
    let server = Server::new(url, Some(&account.join("ca.crt"))).context("Kubernetes Events")?;
    Ok(Receiver { server, token_file: Some(account.join("token")), form: Form::Event, node })
}

impl Receiver {
    /// Name in metrics.
    pub fn label(&self) -> &'static str {
        match self.form {
            Form::Event => "kubernetes",
            Form::Webhook => "webhook",
        }
    }

    /// For people.
    pub fn name(&self) -> String {
        self.server.name()
    }

    /// Tells it.
    pub(super) async fn tell(&self, notice: &Notice, clock: WallClock) -> Result<(), PostError> {
        // A kubelet renews it.
        let token = self.token_file.as_deref().map(fs::read_to_string).transpose();
        let token = token.map_err(|error| PostError::Later(format!("read the token: {error}")))?;
        let token = token.as_deref().map(str::trim);
        let made = match self.form {
            Form::Webhook => webhook_message(notice, &self.node, clock).map(|body| (String::new(), body)),
            Form::Event => event(notice, &self.node, clock),
        };
        let (path, body) = made.map_err(|error| PostError::Refused(error.to_string()))?;
        self.server.post(&path, token, body).await
    }
}

impl NotedCause {
    /// The only pod that suffers, if it is one of Kubernetes: an Event about it stands beside it then.
    pub fn only_pod(&self) -> Option<&Pod> {
        let pod = self.pods.values().next().filter(|_| self.pods.len() == 1)?;
        (pod.namespace.is_some() && pod.name.is_some()).then_some(pod)
    }

    /// One line for people.
    pub fn sentence(&self, turn: Turn) -> String {
        let state = match turn {
            Turn::Open | Turn::Changed => format!("{} {}", self.severity.name(), self.certainty.name()),
            Turn::Closed => "over".to_owned(),
        };
        let who: Vec<String> = self.pods.values().take(5).map(Pod::display_name).collect();
        let more = self.pods.len().saturating_sub(who.len());
        let mut text = format!("{state}: {}", self.title);
        if !who.is_empty() {
            text.push_str(&format!("; pods {}", who.join(", ")));
        }
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        if turn != Turn::Closed {
            text.extend(self.changed.iter().map(|changed| format!("; changed before: {changed}")));
            text.extend(self.fix.iter().map(|fix| format!("; now: {fix}")));
        }
        text
    }
}
