//! What each path answers.
use super::Token;
use crate::output::json_lines::finding_array;
use crate::service::board::Board;
use crate::service::metrics::{self, Format};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use std::net::IpAddr;

const PLAIN: &str = "text/plain; charset=utf-8";

/// What is asked, and by whom.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub accept: &'a str,
    pub authorization: &'a str,
    pub peer: IpAddr,
}

impl Question<'_> {
    pub async fn answer(&self, board: &Board, token: &Token) -> Response<Full<Bytes>> {
        if self.method != Method::GET && self.method != Method::HEAD {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match self.path {
            "/metrics" => self.metrics(board).await,
            "/healthz" => verdict(board.health()),
            "/readyz" => verdict(board.readiness()),
            "/findings" if !token.admits(self.peer, self.authorization) => text(
                StatusCode::FORBIDDEN,
                "findings tell flows: beyond loopback they need the bearer token of --findings-token-file\n",
            ),
            "/findings" => findings(board).await,
            "/" => text(StatusCode::OK, "mtuprobe\n/metrics\n/healthz\n/readyz\n/findings\n"),
            _ => text(StatusCode::NOT_FOUND, "/metrics /healthz /readyz /findings\n"),
        }
    }

    async fn metrics(&self, board: &Board) -> Response<Full<Bytes>> {
        let format = Format::accepted(self.accept);
        // Before the first page there is at least the process.
        let mut page = board.page().await.map_or_else(Vec::new, |page| page.families.clone());
        page.extend(metrics::process_families());
        answer(StatusCode::OK, format.content_type(), metrics::write(&page, format))
    }
}

async fn findings(board: &Board) -> Response<Full<Bytes>> {
    let Some(page) = board.page().await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "nothing is observed yet\n");
    };
    match finding_array(&page.findings, page.clock) {
        Ok(json) => answer(StatusCode::OK, "application/json", json),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn verdict(state: Result<(), String>) -> Response<Full<Bytes>> {
    match state {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
    }
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    answer(status, PLAIN, text.to_owned())
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::wall_clock::{WallClock, monotonic_now};
    use crate::service::board::Page;
    use crate::service::metrics::{Family, Value, catalogue};
    use http_body_util::BodyExt as _;

    async fn ask(board: &Board, method: Method, path: &str, peer: [u8; 4]) -> (u16, String) {
        let question =
            Question { method: &method, path, accept: "", authorization: "", peer: IpAddr::from(peer) };
        let answer = question.answer(board, &Token::default()).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// The observation: it looks up and answers whoever asks.
    async fn observe(board: &Board) {
        loop {
            if board.is_wanted() {
                let families = vec![Family::single(&catalogue::READY, Value::Count(1))];
                board.show(Page { families, findings: Vec::new(), clock: WallClock::now() });
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn paths() {
        let board = Board::default();
        let here = [127, 0, 0, 1];
        assert_eq!(ask(&board, Method::GET, "/healthz", here).await, (200, "ok\n".to_owned()));
        assert_eq!(ask(&board, Method::GET, "/readyz", here).await, (503, "loading\n".to_owned()));
        assert_eq!(ask(&board, Method::POST, "/metrics", here).await.0, 405);
        assert_eq!(ask(&board, Method::GET, "/secrets", here).await.0, 404);
        assert_eq!(ask(&board, Method::GET, "/findings", [10, 0, 0, 1]).await.0, 403);
        board.look(monotonic_now(), None);
        assert_eq!(ask(&board, Method::GET, "/readyz", here).await.0, 200);
        let asked = async {
            assert_eq!(ask(&board, Method::GET, "/findings", here).await, (200, "[]".to_owned()));
            ask(&board, Method::GET, "/metrics", [10, 0, 0, 1]).await
        };
        let (status, page) = tokio::select! {
            answer = asked => answer,
            () = observe(&board) => unreachable!("it observes for ever"),
        };
        assert_eq!(status, 200);
        assert!(page.contains("\nmtuprobe_ready 1\n") && page.contains("process_open_fds"), "{page}");
    }
}
