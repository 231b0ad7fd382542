//! What becomes of the items of a batch.

use events_core::{EventId, RecordIds};
use smallvec::SmallVec;

use crate::Published;

/// What becomes of one item.
pub(super) enum Plan {
    /// It is in the log already, under these ids.
    Known(RecordIds),
    /// It makes so many new records.
    New { key: Option<u128>, n_records: usize },
}

/// What becomes of the items of a batch that was staged, in their order.
#[derive(Default)]
pub(crate) struct Plans(SmallVec<[(Plan, bool); 1]>);

impl Plans {
    pub(super) fn new(plans: SmallVec<[Plan; 1]>, is_unnamed: impl Fn(usize) -> bool) -> Self {
        let plans = plans.into_iter().enumerate();
        Self(
            plans
                .map(|(index, plan)| (plan, is_unnamed(index)))
                .collect(),
        )
    }

    /// Counts the new records.
    pub(crate) fn n_records(&self) -> usize {
        let of_plan = |(plan, _): &(Plan, bool)| match plan {
            Plan::Known(_) => 0,
            Plan::New { n_records, .. } => *n_records,
        };
        self.0.iter().map(of_plan).sum()
    }

    /// Says which ids the items have, when the new records have these.
    pub(crate) fn answer(self, new_ids: &[EventId]) -> Published {
        let mut published = Published::default();
        let mut new_ids = new_ids.iter().copied();
        for (plan, is_unnamed) in self.0 {
            match plan {
                Plan::Known(ids) => {
                    // What the publisher did not name, he has not repeated.
                    published.duplicates += if is_unnamed { 0 } else { ids.len() };
                    published.ids.extend(ids);
                }
                Plan::New { n_records, .. } => {
                    published.ids.extend(new_ids.by_ref().take(n_records));
                }
            }
        }
        published
    }
}
