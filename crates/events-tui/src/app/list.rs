//! The cursor of a list, and what stays under it while rows come and go.

use super::stepped;
use crate::{column::Column, keys::Step};

/// What a row is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Chosen {
    /// A request, by its number.
    Stream(u64),
    /// A provider and its model.
    Model(Option<String>, String),
}

/// How a list is sorted, and where one is in it.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) sort: Column,
    pub(crate) is_inverted: bool,
    /// Whether the cursor stays on what is newest.
    pub(crate) follows: bool,
    pub(crate) cursor: usize,
    /// The first row that is seen.
    pub(crate) offset: usize,
    /// What the cursor is on, once it has been moved; else it is on the first row, whatever that is.
    chosen: Option<Chosen>,
    page: usize,
}

impl List {
    pub(crate) const fn new(sort: Column) -> Self {
        Self {
            sort,
            is_inverted: false,
            follows: false,
            cursor: 0,
            offset: 0,
            chosen: None,
            page: 1,
        }
    }

    pub(super) fn sort_by(&mut self, column: Column) {
        self.sort = column;
        self.is_inverted = false;
    }

    pub(super) fn step(&mut self, step: Step, last: usize, rows: &[Chosen]) {
        self.follows = false;
        self.cursor = stepped(self.cursor, step, last, self.page);
        self.chosen = rows.get(self.cursor).cloned();
    }

    /// Finds what the cursor was on, and scrolls so that it is seen. `page` is the number of rows that fit.
    pub(super) fn settle(&mut self, rows: &[Chosen], page: usize) {
        self.page = page.max(1);
        if self.follows {
            let newest = rows.iter().enumerate().max_by_key(|(_, row)| match row {
                Chosen::Stream(number) => *number,
                Chosen::Model(..) => 0,
            });
            self.cursor = newest.map_or(0, |(index, _)| index);
        } else if let Some(chosen) = &self.chosen {
            match rows.iter().position(|row| row == chosen) {
                Some(index) => self.cursor = index,
                // It is gone: the cursor stays where it is, on what took its place.
                None => self.chosen = None,
            }
        }
        let last = rows.len().saturating_sub(1);
        self.cursor = self.cursor.min(last);
        let lowest = self.cursor.saturating_sub(self.page - 1);
        let highest = rows.len().saturating_sub(self.page);
        self.offset = self
            .offset
            .max(lowest)
            .min(self.cursor)
            .min(highest.max(lowest));
    }
}
