//! The file that a recording is written to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::write_failure;
use crate::Failure;

/// A file that is opened before the hub is asked, and emptied when there is something to write.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    /// `None` for standard output.
    file: Option<File>,
    /// Whether it was made for this recording.
    is_new: bool,
    is_begun: bool,
}

impl Output {
    /// Opens the file and changes nothing in it; `-` is standard output.
    ///
    /// A file that has something in it is a failure unless it `is_forced`.
    pub(super) fn open(path: &Path, is_forced: bool) -> Result<Self, Failure> {
        let path = path.to_owned();
        if path == Path::new("-") {
            return Ok(Self {
                path,
                file: None,
                is_new: false,
                is_begun: false,
            });
        }
        let is_new = !path.exists();
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .and_then(|file| {
                let metadata = file.metadata()?;
                Ok((file, metadata.is_file() && metadata.len() > 0))
            });
        let (file, is_full) = opened.map_err(|source| write_failure(&path, source))?;
        if is_full && !is_forced {
            return Err(Failure::Exists(path));
        }
        Ok(Self {
            path,
            file: Some(file),
            is_new,
            is_begun: false,
        })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return io::stdout().write(bytes);
        };
        if !self.is_begun {
            // A device or a pipe has no length.
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            self.is_begun = true;
        }
        file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.flush(),
            None => io::stdout().flush(),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.is_new && !self.is_begun {
            // It has nothing in it, and the failure that left it so is told elsewhere.
            let _kept = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_file_is_kept_until_something_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording");
        drop(Output::open(&path, false).unwrap());
        assert!(!path.exists(), "an empty file is left behind");

        let mut output = Output::open(&path, false).unwrap();
        output.write_all(b"first and long\n").unwrap();
        drop(output);
        let failure = Output::open(&path, false).unwrap_err();
        assert!(failure.line().contains("--force"), "{failure}");
        assert_eq!(failure.exit_code(), 1);

        let mut output = Output::open(&path, true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first and long\n");
        output.write_all(b"second\n").unwrap();
        drop(output);
        assert_eq!(std::fs::read(&path).unwrap(), b"second\n");
        let nowhere = folder.path().join("no").join("file");
        let failure = Output::open(&nowhere, true).unwrap_err();
        assert!(
            failure.line().starts_with("error: cannot write "),
            "{failure}"
        );
    }
}
