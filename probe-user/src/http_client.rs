//! HTTP/1.1 as a client: to container engines, to the API server, and to who is told of findings.
//!
//! - [`Connection`]: one request after another over a stream.
//! - [`origin`]: a server at an address, plain or over TLS; [`url`]: how its address is written; [`tls`]: whom one trusts.
pub mod origin;
pub mod tls;
pub mod url;

pub use origin::Origin;
pub use tls::Trust;
pub use url::HttpUrl;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// An answer of more is refused: a list of a large cluster's services has a few MiB.
const MAX_BODY: usize = 256 << 20;
/// Of what a server says to a person no more is read, and no more characters are shown.
const MAX_WORDS: usize = 64 << 10;
const SHOWN: usize = 200;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection, or what came over it.
    #[error("{0}")]
    Connection(#[from] hyper::Error),
    /// What was asked for cannot be asked for.
    #[error("{0}")]
    Request(#[from] hyper::http::Error),
    /// There is no connection.
    #[error("{doing}: {source}")]
    Unreachable {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The body is too large, or broke off.
    #[error("read the answer: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// The server refused.
    #[error("answered {status}: {text}")]
    Status {
        /// How.
        status: StatusCode,
        /// What it said, in short.
        text: String,
    },
    /// The answer is not what it should be.
    #[error("understand the answer: {0}")]
    Json(#[from] serde_json::Error),
}

impl HttpError {
    /// What was being done, and why it failed.
    pub fn unreachable(
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unreachable { doing, source: source.into() }
    }
}

/// A connection. Dropping it ends it.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Speaks HTTP over a stream to a host of that name.
    pub async fn open<S>(stream: S, host: &str) -> Result<Self, HttpError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // How it ended shows in the request that it carried.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, host: host.to_owned(), driver })
    }

    /// Asks for something; the answer's body is still to be read.
    pub async fn get(&mut self, path: &str, token: Option<&str>) -> Result<Response<Incoming>, HttpError> {
        self.ask(Request::get(path).header(ACCEPT, "application/json"), token, Bytes::new()).await
    }

    /// Asks for something and reads it whole.
    pub async fn get_json<T: serde::de::DeserializeOwned>(
        &mut self,
        path: &str,
        token: Option<&str>,
    ) -> Result<T, HttpError> {
        let body = read(self.get(path, token).await?, MAX_BODY).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Hands JSON over. What the server says to it is read by nobody.
    pub async fn post_json(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(), HttpError> {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        self.ask(request, token, body.into()).await.map(|_| ())
    }

    async fn ask(
        &mut self,
        request: hyper::http::request::Builder,
        token: Option<&str>,
        body: Bytes,
    ) -> Result<Response<Incoming>, HttpError> {
        self.sender.ready().await?;
        let mut request = request
            .header(HOST, &self.host)
            .header(USER_AGENT, concat!("mtuprobe/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = self.sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        // What an error says is a help, no more.
        let body = read(response, MAX_WORDS).await.unwrap_or_default();
        let text: String = String::from_utf8_lossy(&body).chars().take(SHOWN).collect();
        Err(HttpError::Status { status, text: text.replace('\n', " ") })
    }
}

async fn read(response: Response<Incoming>, limit: usize) -> Result<Bytes, HttpError> {
    let body = Limited::new(response.into_body(), limit).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(HttpError::Body)
}
