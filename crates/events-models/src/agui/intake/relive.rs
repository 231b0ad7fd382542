//! Taking in what a thread's log has already.

use std::sync::Arc;

use super::{Item, Lane, ThreadIntake};
use crate::agui::{
    AgUiEvent,
    order::{ItemKind, OrderError},
};

impl ThreadIntake {
    /// Takes an event that is in the thread's log: what another intake has put out, chunks expanded.
    ///
    /// `is_chunked` repeats what [`ThreadIntake::is_made_of_chunks`] has said of the event; it says something of the
    /// starts of messages, tool calls and reasoning messages only. With it, an intake that relives a log comes to be
    /// equal to the one that has written it, and takes the same chunks from then on; without it, no chunk can
    /// continue what chunks have begun.
    ///
    /// ```
    /// use events_models::{AgUiEventBuilder as Make, agui::intake::ThreadIntake};
    ///
    /// let (mut writer, mut reader) = (ThreadIntake::default(), ThreadIntake::default());
    /// for event in [
    ///     Make::run_started("thread", "run", None),
    ///     Make::text_message_chunk("m1", "Hel"),
    ///     Make::text_message_chunk("m1", "lo"),
    /// ] {
    ///     let mut log = Vec::new();
    ///     writer.admit(event, &mut log)?;
    ///     for event in &log {
    ///         reader.relive(event, writer.is_made_of_chunks(event))?;
    ///     }
    /// }
    /// assert_eq!(reader, writer);
    /// # Ok::<(), events_models::agui::order::OrderError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The event is not allowed here, or it is a chunk; then nothing has changed.
    pub fn relive(&mut self, event: &AgUiEvent, is_chunked: bool) -> Result<(), OrderError> {
        self.order.check(event)?;
        match event {
            AgUiEvent::TextMessageEnd(end) => {
                self.leave(ItemKind::TextMessage, end.message_id.as_str());
            }
            AgUiEvent::ToolCallEnd(end) => {
                self.leave(ItemKind::ToolCall, end.tool_call_id.as_str());
            }
            AgUiEvent::ReasoningMessageEnd(end) => {
                self.leave(ItemKind::ReasoningMessage, end.message_id.as_str());
            }
            // The ends of all lanes come before these, unless the log has lost some.
            AgUiEvent::RunStarted(_) | AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_) => {
                self.lanes.clear();
            }
            start if is_chunked => {
                if let Some(item) = Item::begun_by(start) {
                    let owner = start.subagent_run_id().map(Arc::from);
                    // A lane has one item; its end comes before the next, unless the log has lost it.
                    self.lanes.retain(|lane| lane.owner != owner);
                    self.lanes.push(Lane { owner, item });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Tells whether an event is the start of an item that was made by a chunk: of the events that
    /// [`ThreadIntake::admit`] has put out last, so it has to be asked before the next is admitted.
    ///
    /// It belongs beside the event's record, for [`ThreadIntake::relive`]: the event itself does not show it.
    #[must_use]
    pub fn is_made_of_chunks(&self, event: &AgUiEvent) -> bool {
        let (kind, id) = match event {
            AgUiEvent::TextMessageStart(start) => {
                (ItemKind::TextMessage, start.message_id.as_str())
            }
            AgUiEvent::ToolCallStart(start) => (ItemKind::ToolCall, start.tool_call_id.as_str()),
            AgUiEvent::ReasoningMessageStart(start) => {
                (ItemKind::ReasoningMessage, start.message_id.as_str())
            }
            _ => return false,
        };
        self.lane_with(kind, id).is_some()
    }

    /// Finds the lane that an item made of chunks is in.
    pub(super) fn lane_with(&self, kind: ItemKind, id: &str) -> Option<usize> {
        let is_it = |lane: &Lane| lane.item.kind() == kind && &**lane.item.id() == id;
        self.lanes.iter().position(is_it)
    }

    fn leave(&mut self, kind: ItemKind, id: &str) {
        if let Some(at) = self.lane_with(kind, id) {
            self.lanes.remove(at);
        }
    }
}
