//! House rules that no lint knows, over the text of every Rust file of the workspace.

mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use events_tests::skip::workspace_root;
use rules::findings;

/// Collects the Rust files below a folder, sorted.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "target" && name != "node_modules" {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn the_workspace_keeps_its_house_rules() {
    let root = workspace_root();
    let mut found = Vec::new();
    let mut n_files = 0;
    for folder in ["crates", "tests"] {
        for file in rust_files(&root.join(folder)) {
            let path = file
                .strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            found.extend(findings(&path, &fs::read_to_string(&file).unwrap()));
            n_files += 1;
        }
    }
    assert!(n_files > 20, "only {n_files} files were found");
    assert!(
        found.is_empty(),
        "{} findings:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn an_ignored_test_and_an_unfinished_function_are_found() {
    let text = "#[test]\n#[ignore = \"slow\"]\nfn a() {\n    todo!()\n}\n";
    assert_eq!(
        findings("crates/events-core/src/a.rs", text),
        [
            "crates/events-core/src/a.rs:2: an ignored test: find what it needs, or skip aloud",
            "crates/events-core/src/a.rs:4: unfinished code",
        ]
    );
}

#[test]
fn words_in_comments_and_strings_are_no_findings() {
    let text = "//! Never `sleep(1)`.\n// todo!()\nlet text = \"unimplemented!()\"; // todo!()\n\
                let url = \"http://a\"; let quote = '\"'; let raw = r#\"#[ignore] \" tokio::spawn(\"#;\n";
    assert_eq!(findings("tests/it/a.rs", text), [""; 0]);
}

#[test]
fn a_sleep_is_found_in_tests_and_only_there() {
    let sleep = "    tokio::time::sleep(a).await;\n";
    let text = format!("async fn a() {{\n{sleep}}}\n#[cfg(test)]\nmod tests {{\n{sleep}}}\n");
    let found = findings("crates/events-core/src/a.rs", &text);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("crates/events-core/src/a.rs:6: a test sleeps"),
        "{found:?}"
    );
    for path in [
        "crates/events-core/src/a/tests.rs",
        "crates/events-core/tests/b.rs",
        "tests/it/c.rs",
    ] {
        assert_eq!(findings(path, sleep).len(), 1, "{path}");
    }
    assert_eq!(findings("tests/src/fault_proxy/pump.rs", sleep), [""; 0]);
    assert_eq!(
        findings("tests/it/a.rs", "    let asleep = fell_asleep(1);\n"),
        [""; 0]
    );
    // Only the item below the attribute is a test, when it is a module in a file of its own.
    let text = format!("#[cfg(test)]\nmod tests;\nasync fn a() {{\n{sleep}}}\n");
    assert_eq!(findings("crates/events-core/src/a.rs", &text), [""; 0]);
}

#[test]
fn a_bare_spawn_is_found_and_a_set_of_tasks_is_not() {
    for spawn in [
        "tokio::spawn(a);",
        "tokio::task::spawn(a);",
        "task::spawn(a);",
    ] {
        assert_eq!(
            findings("crates/events-core/src/a.rs", spawn).len(),
            1,
            "{spawn}"
        );
    }
    for spawn in [
        "tasks.spawn(a);",
        "std::thread::spawn(a);",
        "tokio::task::spawn_blocking(a);",
    ] {
        assert_eq!(
            findings("crates/events-core/src/a.rs", spawn),
            [""; 0],
            "{spawn}"
        );
    }
}

#[test]
fn a_library_says_what_it_does_not_do_and_what_holds() {
    let good = "//! A.\n//!\n//! # What this crate does not do\n//!\n//! # Invariants\n";
    assert_eq!(findings("crates/events-core/src/lib.rs", good), [""; 0]);
    let found = findings(
        "crates/events-core/src/lib.rs",
        "//! A.\n//! # Invariants\n",
    );
    assert_eq!(
        found,
        ["crates/events-core/src/lib.rs:1: no heading '# What this crate does not do'"]
    );
    assert_eq!(findings("crates/events-core/src/a.rs", "//! A.\n"), [""; 0]);
}

#[test]
fn a_long_file_says_why() {
    let long = "fn a() {}\n".repeat(401);
    assert_eq!(findings("crates/events-core/src/a.rs", &long).len(), 1);
    let reason = format!("//! A.\n//!\n//! Over 400 lines because it is one table.\n{long}");
    assert_eq!(findings("crates/events-core/src/a.rs", &reason), [""; 0]);
    assert_eq!(
        findings("crates/events-core/src/a.rs", &"fn a() {}\n".repeat(400)),
        [""; 0]
    );
}
