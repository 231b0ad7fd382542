//! `cargo xtask dist`: one archive with all that a machine needs to run the hub, and its checksum.
//!
//! What stands in the folder `dist` of the workspace goes in as it is; the program and its completions are made here.
//! The same commit and compiler make the same archive: entries are sorted, owned by nobody, and as old as the commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::build;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DistRequest {
    /// The profile of cargo that the program is built with.
    pub(crate) profile: String,
    /// Where the archive is written; `target/dist` where none is named.
    pub(crate) output: Option<PathBuf>,
}

/// Files and folders of the workspace that go into the archive, and the folder in it; the program and completions come besides.
const FILES: [(&str, &str); 9] = [
    ("README.md", ""),
    ("ARCHITECTURE.md", ""),
    ("CHANGELOG.md", ""),
    ("LICENSE-MIT", ""),
    ("LICENSE-APACHE", ""),
    ("dist/Containerfile", ""),
    ("dist/events.service", "systemd"),
    ("dist/events.toml", "etc"),
    ("docs", ""),
];

/// A shell and the usual name of the file with its completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "events.bash"),
    ("zsh", "_events"),
    ("fish", "events.fish"),
];

impl DistRequest {
    /// Reads the words after `dist`; the error is one line for the user.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut request = Self {
            profile: "release".to_owned(),
            output: None,
        };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (word, None),
            };
            if !matches!(option, "--profile" | "--output") {
                return Err(format!("unknown option '{word}'"));
            }
            let value = value
                .or_else(|| words.next())
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("{option} needs a value"))?;
            match option {
                "--profile" => request.profile = value.to_owned(),
                _ => request.output = Some(PathBuf::from(value)),
            }
        }
        Ok(request)
    }
}

/// Builds the program and writes `events-VERSION-TARGET.tar.gz` and its `.sha256`.
///
/// # Errors
///
/// One line: what could not be built, read or written.
pub(crate) fn run(root: &Path, request: &DistRequest) -> Result<(), String> {
    let name = format!("events-{}-{}", env!("CARGO_PKG_VERSION"), host()?);
    let output = match &request.output {
        Some(output) => root.join(output),
        None => root.join("target/dist"),
    };
    let folder = output.join(&name);
    // What an earlier run has left there would go into the archive too.
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| cannot("empty", &folder, &error))?;
    }
    make(&folder)?;
    let words = [
        "build",
        "--locked",
        "--profile",
        &request.profile,
        "-p",
        "events-server",
        "--bin",
        "events",
    ];
    let [program] = build::executables(root, &words, ["events"])?;
    copy(&program, &folder.join("events"))?;
    for (file, within) in FILES {
        let from = root.join(file);
        let below = folder.join(within);
        make(&below)?;
        if from.is_dir() {
            copy_folder(&from, &below.join(file_name(&from)))?;
        } else {
            copy(&from, &below.join(file_name(&from)))?;
        }
    }
    let completions = folder.join("completions");
    make(&completions)?;
    for (shell, file) in COMPLETIONS {
        let script = text_of(Command::new(&program).args(["completions", shell]))?;
        let path = completions.join(file);
        fs::write(&path, script).map_err(|error| cannot("write", &path, &error))?;
    }
    let archive = pack(root, &output, &name, request.profile == "release")?;
    let sum = text_of(
        Command::new("sha256sum")
            .arg(file_name(&archive))
            .current_dir(&output),
    )?;
    let path = output.join(format!("{name}.tar.gz.sha256"));
    fs::write(&path, sum).map_err(|error| cannot("write", &path, &error))?;
    println!("written: {} and its .sha256", archive.display());
    Ok(())
}

/// Packs a folder, so that nothing of this machine and hour is in the archive.
fn pack(root: &Path, output: &Path, name: &str, is_release: bool) -> Result<PathBuf, String> {
    let archive = output.join(format!("{name}.tar.gz"));
    let time = format!("--mtime=@{}", time_of_commit(root));
    // A large file with debug information is not worth the time.
    let compress = if is_release {
        "gzip -n -9"
    } else {
        "gzip -n -1"
    };
    println!("$ tar ... {name}");
    text_of(
        Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .args(["--mode=u=rwX,go=rX", &time, "-I", compress, "-cf"])
            .arg(&archive)
            .arg(name)
            .current_dir(output),
    )?;
    Ok(archive)
}

/// Seconds since 1970: of `SOURCE_DATE_EPOCH`, or of the commit; 0 where there is neither.
fn time_of_commit(root: &Path) -> u64 {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH")
        && let Ok(time) = time.parse()
    {
        return time;
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"])
        .current_dir(root)
        .stderr(Stdio::null());
    let time = text_of(&mut git).ok();
    time.and_then(|time| time.trim().parse().ok()).unwrap_or(0)
}

/// The target that the compiler builds for here.
fn host() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let about = text_of(Command::new(rustc).arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// Runs a command to its end and returns what it has printed.
fn text_of(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "{name} ended with {}: {}",
            output.status,
            said.trim()
        ));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{name} printed what is no text"))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| cannot("make", folder, &error))
}

/// Copies a folder with all that is below it.
fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    make(to)?;
    let entries = fs::read_dir(from).map_err(|error| cannot("read", from, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| cannot("read", from, &error))?.path();
        let target = to.join(file_name(&path));
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            copy(&path, &target)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| cannot("copy", from, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_built_unless_another_profile_is_named() {
        let usual = DistRequest {
            profile: "release".to_owned(),
            output: None,
        };
        assert_eq!(DistRequest::parse(&[]), Ok(usual));
        let other = DistRequest {
            profile: "dev".to_owned(),
            output: Some(PathBuf::from("out")),
        };
        assert_eq!(
            DistRequest::parse(&["--profile", "dev", "--output=out"]),
            Ok(other)
        );
    }

    #[test]
    fn mistakes_are_named() {
        let error = |words: &[&str]| DistRequest::parse(words).unwrap_err();
        assert_eq!(error(&["--release"]), "unknown option '--release'");
        assert_eq!(error(&["--profile"]), "--profile needs a value");
        assert_eq!(error(&["--output="]), "--output needs a value");
    }
}
