//! Order and content of a thread as one.

use events_core::Fold;

use super::{OpenSet, Reader, ThreadContent};
use crate::agui::{
    AgUiEvent,
    order::{OrderError, ThreadOrder},
};

/// The fold of an AG-UI thread: what its events have led to, in events that an official client accepts.
///
/// ```
/// use events_core::Fold;
/// use events_models::{AgUiEventBuilder as Make, MessageRole, agui::fold::ThreadFold};
///
/// let mut fold = ThreadFold::default();
/// for event in [
///     Make::run_started("thread", "run", None),
///     Make::text_message_start("m1", MessageRole::Assistant),
///     Make::text_message_content("m1", "Hel"),
///     Make::text_message_content("m1", "lo"),
/// ] {
///     fold.apply(event)?;
/// }
/// let types: Vec<_> = fold.prelude().iter().map(|event| event.event_type().as_str()).collect();
/// assert_eq!(types, ["RUN_STARTED", "MESSAGES_SNAPSHOT", "TEXT_MESSAGE_START"]);
/// # Ok::<(), events_models::agui::order::OrderError>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct ThreadFold {
    order: ThreadOrder,
    content: ThreadContent,
}

impl ThreadFold {
    /// Returns the checker of the thread's order.
    #[must_use]
    pub const fn order(&self) -> &ThreadOrder {
        &self.order
    }

    /// Returns what the thread has said.
    #[must_use]
    pub const fn content(&self) -> &ThreadContent {
        &self.content
    }
}

impl Fold for ThreadFold {
    type Event = AgUiEvent;
    type Open = OpenSet;
    type Refusal = OrderError;

    fn apply(&mut self, event: AgUiEvent) -> Result<(), OrderError> {
        self.order.check(&event)?;
        self.content.take(event);
        Ok(())
    }

    fn prelude(&self) -> Vec<AgUiEvent> {
        self.content.prelude(&self.order, &Reader::default())
    }

    fn open(&self) -> OpenSet {
        OpenSet::of(&self.order)
    }

    fn catch_up(&self, since: &OpenSet) -> Vec<AgUiEvent> {
        self.content
            .catch_up(&self.order, since, &Reader::default())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.content.size()
    }
}
