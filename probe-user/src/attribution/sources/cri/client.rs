//! Calls of CRI over a socket of the file system.
use super::messages::SERVICE;
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tower::service_fn;

/// What containerd sends at most, of its own default.
const MAX_MESSAGE: usize = 16 << 20;
/// A runtime that takes longer is as good as silent; the pods it listed before keep their names.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to a runtime.
#[derive(Debug)]
pub struct Client {
    grpc: Grpc<Channel>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there, or we may not speak to it.
    pub async fn connect(socket: &Path) -> Result<Self, tonic::transport::Error> {
        Self::connect_with(socket, PATIENCE).await
    }

    /// Connects, and waits so long for each answer.
    ///
    /// # Errors
    /// Nobody listens there, or we may not speak to it.
    pub async fn connect_with(socket: &Path, patience: Duration) -> Result<Self, tonic::transport::Error> {
        let socket: PathBuf = socket.to_owned();
        let connector = service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The address is not used; the protocol wants one.
        let endpoint = Endpoint::from_static("http://localhost").connect_timeout(patience).timeout(patience);
        let channel = endpoint.connect_with_connector(connector).await?;
        Ok(Self { grpc: Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE) })
    }

    /// Calls a method of the runtime service.
    ///
    /// # Errors
    /// What the runtime answers, or that it does not.
    pub async fn call<Q, R>(&mut self, method: &str, request: Q) -> Result<R, Status>
    where
        Q: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path: PathAndQuery = format!("{SERVICE}{method}")
            .parse()
            .map_err(|_| Status::invalid_argument(format!("no method {method}")))?;
        let codec = tonic_prost::ProstCodec::<Q, R>::default();
        Ok(self.grpc.unary(Request::new(request), path, codec).await?.into_inner())
    }
}
