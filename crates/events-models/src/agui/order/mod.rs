//! The order in which AG-UI allows events on a thread.
//!
//! The rules are numbered as the errors name them:
//!
//! 1. The first event of a thread is RUN_STARTED or RUN_ERROR.
//! 2. One run at a time: no RUN_STARTED while a run is active; a new run begins with nothing open.
//! 3. After RUN_FINISHED only RUN_STARTED or RUN_ERROR; after RUN_ERROR only RUN_STARTED.
//! 4. A text message is continued and closed only while open, and not opened twice. It may be reopened.
//! 5. The same holds for tool calls. A result is not tied to a call.
//! 6. A step is active once per owner, and ended by its owner.
//! 7. Rule 4 holds for reasoning spans and for reasoning messages, each for themselves.
//! 8. A subagent starts once in a run, after its parent, and ends while it is active.
//! 9. RUN_FINISHED needs everything closed.
//! 10. Who continues a thing names its owner or nobody. What was opened without a name is the parent agent's.
//! 11. `null` stands for nothing: such events are refused when they are read.
//! 12. Chunks are expanded first (see [`ThreadIntake`](super::intake::ThreadIntake)).

mod apply;
mod error;
mod judge;
mod ledger;
mod saved;

pub use error::{ItemKind, OrderError};

use std::sync::Arc;

use super::{
    AgUiEvent, Message, ReasoningEnd, ReasoningMessageEnd, StepFinished, SubagentError,
    TextMessageEnd, ToolCallEnd,
};
pub(in crate::agui) use ledger::OpenItem;
use ledger::{Ledger, Owned};
pub(in crate::agui) use saved::SavedOrder;

/// How many ids a run may have open or remembered, unless told otherwise.
pub const DEFAULT_MAX_IDS: usize = 16_384;

#[derive(Clone, PartialEq, Eq, Default, Debug)]
enum Phase {
    #[default]
    Fresh,
    Active {
        run_id: Arc<str>,
    },
    Finished,
    Failed,
}

/// Judges the events of one thread's log, in their order.
///
/// It keeps ids only, and no more of them per run than its limit.
///
/// ```
/// use events_models::{AgUiEventBuilder, agui::order::ThreadOrder};
///
/// let mut order = ThreadOrder::default();
/// let refused = order.check(&AgUiEventBuilder::text_message_end("m1")).unwrap_err();
/// assert_eq!(refused.rule(), 1);
/// assert!(order.check(&AgUiEventBuilder::run_started("thread", "run", None)).is_ok());
/// assert_eq!(order.run_id(), Some("run"));
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct ThreadOrder {
    phase: Phase,
    ledger: Ledger,
    max_ids: usize,
}

impl Default for ThreadOrder {
    fn default() -> Self {
        Self::with_max_ids(DEFAULT_MAX_IDS)
    }
}

impl ThreadOrder {
    /// Makes a checker that allows a run so many ids, open and remembered.
    #[must_use]
    pub fn with_max_ids(max_ids: usize) -> Self {
        Self {
            phase: Phase::default(),
            ledger: Ledger::default(),
            max_ids,
        }
    }

    /// Takes the next event of the thread.
    ///
    /// # Errors
    ///
    /// The event is not allowed here; then nothing has changed.
    pub fn check(&mut self, event: &AgUiEvent) -> Result<(), OrderError> {
        self.judge(event)?;
        self.apply(event);
        Ok(())
    }

    /// Tells whether a run is active.
    #[must_use]
    pub const fn is_run_active(&self) -> bool {
        matches!(self.phase, Phase::Active { .. })
    }

    /// Tells whether the last run has ended with RUN_FINISHED.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished)
    }

    /// Tells whether the last run has ended with RUN_ERROR.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        matches!(self.phase, Phase::Failed)
    }

    /// Returns the id of the active run.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        match &self.phase {
            Phase::Active { run_id } => Some(run_id),
            Phase::Fresh | Phase::Finished | Phase::Failed => None,
        }
    }

    /// Tells whether anything is open, so that RUN_FINISHED would be refused.
    #[must_use]
    pub fn has_open_items(&self) -> bool {
        self.ledger.has_open_items()
    }

    /// Calls up what is open in the active run, first opened first.
    pub(in crate::agui) fn open_items(&self) -> impl DoubleEndedIterator<Item = OpenItem<'_>> {
        self.ledger.open_items().into_iter().rev()
    }

    /// Calls up the subagents of the active run, and whether they are active.
    pub(in crate::agui) fn subagents(&self) -> impl Iterator<Item = (&Arc<str>, bool)> {
        self.ledger.subagents()
    }

    /// Tells whether an item is open; steps and subagents are not asked for here.
    pub(in crate::agui) fn is_open(&self, kind: ItemKind, id: &str) -> bool {
        self.ledger.is_open(kind, id)
    }

    /// Returns the subagent that the active run knows as the owner of a message, or of a call in it.
    pub(in crate::agui) fn owner_of(&self, message: &Message) -> Option<&str> {
        owned_ids(message).find_map(|(owned, id)| self.ledger.owner(owned, &id)?.as_deref())
    }

    /// Estimates from above the bytes that it holds on the heap. It looks at every id: not for each event.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let run = self.run_id().map_or(0, |run_id| run_id.len() + 48);
        run + self.ledger.held_bytes()
    }

    /// Makes the events that close what is open, last opened first, so that RUN_FINISHED is legal after them.
    ///
    /// A subagent that is still active ends with SUBAGENT_ERROR: nobody knows that it has succeeded.
    #[must_use]
    pub fn closing_events(&self, timestamp: Option<i64>) -> Vec<AgUiEvent> {
        if !self.is_run_active() {
            return Vec::new();
        }
        let mut events: Vec<_> = self
            .open_items()
            .rev()
            .map(|open| closing_event(open.kind, open.id, open.owner))
            .collect();
        for event in &mut events {
            event.set_timestamp(timestamp);
        }
        events
    }
}

/// Makes the event that closes one thing.
pub(super) fn closing_event(kind: ItemKind, id: &Arc<str>, owner: Option<&Arc<str>>) -> AgUiEvent {
    let id = Arc::clone(id);
    let subagent_run_id = owner.map(|owner| owner.as_ref().to_owned());
    match kind {
        ItemKind::TextMessage => {
            let mut end = TextMessageEnd::new(id);
            end.subagent_run_id = subagent_run_id;
            end.into()
        }
        ItemKind::ToolCall => {
            let mut end = ToolCallEnd::new(id);
            end.subagent_run_id = subagent_run_id;
            end.into()
        }
        ItemKind::ReasoningMessage => {
            let mut end = ReasoningMessageEnd::new(id);
            end.subagent_run_id = subagent_run_id;
            end.into()
        }
        ItemKind::ReasoningSpan => {
            let mut end = ReasoningEnd::new(id);
            end.subagent_run_id = subagent_run_id;
            end.into()
        }
        ItemKind::Step => {
            let mut end = StepFinished::new(id.as_ref());
            end.subagent_run_id = subagent_run_id;
            end.into()
        }
        ItemKind::Subagent => {
            SubagentError::new(id.as_ref(), "the run ended before the subagent did").into()
        }
    }
}

/// Calls up what owns something in each message: the message itself and the calls that it makes.
fn owned_ids(message: &Message) -> impl Iterator<Item = (Owned, Arc<str>)> {
    let owned = match message {
        Message::Reasoning(_) => Owned::Reasoning,
        Message::Activity(_) => Owned::Activity,
        _ => Owned::Message,
    };
    let calls = match message {
        Message::Assistant(assistant) => assistant.tool_calls.as_deref().unwrap_or_default(),
        _ => &[],
    };
    std::iter::once((owned, message.id().to_shared())).chain(
        calls
            .iter()
            .map(|call| (Owned::ToolCall, call.id.to_shared())),
    )
}

#[cfg(test)]
mod tests;
