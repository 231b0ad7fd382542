//! Publishing: a batch for one user, into the log or refused.

use std::sync::Arc;

use events_core::UserId;
use events_models::AgUiEvent;

use crate::{
    BusEvent, EventRouter, Item, PublishError, Published, Refusal,
    batch::Batch,
    lane::LaneState,
    replica::{self, Enqueued, split_live},
};

/// A batch whose durable events wait for the log.
struct Begun {
    durable: Option<Enqueued>,
    live: Vec<Item>,
}

impl EventRouter {
    /// Publishes without waiting, which the memory log allows. What is left of the items is of no use.
    ///
    /// They are taken where they lie: an event is large, and moving it through a dozen calls costs as much as checking it.
    pub(crate) fn publish_now(
        &self,
        user: &UserId,
        items: &mut [Item],
    ) -> Result<Published, PublishError> {
        let (mut n_durable, mut may_grow) = (0, false);
        for (index, item) in items.iter().enumerate() {
            may_grow |= item.may_grow();
            item.validate()
                .map_err(|refusal| PublishError::Refused { index, refusal })?;
            n_durable += usize::from(item.is_durable());
        }
        let mut published = if n_durable == 0 {
            Published::default()
        } else {
            // The time is asked for once: that is not free.
            let now_ms = self.inner.clock.now_ms();
            // What only goes on and ends is taken also when there is no room for more.
            if may_grow {
                self.inner.lanes.make_room(now_ms)?;
            }
            self.append(user, items, n_durable, now_ms)?
        };
        for item in items {
            let BusEvent::Analytics(event) = &item.event else {
                continue;
            };
            let reached = self
                .inner
                .analytics
                .publish(user, event)?
                .reached(&self.inner.analytics);
            published.analytics = published.analytics.max(reached.connections());
        }
        Ok(published)
    }

    /// Publishes into the log behind the router, or at once if there is none.
    pub(crate) async fn publish_items(
        &self,
        user: &UserId,
        mut items: Vec<Item>,
    ) -> Result<Published, PublishError> {
        match &self.inner.replica {
            Some(replica) => {
                let begun = self.begin(replica, user, items)?;
                self.complete(replica, user, begun).await
            }
            None => self.publish_now(user, &mut items),
        }
    }

    /// Publishes events for one user in their order, each of which is taken or refused by itself; one answer each.
    ///
    /// A log behind the router gets them in as few appends as it can, which cost little more than one of one event.
    ///
    /// # Cancel safety
    ///
    /// As [`EventRouter::publish_batch`].
    pub async fn publish_each(
        &self,
        user: &UserId,
        items: Vec<Item>,
    ) -> Vec<Result<Published, PublishError>> {
        let Some(replica) = &self.inner.replica else {
            let publish = |item| self.publish_now(user, &mut [item]);
            return items.into_iter().map(publish).collect();
        };
        // All are in the queue before the first is waited for, so that the log gets as many as it can in one append.
        let begin = |item| self.begin(replica, user, vec![item]);
        let begun: Vec<_> = items.into_iter().map(begin).collect();
        let mut published = Vec::with_capacity(begun.len());
        for begun in begun {
            published.push(match begun {
                Ok(begun) => self.complete(replica, user, begun).await,
                Err(error) => Err(error),
            });
        }
        published
    }

    /// Checks what can be checked here, and puts what the log is to take into its queue.
    fn begin(
        &self,
        replica: &Arc<replica::Shared>,
        user: &UserId,
        items: Vec<Item>,
    ) -> Result<Begun, PublishError> {
        let mut may_grow = false;
        for (index, item) in items.iter().enumerate() {
            may_grow |= item.may_grow();
            item.validate()
                .map_err(|refusal| PublishError::Refused { index, refusal })?;
        }
        if may_grow && self.inner.lanes.budget.is_exceeded() {
            let now_ms = self.inner.clock.now_ms();
            self.inner.lanes.check_room(now_ms)?;
        }
        let (durable, live) = split_live(items);
        let durable = (!durable.is_empty())
            .then(|| replica.enqueue(self, user, durable))
            .transpose()?;
        Ok(Begun { durable, live })
    }

    async fn complete(
        &self,
        replica: &Arc<replica::Shared>,
        user: &UserId,
        begun: Begun,
    ) -> Result<Published, PublishError> {
        let mut published = match begun.durable {
            Some(durable) => durable.published().await?,
            None => Published::default(),
        };
        for item in begun.live {
            if let BusEvent::Analytics(event) = item.event {
                let reached = self.publish_live(replica, user, &event).await?;
                published.analytics = published.analytics.max(reached);
            }
        }
        Ok(published)
    }

    /// Publishes without waiting for the outcome.
    pub(crate) fn publish_and_leave(&self, user: &UserId, item: Item) -> Result<(), PublishError> {
        match &self.inner.replica {
            Some(replica) => Ok(replica.enqueue_and_leave(self, user, vec![item])?),
            None => self.publish_now(user, &mut [item]).map(drop),
        }
    }

    fn append(
        &self,
        user: &UserId,
        items: &mut [Item],
        n_durable: usize,
        now_ms: i64,
    ) -> Result<Published, PublishError> {
        let inner = &*self.inner;
        let published = inner.lanes.in_lane(user, &*inner.clock, |state| {
            self.end_overdue_runs(state, user, now_ms);
            self.append_in(state, user, items, n_durable, now_ms)
        })?;
        if inner.lanes.budget.folds.is_exceeded() {
            inner.lanes.shed_folds();
        }
        published
    }

    /// Appends an item for a user whose lane is locked.
    pub(crate) fn append_one(
        &self,
        state: &mut LaneState,
        user: &UserId,
        item: Item,
        now_ms: i64,
    ) -> Result<Published, PublishError> {
        self.append_in(state, user, &mut [item], 1, now_ms)
    }

    fn append_in(
        &self,
        state: &mut LaneState,
        user: &UserId,
        items: &mut [Item],
        n_durable: usize,
        now_ms: i64,
    ) -> Result<Published, PublishError> {
        let inner = &*self.inner;
        let mut batch = Batch::new(n_durable, inner, now_ms);
        // The lane is locked first and the log inside it: once the closure has run, the append cannot fail, so the
        // order state and the log never differ.
        let mut log = std::mem::take(&mut state.log);
        let appended = inner.store.append_with(user, now_ms, &mut log, |_last| {
            state.touched_ms = now_ms;
            let mut durable = items.iter_mut().enumerate();
            let taken = durable.try_for_each(|(index, item)| {
                if !item.is_durable() {
                    return Ok(());
                }
                let key = item
                    .msg_id
                    .as_ref()
                    .map(|msg_id| inner.msg_hasher.hash(msg_id));
                batch
                    .take(state, index, item, key)
                    .map_err(|refused| refused.at(index))
            });
            match taken {
                Ok(()) => Ok(std::mem::take(&mut batch.records)),
                Err(error) => {
                    state.restore(std::mem::take(&mut batch.undo));
                    Err(error)
                }
            }
        });
        state.log = log;
        // Also what was put back has grown the tables.
        state.pay(batch.growth);
        let delivery = appended?;
        let mut published = Published {
            agui: delivery.reached(&inner.agui).connections(),
            a2a: delivery.reached(&inner.a2a).connections(),
            contexts: delivery.reached(&inner.contexts).connections(),
            ..Published::default()
        };
        batch.settle(state, items, &delivery.ids, &mut published);
        Ok(published)
    }

    /// Makes the events that close what is open in a thread's run, if that run is still the one named.
    pub(crate) fn closing_events(
        &self,
        user: &UserId,
        thread: &str,
        run: &str,
    ) -> Option<Vec<AgUiEvent>> {
        let lane = self.inner.lanes.find(user)?;
        let state = lane.lock();
        state
            .threads
            .closing_events(thread, run, self.inner.clock.now_ms())
    }
}

impl Item {
    /// Tells whether the event may add to the order state of its user.
    const fn may_grow(&self) -> bool {
        match &self.event {
            BusEvent::AgUi { event, .. } => {
                event.may_add_ids() && !matches!(event, AgUiEvent::RunError(_))
            }
            BusEvent::Analytics(_) => false,
            BusEvent::A2A(_) | BusEvent::System(_) | BusEvent::Context(_) => true,
        }
    }

    /// Tells whether the event goes into the log.
    const fn is_durable(&self) -> bool {
        !matches!(self.event, BusEvent::Analytics(_))
    }

    /// Checks an event that was built in Rust; what was read from JSON has been checked then.
    fn validate(&self) -> Result<(), Refusal> {
        match &self.event {
            _ if self.is_checked => Ok(()),
            BusEvent::AgUi { event, .. } => event.validate().map_err(Refusal::Invalid),
            BusEvent::A2A(event) => event.validate().map_err(Refusal::Invalid),
            BusEvent::Context(_) | BusEvent::System(_) | BusEvent::Analytics(_) => Ok(()),
        }
    }
}
