use super::*;
use crate::output::sample;

/// What a reader gets; `BLESS=1 cargo test` writes it anew.
const GOLDEN: &str = include_str!("golden.jsonl");

fn written() -> String {
    let mut lines = JsonLines::new(Vec::new(), sample::clock());
    for message in sample::messages() {
        lines.write(&message).expect("a vector takes everything");
    }
    String::from_utf8(lines.stream).expect("UTF-8")
}

#[test]
fn golden() {
    let written = written();
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/output/json_lines/golden.jsonl");
        std::fs::write(path, &written).expect("the golden file can be written");
        return;
    }
    assert_eq!(written, GOLDEN);
}

#[test]
fn every_line_is_compact_and_begins_with_its_type() {
    for line in written().lines() {
        assert!(line.starts_with(r#"{"type":""#), "{line}");
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let compact = serde_json::to_string(&value).expect("JSON");
        assert_eq!(compact.len(), line.len(), "{line}");
    }
}
