//! Who asks: `/metrics`, `/healthz`, `/readyz`, `/findings` over HTTP/1.1.
mod answer;
mod token;

pub use token::Token;

use super::board::Board;
use answer::Question;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
/// Who connects must ask within this time, and again within it.
const ASKS_WITHIN: Duration = Duration::from_secs(10);
/// Pause after a failed accept (no descriptors left).
const BREATH: Duration = Duration::from_millis(100);

/// Answers until the process ends.
pub async fn serve(listener: TcpListener, board: Arc<Board>, token: Arc<Token>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let (board, token) = (Arc::clone(&board), Arc::clone(&token));
        tokio::spawn(async move {
            converse(stream, peer, board, token).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, board: Arc<Board>, token: Arc<Token>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let (board, token) = (Arc::clone(&board), Arc::clone(&token));
        async move { Ok::<_, Infallible>(respond(&request, peer, &board, &token).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(ASKS_WITHIN);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, %peer, "a connection");
    }
}

async fn respond<B>(
    request: &Request<B>,
    peer: SocketAddr,
    board: &Board,
    token: &Token,
) -> Response<Full<Bytes>> {
    let header = |name: hyper::header::HeaderName| {
        let values = request.headers().get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",")
    };
    let question = Question {
        method: request.method(),
        path: request.uri().path(),
        accept: &header(hyper::header::ACCEPT),
        authorization: &header(hyper::header::AUTHORIZATION),
        peer: peer.ip(),
    };
    question.answer(board, token).await
}

/// Takes the address, so that one that is taken is told before anything is loaded.
///
/// # Errors
/// It cannot be listened at.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
