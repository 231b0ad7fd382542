//! The table of `docs/mistakes.md`, line by line: what is done is done, and what is said is compared.

use std::fs;
use std::io;
use std::process::Stdio;

use events_tests::deadline::{PATIENCE, within};
use events_tests::server_process::{ServerProcess, events_binary};
use events_tests::skip::{program, require, workspace_root};
use tokio::process::Command;

/// What the page has as the address of the hub.
const WRITTEN: &str = "127.0.0.1:4000";

/// A line of the table: a command of the shell, and what it says, with `…` for anything.
#[derive(Debug, PartialEq)]
struct Mistake<'a> {
    command: &'a str,
    said: &'a str,
}

/// Reads the lines of two cells that are code from end to end; code may have backquotes in it.
fn table(text: &str) -> Vec<Mistake<'_>> {
    text.lines()
        .filter_map(|line| {
            let (command, said) = line
                .strip_prefix("| ")?
                .strip_suffix(" |")?
                .split_once(" | ")?;
            let (command, said) = (command.strip_prefix('`')?, said.strip_prefix('`')?);
            Some(Mistake {
                command: command.strip_suffix('`')?,
                said: said.strip_suffix('`')?,
            })
        })
        .collect()
}

/// Whether a text has these parts, in their order.
fn has_in_order(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern
        .split('…')
        .map(str::trim)
        .all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
}

#[tokio::test]
async fn the_likeliest_mistakes_are_answered_as_the_page_says() -> io::Result<()> {
    if require("mistakes_table", "curl", program("curl")).is_none() {
        return Ok(());
    }
    let page = fs::read_to_string(workspace_root().join("docs/mistakes.md"))?;
    let mistakes = table(&page);
    assert!(mistakes.len() >= 20, "{} lines", mistakes.len());
    let hub = ServerProcess::dev(&[]).await?;
    let here = hub.address().to_string();
    let folder = tempfile::tempdir()?;
    let mut path =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let binary = events_binary().await?;
    path.insert(0, binary.parent().map(Into::into).unwrap_or_default());
    let path = std::env::join_paths(path).map_err(io::Error::other)?;
    let mut wrong = Vec::new();
    for mistake in mistakes {
        let mut command = mistake.command.replace(WRITTEN, &here);
        if command.contains("events tail --stream agui") && !command.contains("--url") {
            command += &format!(" --url http://{here}");
        }
        let command = command.replace(
            "events publish",
            &format!("events publish --url http://{here}"),
        );
        let running = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .env("PATH", &path)
            .env_remove("EVENTS_AUTH__SECRET")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let output = within(mistake.command, PATIENCE, running).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !has_in_order(&said, &mistake.said.replace(WRITTEN, &here)) {
            wrong.push(format!(
                "{}\n  expected: {}\n  said: {said}",
                mistake.command, mistake.said
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_table_is_read_and_compared_in_order() {
    let page = "| a | b |\n| --- | --- |\n| `x 'y'` | `no `z` … here` |\n| `x` | plain |\n";
    let expected = Mistake {
        command: "x 'y'",
        said: "no `z` … here",
    };
    assert_eq!(table(page), [expected]);
    assert!(has_in_order("error: no `z` is here", "no `z` … here"));
    assert!(!has_in_order("here no `z`", "no `z` … here"));
    assert!(!has_in_order("no `z`", "no `z` … here"));
}
