//! A disk in memory that fails when told, stands still, or loses its power.

use std::{
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use redb::StorageBackend;

use crate::medium::Medium;

/// What does not work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// The file does not get longer, as on a full disk.
    Growing,
    /// Nothing is written.
    Writing,
    /// Nothing gets from memory onto the disk.
    Syncing,
    /// Nothing is answered any more.
    Everything,
}

/// All handles are one disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Faulty(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    disk: Mutex<Image>,
    changed: Condvar,
}

#[derive(Clone, Debug, Default)]
struct Image {
    /// What is read.
    seen: Vec<u8>,
    /// What is there after a power cut, before what was not synced.
    synced: Vec<u8>,
    unsynced: Vec<Write>,
    trouble: Option<Trouble>,
    /// How many more writes and syncs there are before the power goes.
    n_left: Option<u64>,
    /// How many more reads there are before one fails.
    n_reads: Option<u64>,
    room: Option<u64>,
    is_paused: bool,
    n_stopped: usize,
}

#[derive(Clone, Debug)]
enum Write {
    At(u64, Vec<u8>),
    Len(u64),
}

impl Write {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Len(len) => to.resize(*len as usize, 0),
            Self::At(offset, data) => {
                let end = *offset as usize + data.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset as usize..end].copy_from_slice(data);
            }
        }
    }
}

fn on_purpose() -> io::Error {
    io::Error::other("it fails on purpose")
}

/// While it lives, writes stand still.
pub(super) struct Pause(Faulty);

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.image().is_paused = false;
        self.0.0.changed.notify_all();
    }
}

impl Faulty {
    fn image(&self) -> MutexGuard<'_, Image> {
        self.0.disk.lock().unwrap()
    }

    pub(super) fn set_trouble(&self, trouble: Option<Trouble>) {
        self.image().trouble = trouble;
    }

    pub(super) fn set_room(&self, room: u64) {
        self.image().room = Some(room);
    }

    /// Fails the read after so many.
    pub(super) fn fail_read(&self, n_reads: u64) {
        self.image().n_reads = Some(n_reads);
    }

    /// Cuts the power after so many writes and syncs.
    pub(super) fn cut_power_after(&self, n: u64) {
        self.image().n_left = Some(n);
    }

    pub(super) fn pause(&self) -> Pause {
        self.image().is_paused = true;
        Pause(self.clone())
    }

    /// Waits until somebody wants to write and cannot.
    pub(super) fn until_paused(&self) {
        let mut image = self.image();
        while image.n_stopped == 0 {
            image = self.0.changed.wait(image).unwrap();
        }
    }

    /// The disk as it is after a power cut: what was synced, and of what was not any part, the last one torn.
    pub(super) fn after_power_cut(&self, random: &mut fastrand::Rng) -> Self {
        let image = self.image();
        let mut bytes = image.synced.clone();
        let share = random.f32();
        for write in &image.unsynced {
            if random.f32() < share {
                write.apply(&mut bytes);
            } else if let Write::At(offset, data) = write
                && random.bool()
            {
                // Disks write sectors whole.
                let n = random.usize(0..=data.len() / 512) * 512;
                Write::At(*offset, data[..n].to_vec()).apply(&mut bytes);
            }
        }
        let image = Image {
            seen: bytes.clone(),
            synced: bytes,
            ..Image::default()
        };
        Self(Arc::new(Shared {
            disk: Mutex::new(image),
            changed: Condvar::new(),
        }))
    }

    /// Does a write, unless there is trouble.
    fn write_it(&self, write: Option<Write>) -> io::Result<()> {
        let mut image = self.image();
        while image.is_paused {
            image.n_stopped += 1;
            self.0.changed.notify_all();
            image = self.0.changed.wait(image).unwrap();
            image.n_stopped = 0;
        }
        if let Some(n_left) = &mut image.n_left {
            if *n_left == 0 {
                image.trouble = Some(Trouble::Everything);
            } else {
                *n_left -= 1;
            }
        }
        let is_refused = match (image.trouble, &write) {
            (None, _) => false,
            (Some(Trouble::Growing), Some(Write::Len(len))) => *len > image.seen.len() as u64,
            (Some(Trouble::Growing), _) => false,
            (Some(Trouble::Writing), Some(_)) => true,
            (Some(Trouble::Writing), None) => false,
            (Some(Trouble::Syncing), write) => write.is_none(),
            (Some(Trouble::Everything), _) => true,
        };
        if is_refused {
            return Err(on_purpose());
        }
        match write {
            Some(write) => {
                write.apply(&mut image.seen);
                image.unsynced.push(write);
            }
            None => {
                let image = &mut *image;
                for write in image.unsynced.drain(..) {
                    write.apply(&mut image.synced);
                }
            }
        }
        Ok(())
    }
}

impl Medium for Faulty {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(self.clone()))
    }

    fn room(&self) -> Option<u64> {
        self.image().room
    }

    fn size(&self) -> u64 {
        self.image().seen.len() as u64
    }

    fn path(&self) -> &Path {
        Path::new("/faulty")
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        Ok(self.size())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut image = self.image();
        if image.trouble == Some(Trouble::Everything) {
            return Err(on_purpose());
        }
        match &mut image.n_reads {
            Some(0) => {
                image.n_reads = None;
                return Err(on_purpose());
            }
            Some(n_reads) => *n_reads -= 1,
            None => {}
        }
        let from = image.seen.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.write_it(Some(Write::Len(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.write_it(None)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_it(Some(Write::At(offset, data.to_vec())))
    }
}
