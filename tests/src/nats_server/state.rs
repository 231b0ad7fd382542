//! What a server has kept, taken aside and brought back.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use super::NatsServers;
use crate::deadline::{PATIENCE, within};

impl NatsServers {
    /// Kills a server, copies what it has kept, and starts it again; the copy is for [`NatsServers::go_back`].
    ///
    /// # Errors
    ///
    /// When it cannot be copied.
    ///
    /// # Panics
    ///
    /// If it does not end or start.
    ///
    /// # Cancel safety
    ///
    /// The server may have been killed.
    pub async fn keep_state(&self, at: usize) -> io::Result<TempDir> {
        let kept = tempfile::tempdir()?;
        self.kill(at).await;
        copy(&self.data(at), &kept.path().join("data")).await?;
        self.restart(at).await;
        Ok(kept)
    }

    /// Kills a server, and starts it with what it had kept at an earlier time, as after a restore or a bad failover.
    ///
    /// # Errors
    ///
    /// When it cannot be copied.
    ///
    /// # Panics
    ///
    /// If it does not end or start.
    ///
    /// # Cancel safety
    ///
    /// The server may have been killed.
    pub async fn go_back(&self, at: usize, kept: &TempDir) -> io::Result<()> {
        self.kill(at).await;
        std::fs::remove_dir_all(self.data(at))?;
        copy(&kept.path().join("data"), &self.data(at)).await?;
        self.restart(at).await;
        Ok(())
    }

    fn data(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("data{at}"))
    }
}

async fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    let status = within("the copy", PATIENCE, copied).await?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("cp: {status}")))
    }
}
