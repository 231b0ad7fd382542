//! Every code block of the README and of the pages in `docs`, run as a reader would run it, beside a hub with its demo.
//!
//! Rust blocks are tests of documents (`tests/src/lib.rs`); the one that needs a hub is run here, as the example it is.

mod blocks;
mod run;
mod shape;

use std::fs;
use std::io;

use blocks::{Block, blocks};
use events_tests::skip::{program, require, workspace_root};
use run::Reader;
use shape::{first_missing, is_on_screen};

/// What a block that runs must have printed after a while: some words of the block, and parts of what it prints.
///
/// A block that no entry knows is a failure: who writes one says here what the reader sees.
const EXPECTED: [(&str, &[&str]); 15] = [
    ("agui?user=demo'", &["retry: ", ": connected", "id: "]),
    (
        "thread=t1&user=ada' &",
        &["RUN_STARTED", "\"ids\":[", "Hello, Ada", "RUN_FINISHED"],
    ),
    (
        "Hello from Python",
        &[
            "RUN_STARTED",
            "TEXT_MESSAGE_CONTENT Hello from Python",
            "RUN_FINISHED",
        ],
    ),
    (
        "Hello from JavaScript",
        &[
            "RUN_STARTED",
            "TEXT_MESSAGE_CONTENT Hello from JavaScript",
            "RUN_FINISHED",
        ],
    ),
    (
        "Hello from Rust",
        &["RUN_STARTED", "Hello from Rust", "RUN_FINISHED"],
    ),
    ("/agui/run/demo", &["assistant"]),
    ("@ag-ui/client", &["Hello, Ada"]),
    ("/publish/a2a/ada", &["\"ids\":["]),
    ("a2a.client", &["task-1", "TASK_STATE_WORKING"]),
    ("llm/demo/v1/chat", &["data: ", "chat.completion.chunk"]),
    (
        "events token",
        &["listening on http://", "eyJ", "eyJ", "eyJ"],
    ),
    (
        "events dev --agent",
        &["listening on http://", "listening on http://"],
    ),
    ("/events.js", &["RUN_STARTED"]),
    ("events bench", &["published ", "lost 0"]),
    ("curl -sN -m 5", &["retry: ", ": connected", "id: "]),
];

/// The README and what is in `docs`, by their names.
fn pages() -> io::Result<Vec<String>> {
    let mut names = vec!["README.md".to_owned()];
    for entry in fs::read_dir(workspace_root().join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.ends_with(".md").then(|| format!("docs/{name}")));
    }
    names.sort();
    Ok(names)
}

fn page(name: &str) -> io::Result<String> {
    fs::read_to_string(workspace_root().join(name))
}

#[test]
fn every_block_has_a_language_that_is_run_or_a_reason() -> io::Result<()> {
    let mut n_run = 0;
    for name in pages()? {
        let text = page(&name)?;
        for block in blocks(&text) {
            let Block { language, line, .. } = block;
            assert!(
                ["sh", "text", "js", "python", "rust"].contains(&language),
                "{name}:{line}: a block of '{language}'"
            );
            assert!(
                block.is_run || language == "rust" || block.reason.is_some(),
                "{name}:{line}: no_run without a comment above that begins with 'no_run: ' and says why"
            );
            assert!(
                language != "rust" || block.text.contains("fn main()"),
                "{name}:{line}: not a whole program"
            );
            n_run += usize::from(block.is_run && language != "text");
        }
    }
    assert!(n_run >= 10, "only {n_run} blocks are run");
    Ok(())
}

#[test]
fn the_rust_program_of_the_readme_is_the_example() -> io::Result<()> {
    let example = page("crates/events-client/examples/hello.rs")?;
    let at = example.find("use events_client").unwrap_or(0);
    let readme = page("README.md")?;
    let mut rust = blocks(&readme)
        .into_iter()
        .filter(|block| block.language == "rust");
    assert!(rust.any(|block| block.text.trim() == example[at..].trim()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_block_of_the_documents_does_what_is_said() -> io::Result<()> {
    let name = "readme";
    if require(name, "curl", program("curl")).is_none() {
        return Ok(());
    }
    let reader = Reader::start(name).await?;
    for page_name in pages()? {
        let text = page(&page_name)?;
        let blocks = blocks(&text);
        for (at, block) in blocks.iter().enumerate() {
            let is_run = match block.language {
                // Programs that need no hub are tests of documents; this one is compiled there.
                "rust" => block.text.contains("events_client"),
                "text" => false,
                _ => block.is_run,
            };
            if !is_run {
                continue;
            }
            let place = format!("{page_name}:{}", block.line);
            let expected = EXPECTED
                .iter()
                .find(|(words, _)| block.text.contains(words));
            let (_, parts) = expected.unwrap_or_else(|| panic!("{place}: what does it print?"));
            // The text that follows is what the reader is told to see.
            let shown = blocks.get(at + 1).filter(|next| next.language == "text");
            if let Some(top) = Reader::top_of(block) {
                let shown = shown.unwrap_or_else(|| panic!("{place}: no screen is shown"));
                reader.run(&place, block, |out| has_all(out, parts)).await?;
                reader
                    .screen(&place, &top, |screen| is_on_screen(screen, shown.text))
                    .await?;
                continue;
            }
            let is_enough = |out: &str| {
                has_all(out, parts)
                    && shown.is_none_or(|shown| first_missing(out, shown.text).is_none())
            };
            reader.run(&place, block, is_enough).await?;
        }
    }
    Ok(())
}

/// Whether a text has these parts; a part that is named more than once is there as often.
fn has_all(text: &str, parts: &[&str]) -> bool {
    parts.iter().all(|part| {
        let n_wanted = parts.iter().filter(|other| *other == part).count();
        text.matches(part).count() >= n_wanted
    })
}
