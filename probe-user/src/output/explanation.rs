//! What a finding kind means: the table of rules as text and as JSON Lines.
use probe_core::diagnose::rules::Rule;
use serde::Serialize;
use std::io::{self, Write};

/// Longest line of text, in characters.
const WIDTH: usize = 100;
/// Where the text behind a word begins.
const INDENT: usize = 12;

/// One rule in full.
///
/// # Errors
/// The stream cannot be written to.
pub fn text(rule: &Rule, stream: &mut impl Write) -> io::Result<()> {
    writeln!(stream, "{}\n", rule.kind.name())?;
    paragraph(stream, "meaning", rule.meaning)?;
    let reasons: Vec<_> = rule.reasons().collect();
    let widest = reasons.iter().map(|(reason, _)| reason.name().len()).max().unwrap_or(0);
    for (index, (reason, meaning)) in reasons.into_iter().enumerate() {
        let word = if index == 0 { "reasons" } else { "" };
        paragraph(stream, word, &format!("{:<widest$}  {meaning}", reason.name()))?;
    }
    paragraph(stream, "proof", rule.proof)?;
    paragraph(stream, "remedy", rule.remedy)?;
    for (index, reference) in rule.references.iter().enumerate() {
        paragraph(stream, if index == 0 { "references" } else { "" }, reference)?;
    }
    for (index, link) in links(rule).iter().enumerate() {
        paragraph(stream, if index == 0 { "links" } else { "" }, link)?;
    }
    Ok(())
}

/// Where the RFC sections among the references can be read.
fn links(rule: &Rule) -> Vec<String> {
    rule.references.iter().flat_map(|reference| rfc_links(reference)).collect()
}

/// `RFC 4890 section 4.3.1 (…)` → `https://www.rfc-editor.org/rfc/rfc4890#section-4.3.1`.
fn rfc_links(reference: &str) -> Vec<String> {
    let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    let bare = |word: &str| word.trim_end_matches([',', ';', ':', ')', '.']).to_owned();
    let words: Vec<&str> = reference.split(' ').collect();
    let link = |window: &[&str]| match window {
        ["RFC", number, "section", section, ..] if is_number(section) => {
            Some(format!("https://www.rfc-editor.org/rfc/rfc{}#section-{}", bare(number), bare(section)))
        }
        ["RFC", number, ..] if is_number(number) => {
            Some(format!("https://www.rfc-editor.org/rfc/rfc{}", bare(number)))
        }
        _ => None,
    };
    (0..words.len()).filter_map(|from| link(words.get(from..)?)).collect()
}

/// A line for each rule.
///
/// # Errors
/// The stream cannot be written to.
pub fn list(rules: &[&Rule], stream: &mut impl Write) -> io::Result<()> {
    let widest = rules.iter().map(|rule| rule.kind.name().len()).max().unwrap_or(0);
    for rule in rules {
        writeln!(stream, "{:<widest$}  {}", rule.kind.name(), first_sentence(rule.meaning))?;
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct Explanation<'a> {
    r#type: &'static str,
    kind: &'static str,
    meaning: &'a str,
    reasons: Vec<ReasonMeaning>,
    proof: &'a str,
    remedy: &'a str,
    references: &'a [&'a str],
    links: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ReasonMeaning {
    reason: &'static str,
    meaning: &'static str,
}

/// Each rule in full, one object a line.
///
/// # Errors
/// The stream cannot be written to.
pub fn json_lines(rules: &[&Rule], stream: &mut impl Write) -> io::Result<()> {
    for rule in rules {
        let reasons =
            rule.reasons().map(|(reason, meaning)| ReasonMeaning { reason: reason.name(), meaning });
        let line = serde_json::to_string(&Explanation {
            r#type: "explain",
            kind: rule.kind.name(),
            meaning: rule.meaning,
            reasons: reasons.collect(),
            proof: rule.proof,
            remedy: rule.remedy,
            references: rule.references,
            links: links(rule),
        })?;
        writeln!(stream, "{line}")?;
    }
    Ok(())
}

/// A word and a text beside it, wrapped.
fn paragraph(stream: &mut impl Write, word: &str, text: &str) -> io::Result<()> {
    let mut line = format!("{word:<INDENT$}");
    let mut is_empty = true;
    // At single spaces: what was aligned with more stays so.
    for part in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + part.chars().count() > WIDTH {
            writeln!(stream, "{}", line.trim_end())?;
            line = " ".repeat(INDENT);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(part);
        is_empty = false;
    }
    writeln!(stream, "{}", line.trim_end())
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::diagnose::rules::RULES;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut stream = Vec::new();
        write(&mut stream).expect("a vector takes everything");
        String::from_utf8(stream).expect("UTF-8")
    }

    #[test]
    fn rfc_sections_are_linked() {
        let rfc = |rest: &str| format!("https://www.rfc-editor.org/rfc/rfc{rest}");
        assert_eq!(
            rfc_links("RFC 8201 section 4, RFC 4821 and RFC 8899 (discovery)"),
            [rfc("8201#section-4"), rfc("4821"), rfc("8899")]
        );
        assert_eq!(rfc_links("is_skb_forwardable, ip_forward"), Vec::<String>::new());
        for rule in RULES {
            assert!(!links(rule).is_empty(), "{:?} has no RFC section", rule.kind);
        }
    }

    #[test]
    fn every_rule_is_told_in_full_and_fits_the_page() {
        for rule in RULES {
            let told = written(|stream| text(rule, stream));
            for part in
                [rule.meaning, rule.proof, rule.remedy].into_iter().chain(rule.references.iter().copied())
            {
                for word in part.split_whitespace() {
                    assert!(told.contains(word), "{word} of {}", rule.kind.name());
                }
            }
            assert!(told.lines().all(|line| line.chars().count() <= WIDTH), "{told}");
        }
    }

    #[test]
    fn the_list_has_one_line_for_each_kind() {
        let told = written(|stream| list(&RULES, stream));
        let kinds: Vec<&str> = told.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(kinds, RULES.map(|rule| rule.kind.name()));
    }

    #[test]
    fn json_has_an_object_for_each_kind() {
        let told = written(|stream| json_lines(&RULES, stream));
        for (line, rule) in told.lines().zip(RULES) {
            let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(object["type"], "explain");
            assert_eq!(object["kind"], rule.kind.name());
            assert_eq!(object["reasons"].as_array().map(Vec::len), Some(rule.reasons().count()));
        }
    }
}
