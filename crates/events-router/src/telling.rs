//! What a reader of a thread is told in place of events.

use std::sync::Arc;

use bytes::Bytes;
use events_models::{
    AgUiEvent,
    agui::{
        fold::{Generation, OpenSet, Reader, ThreadContent},
        order::ThreadOrder,
    },
};

use crate::threads::Threads;

/// What a reader is told in place of events, and where it stands then.
#[derive(Debug)]
pub(crate) struct Telling {
    /// The JSON of each event.
    pub(crate) events: Arc<[Bytes]>,
    pub(crate) open: OpenSet,
    /// Whether anything has been said in the thread.
    pub(crate) is_known: bool,
    /// Whether a run is active.
    pub(crate) is_active: bool,
    /// The reader was told that the thread is too large: for it, the run is over.
    pub(crate) is_cut_off: bool,
}

impl Telling {
    /// For a reader of a thread who knows where it stands.
    pub(crate) fn nothing() -> Self {
        Self {
            events: Arc::default(),
            open: OpenSet::default(),
            is_known: true,
            is_active: true,
            is_cut_off: false,
        }
    }
}

impl Threads {
    /// Tells a reader who knows nothing of the thread.
    pub(crate) fn prelude(&mut self, thread: &str, reader: &Reader<'_>) -> Telling {
        let Some(entry) = self.threads.get_mut(thread) else {
            return Telling {
                events: Arc::default(),
                open: OpenSet::default(),
                is_known: false,
                is_active: false,
                is_cut_off: false,
            };
        };
        let order = entry.intake.order();
        let is_plain = reader.input.is_none() && reader.generation == Generation::V1_0;
        let events = match &entry.prelude {
            Some(prelude) if is_plain => Arc::clone(prelude),
            _ => encode(&entry.content.prelude(order, reader)),
        };
        if is_plain {
            entry.prelude = Some(Arc::clone(&events));
        }
        Telling {
            events,
            open: OpenSet::of(order),
            is_known: true,
            is_active: order.is_run_active(),
            is_cut_off: entry.content.is_too_large() && order.is_run_active(),
        }
    }

    /// Tells a reader who has `since` open.
    pub(crate) fn catch_up(&self, thread: &str, since: &OpenSet, reader: &Reader<'_>) -> Telling {
        let unknown = (ThreadOrder::default(), ThreadContent::default());
        // A forgotten thread has no active run; its reader is told so like one of a thread that never was.
        let (order, content) = self.threads.get(thread).map_or_else(
            || (&unknown.0, &unknown.1),
            |entry| (entry.intake.order(), &entry.content),
        );
        Telling {
            events: encode(&content.catch_up(order, since, reader)),
            open: OpenSet::of(order),
            is_known: true,
            is_active: order.is_run_active(),
            is_cut_off: content.is_too_large() && order.is_run_active(),
        }
    }

    /// Tells what is open in a thread.
    pub(crate) fn open(&self, thread: &str) -> OpenSet {
        self.threads
            .get(thread)
            .map_or_else(OpenSet::default, |entry| OpenSet::of(entry.intake.order()))
    }
}

/// Tells an official client that nothing has been said in its thread.
pub(crate) fn empty_run(reader: &Reader<'_>) -> Arc<[Bytes]> {
    encode(&ThreadContent::default().prelude(&ThreadOrder::default(), reader))
}

fn encode(events: &[AgUiEvent]) -> Arc<[Bytes]> {
    let json = |event: &AgUiEvent| {
        let mut json = Vec::new();
        event.write_json(&mut json).map(|()| Bytes::from(json))
    };
    // Every event has a JSON form.
    events.iter().filter_map(|event| json(event).ok()).collect()
}
