//! Opening a file: what is in it, or why it is not opened.

use std::path::{Path, PathBuf};

use events_core::Epoch;
use redb::{DatabaseError, ReadableTable as _};

use crate::{
    DiskOpenError,
    store::Store,
    tables::{EPOCH_KEY, FORMAT, FORMAT_KEY, META, Tables},
};

/// Says why the database was not opened.
pub(crate) fn open_error(path: PathBuf, error: DatabaseError) -> DiskOpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            DiskOpenError::InUse { path }
        }
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() != std::io::ErrorKind::InvalidData =>
        {
            DiskOpenError::Path { path, source }
        }
        error => DiskOpenError::Damaged {
            path,
            source: error.into(),
        },
    }
}

/// Makes the tables if they are not there, checks the format, and returns the epoch.
pub(crate) fn prepare(store: &Store, path: &Path) -> Result<Epoch, DiskOpenError> {
    let damaged = |error: redb::Error| match error {
        redb::Error::Io(source) => DiskOpenError::Path {
            path: path.to_owned(),
            source,
        },
        error => DiskOpenError::Damaged {
            path: path.to_owned(),
            source: error.into(),
        },
    };
    let (txn, _) = store.begin_write().map_err(|why| DiskOpenError::Damaged {
        path: path.to_owned(),
        source: why.into(),
    })?;
    let found = (|| {
        let mut meta = txn.open_table(META)?;
        let format = meta.get(FORMAT_KEY)?.map(|format| format.value());
        let epoch = meta.get(EPOCH_KEY)?.map(|epoch| epoch.value());
        let (format, epoch) = match (format, epoch) {
            (Some(format), Some(epoch)) => (format, epoch),
            _ => {
                let epoch = fastrand::u64(..);
                meta.insert(FORMAT_KEY, FORMAT)?;
                meta.insert(EPOCH_KEY, epoch)?;
                (FORMAT, epoch)
            }
        };
        drop(meta);
        if format == FORMAT {
            drop(Tables::open(&txn)?);
        }
        Ok::<_, redb::Error>((format, epoch))
    })()
    .map_err(damaged)?;
    let (format, epoch) = found;
    if format != FORMAT {
        return Err(DiskOpenError::Format {
            path: path.to_owned(),
            found: format,
        });
    }
    txn.commit().map_err(|error| damaged(error.into()))?;
    Ok(Epoch::from_bits(epoch))
}
