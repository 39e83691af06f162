//! Each form of output, of a node with all classic faults at once.
use crate::golden;
use crate::replayed::{directory, replay};
use anyhow::Result;
use serde_json::Value;

const RICH: &str = "demo.jsonl";

#[test]
fn json_lines() -> Result<()> {
    let replayed = replay(&directory().join(RICH), &["--output=json"])?;
    assert_eq!((replayed.status, replayed.stderr.as_str()), (Some(1), ""));
    golden::compare(&directory().join("demo.output.json"), &replayed.stdout)
}

#[test]
fn text() -> Result<()> {
    let replayed = replay(&directory().join(RICH), &["--output=text"])?;
    assert_eq!((replayed.status, replayed.stderr.as_str()), (Some(1), ""));
    golden::compare(&directory().join("demo.output.txt"), &replayed.stdout)
}

#[test]
fn a_severity_filters_what_is_shown_and_not_the_status() -> Result<()> {
    let all = ["info", "warning", "critical"].map(|severity| -> Result<(usize, u64, Option<i32>)> {
        let option = format!("--min-severity={severity}");
        let replayed = replay(&directory().join(RICH), &["--output=json", &option])?;
        let summary: Value = serde_json::from_str(replayed.stdout.lines().last().unwrap_or_default())?;
        let shown = summary["findings"].as_array().map_or(0, Vec::len);
        Ok((shown, summary["hidden"].as_u64().unwrap_or_default(), replayed.status))
    });
    let [info, warning, critical] = all;
    let (info, warning, critical) = (info?, warning?, critical?);
    assert!(
        info.0 >= warning.0 && warning.0 > critical.0 && critical.0 > 0,
        "{info:?} {warning:?} {critical:?}"
    );
    assert_eq!(info.1, 0);
    assert_eq!(critical.1, (info.0 - critical.0) as u64, "what is hidden is counted");
    assert_eq!([info.2, warning.2, critical.2], [Some(1); 3]);
    Ok(())
}
