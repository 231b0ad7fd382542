//! An emitter on a tap.

use std::fmt;

use events_models::AgUiEvent;

use super::AgUiEmitter;
use crate::{Ending, Extraction, Observer};

/// Hands the AG-UI events of an exchange to a function, such as one that puts them into a bounded channel.
///
/// The function is called on the thread that passes the answer on: it must not block. If it has to leave an event
/// out, the run is no longer valid; it should then take no more but the last, RUN_ERROR.
pub struct AgUiObserver<F> {
    emitter: AgUiEmitter,
    sink: F,
}

impl<F: FnMut(AgUiEvent) + Send> AgUiObserver<F> {
    /// Makes an observer, and begins the run at once.
    pub fn new(mut emitter: AgUiEmitter, mut sink: F) -> Self {
        emitter.start(&mut sink);
        Self { emitter, sink }
    }
}

impl<F: FnMut(AgUiEvent) + Send> Observer for AgUiObserver<F> {
    fn extraction(&mut self, extraction: &Extraction) {
        self.emitter.extraction(extraction, &mut self.sink);
    }

    fn ending(&mut self, ending: &Ending) {
        self.emitter.finish(ending, &mut self.sink);
    }
}

impl<F> fmt::Debug for AgUiObserver<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgUiObserver")
            .field("emitter", &self.emitter)
            .finish_non_exhaustive()
    }
}
