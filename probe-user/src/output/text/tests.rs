use super::*;
use crate::output::sample;

/// What a person gets; `BLESS=1 cargo test` writes it anew.
const GOLDEN: &str = include_str!("golden.txt");

#[test]
fn golden() {
    let mut text = Text::new(Vec::new(), sample::clock());
    for message in sample::messages() {
        text.write(&message).expect("a vector takes everything");
    }
    let written = String::from_utf8(text.stream).expect("UTF-8");
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/output/text/golden.txt");
        std::fs::write(path, &written).expect("the golden file can be written");
        return;
    }
    assert_eq!(written, GOLDEN);
}
