//! From items to records: known ids, threads, order, encoding.

mod plans;
mod settling;

use std::{cell::Cell, sync::Arc, time::Duration};

use bytes::Bytes;
use events_core::{Channel, EventError, MsgKey, Record};
use events_models::{A2AEvent, AgUiEvent, SystemEvent};
use smallvec::SmallVec;

use crate::{
    BusEvent, Item, MsgId, PublishError, Refusal,
    lane::{LaneState, Undo},
    order_budget::{growth_of_agui, growth_of_other},
    replica::Note,
    routes::{A2A, AGUI, CONTEXT, SYSTEM},
    thread::millis,
};

use plans::Plan;
pub(crate) use plans::Plans;

type Records = SmallVec<[Record; 1]>;

/// Above so many bytes of JSON one copy more costs more than one buffer more.
const LARGE_BYTES: usize = 8 << 10;

thread_local! {
    /// Where events are encoded; one for each worker, because an event needs it only while it is.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a fold learns once the batch is in the log.
enum Told {
    /// The event of the item with this index.
    Item(usize),
    Event(Box<AgUiEvent>),
}

/// What the context list learns once the batch is in the log.
enum Seen {
    Run(Arc<str>),
    System(SystemEvent),
}

/// The work on one batch.
pub(crate) struct Batch {
    pub(crate) records: Records,
    plans: SmallVec<[Plan; 1]>,
    seen: Vec<Seen>,
    /// What the folds learn once the batch is in the log, as far as they have not been told.
    told: Vec<(Arc<str>, Told)>,
    told_tasks: Vec<(Arc<str>, A2AEvent)>,
    pub(crate) undo: Undo,
    /// A single event needs no copy of its thread's state unless chunks are about: see `admit`.
    is_single: bool,
    thread_of_request: Option<Arc<str>>,
    event_limit: usize,
    /// What the events add to the order state, in bytes, estimated from above.
    pub(crate) growth: usize,
    /// What became of the event that is being taken; empty between them.
    admitted: Vec<AgUiEvent>,
    /// The time of the append, in milliseconds.
    pub(crate) now_ms: i64,
    /// The records are for a log that keeps keys and notes with them.
    is_staged: bool,
    /// The key of the item that is being taken.
    key: Option<u128>,
}

/// A refusal or an error of the log, before the item's place is known.
pub(crate) enum Refused {
    Refusal(Refusal),
    Log(EventError),
}

impl Refused {
    pub(crate) fn at(self, index: usize) -> PublishError {
        match self {
            Self::Refusal(refusal) => PublishError::Refused { index, refusal },
            Self::Log(error) => error.into(),
        }
    }
}

impl<R: Into<Refusal>> From<R> for Refused {
    fn from(refusal: R) -> Self {
        Self::Refusal(refusal.into())
    }
}

impl Batch {
    pub(crate) fn new(n_items: usize, inner: &crate::router::Inner, now_ms: i64) -> Self {
        Self {
            records: Records::with_capacity(n_items),
            plans: SmallVec::with_capacity(n_items),
            seen: Vec::new(),
            told: Vec::new(),
            told_tasks: Vec::new(),
            undo: Undo::default(),
            is_single: n_items == 1,
            thread_of_request: None,
            event_limit: inner.store.limits().event_bytes,
            growth: 0,
            admitted: Vec::new(),
            now_ms,
            is_staged: false,
            key: None,
        }
    }

    /// Makes a batch that is checked here and appended elsewhere: everything that it changes can be put back.
    pub(crate) fn staged(n_items: usize, inner: &crate::router::Inner, now_ms: i64) -> Self {
        Self {
            is_single: false,
            is_staged: true,
            ..Self::new(n_items, inner, now_ms)
        }
    }

    /// Returns what becomes of the items, which are named by their index.
    pub(crate) fn into_plans(self, is_unnamed: impl Fn(usize) -> bool) -> Plans {
        Plans::new(self.plans, is_unnamed)
    }

    /// Takes the item with this index. Its event is moved out only when nothing can refuse it any more, and stays where it
    /// is if it leaves the order as it is.
    pub(crate) fn take(
        &mut self,
        state: &mut LaneState,
        index: usize,
        item: &mut Item,
        key: Option<u128>,
    ) -> Result<(), Refused> {
        let known = key.and_then(|key| state.ids_of(key)).cloned();
        let n_before = self.records.len();
        self.key = key.filter(|_| self.is_staged);
        match &mut item.event {
            BusEvent::AgUi { thread, event } => {
                let found = state.threads.thread_of(
                    thread.as_ref(),
                    event,
                    self.thread_of_request.as_ref().or(item.of_request.as_ref()),
                );
                let starts_run = matches!(event, AgUiEvent::RunStarted(_));
                if let (Ok(thread), true) = (&found, starts_run) {
                    self.thread_of_request = Some(Arc::clone(thread));
                }
                let is_too_late = || match (&item.only_in_run, &found) {
                    (Some(run), Ok(thread)) => !state.threads.is_active_run(thread, run.as_str()),
                    _ => false,
                };
                if known.is_none() && !is_too_late() {
                    let thread = found?;
                    self.admit(state, &thread, index, event, item.msg_id.as_ref())?;
                    if let (true, Some(timeout)) = (starts_run, item.run_timeout) {
                        state.threads.set_run_timeout(&thread, timeout, self.now_ms);
                        self.note_run_timeout(timeout);
                    }
                    if starts_run {
                        self.seen.push(Seen::Run(thread));
                    }
                }
            }
            _ if known.is_some() => {}
            other => {
                let event = std::mem::replace(other, BusEvent::from(AgUiEvent::spent()));
                self.take_other(state, event, item.msg_id.as_ref())?;
            }
        }
        self.plans.push(match known {
            Some(ids) => Plan::Known(ids),
            None => Plan::New {
                key,
                n_records: self.records.len() - n_before,
            },
        });
        Ok(())
    }

    fn take_other(
        &mut self,
        state: &mut LaneState,
        event: BusEvent,
        msg_id: Option<&MsgId>,
    ) -> Result<(), Refused> {
        match event {
            BusEvent::A2A(event) => self.admit_a2a(state, *event, msg_id),
            BusEvent::System(event) => {
                let json = encode(|out| event.write_json(out))?;
                self.growth += growth_of_other(json.len());
                self.push(SYSTEM, None, json, msg_id)?;
                self.seen.push(Seen::System(event));
                Ok(())
            }
            BusEvent::Context(event) => {
                let json = encode(|out| event.write_json(out))?;
                self.push(CONTEXT, None, json, msg_id)
            }
            // The first go another way, the last are not for the log.
            BusEvent::AgUi { .. } | BusEvent::Analytics(_) => Ok(()),
        }
    }

    fn admit(
        &mut self,
        state: &mut LaneState,
        thread: &Arc<str>,
        index: usize,
        event: &mut AgUiEvent,
        msg_id: Option<&MsgId>,
    ) -> Result<(), Refused> {
        let LaneState {
            threads, budget, ..
        } = state;
        if !self.is_single && threads.passes(thread, event)? {
            // There is nothing to put back.
            let json = encode(|out| event.write_json(out))?;
            self.growth += growth_of_agui(event, json.len());
            self.push(AGUI, Some(thread), json, msg_id)?;
            if !self.is_staged {
                self.told.push((Arc::clone(thread), Told::Item(index)));
            }
            return Ok(());
        }
        if self.is_single && !event.is_chunk() {
            // Everything that can fail comes before the change of state, so nothing needs to be put back.
            let json = encode(|out| event.write_json(out))?;
            self.check_size(&json)?;
            let growth = growth_of_agui(event, json.len());
            if threads.admit_plain(thread, event, budget, self.now_ms)? {
                self.growth += growth;
                return self.push(AGUI, Some(thread), json, msg_id);
            }
        }
        let event = event.take();
        let mut admitted = std::mem::take(&mut self.admitted);
        threads.save(thread, &mut self.undo.threads);
        threads.admit(thread, event, budget, self.now_ms, &mut admitted)?;
        for event in admitted.drain(..) {
            let json = encode(|out| event.write_json(out))?;
            self.growth += growth_of_agui(&event, json.len());
            self.push(AGUI, Some(thread), json, msg_id)?;
            if self.is_staged {
                let is_chunked = threads.is_made_of_chunks(thread, &event);
                self.note(|note| note.is_chunked = is_chunked);
            } else {
                let event = Told::Event(Box::new(event));
                self.told.push((Arc::clone(thread), event));
            }
        }
        self.admitted = admitted;
        Ok(())
    }

    /// Changes what is kept beside the record that was pushed last.
    fn note(&mut self, change: impl FnOnce(&mut Note)) {
        if let Some(record) = self.records.last_mut().filter(|_| self.is_staged) {
            let mut note = Note::read(&record.note);
            change(&mut note);
            record.note = note.to_bytes();
        }
    }

    fn note_run_timeout(&mut self, timeout: Duration) {
        self.note(|note| note.run_timeout_ms = Some(millis(timeout)));
    }

    fn admit_a2a(
        &mut self,
        state: &mut LaneState,
        event: A2AEvent,
        msg_id: Option<&MsgId>,
    ) -> Result<(), Refused> {
        let json = encode(|out| event.write_json(out))?;
        // Everything else that can fail comes before the change of state.
        self.check_size(&json)?;
        // A message that names no task is of no stream but the user's own.
        let Some(task) = event.task_id() else {
            return self.push(A2A, None, json, msg_id);
        };
        let task = state.tasks.shared(task.as_str());
        if !self.is_single {
            state.tasks.save(&task, &mut self.undo.tasks);
        }
        let LaneState { tasks, budget, .. } = state;
        tasks.admit(&task, &event, self.now_ms, budget)?;
        self.growth += growth_of_other(json.len());
        self.push(A2A, Some(&task), json, msg_id)?;
        if self.is_single {
            tasks.tell(&task, event);
        } else if !self.is_staged {
            self.told_tasks.push((task, event));
        }
        Ok(())
    }

    fn push(
        &mut self,
        channel: Channel,
        scope: Option<&Arc<str>>,
        json: Bytes,
        msg_id: Option<&MsgId>,
    ) -> Result<(), Refused> {
        self.check_size(&json)?;
        let tag = msg_id.map_or(0, |msg_id| msg_id.tag(self.records.len()));
        self.records.push(Record {
            channel,
            scope: scope.cloned(),
            name: None,
            json,
            tag,
            key: self.key.map(MsgKey::from_bits),
            note: Bytes::new(),
        });
        Ok(())
    }

    fn check_size(&self, json: &Bytes) -> Result<(), Refused> {
        if json.len() > self.event_limit {
            return Err(Refused::Log(EventError::TooLarge {
                size: json.len(),
                limit: self.event_limit,
            }));
        }
        Ok(())
    }
}

/// Small JSON is copied out of the buffer, to its exact size; large JSON takes the buffer with it.
fn encode(
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), serde_json::Error>,
) -> Result<Bytes, Refused> {
    let mut scratch = SCRATCH.take();
    scratch.clear();
    write(&mut scratch).map_err(|error| Refused::Log(EventError::Encode(error.into())))?;
    if scratch.len() > LARGE_BYTES {
        scratch.shrink_to_fit();
        return Ok(scratch.into());
    }
    let json = Bytes::copy_from_slice(&scratch);
    SCRATCH.set(scratch);
    Ok(json)
}
