//! The database, opened anew when it has failed.

use std::{
    fmt,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, StorageError,
    WriteTransaction,
};

use crate::{
    medium::{Backend, Medium, Unwritten},
    page::ReadError,
};

/// How often a read is tried on a database that fails or is just opened anew.
const TRIES: usize = 3;

/// The database and what it is on.
pub(crate) struct Store {
    medium: Box<dyn Medium>,
    cache_bytes: usize,
    reopen_after: Duration,
    state: RwLock<State>,
}

struct State {
    database: Option<Database>,
    /// Why nothing can be written now, and since when.
    failed: Option<(String, Instant)>,
    /// Counts how often it was opened, so that who saw a failure does not undo another's opening.
    life: u64,
    /// For good.
    is_closed: bool,
}

impl Store {
    /// Opens the database, for writing.
    pub(crate) fn open(
        medium: Box<dyn Medium>,
        cache_bytes: usize,
        reopen_after: Duration,
    ) -> Result<Self, DatabaseError> {
        let database = open(&*medium, cache_bytes, false)?;
        let state = State {
            database: Some(database),
            failed: None,
            life: 1,
            is_closed: false,
        };
        Ok(Self {
            medium,
            cache_bytes,
            reopen_after,
            state: RwLock::new(state),
        })
    }

    pub(crate) fn medium(&self) -> &dyn Medium {
        &*self.medium
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads, and once more if the database has failed or was closed meanwhile.
    pub(crate) fn read<T>(
        &self,
        read: impl Fn(&ReadTransaction) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut n_tries = 1;
        loop {
            let (txn, life) = {
                let state = self.state();
                let Some(database) = &state.database else {
                    let is_due = state.is_due(self.reopen_after) && n_tries < TRIES;
                    drop(state);
                    if !is_due || self.reopen_unwritten().is_err() {
                        return Err(redb::Error::DatabaseClosed.into());
                    }
                    n_tries += 1;
                    continue;
                };
                (database.begin_read(), state.life)
            };
            let answer = txn
                .map_err(|error| ReadError::File(error.into()))
                .and_then(|txn| read(&txn));
            match answer {
                Err(ReadError::File(error)) if n_tries < TRIES && is_of_file(&error) => {
                    if !matches!(error, redb::Error::DatabaseClosed) {
                        self.fail(life, &error);
                    }
                    n_tries += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Begins to write. After a failure the file is first opened anew, if that is not too soon.
    pub(crate) fn begin_write(&self) -> Result<(WriteTransaction, u64), String> {
        {
            let state = self.state();
            let is_due = state.is_due(self.reopen_after);
            if let Some((why, _)) = state.failed.as_ref().filter(|_| !is_due) {
                return Err(why.clone());
            }
            drop(state);
            if is_due {
                self.reopen()?;
            }
        }
        let state = self.state();
        let database = state.database.as_ref().ok_or("the log is closed")?;
        let txn = database.begin_write().map_err(|error| error.to_string())?;
        Ok((txn, state.life))
    }

    /// Says that the database of this life has failed: from here on it is read without writing.
    pub(crate) fn fail(&self, life: u64, why: &redb::Error) {
        let mut state = self.state_mut();
        if state.life != life {
            return;
        }
        let path = self.medium.path().display();
        tracing::warn!(%path, error = %why, "the log's file has failed, it is read only for now");
        state.failed = Some((why.to_string(), Instant::now()));
        // If that fails too, who reads or writes next tries again.
        self.replace(&mut state, true).ok();
    }

    fn reopen(&self) -> Result<(), String> {
        let mut state = self.state_mut();
        match self.replace(&mut state, false) {
            Ok(()) => {
                state.failed = None;
                tracing::info!(path = %self.medium.path().display(), "the log's file is open again");
                Ok(())
            }
            Err(why) => {
                state.failed = Some((why.clone(), Instant::now()));
                self.replace(&mut state, true).ok();
                Err(why)
            }
        }
    }

    /// Opens a database for reading that is not open at all.
    fn reopen_unwritten(&self) -> Result<(), String> {
        let mut state = self.state_mut();
        if state.database.is_some() {
            return Ok(());
        }
        if let Some((_, since)) = &mut state.failed {
            *since = Instant::now();
        }
        self.replace(&mut state, true)
    }

    /// Closes the database and opens it anew.
    fn replace(&self, state: &mut State, is_unwritten: bool) -> Result<(), String> {
        drop(state.database.take());
        state.life += 1;
        match open(&*self.medium, self.cache_bytes, is_unwritten) {
            Ok(database) => {
                state.database = Some(database);
                Ok(())
            }
            Err(error) => {
                let path = self.medium.path().display();
                tracing::warn!(%path, %error, "the log's file cannot be opened");
                Err(error.to_string())
            }
        }
    }

    /// Closes the database; reads that run fail.
    pub(crate) fn close(&self) {
        let mut state = self.state_mut();
        drop(state.database.take());
        state.is_closed = true;
        state.failed = Some(("the log is closed".to_owned(), Instant::now()));
    }
}

impl State {
    /// Tells whether it has failed long enough ago to be opened anew.
    fn is_due(&self, reopen_after: Duration) -> bool {
        let is_old = |since: Instant| since.elapsed() >= reopen_after;
        !self.is_closed
            && self
                .failed
                .as_ref()
                .is_some_and(|(_, since)| is_old(*since))
    }
}

/// Tells whether an error is one of the file, after which the database answers no more.
pub(crate) fn is_of_file(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed
    )
}

fn open(
    medium: &dyn Medium,
    cache_bytes: usize,
    is_unwritten: bool,
) -> Result<Database, DatabaseError> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    let backend = medium.open()?;
    if is_unwritten {
        let unwritten = Unwritten::new(backend).map_err(StorageError::from)?;
        builder.create_with_backend(unwritten)
    } else {
        builder.create_with_backend(Backend(backend))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("medium", &self.medium)
            .finish_non_exhaustive()
    }
}
