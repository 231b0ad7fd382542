//! What is in the file.

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

/// The format of the tables, counted up with every change that an older version cannot read.
pub(crate) const FORMAT: u64 = 1;

/// What holds for the whole file, by the keys that follow.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(crate) const FORMAT_KEY: &str = "format";
pub(crate) const EPOCH_KEY: &str = "epoch";
/// How many transactions there were: it tells whether one that failed is in the file.
pub(crate) const COMMITS_KEY: &str = "commits";
const NEXT_USER_KEY: &str = "next user";

/// The number of each user: keys of the other tables are short, whatever users are called.
pub(crate) const USERS: TableDefinition<'_, &str, u64> = TableDefinition::new("users");
pub(crate) const HEADS: TableDefinition<'_, u64, HeadRow> = TableDefinition::new("heads");
/// What was appended at once, by user and the place of its first record, as `Entry` writes it.
pub(crate) const ENTRIES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("entries");
/// By second and user: the place up to which the user's records were appended before that second. The seconds are
/// those of steps, so there are few rows for each user.
pub(crate) const AGES: TableDefinition<'_, (u64, u64), u64> = TableDefinition::new("ages");
/// Checkpoints, by user and part: place and state.
pub(crate) const PARTS: TableDefinition<'_, (u64, &str), (u64, &[u8])> =
    TableDefinition::new("parts");

type HeadRow = (u64, u64, u64, u64, u64, u64);

/// What is known of a user without reading his entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Head {
    /// The place of the last record, kept or not.
    pub(crate) last: u64,
    /// The place of the last record that is gone.
    pub(crate) floor: u64,
    /// Bytes of the entries that are kept. Their records are those between `floor` and `last`.
    pub(crate) bytes: u64,
    /// The place of the marker of the last erasure.
    pub(crate) erased: u64,
    /// The second of the user's last row in the ages. It does not go back, also when the clock does.
    pub(crate) aged: u64,
}

impl Head {
    pub(crate) fn of_row(row: HeadRow) -> Self {
        let (last, floor, bytes, erased, aged, _reserved) = row;
        Self {
            last,
            floor,
            bytes,
            erased,
            aged,
        }
    }

    fn row(self) -> HeadRow {
        (self.last, self.floor, self.bytes, self.erased, self.aged, 0)
    }

    /// How many records are kept.
    pub(crate) fn records(&self) -> u64 {
        self.last - self.floor
    }
}

/// All tables, open for writing.
pub(crate) struct Tables<'txn> {
    meta: Table<'txn, &'static str, u64>,
    users: Table<'txn, &'static str, u64>,
    heads: Table<'txn, u64, HeadRow>,
    pub(crate) entries: Table<'txn, (u64, u64), &'static [u8]>,
    pub(crate) ages: Table<'txn, (u64, u64), u64>,
    pub(crate) parts: Table<'txn, (u64, &'static str), (u64, &'static [u8])>,
}

impl<'txn> Tables<'txn> {
    pub(crate) fn open(txn: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            meta: txn.open_table(META)?,
            users: txn.open_table(USERS)?,
            heads: txn.open_table(HEADS)?,
            entries: txn.open_table(ENTRIES)?,
            ages: txn.open_table(AGES)?,
            parts: txn.open_table(PARTS)?,
        })
    }

    /// Counts this transaction, and returns its number.
    pub(crate) fn count(&mut self) -> Result<u64, redb::Error> {
        let before = self.meta.get(COMMITS_KEY)?.map_or(0, |count| count.value());
        self.meta.insert(COMMITS_KEY, before + 1)?;
        Ok(before + 1)
    }

    /// Returns the number of a user, a new one if there is none.
    pub(crate) fn number(&mut self, user: &str) -> Result<u64, redb::Error> {
        if let Some(number) = self.users.get(user)? {
            return Ok(number.value());
        }
        let number = self.meta.get(NEXT_USER_KEY)?.map_or(1, |next| next.value());
        self.meta.insert(NEXT_USER_KEY, number + 1)?;
        self.users.insert(user, number)?;
        Ok(number)
    }

    pub(crate) fn head(&self, number: u64) -> Result<Head, redb::Error> {
        let row = self.heads.get(number)?;
        Ok(row.map_or_else(Head::default, |row| Head::of_row(row.value())))
    }

    pub(crate) fn set_head(&mut self, number: u64, head: Head) -> Result<(), redb::Error> {
        self.heads.insert(number, head.row())?;
        Ok(())
    }
}
