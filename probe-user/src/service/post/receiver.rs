//! Who is told: the API server, with an Event, and a webhook.
use super::{NotedCause, Notice, Turn};
use crate::attribution::cluster::{Access, Endpoint};
use crate::http_client::{HttpError, HttpUrl, Origin, Trust, tls};
use crate::output::notice::{event, webhook_message};
use crate::output::wall_clock::WallClock;
use anyhow::{Context as _, anyhow, bail};
use hyper::StatusCode;
use probe_core::model::pod::Pod;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// Who has not answered by then is asked again later.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where distributions keep the certificates that they trust.
const SYSTEM_CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Somebody who is told.
#[derive(Debug)]
pub struct Receiver {
    way: Way,
    node: String,
}

/// How somebody is reached, which also says in which form.
#[derive(Debug)]
enum Way {
    Kubernetes(Endpoint),
    Webhook { origin: Origin, token_file: Option<PathBuf> },
}

/// Why something was not taken.
#[derive(Debug)]
pub(super) enum PostError {
    /// It would not be taken another time either.
    Refused(String),
    /// Perhaps another time.
    Later(String),
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Later(why) => f.write_str(why),
        }
    }
}

impl From<HttpError> for PostError {
    fn from(error: HttpError) -> Self {
        match &error {
            HttpError::Status {
                status: StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED,
                ..
            } => Self::Later(error.to_string()),
            HttpError::Status { status, .. } if status.is_client_error() => Self::Refused(error.to_string()),
            HttpError::Status { .. }
            | HttpError::Connection(_)
            | HttpError::Request(_)
            | HttpError::Unreachable { .. }
            | HttpError::Body(_)
            | HttpError::Json(_) => Self::Later(error.to_string()),
        }
    }
}

/// A webhook, whose certificate must be signed by those in a file, or else by whom the system trusts.
///
/// # Errors
/// Its certificates cannot be read.
pub fn webhook(
    url: HttpUrl,
    authorities: Option<&Path>,
    token_file: Option<PathBuf>,
    node: String,
) -> anyhow::Result<Receiver> {
    let origin = Origin::new(url, || {
        let system = || SYSTEM_CERTIFICATES.map(Path::new).into_iter().find(|file| file.exists());
        let Some(file) = authorities.or_else(system) else {
            bail!("no certificate authorities at {}: name a file", SYSTEM_CERTIFICATES.join(", "));
        };
        let pem = fs::read(file).with_context(|| format!("read certificates {}", file.display()))?;
        tls::configuration(Trust::Authorities(&pem), None)
            .map_err(|error| anyhow!("{}: {error}", file.display()))
    });
    Ok(Receiver { way: Way::Webhook { origin: origin.context("webhook")?, token_file }, node })
}

/// The API server: of the cluster that this is a pod of, or of a kubeconfig.
///
/// # Errors
/// There is no way to it.
pub fn kubernetes(access: &Access, node: String) -> anyhow::Result<Receiver> {
    let endpoint = Endpoint::find(access).context("Kubernetes Events")?;
    Ok(Receiver { way: Way::Kubernetes(endpoint), node })
}

impl Receiver {
    /// Name in metrics.
    pub fn label(&self) -> &'static str {
        match self.way {
            Way::Kubernetes(_) => "kubernetes",
            Way::Webhook { .. } => "webhook",
        }
    }

    /// For people.
    pub fn name(&self) -> String {
        match &self.way {
            Way::Kubernetes(endpoint) => endpoint.name().to_owned(),
            Way::Webhook { origin, .. } => origin.url().to_string(),
        }
    }

    /// A file that is read again for each post.
    pub fn token_file(&self) -> Option<&Path> {
        match &self.way {
            Way::Kubernetes(endpoint) => endpoint.token_file(),
            Way::Webhook { token_file, .. } => token_file.as_deref(),
        }
    }

    /// Tells it.
    pub(super) async fn tell(&self, notice: &Notice, clock: WallClock) -> Result<(), PostError> {
        match timeout(PATIENCE, self.post(notice, clock)).await {
            Ok(result) => result,
            Err(_) => Err(PostError::Later(format!("no answer within {PATIENCE:?}"))),
        }
    }

    async fn post(&self, notice: &Notice, clock: WallClock) -> Result<(), PostError> {
        let unfit = |error: serde_json::Error| PostError::Refused(error.to_string());
        match &self.way {
            Way::Kubernetes(endpoint) => {
                let (path, body) = event(notice, &self.node, clock).map_err(unfit)?;
                let token = endpoint.token()?;
                let mut connection = endpoint.connect().await?;
                connection.post_json(&endpoint.path(&path), token.as_deref(), body).await?;
            }
            Way::Webhook { origin, token_file } => {
                let body = webhook_message(notice, &self.node, clock).map_err(unfit)?;
                // Somebody renews it.
                let token = token_file.as_deref().map(fs::read_to_string).transpose();
                let token = token.map_err(|error| PostError::Later(format!("read the token: {error}")))?;
                let mut connection = origin.connect().await?;
                connection.post_json(origin.url().path(), token.as_deref().map(str::trim), body).await?;
            }
        }
        Ok(())
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
