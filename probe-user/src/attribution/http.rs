//! One request after another over HTTP/1.1, to container engines and to the API server.
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// An answer of more is refused: a list of a large cluster's services has a few MiB.
const MAX_BODY: usize = 256 << 20;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection, or what came over it.
    #[error("{0}")]
    Connection(#[from] hyper::Error),
    /// What was asked for cannot be asked for.
    #[error("{0}")]
    Request(#[from] hyper::http::Error),
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

/// A connection. Dropping it ends it.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Empty<Bytes>>,
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
        self.sender.ready().await?;
        let mut request = Request::get(path)
            .header(HOST, &self.host)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("mtuprobe/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = self.sender.send_request(request.body(Empty::new())?).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read(response).await.unwrap_or_default();
        let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
        Err(HttpError::Status { status, text })
    }

    /// Asks for something and reads it whole.
    pub async fn get_json<T: serde::de::DeserializeOwned>(
        &mut self,
        path: &str,
        token: Option<&str>,
    ) -> Result<T, HttpError> {
        let body = read(self.get(path, token).await?).await?;
        Ok(serde_json::from_slice(&body)?)
    }
}

async fn read(response: Response<Incoming>) -> Result<Bytes, HttpError> {
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(HttpError::Body)
}
