//! Doing what other replicas revoke and close, as the common log tells it.

use std::{collections::BTreeSet, future::Future, pin::Pin, sync::Arc, time::Duration};

use events_broadcast::{Attach, Batch, Next, Subscription};
use events_core::{EventLog, EventResult, UserId};
use events_models::SystemEvent;
use tokio::time::{Instant, sleep, sleep_until};

use super::{CLOSE, KEEPER, REVOKE, kept};
use crate::StreamState;

/// How long the log is left alone after it could not be read.
const PAUSE: Duration = Duration::from_millis(250);

/// What is asked of the log at once, in bytes of JSON.
const PAGE_BYTES: usize = 1 << 20;

/// How long a request waits until it is known whose tokens were revoked.
#[cfg(feature = "auth")]
const WAIT: Duration = Duration::from_secs(5);

/// A record that is older closes nothing: whoever reads it only now has no streams of then.
const CLOSE_MS: i64 = 60_000;

/// One replica on its way through the revocations.
struct Follower {
    state: StreamState,
    /// The place of the last record that was done; 0 before the first.
    last: u64,
    /// The place up to which what was saved is whole, once that has been read.
    saved: Option<u64>,
    /// The groups of users that are to be saved, and when.
    unsaved: BTreeSet<usize>,
    save_at: Instant,
    saving: Option<Saving>,
}

/// Groups that are being saved. It takes as long as the log does, and nobody is revoked later for that.
struct Saving {
    groups: BTreeSet<usize>,
    work: Pin<Box<dyn Future<Output = EventResult<()>> + Send>>,
}

impl StreamState {
    /// Does what other replicas revoke and close, as their common log tells it. It never completes; a server runs it
    /// where its router is on a log that others share.
    ///
    /// From the call on, requests with tokens wait until the revocations were read, and streams say nothing as long as
    /// some may not have been: at the start, and after an outage of the log. During one they go on; nothing new comes
    /// then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the following. Nothing is lost: whoever follows begins with what is kept.
    pub fn follow_revocations(&self) -> impl Future<Output = ()> + Send + use<> {
        if self.router().event_log().is_some() {
            self.inner.revocations.share();
        }
        let mut follower = Follower {
            state: self.clone(),
            last: 0,
            saved: None,
            unsaved: BTreeSet::new(),
            save_at: Instant::now(),
            saving: None,
        };
        async move { follower.run().await }
    }

    /// Tells whether tokens may have been revoked of which nothing was read yet, although the log tells other things.
    pub(crate) fn is_behind(&self) -> bool {
        let (router, revocations) = (self.router(), &self.inner.revocations);
        revocations.is_behind(router.log_turn()) && !router.is_log_silent()
    }

    /// Waits until it is known whose tokens were revoked, or nobody can know because the log is out of reach.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn until_known(&self) {
        let mut readings = self.inner.revocations.readings();
        loop {
            let turn = self.router().log_turn();
            readings.mark_unchanged();
            if !self.is_behind() {
                return;
            }
            tokio::select! {
                // The sender is there as long as the state is.
                _ended = readings.changed() => {}
                () = self.router().log_turned(turn) => {}
            }
        }
    }

    /// Waits for the same, not for ever. Returns whether it is known.
    #[cfg(feature = "auth")]
    pub(crate) async fn is_known_in_time(&self) -> bool {
        let waiting = tokio::time::timeout(WAIT, self.until_known());
        !self.is_behind() || waiting.await.is_ok()
    }

    /// Does what a record says. Returns the user whose tokens it revokes.
    fn follow(&self, json: &[u8]) -> Option<UserId> {
        let Ok(SystemEvent::ContextDeleted {
            timestamp: at_ms,
            context_id,
        }) = SystemEvent::from_json(json)
        else {
            return None;
        };
        if let Some(user) = context_id.as_str().strip_prefix(REVOKE) {
            let user = UserId::new(user);
            // What this replica was told itself it has done, and newer streams of the user stay.
            if !self.inner.revocations.covers(&user, at_ms) {
                self.revoke_here(&user, at_ms);
            }
            return Some(user);
        }
        if let Some(user) = context_id.as_str().strip_prefix(CLOSE) {
            let age_ms = self.router().clock().now_ms().saturating_sub(at_ms);
            if age_ms < CLOSE_MS {
                self.close_here(&UserId::new(user), at_ms);
            }
        }
        None
    }
}

impl Follower {
    async fn run(&mut self) {
        let state = self.state.clone();
        let (router, keeper) = (state.router(), UserId::new(KEEPER));
        let Some(log) = router.event_log() else {
            // Nobody else can revoke.
            return std::future::pending().await;
        };
        loop {
            let turn = router.log_turn();
            // It is listened before it is read, so that nothing falls between.
            if let Ok(_open) = router.open_user(&keeper, None).await
                && let Ok(subscription) = router.contexts().connect(&keeper, Attach::now())
                && self.has_read(&**log).await
            {
                state.inner.revocations.note_read(turn);
                tokio::select! {
                    () = router.log_turned(turn) => continue,
                    () = self.listen(log, subscription) => {}
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn has_read(&mut self, log: &dyn EventLog) -> bool {
        let read = self.read(log).await;
        if let Err(error) = &read {
            let error = error as &dyn std::error::Error;
            tracing::debug!(error, "revocations not read");
        }
        read.is_ok()
    }

    /// Reads the log to its end, past whatever this process keeps of it.
    async fn read(&mut self, log: &dyn EventLog) -> EventResult<()> {
        let keeper = UserId::new(KEEPER);
        loop {
            let saved = match self.saved {
                Some(saved) => saved,
                None => {
                    self.last = 0;
                    *self.saved.insert(kept::load(&self.state, log).await?)
                }
            };
            let page = log.read(&keeper, self.last, PAGE_BYTES).await?;
            if page.last < self.last || (page.previous > self.last && self.last > 0) {
                // The log has lost what it had, or no longer keeps what came next: what was saved tells it.
                self.saved = None;
                continue;
            }
            if page.previous > self.last.max(saved) {
                self.miss(page.records.first().map(|logged| logged.at_ms));
            }
            self.last = page.previous;
            for logged in &page.records {
                self.done(logged.seq, &logged.record.json);
            }
            if self.last >= page.last {
                return Ok(());
            }
        }
    }

    /// Some that were neither kept nor saved came before this moment: whoever had a token then needs a new one.
    fn miss(&self, at_ms: Option<i64>) {
        let at_ms = at_ms.unwrap_or_else(|| self.state.router().clock().now_ms());
        tracing::warn!(
            at_ms,
            "the log no longer has all revocations: every token that was issued before is refused"
        );
        self.state.inner.revocations.revoke_everybody(at_ms);
    }

    fn done(&mut self, seq: u64, json: &[u8]) {
        self.last = seq;
        let Some(user) = self.state.follow(json) else {
            return;
        };
        if self.saved.is_some_and(|saved| seq > saved) {
            if self.unsaved.is_empty() {
                self.save_at = Instant::now() + kept::pause();
            }
            self.unsaved.insert(kept::group(&user));
        }
    }

    /// Listens until the log has to be read again.
    async fn listen(&mut self, log: &Arc<dyn EventLog>, mut subscription: Subscription) {
        let mut batch = Batch::default();
        loop {
            let is_due = !self.unsaved.is_empty() && self.saving.is_none();
            tokio::select! {
                next = subscription.next(&mut batch) => match next {
                    Next::Events => {
                        for (id, frame) in batch.events.drain(..) {
                            // What was read already is told again.
                            if let Some(id) = id.filter(|id| id.seq > self.last) {
                                self.done(id.seq, &frame.data);
                            }
                        }
                    }
                    Next::Missed(_) | Next::Closed(_) => return,
                },
                () = sleep_until(self.save_at), if is_due => self.save(log),
                outcome = saved(&mut self.saving) => self.end_saving(outcome),
            }
        }
    }

    fn save(&mut self, log: &Arc<dyn EventLog>) {
        let groups = std::mem::take(&mut self.unsaved);
        let work = kept::save(
            self.state.clone(),
            Arc::clone(log),
            groups.clone(),
            self.last,
        );
        self.saving = Some(Saving {
            groups,
            work: Box::pin(work),
        });
    }

    fn end_saving(&mut self, outcome: EventResult<()>) {
        let saving = self.saving.take();
        if let (Err(error), Some(saving)) = (outcome, saving) {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "revocations not saved; it is tried again");
            self.unsaved.extend(saving.groups);
            self.save_at = Instant::now() + kept::pause();
        }
    }
}

/// Waits until what is being saved is; for ever if nothing is.
async fn saved(saving: &mut Option<Saving>) -> EventResult<()> {
    match saving {
        Some(saving) => saving.work.as_mut().await,
        None => std::future::pending().await,
    }
}
