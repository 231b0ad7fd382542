//! Reading a user's log: from its beginning, or from where it has been applied.

use std::sync::Arc;

use events_core::{EventError, EventResult, Logged, UserId};

use super::{
    Shared,
    applying::Relived,
    mirror::{Mirror, Phase},
    stats::count,
};
use crate::EventRouter;

/// What is asked of the log at once, in bytes of JSON.
pub(crate) const PAGE_BYTES: usize = 1 << 20;

impl Shared {
    /// Brings a user's state to the end of his log, and answers those who wait for that.
    pub(super) async fn read(&self, router: &EventRouter, mirror: &Arc<Mirror>) -> EventResult<()> {
        let (phase, applied, readers) = {
            let mut state = mirror.lock();
            let readers = std::mem::take(&mut state.readers);
            (state.phase, state.applied, readers)
        };
        let read = match phase {
            Phase::New => self.load(router, mirror).await,
            Phase::Ready | Phase::Gone => self.catch_up(router, mirror, applied).await,
        };
        count(match read {
            Ok(()) => &self.counters.reads,
            Err(_) => &self.counters.reads_failed,
        });
        for reader in readers {
            let answer = match &read {
                Ok(()) => Ok(()),
                Err(EventError::Overloaded(text)) => Err(EventError::Overloaded(text)),
                Err(error) => Err(EventError::Unavailable(error.to_string().into())),
            };
            // The reader may have left.
            let _is_gone = reader.send(answer);
        }
        read
    }

    /// Reads a user's checkpoints and everything that his log has kept.
    async fn load(&self, router: &EventRouter, mirror: &Arc<Mirror>) -> EventResult<()> {
        let _permit = self.reads.acquire().await;
        let inner = &*router.inner;
        let user = &mirror.user;
        // A checkpoint that is saved meanwhile is of a place that the records reach as well.
        let parts = self.log.load(user).await?;
        inner.lanes.remove(user);
        let (floors, mut refused) = inner
            .lanes
            .in_lane(user, &*inner.clock, |lane| lane.restore_parts(parts))?;
        let mut records: Vec<Logged> = Vec::new();
        let (mut previous, mut last) = (None, 0);
        let mut changed = Relived::default();
        loop {
            let page = self.log.read(user, last, PAGE_BYTES).await?;
            self.health.answer();
            if previous.is_some() && page.previous > last {
                // What was read is no longer without a hole.
                records.clear();
                previous = None;
            }
            let base = *previous.get_or_insert(page.previous);
            last = page
                .records
                .last()
                .map_or(page.previous.max(base), |logged| logged.seq);
            let now_ms = inner.clock.now_ms();
            let epoch = inner.store.epoch();
            let relived = inner.lanes.in_lane(user, &*inner.clock, |lane| {
                lane.know(&page.records, epoch, now_ms, Some(&self.unnamed));
                let relived = lane.relive(page.records, &floors, &mut refused, now_ms);
                self.note(user, relived)
            })?;
            changed.merge(relived, &mut records);
            if last >= page.last {
                break;
            }
        }
        inner
            .store
            .open(user, previous.unwrap_or(last), records, last)?;
        let mut state = mirror.lock();
        state.phase = Phase::Ready;
        state.applied = last;
        state.refused = refused;
        state.unsaved.extend(changed.parts);
        count(&self.counters.loads);
        Ok(())
    }

    /// Reads what has come after the place that is applied.
    async fn catch_up(
        &self,
        router: &EventRouter,
        mirror: &Arc<Mirror>,
        mut applied: u64,
    ) -> EventResult<()> {
        loop {
            let page = self.log.read(&mirror.user, applied, PAGE_BYTES).await?;
            self.health.answer();
            if page.previous > applied || page.last < applied {
                // Some of what came is gone for everybody, and what it has led to is in the checkpoints; or the log has
                // lost what it had acknowledged, and the user's state is what is left.
                mirror.lock().phase = Phase::New;
                return self.load(router, mirror).await;
            }
            let (previous, last) = (page.previous, page.last);
            let read_to = page.records.last().map_or(previous, |logged| logged.seq);
            self.apply(router, mirror, previous, page.records, Some(&self.unnamed))?;
            applied = mirror.lock().applied.max(read_to);
            if read_to >= last {
                let mut state = mirror.lock();
                // Records that were said to be there and are not have been trimmed.
                state.applied = applied;
                state.reached = applied;
                return Ok(());
            }
        }
    }

    /// Counts what reliving has refused.
    pub(super) fn note(&self, user: &UserId, relived: Relived) -> Relived {
        if relived.n_refused > 0 {
            tracing::warn!(
                n_records = relived.n_refused,
                reason = relived.refusal.as_deref(),
                "records of a log passed over"
            );
            tracing::debug!(%user, "whose records they were");
        }
        super::stats::add(&self.counters.applied, relived.deliver.len());
        super::stats::add(&self.counters.refused, relived.n_refused);
        super::stats::add(&self.counters.panics, relived.n_panics);
        relived
    }
}
