//! The client for browsers without a browser: its own tests, and drawn schedules of tabs, by Node.js.

use std::{io, process::Output, time::Duration};

use events_tests::{deadline::within, skip};

/// What takes a few seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(400);

async fn node(name: &str, arguments: &[&str]) -> io::Result<Option<Output>> {
    let Some(node) = skip::require(name, "Node.js 20", skip::node()) else {
        return Ok(None);
    };
    let folder = skip::workspace_root().join("crates/events-axum/js");
    let run = tokio::process::Command::new(node)
        .args(arguments)
        .current_dir(folder)
        .kill_on_drop(true)
        .output();
    within("node", LIMIT, run).await.map(Some)
}

fn check(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    text
}

#[tokio::test]
async fn the_clients_parser_waits_and_bounds_are_right() -> io::Result<()> {
    let name = "the_clients_parser_waits_and_bounds_are_right";
    let files = ["--test", "test/parser.test.js", "test/link.test.js"];
    let Some(output) = node(name, &files).await? else {
        return Ok(());
    };
    assert!(check(&output).contains("fail 0"));
    Ok(())
}

#[tokio::test]
async fn the_clients_types_are_what_a_page_uses() -> io::Result<()> {
    let name = "the_clients_types_are_what_a_page_uses";
    let compiler = skip::client_packages("typescript");
    let Some(compiler) = skip::require(name, "the compiler typescript", compiler) else {
        return Ok(());
    };
    let compiler = compiler.join("node_modules/typescript/bin/tsc");
    let options = "--noEmit --strict --target es2022 --module esnext --moduleResolution bundler --lib \
                   es2023,dom,dom.iterable --pretty false test/types.ts";
    let compiler = compiler.to_string_lossy();
    let arguments: Vec<&str> = std::iter::once(&*compiler)
        .chain(options.split_whitespace())
        .collect();
    let Some(output) = node(name, &arguments).await? else {
        return Ok(());
    };
    check(&output);
    Ok(())
}

/// `EVENTS_SCHEDULES` draws more.
#[tokio::test]
async fn tabs_in_drawn_schedules_have_everything_once_and_planted_faults_are_found()
-> io::Result<()> {
    let name = "tabs_in_drawn_schedules_have_everything_once_and_planted_faults_are_found";
    let n_schedules = std::env::var("EVENTS_SCHEDULES").unwrap_or_else(|_| "2000".to_owned());
    let Some(output) = node(name, &["test/sharing.js", &n_schedules]).await? else {
        return Ok(());
    };
    let text = check(&output);
    assert_eq!(text.matches("found: ").count(), 7, "{text}");
    Ok(())
}
