//! What is handed out: the archive of `cargo xtask dist`, the packages of the crates, and how much comes with each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use events_tests::deadline::within;
use events_tests::skip::{program, workspace_root};
use tokio::process::Command;

/// For a program that may have to be built.
const LIMIT: Duration = Duration::from_secs(900);

/// The target folder and the profile of the running test.
fn built() -> io::Result<(PathBuf, &'static str)> {
    // The test is TARGET/PROFILE/deps/NAME.
    let test = std::env::current_exe()?;
    let profile = test.ancestors().nth(2);
    let target = profile.and_then(Path::parent);
    let target = target.ok_or_else(|| io::Error::other("no target folder"))?;
    let is_release = profile.is_some_and(|profile| profile.ends_with("release"));
    let name = if is_release { "release" } else { "dev" };
    Ok((target.to_owned(), name))
}

/// Runs a command to its end, which has to be a good one.
async fn run(command: &mut Command) -> io::Result<String> {
    let name = format!("{:?}", command.as_std());
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let Output {
        status,
        stdout,
        stderr,
    } = within(&name, LIMIT, running).await?;
    let said = String::from_utf8_lossy(&stderr);
    if !status.success() {
        return Err(io::Error::other(format!("{name}: {status}: {said}")));
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

fn cargo() -> Command {
    let mut cargo = events_tests::cargo::cargo();
    cargo.current_dir(workspace_root());
    cargo
}

#[tokio::test]
async fn an_archive_has_what_a_machine_needs_and_its_sum_is_right() -> io::Result<()> {
    let (target, profile) = built()?;
    let output = tempfile::tempdir()?;
    let mut dist = cargo();
    dist.args([
        "run",
        "--quiet",
        "-p",
        "xtask",
        "--",
        "dist",
        "--profile",
        profile,
    ])
    .arg("--output")
    .arg(output.path())
    .env("CARGO_TARGET_DIR", &target);
    run(&mut dist).await?;
    let mut names: Vec<String> = fs::read_dir(output.path())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    names.sort();
    let name = names[0].clone();
    assert!(name.starts_with("events-0.1.0-"), "{names:?}");
    assert_eq!(
        names[1..],
        [format!("{name}.tar.gz"), format!("{name}.tar.gz.sha256")]
    );

    let here = output.path();
    run(Command::new("sha256sum")
        .args(["-c", &names[2]])
        .current_dir(here))
    .await?;
    fs::remove_dir_all(here.join(&name))?;
    run(Command::new("tar")
        .args(["-xzf", &names[1]])
        .current_dir(here))
    .await?;
    let folder = here.join(&name);
    let events = folder.join("events");
    let version = run(Command::new(&events).arg("--version")).await?;
    assert_eq!(version, "events 0.1.0\n");
    run(Command::new(&events)
        .args(["check-config", "--config"])
        .arg(folder.join("etc/events.toml"))
        .env("EVENTS_AUTH__SECRET", "0123456789abcdef0123456789abcdef"))
    .await?;
    if let Some(bash) = program("bash") {
        let loaded = run(Command::new(bash)
            .args(["--norc", "-c", "source \"$0\" && complete -p events"])
            .arg(folder.join("completions/events.bash")))
        .await?;
        assert!(loaded.contains("_events"), "{loaded}");
    }
    for file in [
        "README.md",
        "ARCHITECTURE.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "Containerfile",
        "completions/_events",
        "completions/events.fish",
        "docs/mistakes.md",
        "docs/proxies/nginx.conf",
    ] {
        assert!(fs::metadata(folder.join(file))?.len() > 100, "{file}");
    }
    // Where systemd is, it judges the unit, with the program where it is here.
    if let Some(analyze) = program("systemd-analyze") {
        let unit = folder.join("systemd/events.service");
        let text = fs::read_to_string(&unit)?;
        fs::write(
            &unit,
            text.replace("/usr/bin/events", &events.to_string_lossy()),
        )?;
        let said = run(Command::new(analyze).arg("verify").arg(&unit)).await?;
        assert_eq!(said, "");
    }
    Ok(())
}

#[tokio::test]
async fn every_crate_can_be_packaged_and_has_its_readme_and_licences() -> io::Result<()> {
    let target = tempfile::tempdir()?;
    let mut package = cargo();
    // What is built from is checked by the other tests; here is what would be uploaded.
    package
        .args([
            "package",
            "--workspace",
            "--exclude",
            "xtask",
            "--exclude",
            "events-tests",
        ])
        .args([
            "--offline",
            "--no-verify",
            "--allow-dirty",
            "--quiet",
            "--target-dir",
        ])
        .arg(target.path());
    run(&mut package).await?;
    let mut n_packages = 0;
    for entry in fs::read_dir(target.path().join("package"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_none_or(|extension| extension != "crate")
        {
            continue;
        }
        n_packages += 1;
        let list = run(Command::new("tar").arg("-tzf").arg(&path)).await?;
        for file in [
            "/README.md",
            "/LICENSE-MIT",
            "/LICENSE-APACHE",
            "/Cargo.toml",
        ] {
            assert!(
                list.lines().any(|line| line.ends_with(file)),
                "{file} of {path:?}"
            );
        }
    }
    assert_eq!(n_packages, 14);
    Ok(())
}

/// What the README says of one crate with some features.
#[derive(Debug, PartialEq, Eq)]
struct Weight {
    name: String,
    flags: Vec<String>,
    n_crates: usize,
}

/// Reads the table `| `name` | N | N with `feature` …, N without `feature` |`.
fn weights(readme: &str) -> Vec<Weight> {
    let mut found = Vec::new();
    for line in readme.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, n_crates, with] = cells[..] else {
            continue;
        };
        let Ok(n_crates) = n_crates.parse() else {
            continue;
        };
        let name = name.trim_matches('`').to_owned();
        found.push(Weight {
            name: name.clone(),
            flags: Vec::new(),
            n_crates,
        });
        for part in with.split(", ").filter(|part| !part.is_empty()) {
            let features: Vec<&str> = part.split('`').skip(1).step_by(2).collect();
            let flags = if part.contains("without") {
                vec!["--no-default-features".to_owned()]
            } else {
                vec!["--features".to_owned(), features.join(",")]
            };
            let n_crates = part.split(' ').next().and_then(|word| word.parse().ok());
            found.push(Weight {
                name: name.clone(),
                flags,
                n_crates: n_crates.unwrap_or(0),
            });
        }
    }
    found
}

#[tokio::test]
async fn no_crate_brings_more_with_it_than_the_readme_says() -> io::Result<()> {
    let readme = fs::read_to_string(workspace_root().join("README.md"))?;
    let weights = weights(&readme);
    assert!(weights.len() >= 14, "{weights:?}");
    let mut wrong = Vec::new();
    for weight in weights {
        let mut tree = cargo();
        tree.args([
            "tree",
            "--offline",
            "-e",
            "normal",
            "--prefix",
            "none",
            "-p",
            &weight.name,
        ])
        .args(&weight.flags);
        let text = run(&mut tree).await?;
        let mut crates: Vec<&str> = text
            .lines()
            .map(|line| line.trim_end_matches(" (*)"))
            .collect();
        crates.sort_unstable();
        crates.dedup();
        // Fewer is no mistake, but a tenth fewer wants to be told.
        if crates.len() > weight.n_crates || crates.len() * 10 < weight.n_crates * 9 {
            wrong.push(format!("{weight:?}, but {}", crates.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_table_of_weights_is_read() {
    let table = "| crate | crates | with |\n| --- | --- | --- |\n| `a` | 7 | 5 without `b`, 9 with `c` and `d` |\n";
    let flags: Vec<_> = weights(table)
        .into_iter()
        .map(|weight| (weight.flags.join(" "), weight.n_crates))
        .collect();
    let of = |flags: &str, n_crates| (flags.to_owned(), n_crates);
    assert_eq!(
        flags,
        [
            of("", 7),
            of("--no-default-features", 5),
            of("--features c,d", 9)
        ]
    );
}

/// Nobody tries an older compiler than the one that builds here.
#[test]
fn the_oldest_compiler_that_is_said_to_do_is_the_one_that_runs_the_tests() -> io::Result<()> {
    let read = |name: &str| -> io::Result<toml::Table> {
        let text = fs::read_to_string(workspace_root().join(name))?;
        text.parse().map_err(io::Error::other)
    };
    let (manifest, toolchain) = (read("Cargo.toml")?, read("rust-toolchain.toml")?);
    let said = manifest["workspace"]["package"]["rust-version"].as_str();
    let channel = toolchain["toolchain"]["channel"].as_str();
    let runs = channel.and_then(|channel| channel.rsplit_once('.'));
    assert!(said.is_some(), "no rust-version");
    assert_eq!(said, runs.map(|(version, _patch)| version));
    Ok(())
}
