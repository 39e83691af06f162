//! Causes told to others: a webhook that fails at first, and an API server behind TLS.
use super::{deaf_pod, push};
use anyhow::{Context, Result};
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::service::{self, Scratch, Service};
use mtuprobe_tests::topology::Namespace;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

type Bodies = Arc<Mutex<Vec<(String, Value)>>>;

/// Takes one request and answers it.
fn take(stream: TcpStream, status: &str, bodies: &Bodies) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head)?;
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.context("a length")?];
    reader.read_exact(&mut body)?;
    bodies.lock().expect("no panic").push((head, serde_json::from_slice(&body)?));
    write!(reader.into_inner(), "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(())
}

/// An API server: it keeps what is posted, a line each.
const API_SERVER: &str = r#"
import http.server, json, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(sys.argv[2], "a") as f:
            f.write(json.dumps({"path": self.path, "token": self.headers["Authorization"], "body": body}) + "\n")
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 14643), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

const CERTIFICATE: &str = "[req]\ndistinguished_name = name\nprompt = no\nx509_extensions = extensions\n[name]\nCN = api\n\
                           [extensions]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:FALSE\n";

/// `ca.crt` and `token` as in a pod, and `server.pem` with the key.
fn service_account(scratch: &Scratch) -> Result<()> {
    let config = scratch.write("openssl.cnf", CERTIFICATE)?;
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let status = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-config", &config, "-keyout", &path("key.pem"), "-out", &path("ca.crt")])
        .stderr(Stdio::null())
        .status()
        .context("openssl")?;
    assert!(status.success(), "openssl: {status}");
    let both = std::fs::read_to_string(path("key.pem"))? + &std::fs::read_to_string(path("ca.crt"))?;
    scratch.write("server.pem", &both)?;
    scratch.write("token", "account-token\n")?;
    Ok(())
}

/// That server, while a test runs.
struct ApiServer {
    process: Child,
    events: PathBuf,
}

impl ApiServer {
    /// With a certificate and a token that are in the directory then.
    fn start(node: &Namespace, scratch: &Scratch) -> Result<Self> {
        service_account(scratch)?;
        let events = scratch.path().join("events");
        let script = scratch.write("server.py", API_SERVER)?;
        let mut command = node.command("python3");
        command.arg(script).arg(scratch.path().join("server.pem")).arg(&events);
        Ok(Self { process: command.spawn().context("python3")?, events })
    }

    /// The first event that it was told.
    fn event(&self) -> Result<Value> {
        service::wait("an event", || {
            let text = std::fs::read_to_string(&self.events).ok()?;
            serde_json::from_str(text.lines().next()?).ok()
        })
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _waited_for = self.process.wait();
    }
}

#[test]
fn a_cause_is_posted_once_to_a_webhook_that_fails_first_and_as_an_event() -> Result<()> {
    let network = deaf_pod()?;
    let listener = network.node().run(|| TcpListener::bind("127.0.0.1:14680"))??;
    let bodies = Bodies::default();
    let kept = Arc::clone(&bodies);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let status = if number == 0 { "503 Service Unavailable" } else { "200 OK" };
            let taken = stream.context("accept").and_then(|stream| take(stream, status, &kept));
            assert!(taken.is_ok(), "{taken:?}");
        }
    });
    let scratch = Scratch::new("posts")?;
    let api = ApiServer::start(network.node(), &scratch)?;
    // A service account is looked for at a fixed place: a file system of our own lies there. Copied, because the thread that
    // posts may read nothing elsewhere.
    let mounted = format!(
        "mount -t tmpfs none /run && mkdir -p {0} && cp {1}/ca.crt {1}/token {0} && exec \"$0\" \"$@\"",
        "/run/secrets/kubernetes.io/serviceaccount",
        scratch.path().display()
    );
    let wrapper =
        ["env", "KUBERNETES_SERVICE_HOST=127.0.0.1", "KUBERNETES_SERVICE_PORT=14643", "unshare", "--mount"];
    let run = Run::command(network.node(), &["serve", "--kubernetes-events=true"])
        .with(&["--webhook-url", "http://127.0.0.1:14680/hook?key=secret"])
        .under(&[&wrapper[..], &["sh", "-c", &mounted]].concat());
    let service = Service::start_run(network.node(), &run)?;
    push(&network)?;
    let page = service.wait_for("both told", |page| {
        let sent = |receiver| page.sum("mtuprobe_posts_total", &[receiver, "result=\"sent\""]) >= Some(1.0);
        sent("receiver=\"webhook\"") && sent("receiver=\"kubernetes\"")
    })?;
    for result in ["failed", "dropped"] {
        let count = page.sum("mtuprobe_posts_total", &[&format!("result=\"{result}\"")]);
        assert_eq!(count, Some(0.0), "{}", page.0);
    }
    let posted = bodies.lock().expect("no panic").clone();
    assert!(posted.len() >= 2 && posted[0].1 == posted[1].1, "asked again with the same: {posted:?}");
    let (head, message) = &posted[1];
    assert!(head.starts_with("POST /hook?key=secret HTTP/1.1"), "{head}");
    assert_eq!(message["state"], "open");
    assert_eq!(message["cause"]["kind"], "pmtu_black_hole");
    assert_eq!(message["cause"]["pods_affected"], 1);

    let event = api.event()?;
    assert_eq!(
        (&event["path"], &event["token"]),
        (&"/api/v1/namespaces/default/events".into(), &"Bearer account-token".into())
    );
    let body = &event["body"];
    assert_eq!(
        (&body["kind"], &body["reason"], &body["type"]),
        (&"Event".into(), &"PmtuBlackHole".into(), &"Warning".into())
    );
    assert_eq!(body["involvedObject"]["kind"], "Node");
    let report = service.stop()?;
    assert!(!report.stderr().contains("key=secret"), "a secret in the log: {}", report.stderr());
    Ok(())
}

/// With a token in a file, which the thread that posts may read there and nowhere beside.
#[test]
fn an_event_is_posted_by_way_of_a_kubeconfig() -> Result<()> {
    let network = deaf_pod()?;
    let scratch = Scratch::new("kubeconfig")?;
    let api = ApiServer::start(network.node(), &scratch)?;
    let config = "current-context: here\ncontexts:\n- {name: here, context: {cluster: this, user: me}}\nclusters:\n\
                  - {name: this, cluster: {server: 'https://127.0.0.1:14643', certificate-authority: ca.crt}}\nusers:\n\
                  - {name: me, user: {tokenFile: token}}\n";
    let config = scratch.write("config", config)?;
    let run = Run::command(network.node(), &["serve", "--kubernetes-events=true", "--kubeconfig", &config]);
    let service = Service::start_run(network.node(), &run)?;
    push(&network)?;
    let event = api.event()?;
    assert_eq!(event["token"], "Bearer account-token");
    assert_eq!(event["body"]["reason"], "PmtuBlackHole");
    let page = service.metrics()?;
    assert_eq!(page.sum("mtuprobe_posts_total", &["result=\"failed\""]), Some(0.0), "{}", page.0);
    service.stop().map(|_| ())
}
