//! The work on one user: one thing after the other, so that nothing about him has to be said twice.

use std::sync::Arc;

use events_core::EventError;

use super::{
    Shared,
    mirror::{Mirror, Phase},
    publishing::Job,
};
use crate::EventRouter;

/// Events that one append may have.
const EVENTS_AT_ONCE: usize = 64;

/// The work on a user. If it is given up halfway, by a panic or because the replica ends, nobody waits for it in vain,
/// and the next one to need the user begins anew.
struct Turn(Option<Arc<Mirror>>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(mirror) = self.0.take() {
            give_up(
                &mirror,
                &EventError::Unavailable("the work on this user was given up".into()),
            );
        }
    }
}

/// What to do next for a user.
enum Step {
    Read,
    Publish(Vec<Job>),
    Save,
    LetGo,
    Rest,
}

impl Shared {
    /// Works on a user until there is nothing to do.
    pub(super) async fn work_on(self: Arc<Self>, router: EventRouter, mirror: Arc<Mirror>) {
        let mut turn = Turn(Some(Arc::clone(&mirror)));
        self.take_steps(&router, &mirror).await;
        turn.0 = None;
    }

    async fn take_steps(&self, router: &EventRouter, mirror: &Arc<Mirror>) {
        loop {
            match next_step(mirror) {
                Step::Read => {
                    if let Err(error) = self.read(router, mirror).await {
                        give_up(mirror, &error);
                        return;
                    }
                }
                Step::Publish(jobs) => self.publish(router, mirror, jobs).await,
                Step::Save => self.save(router, mirror).await,
                Step::LetGo => {
                    if self.let_go(router, mirror) {
                        return;
                    }
                }
                Step::Rest => return,
            }
        }
    }

    /// Lets a user go, unless he has come to be needed; tells whether he is gone.
    fn let_go(&self, router: &EventRouter, mirror: &Mirror) -> bool {
        let mut users = self.users();
        let mut state = mirror.lock();
        state.is_idle = false;
        let is_needed = state.holders > 0
            || !state.jobs.is_empty()
            || !state.readers.is_empty()
            || !state.unsaved.is_empty() && state.is_save_due;
        if is_needed || !router.inner.store.shut(&mirror.user) {
            return false;
        }
        state.phase = Phase::Gone;
        users.remove(&mirror.user);
        self.log.unfollow(&mirror.user);
        router.inner.lanes.remove(&mirror.user);
        true
    }
}

/// Answers everybody who waits for a read that has failed, and rests; the next one to ask begins again.
fn give_up(mirror: &Mirror, error: &EventError) {
    tracing::debug!(
        error = error as &dyn std::error::Error,
        "user's log not read"
    );
    let mut state = mirror.lock();
    state.is_busy = false;
    let again = || EventError::Unavailable(error.to_string().into());
    for reader in state.readers.drain(..) {
        // The reader may have left.
        let _is_gone = reader.send(Err(again()));
    }
    for job in state.jobs.drain(..) {
        job.answer(Err(again().into()));
    }
}

fn next_step(mirror: &Mirror) -> Step {
    let mut state = mirror.lock();
    let has_work = !state.jobs.is_empty() || state.has_overdue;
    if !state.readers.is_empty() || (has_work && state.is_behind()) || state.applied < state.reached
    {
        Step::Read
    } else if has_work {
        let mut n_events = 0;
        let mut jobs = Vec::new();
        while let Some(job) = state.jobs.front() {
            n_events += job.len();
            // A batch that is larger comes alone; a message id that is already among these waits for its answer.
            if !jobs.is_empty()
                && (n_events > EVENTS_AT_ONCE || jobs.iter().any(|other| job.repeats(other)))
            {
                break;
            }
            jobs.extend(state.jobs.pop_front());
        }
        Step::Publish(jobs)
    } else if state.is_save_due {
        Step::Save
    } else if state.is_idle {
        Step::LetGo
    } else {
        state.is_busy = false;
        Step::Rest
    }
}
