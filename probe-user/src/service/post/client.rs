//! One request to a server, plain or over TLS.
use anyhow::{Context as _, anyhow, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A server that has not answered by then is asked again later.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of an answer no more is read.
const MAX_ANSWER: usize = 64 << 10;
/// Of an answer no more is shown.
const SHOWN: usize = 200;
/// Where distributions keep the certificates that they trust.
const SYSTEM_CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// `http://…` or `https://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(Uri);

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(Self(uri)),
            _ => Err("expected http://HOST… or https://HOST…".to_owned()),
        }
    }
}

/// Without path and query, which may hold a secret.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (self.0.scheme_str().unwrap_or_default(), self.authority());
        write!(f, "{scheme}://{authority}")
    }
}

impl HttpUrl {
    /// Host and port.
    fn authority(&self) -> String {
        let authority = self.0.authority().map(ToString::to_string).unwrap_or_default();
        // Not whom one is.
        authority.rsplit('@').next().unwrap_or_default().to_owned()
    }

    fn is_plain(&self) -> bool {
        self.0.scheme_str() == Some("http")
    }

    fn path(&self) -> &str {
        self.0.path_and_query().map_or("/", |path| path.as_str())
    }
}

/// Why something was not taken.
#[derive(Debug)]
pub enum PostError {
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

/// A server, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Server {
    url: HttpUrl,
    tls: Option<Arc<ClientConfig>>,
}

impl Server {
    /// A server whose certificate must be signed by those in a file, or else by whom the system trusts.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub fn new(url: HttpUrl, authority: Option<&Path>) -> anyhow::Result<Self> {
        let tls = if url.is_plain() { None } else { Some(Arc::new(tls(authority)?)) };
        Ok(Self { url, tls })
    }

    /// For people.
    pub fn name(&self) -> String {
        self.url.to_string()
    }

    /// Posts JSON to its own path, or to a path below.
    ///
    /// # Errors
    /// It was not taken.
    pub async fn post(&self, below: &str, token: Option<&str>, body: Vec<u8>) -> Result<(), PostError> {
        let path = format!(
            "{}{below}",
            if below.is_empty() { self.url.path() } else { self.url.path().trim_end_matches('/') }
        );
        let asked = timeout(PATIENCE, self.ask(&path, token, body)).await;
        let (status, text) = match asked {
            Ok(answer) => answer.map_err(|error| PostError::Later(format!("{error:#}")))?,
            Err(_) => return Err(PostError::Later(format!("no answer within {PATIENCE:?}"))),
        };
        let why = format!("answered {status}: {text}");
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED => {
                Err(PostError::Later(why))
            }
            status if status.is_client_error() => Err(PostError::Refused(why)),
            _ => Err(PostError::Later(why)),
        }
    }

    async fn ask(
        &self,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> anyhow::Result<(StatusCode, String)> {
        let host = self.url.0.host().context("no host")?.trim_matches(['[', ']']).to_owned();
        let port = self.url.0.port_u16().unwrap_or(if self.tls.is_none() { 80 } else { 443 });
        let mut request = Request::post(path)
            .header(HOST, self.url.authority())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("mtuprobe/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).context("make the request")?;
        let stream = TcpStream::connect((host.as_str(), port)).await.context("connect")?;
        match &self.tls {
            None => converse(stream, request).await,
            Some(tls) => {
                let name = ServerName::try_from(host).context("the server's name")?;
                let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
                converse(stream.context("begin TLS")?, request).await
            }
        }
    }
}

async fn converse<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, String)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("begin HTTP")?;
    let driver = tokio::spawn(async move { drop(connection.await) });
    let answer = sender.send_request(request).await.context("ask")?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    driver.abort();
    // What an error says is a help, no more.
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text: String = String::from_utf8_lossy(&body).chars().take(SHOWN).collect();
    Ok((status, text.replace('\n', " ")))
}

fn tls(authority: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let system = || SYSTEM_CERTIFICATES.map(Path::new).into_iter().find(|file| file.exists());
    let Some(file) = authority.or_else(system) else {
        bail!("no certificate authorities at {}: name a file", SYSTEM_CERTIFICATES.join(", "));
    };
    let pem = fs::read(file).with_context(|| format!("read certificates {}", file.display()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| anyhow!("certificates {}: {error}", file.display()))?;
        // A bundle may have some that are no authorities.
        let _unfit = roots.add(certificate);
    }
    if roots.is_empty() {
        bail!("certificates {}: none in it", file.display());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("choose versions of TLS")?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for bad in ["here", "/path", "ftp://host/", "http://", "https:///x"] {
            assert!(bad.parse::<HttpUrl>().is_err(), "{bad}");
        }
        let url: HttpUrl = "https://me:pass@hooks.example:8443/services/secret?x=1".parse().expect("a URL");
        assert_eq!(url.to_string(), "https://hooks.example:8443");
        assert_eq!(url.path(), "/services/secret?x=1");
    }
}
