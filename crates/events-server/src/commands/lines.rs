//! Lines of a file or of standard input, read beside the requests that they are sent with.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use super::read_failure;
use crate::Failure;

/// Lines that are read ahead.
const AHEAD: usize = 1_000;

/// Bytes that are read ahead, but for one line.
const AHEAD_BYTES: usize = 8 << 20;

/// The longest line, in bytes; no hub takes a longer event.
pub(super) const MAX_LINE: usize = 4 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line of the input.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1, blank lines included.
    pub(super) number: u64,
    /// The line and its end.
    pub(super) bytes: Vec<u8>,
    /// Its place among what is read ahead.
    pub(super) _room: OwnedSemaphorePermit,
}

/// Lines as they are read.
#[derive(Debug)]
pub(super) struct Lines {
    receiver: mpsc::Receiver<io::Result<Line>>,
    room: Arc<Semaphore>,
}

impl Lines {
    /// Takes a line that has been read already.
    pub(super) fn try_next(&mut self) -> Option<io::Result<Line>> {
        self.receiver.try_recv().ok()
    }

    /// Waits for a line; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn next(&mut self) -> Option<io::Result<Line>> {
        self.receiver.recv().await
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.room.close();
    }
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

/// Reads on a thread of its own, which ends with the input, or one line after the [`Lines`] are dropped. Must be called
/// within a runtime.
///
/// It is no task: a terminal may keep it waiting for ever, and the program must be able to end without it.
pub(super) fn read(input: Box<dyn Read + Send>) -> Lines {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let room = Arc::new(Semaphore::new(AHEAD_BYTES));
    let lines = Lines {
        receiver,
        room: room.clone(),
    };
    let runtime = Handle::current();
    std::thread::spawn(move || {
        let mut input = BufReader::new(input);
        for number in 1.. {
            let bytes = match read_line(&mut input, number) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                Err(error) => {
                    let _unread = sender.blocking_send(Err(error));
                    break;
                }
            };
            let n_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let Ok(room) = runtime.block_on(room.clone().acquire_many_owned(n_bytes)) else {
                break;
            };
            let line = Line {
                number,
                bytes,
                _room: room,
            };
            if sender.blocking_send(Ok(line)).is_err() {
                break;
            }
        }
    });
    lines
}

/// Reads a line with its end; `None` when there is none.
fn read_line(input: &mut impl BufRead, number: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    if input.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.len() >= MAX_LINE {
        let text = format!(
            "line {number} is longer than {MAX_LINE} bytes, the most that an event may have"
        );
        return Err(io::Error::other(text));
    }
    if number == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(Some(bytes))
}
