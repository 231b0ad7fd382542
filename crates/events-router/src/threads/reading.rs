//! What is told of threads.

use std::sync::Arc;

use events_core::{EventId, ThreadId};

use super::Threads;
use crate::{ThreadOverview, ThreadSnapshot, ThreadState, thread::Thread};

impl Threads {
    pub(crate) fn snapshot(&self, thread: &str, cursor: EventId) -> Option<ThreadSnapshot> {
        let entry = self.threads.get(thread)?;
        Some(ThreadSnapshot {
            status: entry.status(),
            run_id: entry.run_id(),
            messages: entry.content.messages(),
            state: entry.content.state(),
            cursor,
            is_too_large: entry.content.is_too_large(),
        })
    }

    /// Tells where a known thread stands, in which run, and whether it has grown too large.
    pub(crate) fn standing(&self, thread: &str) -> Option<(ThreadState, Option<String>, bool)> {
        let entry = self.threads.get(thread)?;
        let is_too_large = entry.content.is_too_large();
        Some((entry.status(), entry.run_id(), is_too_large))
    }

    /// Counts the messages of a thread that is known.
    pub(crate) fn n_messages(&self, thread: &str) -> Option<u64> {
        let entry = self.threads.get(thread)?;
        u64::try_from(entry.content.n_messages()).ok()
    }

    pub(crate) fn list(&self) -> Vec<ThreadOverview> {
        let overview = |thread: &Arc<str>, entry: &Thread| ThreadOverview {
            thread: ThreadId::from(&**thread),
            status: entry.status(),
            run_id: entry.run_id(),
            updated_at_ms: entry.touched_ms,
            message_count: entry.content.n_messages(),
        };
        let threads = self.threads.iter();
        threads
            .map(|(thread, entry)| overview(thread, entry))
            .collect()
    }
}
