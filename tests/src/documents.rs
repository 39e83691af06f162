//! Commands in the documents.

/// The lines of a document's code blocks that call mtuprobe, as words after its name, without comments.
pub fn calls(text: &str) -> Vec<Vec<String>> {
    commands(text)
        .into_iter()
        .filter_map(|mut words| {
            let program = words.remove(0);
            let is_ours = program == "mtuprobe" || program.ends_with("/mtuprobe");
            // What it says of itself begins with its version.
            let is_call = words.first().is_some_and(|first| !first.starts_with(|c: char| c.is_ascii_digit()));
            (is_ours && is_call).then_some(words)
        })
        .collect()
}

/// The lines of code blocks, as words, without comments and prompts; a line that ends in a backslash goes on.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let mut in_block = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let line = line.trim_start_matches("# ");
        let (command, _) = line.split_once("  #").unwrap_or((line, ""));
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if in_block && !words.is_empty() {
            commands.push(words);
        }
    }
    commands
}
