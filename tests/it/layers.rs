//! The layers: who may depend on whom, compared with the manifests.

use std::collections::BTreeSet;
use std::fs;

use events_tests::skip::workspace_root;
use toml::{Table, Value};

/// The picture of `ARCHITECTURE.md`: a crate, and which of ours it may name in `[dependencies]`.
///
/// A crate that is not here must not exist.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("events-core", &[]),
    ("events-models", &["events-core"]),
    ("events-sse", &["events-core", "events-models"]),
    ("events-broadcast", &["events-core", "events-sse"]),
    (
        "events-router",
        &[
            "events-core",
            "events-models",
            "events-sse",
            "events-broadcast",
        ],
    ),
    ("events-log-disk", &["events-core"]),
    ("events-log-nats", &["events-core"]),
    ("events-log-postgres", &["events-core"]),
    (
        "events-axum",
        &[
            "events-core",
            "events-models",
            "events-sse",
            "events-broadcast",
            "events-router",
        ],
    ),
    (
        "events-llm",
        &["events-core", "events-models", "events-sse"],
    ),
    (
        "events-agents",
        &[
            "events-core",
            "events-models",
            "events-sse",
            "events-broadcast",
            "events-router",
            "events-axum",
            "events-llm",
        ],
    ),
    (
        "events-client",
        &["events-core", "events-models", "events-sse"],
    ),
    (
        "events-tui",
        &[
            "events-core",
            "events-models",
            "events-sse",
            "events-client",
        ],
    ),
    ("events-server", ANYTHING),
    ("events-tests", ANYTHING),
    ("xtask", &[]),
];

/// For the crates at the top, which put the others together.
const ANYTHING: &[&str] = &["*"];

/// Foreign crates that only some of ours may name, in any kind of dependency.
const ONLY_IN: [(&str, &[&str]); 9] = [
    (
        "axum",
        &[
            "events-core",
            "events-sse",
            "events-axum",
            "events-llm",
            "events-server",
            "events-tests",
        ],
    ),
    ("ratatui", &["events-tui"]),
    ("crossterm", &["events-tui"]),
    ("redb", &["events-log-disk"]),
    ("async-nats", &["events-log-nats"]),
    ("tokio-postgres", &["events-log-postgres"]),
    ("deadpool-postgres", &["events-log-postgres"]),
    ("openssl", &[]),
    ("native-tls", &[]),
];

/// What may name axum for one type of it only: no features there, and none by inheritance.
const AXUM_WITHOUT_FEATURES: [&str; 2] = ["events-core", "events-sse"];

/// One dependency of a manifest, by its package's name.
struct Dependency<'a> {
    package: &'a str,
    is_normal: bool,
    value: &'a Value,
}

/// Collects the dependencies of all kinds, those for some targets only included.
fn dependencies(manifest: &Table) -> Vec<Dependency<'_>> {
    let tables = std::iter::once(manifest).chain(
        manifest
            .get("target")
            .and_then(Value::as_table)
            .into_iter()
            .flat_map(|targets| targets.values().filter_map(Value::as_table)),
    );
    let mut found = Vec::new();
    for table in tables {
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for (name, value) in table
                .get(kind)
                .and_then(Value::as_table)
                .into_iter()
                .flatten()
            {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
                found.push(Dependency {
                    package,
                    is_normal: kind != "dev-dependencies",
                    value,
                });
            }
        }
    }
    found
}

/// Says what is wrong with one manifest, one sentence for each finding.
fn findings(manifest: &Table) -> Vec<String> {
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(Value::as_str)
        .unwrap_or("(no name)");
    let mut found = Vec::new();
    let inherits_lints = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        == Some(&Value::Boolean(true));
    if !inherits_lints {
        found.push(format!("{name} does not say `[lints] workspace = true`"));
    }
    let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        found.push(format!("{name} is not in the picture"));
        return found;
    };
    for Dependency {
        package,
        is_normal,
        value,
    } in dependencies(manifest)
    {
        let is_ours = MAY_USE.iter().any(|(known, _)| *known == package);
        let is_allowed = may_use.contains(&package) || *may_use == ANYTHING;
        if is_ours && is_normal && !is_allowed {
            found.push(format!("{name} must not depend on {package}"));
        }
        if let Some((_, only_in)) = ONLY_IN.iter().find(|(known, _)| *known == package)
            && !only_in.contains(&name)
        {
            found.push(format!("{name} must not name {package}"));
        }
        let is_plain = value.get("features").is_none() && value.get("default-features").is_none();
        if package == "axum" && is_normal && AXUM_WITHOUT_FEATURES.contains(&name) && !is_plain {
            found.push(format!("{name} may use axum without features only"));
        }
    }
    found
}

/// Reads the manifests of all members.
fn manifests() -> Vec<Table> {
    let root = workspace_root();
    let mut files = vec![root.join("tests/Cargo.toml")];
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        let file = entry.unwrap().path().join("Cargo.toml");
        if file.is_file() {
            files.push(file);
        }
    }
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap().parse().unwrap())
        .collect()
}

fn of_text(text: &str) -> Vec<String> {
    findings(&text.parse().unwrap())
}

#[test]
fn the_manifests_are_as_the_picture_shows() {
    let manifests = manifests();
    assert!(manifests.len() > 5, "the members were not found");
    let found: Vec<String> = manifests.iter().flat_map(findings).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_workspace_switches_axums_features_off() {
    let text = fs::read_to_string(workspace_root().join("Cargo.toml")).unwrap();
    let root: Table = text.parse().unwrap();
    let axum = root["workspace"]["dependencies"].get("axum").unwrap();
    assert_eq!(axum.get("default-features"), Some(&Value::Boolean(false)));
    assert_eq!(axum.get("features"), None);
}

/// Each crate may use only crates that stand before it, so there is no cycle.
#[test]
fn the_picture_has_no_cycle_and_leaves_nothing_out() {
    let mut below = BTreeSet::new();
    for (name, may_use) in MAY_USE {
        for used in may_use.iter().filter(|used| **used != "*") {
            assert!(
                below.contains(used),
                "{name} uses {used}, which is not below it"
            );
            let of_used = MAY_USE.iter().find(|(known, _)| known == used).unwrap().1;
            // The models are what events-sse writes; who only moves frames need not know them.
            for deeper in of_used.iter().filter(|deeper| **deeper != "events-models") {
                assert!(
                    may_use.contains(deeper),
                    "{name} reaches {deeper} through {used} only"
                );
            }
        }
        below.insert(name);
    }
}

#[test]
fn a_wrong_edge_is_found_in_every_kind_of_table() {
    let head = "[package]\nname = \"events-broadcast\"\n[lints]\nworkspace = true\n";
    assert_eq!(
        of_text(&format!(
            "{head}[dependencies]\nevents-core.workspace = true"
        )),
        [""; 0]
    );
    for edge in [
        "[dependencies]\nevents-router.workspace = true",
        "[build-dependencies]\nevents-router = { workspace = true }",
        "[dependencies]\nrouter = { package = \"events-router\", path = \"../events-router\" }",
        "[target.'cfg(unix)'.dependencies]\nevents-router = \"0.1\"",
    ] {
        let found = of_text(&format!("{head}{edge}"));
        assert_eq!(
            found,
            ["events-broadcast must not depend on events-router"],
            "{edge}"
        );
    }
    // A test may use more than the crate it tests.
    let edge = "[dev-dependencies]\nevents-router.workspace = true";
    assert_eq!(of_text(&format!("{head}{edge}")), [""; 0]);
}

#[test]
fn a_foreign_crate_in_the_wrong_place_is_found() {
    let head = "[package]\nname = \"events-models\"\n[lints]\nworkspace = true\n";
    let found = of_text(&format!(
        "{head}[dev-dependencies]\nredb = \"3\"\naxum = \"0.8\""
    ));
    assert_eq!(
        found,
        [
            "events-models must not name axum",
            "events-models must not name redb"
        ]
    );
    let head = "[package]\nname = \"events-sse\"\n[lints]\nworkspace = true\n";
    let axum = "axum = { workspace = true, features = [\"http1\"] }";
    let found = of_text(&format!("{head}[dependencies]\n{axum}"));
    assert_eq!(found, ["events-sse may use axum without features only"]);
}

#[test]
fn a_crate_without_lints_or_outside_the_picture_is_found() {
    assert_eq!(
        of_text("[package]\nname = \"events-utils\""),
        [
            "events-utils does not say `[lints] workspace = true`",
            "events-utils is not in the picture"
        ]
    );
}
