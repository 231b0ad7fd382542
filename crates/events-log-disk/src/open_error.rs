//! Why a log is not opened.

use std::{io, path::PathBuf};

/// Says why a log is not opened, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskOpenError {
    /// A value of the configuration is out of its bounds.
    #[error("the disk log cannot be opened with this configuration: {what} must be {bound}")]
    Config {
        /// Which value.
        what: &'static str,
        /// What it may be.
        bound: &'static str,
    },
    /// The folder or the file cannot be made or opened.
    #[error("the disk log {} cannot be made or opened; check that this user may write there and that there is room", path.display())]
    Path {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process has it open, or this one has.
    #[error("the disk log {} is in use; stop the other process, or give this one a folder of its own", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It was written by another version.
    #[error("the disk log {} has the format {found}, this version reads {}; use the version that wrote it, or another folder", path.display(), crate::tables::FORMAT)]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that it has.
        found: u64,
    },
    /// It is not a log, or it is damaged.
    #[error("the disk log {} cannot be read; it is damaged or something else: restore it, or move it away to begin anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread that writes cannot be started.
    #[error("the thread of the disk log cannot be started")]
    Thread(#[source] io::Error),
}
