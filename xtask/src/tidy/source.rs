//! Rust source as the rules want to see it: without comments and literals, with `use` trees written out.

/// Replaces comments, strings and characters by spaces; line breaks stay where they are.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment(bytes, at);
        if end > at {
            for byte in code.iter_mut().take(end).skip(at) {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            at = end;
        } else {
            at += 1;
        }
    }
    // Only whole literals and comments were replaced, and by ASCII, so it is still UTF-8.
    String::from_utf8(code).unwrap_or_default()
}

/// The end of the comment, string or character that starts at `at`; `at` itself if none does.
fn literal_or_comment(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let within_word = at > 0 && is_word(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_end(bytes, at),
        [b'"', ..] => string_end(bytes, at + 1),
        [b'r', b'"' | b'#', ..] if !within_word => raw_string_end(bytes, at + 1).unwrap_or(at),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !within_word => raw_string_end(bytes, at + 2).unwrap_or(at),
        [b'\'', b'\\', ..] => {
            let from = at + 3;
            from + 1 + bytes.iter().skip(from).position(|byte| *byte == b'\'').unwrap_or(0)
        }
        // A character, not a lifetime: one (of up to four bytes) and then a quote.
        [b'\'', tail @ ..] => (1..=4)
            .find(|length| tail.get(*length) == Some(&b'\'') && !tail[..*length].contains(&b'\''))
            .filter(|length| *length == 1 || !tail[0].is_ascii())
            .map_or(at, |length| at + length + 2),
        _ => at,
    }
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut position) = (0_usize, at);
    while position < bytes.len() {
        match &bytes[position..] {
            [b'/', b'*', ..] => (depth, position) = (depth + 1, position + 2),
            [b'*', b'/', ..] => (depth, position) = (depth - 1, position + 2),
            _ => position += 1,
        }
        if depth == 0 {
            return position;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], mut position: usize) -> usize {
    while position < bytes.len() {
        match bytes[position] {
            b'\\' => position += 2,
            b'"' => return position + 1,
            _ => position += 1,
        }
    }
    bytes.len()
}

fn raw_string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let hashes = bytes[from..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(from + hashes) != Some(&b'"') {
        return None;
    }
    let mut terminator = vec![b'"'];
    terminator.resize(hashes + 1, b'#');
    let start = from + hashes + 1;
    let length = bytes[start..].windows(terminator.len()).position(|window| window == terminator)?;
    Some(start + length + terminator.len())
}

/// What marks an item that only tests have.
const MARK: &str = "#[cfg(test)]";

/// The modules in files of their own that only tests have: `#[cfg(test)] mod NAME;`.
pub fn test_modules(code: &str) -> Vec<String> {
    code.split(MARK)
        .skip(1)
        .filter_map(|marked| marked.split([';', '{']).next().map(|head| (head, marked)))
        .filter(|(head, marked)| marked[head.len()..].starts_with(';'))
        .filter_map(|(head, _)| head.split_once("mod ").map(|(_, name)| name.trim().to_owned()))
        .collect()
}

/// Blanks the items marked `#[cfg(test)]` in code without comments and literals.
pub fn without_tests(code: &str) -> String {
    let mut kept = code.to_owned();
    while let Some(start) = kept.find(MARK) {
        let mut depth = 0_usize;
        let mut end = kept.len();
        for (offset, byte) in kept.as_bytes().iter().enumerate().skip(start + MARK.len()) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(byte, b'}' | b';') {
                end = offset + 1;
                break;
            }
        }
        let blank: String = kept[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        kept.replace_range(start..end, &blank);
    }
    kept
}

/// Every path that the code names, written out, with its line from 1: `use std::{fs, net::IpAddr};` gives `std::fs`
/// and `std::net::IpAddr`, an expression `std::env::var(…)` gives `std::env::var`.
pub fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut tokens = Tokens { code, at: 0 };
    while let Some((offset, token)) = tokens.next() {
        if token == "use" {
            use_tree(&mut tokens, "", &mut found);
        } else if token.bytes().all(is_word) {
            let mut path = token.to_owned();
            while tokens.take("::") {
                match tokens.peek() {
                    Some(word) if word.bytes().all(is_word) => {
                        tokens.next();
                        path.push_str("::");
                        path.push_str(word);
                    }
                    // Generic arguments: `Vec::<u8>`.
                    _ => break,
                }
            }
            found.push((offset, path));
        }
    }
    found
        .into_iter()
        .map(|(offset, path)| (1 + code[..offset].bytes().filter(|byte| *byte == b'\n').count(), path))
        .collect()
}

/// Reads one branch of a `use` tree, which ends before `,`, `}` or `;`.
fn use_tree(tokens: &mut Tokens<'_>, prefix: &str, found: &mut Vec<(usize, String)>) {
    let mut path = prefix.to_owned();
    while let Some(token) = tokens.peek() {
        match token {
            "," | "}" | ";" => return,
            "{" => {
                tokens.next();
                loop {
                    use_tree(tokens, &path, found);
                    if tokens.take("}") {
                        return;
                    }
                    if !tokens.take(",") {
                        return;
                    }
                }
            }
            "as" => {
                tokens.next();
                tokens.next();
            }
            "::" => {
                tokens.next();
            }
            word => {
                let word = word.to_owned();
                let Some((offset, _)) = tokens.next() else { return };
                if word != "self" || path.is_empty() {
                    if !path.is_empty() {
                        path.push_str("::");
                    }
                    path.push_str(&word);
                }
                if tokens.peek() != Some("::") {
                    found.push((offset, path.clone()));
                }
            }
        }
    }
}

/// Words, `::` and single signs.
struct Tokens<'a> {
    code: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        let bytes = self.code.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        let start = self.at;
        let first = self.code[start..].chars().next()?;
        let length = if self.code[start..].starts_with("::") {
            2
        } else if first.is_ascii() && is_word(bytes[start]) {
            bytes[start..].iter().take_while(|byte| is_word(**byte)).count()
        } else {
            first.len_utf8()
        };
        self.at = start + length;
        Some((start, &self.code[start..self.at]))
    }

    fn peek(&self) -> Option<&'a str> {
        Tokens { code: self.code, at: self.at }.next().map(|(_, token)| token)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let matches = self.peek() == Some(wanted);
        if matches {
            self.next();
        }
        matches
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_literals_and_keeps_lines() {
        let text = "let a = \"std::fs // \\\" no\"; // std::env\n/* std::net /* nested */\n */ let b = 'x'; \
                    let c: &'a str = r#\"aya \" \"#; let d = '\\''; b\"aya\"; f('ä')";
        let code = code_only(text);
        assert_eq!(code.lines().count(), text.lines().count());
        for gone in ["std::", "aya", "nested", "'x'", "ä"] {
            assert!(!code.contains(gone), "{gone} is left in {code}");
        }
        assert!(code.contains("&'a str"), "{code}");
        assert!(code.contains("let d ="), "{code}");
    }

    #[test]
    fn blanks_tests_and_nothing_else() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn t() { std::fs::read() } }\nfn b() {}\n";
        let kept = without_tests(code);
        assert!(!kept.contains("std::fs"));
        assert!(kept.contains("fn a()") && kept.contains("fn b()"));
        assert_eq!(kept.lines().count(), 4);
    }

    #[test]
    fn writes_use_trees_out() {
        let code = "use std::{\n  fs as files,\n  net::{IpAddr, TcpStream}, time::{self, Instant},\n};\nuse aya::Ebpf;\n";
        let paths = paths(code);
        let expected = [
            (2, "std::fs"),
            (3, "std::net::IpAddr"),
            (3, "std::net::TcpStream"),
            (3, "std::time"),
            (3, "std::time::Instant"),
            (5, "aya::Ebpf"),
        ];
        for (line, path) in expected {
            assert!(paths.contains(&(line, path.to_owned())), "no {path} in {paths:?}");
        }
    }

    #[test]
    fn sees_paths_in_expressions() {
        let paths = paths("fn f() {\n  let t = std::time::Instant::now();\n  v.map(Vec::<u8>::new)\n}");
        assert!(paths.contains(&(2, "std::time::Instant::now".to_owned())), "{paths:?}");
    }
}
