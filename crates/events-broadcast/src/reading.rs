//! What a reader at a position is given in one go.

use std::sync::Arc;

use crate::{
    Batch,
    user_log::{Entry, UserState},
    view::View,
    watcher::Intake,
};

/// Events of a ring that are read in one go, with what lies between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The ring's indices, the end excluded.
    first: usize,
    end: usize,
    pub(crate) n_events: usize,
    /// Bytes of JSON.
    pub(crate) n_bytes: usize,
    /// The position after it: what follows is for this reader, or there is nothing more.
    pub(crate) read_to: u64,
}

impl UserState {
    /// Measures what a reader at `position` is given next.
    pub(crate) fn span(&self, position: u64, view: &View, scope: Option<&Arc<str>>) -> Span {
        let first = self.index_after(position);
        let mut span = Span {
            first,
            end: self.ring.len(),
            n_events: 0,
            n_bytes: 0,
            read_to: self.last.seq,
        };
        for (index, entry) in self.ring.range(first..).enumerate() {
            if !view.carries(entry, scope) {
                continue;
            }
            let n_bytes = span.n_bytes + entry.json.len();
            let is_full = span.n_events == Batch::MAX_EVENTS || n_bytes > Batch::MAX_BYTES;
            if is_full && span.n_events > 0 {
                span.end = first + index;
                // The place before this event: what lies there is not for this reader.
                span.read_to = self.ring[span.end - 1].seq;
                break;
            }
            span.n_events += 1;
            span.n_bytes = n_bytes;
        }
        span
    }

    /// Calls up the events of a span.
    pub(crate) fn events_of<'a>(
        &'a self,
        span: Span,
        view: &'a View,
        scope: Option<&'a Arc<str>>,
    ) -> impl Iterator<Item = &'a Entry> {
        self.ring
            .range(span.first..span.end)
            .filter(move |entry| view.carries(entry, scope))
    }

    /// Counts the other connections that may ask for what the connection `key` is given: exactly if there are few,
    /// else from above.
    pub(crate) fn readers_beside(&self, key: usize, position: u64) -> usize {
        const FEW: usize = 64;
        if self.watchers.len() > FEW {
            return self.watchers.len() - 1;
        }
        let mine = &self.watchers[key];
        let stands_there = self.watchers.iter().filter(|(other_key, other)| {
            let Intake::Cursor(cursor) = &other.intake else {
                return false;
            };
            *other_key != key
                && cursor.position == position
                && other.holds_slot()
                && other.view.index == mine.view.index
                && other.scope == mine.scope
        });
        stands_there.count()
    }
}
