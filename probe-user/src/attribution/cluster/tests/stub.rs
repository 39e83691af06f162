//! An API server that says what it is told to, over real connections.
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How an answer goes on after its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It ends in good order.
    End,
    /// The connection is cut in the middle of a line.
    Cut,
    /// It stays open.
    Stay,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub body: String,
    pub then: Then,
}

impl Reply {
    pub fn ok(body: &str) -> Self {
        Self { status: 200, body: body.to_owned(), then: Then::End }
    }

    pub fn watch(body: &str, then: Then) -> Self {
        Self { then, ..Self::ok(body) }
    }

    pub fn status(status: u16, body: &str) -> Self {
        Self { status, ..Self::ok(body) }
    }
}

/// A request: its path with the query, and its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub path: String,
    pub token: Option<String>,
}

/// The server. Its threads end with the test's process.
pub struct Stub {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    /// Answers each request by what `reply` makes of it and of those before it.
    pub fn start(reply: impl Fn(&Asked, &[Asked]) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (log, reply) = (Arc::clone(&asked), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, reply) = (Arc::clone(&log), Arc::clone(&reply));
                std::thread::spawn(move || {
                    // The client may go at any time.
                    let _gone = serve(stream, &log, reply.as_ref());
                });
            }
        });
        Self { address, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("the log").clone()
    }

    /// A kubeconfig for it, with a token in a file.
    pub fn kubeconfig(&self, name: &str, token: &str) -> Config {
        let directory = std::env::temp_dir().join(format!("mtuprobe-cluster-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let config = Config { directory };
        config.renew(token);
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: \"http://{}\"}}}}]\nusers: [{{name: u, user: {{tokenFile: token}}}}]\n",
            self.address
        );
        std::fs::write(config.path(), text).expect("a file");
        config
    }
}

/// A kubeconfig; dropping it removes it.
pub struct Config {
    directory: PathBuf,
}

impl Config {
    pub fn path(&self) -> PathBuf {
        self.directory.join("config")
    }

    pub fn renew(&self, token: &str) {
        std::fs::write(self.directory.join("token"), token).expect("a file");
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.directory);
    }
}

fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Asked>>,
    reply: &(impl Fn(&Asked, &[Asked]) -> Reply + ?Sized),
) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let Some(first) = lines.next() else { return Ok(()) };
        let path = first?.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut token = None;
        for line in lines.by_ref() {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if line.to_lowercase().starts_with("authorization: bearer ") {
                token = Some(line[22..].to_owned());
            }
        }
        let asked = Asked { path, token };
        let answer = {
            let mut log = log.lock().expect("the log");
            let answer = reply(&asked, &log);
            log.push(asked);
            answer
        };
        let Reply { status, body, then } = answer;
        write!(
            writer,
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )?;
        // In small pieces, as networks do.
        for piece in body.as_bytes().chunks(100) {
            write!(writer, "{:x}\r\n", piece.len())?;
            writer.write_all(piece)?;
            writer.write_all(b"\r\n")?;
        }
        match then {
            Then::End => writer.write_all(b"0\r\n\r\n")?,
            Then::Cut => {
                writer.write_all(b"20\r\n{\"type\":\"ADD")?;
                return writer.shutdown(std::net::Shutdown::Both);
            }
            Then::Stay => std::thread::sleep(Duration::from_secs(600)),
        }
    }
}

/// Waits for something, far longer than it takes.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(180);
    while !condition() {
        assert!(Instant::now() < end, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
