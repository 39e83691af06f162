//! A server at an address.
use super::{Connection, HttpError, HttpUrl};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// A server that does not take a connection by then is as good as absent.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Origin {
    url: HttpUrl,
    tls: Option<Arc<ClientConfig>>,
}

impl Origin {
    /// The server of a URL. How to speak TLS is asked for only where it is spoken.
    ///
    /// # Errors
    /// Those of `tls`.
    pub fn new<E>(url: HttpUrl, tls: impl FnOnce() -> Result<Arc<ClientConfig>, E>) -> Result<Self, E> {
        let tls = if url.is_plain() { None } else { Some(tls()?) };
        Ok(Self { url, tls })
    }

    /// Its address as it was written.
    pub fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// A new connection.
    ///
    /// # Errors
    /// There is none within five seconds.
    pub async fn connect(&self) -> Result<Connection, HttpError> {
        match timeout(PATIENCE, self.dial()).await {
            Ok(result) => result,
            Err(_) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, format!("none within {PATIENCE:?}"));
                Err(HttpError::unreachable("connect", late))
            }
        }
    }

    async fn dial(&self) -> Result<Connection, HttpError> {
        let (host, authority) = (self.url.host(), self.url.authority());
        let stream = TcpStream::connect((host, self.url.port())).await;
        let stream = stream.map_err(|error| HttpError::unreachable("connect", error))?;
        let Some(tls) = &self.tls else { return Connection::open(stream, &authority).await };
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| HttpError::unreachable("take the server's name", error))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        let stream = stream.map_err(|error| HttpError::unreachable("begin TLS", error))?;
        Connection::open(stream, &authority).await
    }
}
