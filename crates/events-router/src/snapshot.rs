//! Reading where a user's threads stand.

use std::sync::Arc;

use bytes::Bytes;
use events_core::{EventId, TaskId, ThreadId, UserId};
use events_models::agui::{
    AnyJson, Message,
    fold::{Generation, Reader},
};

use crate::EventRouter;

/// Where a thread stands, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ThreadState {
    /// No run has begun.
    New,
    /// A run is active.
    Running,
    /// The last run has finished.
    Finished,
    /// The last run waits for an answer.
    Interrupted,
    /// The last run was cancelled.
    Cancelled,
    /// The last run has failed.
    Failed,
}

impl ThreadState {
    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// What a thread has said, at one moment.
#[derive(Clone, Debug)]
pub struct ThreadSnapshot {
    /// Where the thread stands.
    pub status: ThreadState,
    /// The run that is active, or was the last one.
    pub run_id: Option<String>,
    /// The messages in their order, partial ones included.
    pub messages: Vec<Message>,
    /// The state, if the thread has said any.
    pub state: Option<AnyJson>,
    /// The user's last event then: a stream that begins after this cursor continues the snapshot.
    pub cursor: EventId,
    /// The thread has grown beyond what is kept, and its messages and state are not whole.
    pub is_too_large: bool,
}

/// The shortest valid events that put a reader where a thread stands, at one moment.
#[derive(Clone, Debug)]
pub struct ThreadRetold {
    /// Where the thread stands.
    pub status: ThreadState,
    /// The run that is active, or was the last one.
    pub run_id: Option<String>,
    /// The JSON of each event: what a new reader of the thread's stream is sent first.
    pub events: Arc<[Bytes]>,
    /// The user's last event then: a stream that begins after this cursor continues the events.
    pub cursor: EventId,
    /// The thread has grown beyond what is kept, and the events say so in place of what it holds.
    pub is_too_large: bool,
}

/// One of a user's threads.
#[derive(Clone, Debug)]
pub struct ThreadOverview {
    /// The thread.
    pub thread: ThreadId,
    /// Where it stands.
    pub status: ThreadState,
    /// The run that is active, or was the last one.
    pub run_id: Option<String>,
    /// When its last event was appended, in milliseconds since the Unix epoch.
    pub updated_at_ms: i64,
    /// How many messages it has.
    pub message_count: usize,
}

impl EventRouter {
    /// Reads what a thread of a user has said; none if nothing is known of it.
    #[must_use]
    pub fn snapshot_thread(&self, user: &UserId, thread: &ThreadId) -> Option<ThreadSnapshot> {
        let lane = self.inner.lanes.find(user)?;
        let state = lane.lock();
        // Under the lane's lock nothing is published.
        let cursor = self.store().last(user);
        state.threads.snapshot(thread.as_str(), cursor)
    }

    /// Tells where a thread of a user stands, as events; none if nothing is known of it.
    ///
    /// For a reader that follows all threads of the user on one stream and has to be told of some: it passes over
    /// the thread's events up to [`ThreadRetold::cursor`]. It takes no slot.
    #[must_use]
    pub fn retell_thread(&self, user: &UserId, thread: &ThreadId) -> Option<ThreadRetold> {
        let lane = self.inner.lanes.find(user)?;
        let mut state = lane.lock();
        // Under the lane's lock nothing is published.
        let cursor = self.store().last(user);
        let (status, run_id, is_too_large) = state.threads.standing(thread.as_str())?;
        let reader = Reader {
            input: None,
            generation: Generation::V1_0,
        };
        Some(ThreadRetold {
            status,
            run_id,
            events: state.threads.prelude(thread.as_str(), &reader).events,
            cursor,
            is_too_large,
        })
    }

    /// Tells where a thread of a user stands, and in which run, active or the last one; none if nothing is known of
    /// it.
    #[must_use]
    pub fn thread_standing(
        &self,
        user: &UserId,
        thread: &ThreadId,
    ) -> Option<(ThreadState, Option<String>)> {
        let lane = self.inner.lanes.find(user)?;
        let state = lane.lock();
        let (status, run_id, _) = state.threads.standing(thread.as_str())?;
        Some((status, run_id))
    }

    /// Tells whether this run of a thread is active.
    #[must_use]
    pub fn is_run_active(&self, user: &UserId, thread: &ThreadId, run: &TaskId) -> bool {
        let lane = self.inner.lanes.find(user);
        lane.is_some_and(|lane| {
            let state = lane.lock();
            let (thread, run) = (thread.as_str(), run.as_str());
            state.threads.is_active_run(thread, run)
        })
    }

    /// Lists the threads of a user, the one that was written to last first.
    #[must_use]
    pub fn threads_of(&self, user: &UserId) -> Vec<ThreadOverview> {
        let Some(lane) = self.inner.lanes.find(user) else {
            return Vec::new();
        };
        let mut threads = lane.lock().threads.list();
        threads.sort_by_key(|thread| std::cmp::Reverse(thread.updated_at_ms));
        threads
    }
}
