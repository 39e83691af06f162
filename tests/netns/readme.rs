//! Every command of the README that mtuprobe is called with is run as it stands there, on a node with a fault.
use anyhow::{Context as _, Result, ensure};
use mtuprobe_tests::documents::calls;
use mtuprobe_tests::probe::Run;
use mtuprobe_tests::service::Scratch;
use mtuprobe_tests::topology::{Family, Network, Plan, Pod};
use mtuprobe_tests::traffic::PORT;
use std::fs;
use std::path::Path;

/// What ends each observation: the README's run until Ctrl-C.
const SHORT: &str = "MTUPROBE_DURATION=2s";

/// Names in the README, and what has them here.
fn substitutes(network: &Network) -> Result<[(&'static str, String); 5]> {
    let server = network.address("server", Family::V4)?;
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/mtuprobe.toml");
    Ok([
        ("shop/cart-7d9f", network.lab().full_name("cart-7d9f")),
        ("shop/cart-*", format!("{}*", network.lab().full_name("cart-"))),
        ("10.9.0.7:443", format!("{server}:{PORT}")),
        ("/etc/mtuprobe/mtuprobe.toml", configuration.display().to_string()),
        ("60s", "2s".to_owned()),
    ])
}

#[test]
fn commands_of_the_readme_run() -> Result<()> {
    let mut network = Plan::new().uplink(1400).pod(Pod::routed("cart-7d9f").mtu(1500)).build()?;
    network.serve(&["server"])?;
    let scratch = Scratch::new("readme")?;
    let directory = scratch.path().display().to_string();
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"))?;
    let substitutes = substitutes(&network)?;
    let mut commands: Vec<Vec<String>> = calls(&readme);
    ensure!(commands.len() >= 15, "{commands:?}");
    for word in commands.iter_mut().flatten() {
        if let Some((_, ours)) = substitutes.iter().find(|(theirs, _)| word == theirs) {
            word.clone_from(ours);
        }
    }
    let start = |words: &Vec<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let listen = (words.contains(&"--config")).then_some("MTUPROBE_LISTEN=127.0.0.1:14601");
        let under: Vec<&str> = ["env", "-C", &directory, SHORT].into_iter().chain(listen).collect();
        Run::command(network.node(), &words).under(&under).spawn().with_context(|| format!("{words:?}"))
    };
    // What is recorded by one is what another replays. All others run side by side, as they may on a node.
    let (later, now): (Vec<_>, Vec<_>) = commands.iter().partition(|words| words[0] == "replay");
    for some in [now, later] {
        let running = some.iter().map(|words| start(words)).collect::<Result<Vec<_>>>()?;
        for (words, probe) in some.iter().zip(running) {
            let report = probe.wait().with_context(|| format!("{words:?}"))?;
            // 1: a fault was found, as there is one.
            let is_done = matches!(report.exit_status(), Some(0 | 1));
            ensure!(is_done, "{words:?}: {:?}: {}", report.exit_status(), report.evidence());
            ensure!(!report.stdout().is_empty() || words[0] == "serve", "{words:?} says nothing");
        }
    }
    for (file, least) in [("node.jsonl", 1000), ("node.pcapng", 28)] {
        ensure!(fs::metadata(scratch.path().join(file))?.len() >= least, "{file} is empty");
    }
    let bundle = fs::read_dir(scratch.path())?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().ends_with(".tar.gz"));
    ensure!(bundle, "no archive of `bundle`");
    Ok(())
}
