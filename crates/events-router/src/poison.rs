//! What a panic may harm: the event at which it happened, and nothing else.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What a panic said.
#[derive(Debug)]
pub(crate) struct Panicked(String);

impl Panicked {
    pub(crate) fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("without a text").to_owned())
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// Does some work whose panic ends only that work. Who calls it puts right what the work may have left behind.
///
/// Our own code should not panic, and a panic is a bug; but one event of one user must not end what all others have.
pub(crate) fn caught<T>(what: &'static str, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let panicked = Panicked::new(&*payload);
        tracing::error!(
            what,
            panic = panicked.text(),
            "a panic was caught; please report it"
        );
        panicked
    })
}

/// The text of an event at which a fold fails, in tests.
#[cfg(test)]
pub(crate) const POISONED_FOLD: &str = "this fold is poisoned";

/// The text of a record that cannot be applied, in tests.
#[cfg(test)]
pub(crate) const POISONED_RECORD: &str = "this record is poisoned";

#[cfg(test)]
pub(crate) fn strike_fold(event: &events_models::AgUiEvent) {
    let events_models::AgUiEvent::TextMessageContent(content) = event else {
        return;
    };
    assert!(content.delta != POISONED_FOLD, "poison");
}

#[cfg(test)]
pub(crate) fn strike_record(json: &[u8]) {
    let poison = POISONED_RECORD.as_bytes();
    let is_struck = json.windows(poison.len()).any(|part| part == poison);
    assert!(!is_struck, "poison");
}
