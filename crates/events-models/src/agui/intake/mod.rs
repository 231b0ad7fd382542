//! What a thread's log takes in: chunks are expanded, and every event is checked.
//!
//! A chunk is shorthand: the first one opens an item, the next ones continue it, and the next other event of
//! its lane closes it. A lane is a subagent, or the parent agent; each has at most one item made of chunks.
//!
//! These events close nothing: RAW, ACTIVITY_SNAPSHOT, ACTIVITY_DELTA, REASONING_ENCRYPTED_VALUE and
//! SUBAGENT_STARTED. The run events and MESSAGES_SNAPSHOT close the items of all lanes.

mod chunk;
mod relive;
mod saved;

use std::sync::Arc;

use super::{
    AgUiEvent,
    order::{ItemKind, OrderError, ThreadOrder, closing_event},
};
use chunk::{Chunk, Item};
pub(in crate::agui) use saved::SavedIntake;

/// The item that a lane's chunks are about.
#[derive(Clone, PartialEq, Debug)]
struct Lane {
    owner: Option<Arc<str>>,
    item: Item,
}

/// Takes the events of one thread, expands chunks and checks the order.
///
/// ```
/// use events_models::{AgUiEventBuilder, AgUiEventType, agui::intake::ThreadIntake};
///
/// let mut thread = ThreadIntake::default();
/// let mut log = Vec::new();
/// thread.admit(AgUiEventBuilder::run_started("thread", "run", None), &mut log)?;
/// thread.admit(AgUiEventBuilder::text_message_chunk("m1", "Hello"), &mut log)?;
/// thread.admit(AgUiEventBuilder::run_finished("thread", "run", None), &mut log)?;
/// let types: Vec<_> = log.iter().map(|event| event.event_type().as_str()).collect();
/// assert_eq!(types, [
///     "RUN_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "RUN_FINISHED",
/// ]);
/// # Ok::<(), events_models::agui::order::OrderError>(())
/// ```
#[derive(Clone, PartialEq, Default, Debug)]
pub struct ThreadIntake {
    order: ThreadOrder,
    /// In the order of opening; every item in it is open in `order`.
    lanes: Vec<Lane>,
}

impl ThreadIntake {
    /// Makes an intake that continues where a checker stands, such as one with a limit of its own.
    #[must_use]
    pub const fn new(order: ThreadOrder) -> Self {
        Self {
            order,
            lanes: Vec::new(),
        }
    }

    /// Takes the next event, and appends to `out` what the thread's log gets for it.
    ///
    /// That is the event itself, or what a chunk stands for; before it, the ends of items made of chunks that
    /// it closes. It can be nothing: a chunk without news.
    ///
    /// # Errors
    ///
    /// The event is not allowed here; then neither the intake nor `out` has changed.
    pub fn admit(&mut self, event: AgUiEvent, out: &mut Vec<AgUiEvent>) -> Result<(), OrderError> {
        match event {
            AgUiEvent::TextMessageChunk(chunk) => self.admit_chunk(chunk.into(), out),
            AgUiEvent::ToolCallChunk(chunk) => self.admit_chunk(chunk.into(), out),
            AgUiEvent::ReasoningMessageChunk(chunk) => self.admit_chunk(chunk.into(), out),
            explicit => {
                if self.admit_plain(&explicit)? {
                    out.push(explicit);
                    return Ok(());
                }
                self.admit_among_lanes(explicit, out)
            }
        }
    }

    /// Takes the next event if the thread's log gets exactly that event for it, and returns whether it does.
    ///
    /// It does unless the event is a chunk or an item made of chunks is open; use [`ThreadIntake::admit`] then.
    ///
    /// # Errors
    ///
    /// The event is not allowed here; then the intake has not changed.
    pub fn admit_plain(&mut self, event: &AgUiEvent) -> Result<bool, OrderError> {
        if event.is_chunk() || !self.lanes.is_empty() {
            return Ok(false);
        }
        self.order.check(event)?;
        Ok(true)
    }

    /// Tells whether the event may come next, enters the thread's log as it is and leaves the intake as it is, so that it
    /// need not be taken in at all.
    ///
    /// It does not if it [changes the order](AgUiEvent::leaves_order) or an item made of chunks is open; use
    /// [`ThreadIntake::admit`] then.
    ///
    /// # Errors
    ///
    /// The event is not allowed here.
    pub fn passes(&self, event: &AgUiEvent) -> Result<bool, OrderError> {
        if !event.leaves_order() || !self.lanes.is_empty() {
            return Ok(false);
        }
        self.order.judge(event)?;
        Ok(true)
    }

    /// Closes everything that is open, so that RUN_FINISHED is legal, and returns the events that do it.
    ///
    /// Without an active run there is nothing to close. Subagents that are active end with SUBAGENT_ERROR.
    pub fn close_all(&mut self, timestamp: Option<i64>) -> Vec<AgUiEvent> {
        let events = self.order.closing_events(timestamp);
        for event in &events {
            self.order.apply(event);
        }
        self.lanes.clear();
        events
    }

    /// Counts the items made of chunks that are open.
    #[must_use]
    pub const fn open_chunks(&self) -> usize {
        self.lanes.len()
    }

    /// Returns the checker, as it stands after the admitted events.
    #[must_use]
    pub const fn order(&self) -> &ThreadOrder {
        &self.order
    }

    /// Estimates from above the bytes that it holds on the heap. It looks at every id: not for each event.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let of_lane = |lane: &Lane| {
            let owner_bytes = lane.owner.as_ref().map_or(0, |owner| owner.len() + 48);
            owner_bytes + lane.item.held_bytes()
        };
        let lanes: usize = self.lanes.iter().map(of_lane).sum();
        self.order.held_bytes() + self.lanes.capacity() * size_of::<Lane>() + lanes
    }

    fn lane_of(&self, owner: Option<&str>) -> Option<usize> {
        self.lanes
            .iter()
            .position(|lane| lane.owner.as_deref() == owner)
    }

    fn admit_among_lanes(
        &mut self,
        event: AgUiEvent,
        out: &mut Vec<AgUiEvent>,
    ) -> Result<(), OrderError> {
        let closing = match closes(&event) {
            Closes::Nothing => 0..0,
            Closes::All => 0..self.lanes.len(),
            Closes::Lane => match self.lane_of(event.subagent_run_id()) {
                Some(at) => at..at + 1,
                None => 0..0,
            },
        };
        self.refuse_end_of_chunked_item(&event, &closing)?;
        let mut undo = Vec::with_capacity(closing.len());
        for lane in &self.lanes[closing.clone()] {
            let (kind, id) = (lane.item.kind(), lane.item.id());
            if let Some(turn) = self.order.close(kind, id) {
                undo.push((kind, Arc::clone(id), turn));
            }
        }
        if let Err(refusal) = self.order.judge(&event) {
            for (kind, id, turn) in undo {
                self.order.reopen(kind, id, turn);
            }
            return Err(refusal);
        }
        for lane in self.lanes.drain(closing) {
            out.push(end_of(&self.order, &lane, event.timestamp()));
        }
        self.order.apply(&event);
        out.push(event);
        Ok(())
    }

    /// An end that names no lane could close an item made of chunks behind its lane's back.
    fn refuse_end_of_chunked_item(
        &self,
        event: &AgUiEvent,
        closing: &std::ops::Range<usize>,
    ) -> Result<(), OrderError> {
        let (kind, id) = match event {
            AgUiEvent::TextMessageEnd(end) => (ItemKind::TextMessage, end.message_id.as_str()),
            AgUiEvent::ToolCallEnd(end) => (ItemKind::ToolCall, end.tool_call_id.as_str()),
            AgUiEvent::ReasoningMessageEnd(end) => {
                (ItemKind::ReasoningMessage, end.message_id.as_str())
            }
            _ => return Ok(()),
        };
        let is_chunked = self.lanes.iter().enumerate().any(|(at, lane)| {
            !closing.contains(&at) && lane.item.kind() == kind && &**lane.item.id() == id
        });
        if is_chunked {
            return Err(OrderError::ChunkedItem {
                found: event.event_type(),
                kind,
                id: id.to_owned(),
            });
        }
        Ok(())
    }

    fn admit_chunk(&mut self, chunk: Chunk, out: &mut Vec<AgUiEvent>) -> Result<(), OrderError> {
        let lane = self.lane_for(&chunk)?;
        let at = self.lane_of(lane.as_deref());
        if let Some(at) = at
            && chunk.continues(&self.lanes[at].item)
        {
            return self.continue_item(at, chunk, out);
        }
        let (item, start) = chunk.open()?;
        let undo = at.and_then(|at| {
            let previous = &self.lanes[at].item;
            let turn = self.order.close(previous.kind(), previous.id())?;
            Some((previous.kind(), Arc::clone(previous.id()), turn))
        });
        if let Err(refusal) = self.order.judge(&start) {
            if let Some((kind, id, turn)) = undo {
                self.order.reopen(kind, id, turn);
            }
            return Err(refusal);
        }
        if let Some(at) = at {
            let previous = self.lanes.remove(at);
            out.push(end_of(&self.order, &previous, start.timestamp()));
        }
        self.order.apply(&start);
        let content = chunk.first_content(&item);
        self.lanes.push(Lane { owner: lane, item });
        out.push(start);
        // A start's own tag is its item's, and so the content that follows it is always allowed.
        out.extend(content);
        Ok(())
    }

    fn continue_item(
        &self,
        at: usize,
        chunk: Chunk,
        out: &mut Vec<AgUiEvent>,
    ) -> Result<(), OrderError> {
        let lane = &self.lanes[at];
        chunk.agrees_with(&lane.item)?;
        if let Some(content) = chunk.next_content(&lane.item, lane.owner.as_deref()) {
            self.order.judge(&content)?;
            out.push(content);
        }
        Ok(())
    }

    /// Finds the lane that a chunk is for: by its item, by its tag, or by being the only one in question.
    fn lane_for(&self, chunk: &Chunk) -> Result<Option<Arc<str>>, OrderError> {
        let of_kind = || {
            self.lanes
                .iter()
                .filter(|lane| lane.item.kind() == chunk.kind)
        };
        let tag = || chunk.subagent_run_id.as_deref().map(Arc::from);
        if let Some(id) = &chunk.id {
            let Some(holder) = of_kind().find(|lane| lane.item.id() == id) else {
                return Ok(tag());
            };
            if chunk.subagent_run_id.is_some()
                && chunk.subagent_run_id.as_deref() != holder.owner.as_deref()
            {
                return Err(OrderError::ForeignOwner {
                    found: chunk.found(),
                    id: id.as_ref().to_owned(),
                    tag: chunk.subagent_run_id.clone(),
                    owner: holder.owner.as_deref().map(str::to_owned),
                });
            }
            return Ok(holder.owner.clone());
        }
        if chunk.subagent_run_id.is_some() || of_kind().any(|lane| lane.owner.is_none()) {
            return Ok(tag());
        }
        let mut candidates = of_kind();
        match (candidates.next(), candidates.next()) {
            (Some(lane), None) => Ok(lane.owner.clone()),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(OrderError::ChunkAmbiguous {
                found: chunk.found(),
                kind: chunk.kind,
            }),
        }
    }
}

/// Makes the end of a lane's item, with the lane's tag unless the item has come to belong to another.
fn end_of(order: &ThreadOrder, lane: &Lane, timestamp: Option<i64>) -> AgUiEvent {
    let (kind, id) = (lane.item.kind(), lane.item.id());
    let owner = lane
        .owner
        .as_ref()
        .filter(|owner| order.is_owner(kind, id, Some(owner)));
    let mut end = closing_event(kind, id, owner);
    end.set_timestamp(timestamp);
    end
}

/// Which items made of chunks an explicit event closes.
enum Closes {
    Nothing,
    Lane,
    All,
}

const fn closes(event: &AgUiEvent) -> Closes {
    match event {
        AgUiEvent::Raw(_)
        | AgUiEvent::ActivitySnapshot(_)
        | AgUiEvent::ActivityDelta(_)
        | AgUiEvent::ReasoningEncryptedValue(_)
        | AgUiEvent::SubagentStarted(_) => Closes::Nothing,
        AgUiEvent::RunStarted(_)
        | AgUiEvent::RunFinished(_)
        | AgUiEvent::RunError(_)
        | AgUiEvent::MessagesSnapshot(_) => Closes::All,
        _ => Closes::Lane,
    }
}

#[cfg(test)]
pub(in crate::agui) mod tests;
