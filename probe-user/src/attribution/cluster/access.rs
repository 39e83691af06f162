//! How to reach the API server: as a pod of the cluster, or by a kubeconfig.
use crate::attribution::sources::Unavailable;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where a pod finds what its service account may use.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Which way to the API server is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// That of a pod in the cluster, if this is one.
    #[default]
    InCluster,
    /// That of a kubeconfig's current context.
    Kubeconfig(PathBuf),
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// This is no pod.
    #[error("not in a cluster, and no --kubeconfig")]
    NotInCluster,
    /// A file cannot be read.
    #[error("read {path}: {source}")]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not say what it should.
    #[error("{path}: {why}")]
    Unusable {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl AccessError {
    pub(super) fn into_unavailable(self) -> Unavailable {
        match self {
            Self::NotInCluster => Unavailable::Absent(self.to_string()),
            Self::Unreadable { .. } | Self::Unusable { .. } => Unavailable::Silent(self.to_string()),
        }
    }
}

/// A server and what it wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// `https://HOST:PORT`, perhaps with a path.
    pub server: String,
    /// Certificates (PEM) that the server's may be signed with.
    pub authority: Option<Vec<u8>>,
    /// The server's certificate is not looked at.
    pub insecure: bool,
    /// A token, or a file with one that changes.
    pub token: Option<Token>,
    /// Our certificate and key (PEM).
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Fixed(String),
    File(PathBuf),
}

impl Token {
    /// The file that it is read from each time.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Fixed(_) => None,
            Self::File(path) => Some(path),
        }
    }

    /// The token of now: the kubelet renews those in files.
    pub fn read(&self) -> io::Result<String> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::File(path) => Ok(fs::read_to_string(path)?.trim().to_owned()),
        }
    }
}

impl Target {
    pub fn find(access: &Access) -> Result<Self, AccessError> {
        match access {
            Access::InCluster => in_cluster(),
            Access::Kubeconfig(path) => of_kubeconfig(path),
        }
    }
}

fn in_cluster() -> Result<Target, AccessError> {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let host = variable("KUBERNETES_SERVICE_HOST").ok_or(AccessError::NotInCluster)?;
    let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
    let token = Path::new(ACCOUNT).join("token");
    if !token.exists() {
        return Err(AccessError::NotInCluster);
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(Target {
        server: format!("https://{host}:{port}"),
        authority: Some(read(&Path::new(ACCOUNT).join("ca.crt"))?),
        token: Some(Token::File(token)),
        ..Target::default()
    })
}

fn read(path: &Path) -> Result<Vec<u8>, AccessError> {
    fs::read(path).map_err(|source| AccessError::Unreadable { path: path.to_owned(), source })
}

/// The fields of a kubeconfig that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Kubeconfig {
    current_context: String,
    contexts: Vec<NamedContext>,
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Debug, Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Debug, Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Debug, Deserialize)]
struct NamedCluster {
    name: String,
    cluster: ClusterEntry,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterEntry {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
}

#[derive(Debug, Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: User,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    #[serde(rename = "client-certificate")]
    certificate: Option<PathBuf>,
    #[serde(rename = "client-certificate-data")]
    certificate_data: Option<String>,
    #[serde(rename = "client-key")]
    key: Option<PathBuf>,
    #[serde(rename = "client-key-data")]
    key_data: Option<String>,
    exec: Option<serde::de::IgnoredAny>,
    #[serde(rename = "auth-provider")]
    auth_provider: Option<serde::de::IgnoredAny>,
}

fn of_kubeconfig(path: &Path) -> Result<Target, AccessError> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    let unusable = |why: String| AccessError::Unusable { path: path.to_owned(), why };
    let config: Kubeconfig = serde_saphyr::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let current = &config.current_context;
    let context = config.contexts.iter().find(|named| named.name == *current);
    let context = &context.ok_or_else(|| unusable(format!("no context {current:?}")))?.context;
    let cluster = config.clusters.iter().find(|named| named.name == context.cluster);
    let cluster = &cluster.ok_or_else(|| unusable(format!("no cluster {:?}", context.cluster)))?.cluster;
    let user = config.users.iter().find(|named| named.name == context.user).map(|named| &named.user);
    // Paths in a kubeconfig start at its own directory.
    let directory = path.parent().unwrap_or(Path::new("."));
    let content = |data: Option<&String>, file: Option<&PathBuf>| match (data, file) {
        (Some(data), _) => {
            STANDARD.decode(data.trim()).map(Some).map_err(|error| unusable(format!("base64: {error}")))
        }
        (None, Some(file)) => read(&directory.join(file)).map(Some),
        (None, None) => Ok(None),
    };
    let mut target = Target {
        server: cluster.server.clone(),
        authority: content(
            cluster.certificate_authority_data.as_ref(),
            cluster.certificate_authority.as_ref(),
        )?,
        insecure: cluster.insecure_skip_tls_verify,
        ..Target::default()
    };
    let Some(user) = user else { return Ok(target) };
    let file = user.token_file.as_ref().map(|file| Token::File(directory.join(file)));
    target.token = user.token.clone().map(Token::Fixed).or(file);
    let certificate = content(user.certificate_data.as_ref(), user.certificate.as_ref())?;
    target.identity = certificate.zip(content(user.key_data.as_ref(), user.key.as_ref())?);
    if target.token.is_none()
        && target.identity.is_none()
        && (user.exec.is_some() || user.auth_provider.is_some())
    {
        return Err(unusable(
            "its user is a program to run, which is not supported: use a token or a certificate".to_owned(),
        ));
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Result<Target, AccessError> {
        let path = env::temp_dir().join(format!("mtuprobe-kubeconfig-{}-{name}", std::process::id()));
        fs::write(&path, text).expect("a file");
        let found = of_kubeconfig(&path);
        fs::remove_file(&path).expect("the file");
        found
    }

    #[test]
    fn the_current_context_counts() {
        let found = of(
            "context",
            "apiVersion: v1\nkind: Config\ncurrent-context: b\ncontexts:\n- name: a\n  context: {cluster: x, user: x}\n\
             - name: b\n  context:\n    cluster: two\n    user: me\n    namespace: shop\nclusters:\n\
             - name: two\n  cluster:\n    server: https://10.0.0.1:6443\n    certificate-authority-data: Q0E=\n\
             users:\n- name: me\n  user:\n    token: secret\n",
        );
        let found = found.expect("usable");
        assert_eq!(found.server, "https://10.0.0.1:6443");
        assert_eq!(found.authority.as_deref(), Some(&b"CA"[..]));
        assert_eq!(found.token, Some(Token::Fixed("secret".to_owned())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = |name: &str, text: &str| of(name, text).expect_err("unusable").to_string();
        assert!(told("empty", "{}").contains("no context"));
        assert!(told("syntax", "a: [").contains("mtuprobe-kubeconfig"));
        let exec = r#"{"current-context":"a","contexts":[{"name":"a","context":{"cluster":"c","user":"u"}}],
            "clusters":[{"name":"c","cluster":{"server":"https://h"}}],"users":[{"name":"u","user":{"exec":{"command":"aws"}}}]}"#;
        assert!(told("exec", exec).contains("not supported"));
        let missing = of_kubeconfig(Path::new("/nonexistent/config")).expect_err("no file").to_string();
        assert!(missing.contains("/nonexistent/config"));
    }
}
