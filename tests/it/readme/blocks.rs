//! The fenced blocks of a page.

/// One block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// The first word behind the fence.
    pub(super) language: &'a str,
    /// Whether it is run; it is not when `no_run` stands behind the language.
    pub(super) is_run: bool,
    /// Why not, from the comment above.
    pub(super) reason: Option<&'a str>,
    /// What stands between the fences.
    pub(super) text: &'a str,
    /// The line of the first fence, counted from 1.
    pub(super) line: usize,
}

/// Collects the blocks of a page in their order.
pub(super) fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(Block<'_>, usize)> = None;
    let (mut at, mut above) = (0, "");
    for (n, line) in page.split_inclusive('\n').enumerate() {
        let next = at + line.len();
        match (line.trim_end().strip_prefix("```"), &mut open) {
            (Some(""), Some((block, from))) => {
                block.text = &page[*from..at];
                found.extend(open.take().map(|(block, _)| block));
            }
            (Some(info), None) => {
                let mut words = info.split(',');
                let language = words.next().unwrap_or_default();
                let is_run = !words.any(|word| word == "no_run");
                let reason = above
                    .trim()
                    .strip_prefix("<!-- no_run: ")
                    .and_then(|reason| reason.strip_suffix(" -->"));
                let block = Block {
                    language,
                    is_run,
                    reason,
                    text: "",
                    line: n + 1,
                };
                open = Some((block, next));
            }
            _ => {}
        }
        (at, above) = (next, line);
    }
    assert!(open.is_none(), "a block has no end");
    found
}

/// The commands of a block of the shell: what belongs together by quotes or a backslash is one, comments are left out.
pub(super) fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut command = String::new();
    let mut quote = None;
    for line in text.lines() {
        let mut is_after_space = true;
        for char in line.chars() {
            match quote {
                None if char == '#' && is_after_space => break,
                None if char == '\'' || char == '"' => quote = Some(char),
                Some(open) if open == char => quote = None,
                _ => {}
            }
            is_after_space = char.is_whitespace();
            command.push(char);
        }
        if quote.is_some() {
            command.push('\n');
        } else if command.trim_end().ends_with('\\') {
            command.truncate(command.trim_end().len() - 1);
        } else {
            let whole = std::mem::take(&mut command);
            found.extend(Some(whole.trim().to_owned()).filter(|whole| !whole.is_empty()));
        }
    }
    assert!(quote.is_none(), "a quote has no end: {command}");
    found
}

#[test]
fn blocks_are_found_with_their_reasons() {
    let page = "a\n```sh\nls\n```\n<!-- no_run: slow -->\n```rust,no_run\nfn main() {}\n```\n";
    let found = blocks(page);
    assert_eq!(
        (found[0].language, found[0].is_run, found[0].text),
        ("sh", true, "ls\n")
    );
    assert_eq!(
        (found[1].language, found[1].is_run, found[1].line),
        ("rust", false, 6)
    );
    assert_eq!(found[1].reason, Some("slow"));
}

#[test]
fn a_command_goes_on_within_quotes_and_behind_a_backslash() {
    let text = "a 'b\nc' # it's a comment\n# another\nd \\\n  e#f\n\n";
    assert_eq!(commands(text), ["a 'b\nc'", "d   e#f"]);
}
