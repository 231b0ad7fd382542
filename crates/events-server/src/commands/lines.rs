//! Lines of a file or of standard input, read beside the requests that they are sent with.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use tokio::sync::mpsc;

use super::read_failure;
use crate::Failure;

/// Lines that are read ahead.
const AHEAD: usize = 1_000;

/// A line of the input.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1, blank lines included.
    pub(super) number: u64,
    /// The line and its end.
    pub(super) bytes: Vec<u8>,
}

/// Opens a file, or standard input for `-`, and tells the length of what has one.
pub(super) fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let opened = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        Ok((file, metadata.is_file().then_some(metadata.len())))
    });
    let (file, n_bytes) = opened.map_err(|source| read_failure(path, source))?;
    Ok((Box::new(file), n_bytes))
}

/// Reads on a thread of its own, which ends with the input, or one line after the receiver is dropped.
///
/// It is no task: a terminal may keep it waiting for ever, and the program must be able to end without it.
pub(super) fn read(input: Box<dyn Read + Send>) -> mpsc::Receiver<io::Result<Line>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut input = BufReader::new(input);
        for number in 1.. {
            let mut bytes = Vec::new();
            let line = match input.read_until(b'\n', &mut bytes) {
                Ok(0) => break,
                Ok(_) => Ok(Line { number, bytes }),
                Err(error) => Err(error),
            };
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    });
    receiver
}
