//! A headless browser that opens one page; the page reports by itself ([`crate::report_server`]).

use std::io;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::skip;

/// What keeps a browser in a test from looking at anything but its page.
pub(crate) const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    // A tab that crashes takes no other with it.
    "--renderer-process-limit=40",
];

/// A running browser with a profile of its own; dropping it ends it with all its processes.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    profile: TempDir,
}

impl Browser {
    /// Finds a browser for the test `name` and opens a page, or says that the test is skipped.
    ///
    /// # Errors
    ///
    /// When the browser cannot be started.
    ///
    /// # Panics
    ///
    /// When there is none and everything is required; outside a tokio runtime.
    pub fn open(name: &str, url: &str) -> io::Result<Option<Self>> {
        skip::require(name, "Chromium", skip::chromium())
            .map(|program| Self::start(&program, url))
            .transpose()
    }

    fn start(program: &Path, url: &str) -> io::Result<Self> {
        let profile = tempfile::tempdir()?;
        let log = std::fs::File::create(profile.path().join("browser.log"))?;
        let child = Command::new(program)
            .args(FLAGS)
            .arg(format!(
                "--user-data-dir={}",
                profile.path().join("profile").display()
            ))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // A group of its own: the browser's helpers are ended with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child, profile })
    }

    /// Returns what the browser has said on standard error, for a failing test's message.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.profile.path().join("browser.log")).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        end_group(&self.child);
    }
}

/// Ends a browser and its helpers, which share its process group.
pub(crate) fn end_group(child: &Child) {
    // The group's id is the child's, which stays reserved until the child is waited for.
    if let Some(id) = child.id() {
        let group = format!("-{id}");
        let kill = std::process::Command::new("kill")
            .args(["-KILL", "--", &group])
            .status();
        // Without a `kill` program the child still ends: it is killed when it is dropped.
        drop(kill);
    }
}
