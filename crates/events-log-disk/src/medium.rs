//! What the file is on: the disk, or in tests something that fails on purpose.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{DirBuilder, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::{StorageBackend, backends::FileBackend};

/// The name of the file in the log's folder.
const FILE: &str = "events.redb";

/// Opens the bytes of the database. There is one at a time.
pub(crate) trait Medium: Send + Sync + fmt::Debug + 'static {
    /// Opens them for reading and writing.
    fn open(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// Returns how many more bytes there is room for, if that is known.
    fn room(&self) -> Option<u64>;

    /// Returns how many bytes there are.
    fn size(&self) -> u64;

    /// Names it for people.
    fn path(&self) -> &Path;
}

/// A file on the disk.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    file: PathBuf,
}

impl Disk {
    /// Makes the folder and the file, readable by this user only: what people say is in it.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        let disk = Self {
            folder: folder.to_owned(),
            file: folder.join(FILE),
        };
        if !disk.file.exists() {
            drop(disk.file()?);
            // The name of a new file is on the disk when its folder is.
            File::open(folder)?.sync_all()?;
        }
        Ok(disk)
    }

    fn file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.file)
    }
}

impl Medium for Disk {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let backend = FileBackend::new(self.file()?).map_err(io::Error::other)?;
        Ok(Box::new(backend))
    }

    fn room(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.folder).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn size(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len())
    }

    fn path(&self) -> &Path {
        &self.file
    }
}

/// A backend of any kind, as redb wants it by type.
#[derive(Debug)]
pub(crate) struct Backend(pub(crate) Box<dyn StorageBackend>);

macro_rules! pass_locks {
    ($($name:ident($($arg:ident),*) -> $answer:ty;)*) => {$(
        fn $name(
            &self,
            $($arg: std::ops::Bound<u64>),*
        ) -> Result<$answer, redb::BackendError> {
            self.0.$name($($arg),*)
        }
    )*};
}

/// The locks, which are always those of the backend within.
macro_rules! locks {
    () => {
        pass_locks! {
            try_lock_range(start, end) -> bool;
            try_lock_shared_range(start, end) -> bool;
            lock_range(start, end) -> ();
            lock_shared_range(start, end) -> ();
            unlock_range(start, end) -> ();
            query_lock_range(start, end) -> bool;
        }
    };
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    locks!();
}

/// A view of the bytes that writes nothing to the disk: what redb writes when it opens a file after a failure is kept
/// in memory. So a file on a full disk can be read.
#[derive(Debug)]
pub(crate) struct Unwritten(Box<dyn StorageBackend>, Mutex<Overlay>);

#[derive(Debug)]
struct Overlay {
    len: u64,
    /// What of the file beyond this is not seen.
    file_len: u64,
    pieces: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
}

/// The most that is kept in memory. Opening writes far less.
const MAX_OVERLAY_BYTES: usize = 64 * 1024 * 1024;
const PIECE: u64 = 4_096;

impl Unwritten {
    pub(crate) fn new(backend: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = backend.len()?;
        let overlay = Overlay {
            len,
            file_len: len,
            pieces: BTreeMap::new(),
            bytes: 0,
        };
        Ok(Self(backend, Mutex::new(overlay)))
    }

    fn overlay(&self) -> MutexGuard<'_, Overlay> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a piece as the file has it, zeros where it ends.
    fn read_file(&self, overlay: &Overlay, start: u64, out: &mut [u8]) -> io::Result<()> {
        let n_there = overlay.file_len.saturating_sub(start);
        let n_there = usize::try_from(n_there)
            .unwrap_or(usize::MAX)
            .min(out.len());
        let (there, beyond) = out.split_at_mut(n_there);
        beyond.fill(0);
        if there.is_empty() {
            return Ok(());
        }
        self.0.read(start, there)
    }

    /// Calls up the parts of a range by pieces: the piece, where in it, and where in the range.
    fn parts(
        offset: u64,
        len: usize,
    ) -> impl Iterator<Item = (u64, std::ops::Range<usize>, usize)> {
        let end = offset + len as u64;
        let mut at = offset;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let start = at / PIECE * PIECE;
            let stop = end.min(start + PIECE);
            let within = (at - start) as usize..(stop - start) as usize;
            let part = (start, within, (at - offset) as usize);
            at = stop;
            Some(part)
        })
    }
}

impl StorageBackend for Unwritten {
    fn len(&self) -> io::Result<u64> {
        Ok(self.overlay().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let overlay = self.overlay();
        if offset + out.len() as u64 > overlay.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (start, within, at) in Self::parts(offset, out.len()) {
            let out = &mut out[at..at + within.len()];
            match overlay.pieces.get(&start) {
                Some(piece) => out.copy_from_slice(&piece[within]),
                None => self.read_file(&overlay, start + within.start as u64, out)?,
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut overlay = self.overlay();
        overlay.len = len;
        overlay.file_len = overlay.file_len.min(len);
        drop(overlay.pieces.split_off(&(len.div_ceil(PIECE) * PIECE)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut overlay = self.overlay();
        if overlay.bytes + data.len() > MAX_OVERLAY_BYTES {
            return Err(io::ErrorKind::StorageFull.into());
        }
        for (start, within, at) in Self::parts(offset, data.len()) {
            let data = &data[at..at + within.len()];
            if !overlay.pieces.contains_key(&start) {
                let mut piece = vec![0; PIECE as usize];
                self.read_file(&overlay, start, &mut piece)?;
                overlay.pieces.insert(start, piece);
                overlay.bytes += PIECE as usize;
            }
            if let Some(piece) = overlay.pieces.get_mut(&start) {
                piece[within].copy_from_slice(data);
            }
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    locks!();
}
