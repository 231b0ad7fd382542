//! Saving what a user's log has led to, before the log forgets it.

use std::sync::Arc;

use super::{
    Shared,
    mirror::Mirror,
    stats::{add, count},
};
use crate::EventRouter;

/// A user's state is saved at the latest after so many records that this replica published or saw.
pub(super) const RECORDS_BETWEEN: usize = 500;
/// Or after so many bytes of their JSON.
pub(super) const BYTES_BETWEEN: usize = 256 << 10;

impl Shared {
    /// Saves the parts of a user's state that have changed.
    pub(super) async fn save(&self, router: &EventRouter, mirror: &Arc<Mirror>) {
        let inner = &*router.inner;
        let written = inner.lanes.in_lane(&mirror.user, &*inner.clock, |lane| {
            let mut state = mirror.lock();
            let names = std::mem::take(&mut state.unsaved);
            (state.is_save_due, state.has_ended) = (false, false);
            (state.unsaved_records, state.unsaved_bytes) = (0, 0);
            let seq = state.applied;
            let refused = std::mem::take(&mut state.refused);
            drop(state);
            let parts = lane.save_parts(names, seq, &refused);
            // Under the lane's lock nothing is applied, so nothing has been refused meanwhile.
            mirror.lock().refused = refused;
            parts
        });
        let Ok(parts) = written else { return };
        if parts.is_empty() {
            return;
        }
        match self.log.save(&mirror.user, &parts).await {
            Ok(()) => add(&self.counters.saves, parts.len()),
            Err(error) => {
                count(&self.counters.saves_failed);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "checkpoints not saved; tried again with the next ones"
                );
                let mut state = mirror.lock();
                state
                    .unsaved
                    .extend(parts.into_iter().map(|part| part.part));
                // Not at once: the log has just refused.
                state.unsaved_records += RECORDS_BETWEEN / 2;
            }
        }
    }
}
