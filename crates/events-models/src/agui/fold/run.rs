//! The runs of a thread: the last one, what started in it, and how the last few ended.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    agui::{AgUiEvent, RunFinished, RunStarted, SubagentStarted, ToolCallStart},
    wire::json_bytes,
};

/// How many runs are remembered that have ended.
pub(super) const MAX_ENDED: usize = 8;

/// What the end of a run before the last one may take, in bytes.
const MAX_OLD_END: usize = 16_384;

/// A subagent of the run.
#[derive(Clone, Debug)]
pub(super) struct Subagent {
    pub(super) start: SubagentStarted,
    pub(super) end: Option<AgUiEvent>,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub(super) struct RunEnd {
    /// The id that RUN_STARTED gave; none if an error came without a run.
    pub(super) run_id: Option<Arc<str>>,
    /// RUN_FINISHED or RUN_ERROR.
    pub(super) event: AgUiEvent,
}

/// What is known of a thread's runs.
#[derive(Clone, Default, Debug)]
pub(super) struct Runs {
    /// The start of the last run, without its input.
    pub(super) start: Option<RunStarted>,
    /// Whether the last run is active.
    pub(super) is_active: bool,
    /// Ends, the last one at the back.
    pub(super) ended: VecDeque<RunEnd>,
    /// The subagents of the last run, in the order of their starts.
    pub(super) subagents: Vec<Subagent>,
    pub(super) subagent_places: HashMap<String, usize>,
    /// The starts of the calls that are open.
    pub(super) open_calls: HashMap<Arc<str>, ToolCallStart>,
    pub(super) bytes: usize,
}

impl Runs {
    pub(super) fn begin(&mut self, mut start: RunStarted) {
        start.input = None;
        start.raw_event = None;
        // Of older ends it is enough to know how they were, if that is short.
        if let Some(end) = self.ended.back_mut() {
            shorten(&mut end.event);
            if json_bytes(&end.event) > MAX_OLD_END {
                self.ended.pop_back();
            }
        }
        self.start = Some(start);
        self.is_active = true;
        self.forget_items();
        self.recount();
    }

    /// Forgets what began within the run.
    pub(super) fn forget_items(&mut self) {
        self.subagents = Vec::new();
        self.subagent_places = HashMap::new();
        self.open_calls = HashMap::new();
        self.recount();
    }

    pub(super) fn end(&mut self, mut event: AgUiEvent) {
        forget_origin(&mut event);
        let run_id = match &self.start {
            Some(start) if self.is_active => Some(start.run_id.to_shared()),
            _ => None,
        };
        // An error may follow an end; the run has then failed.
        if run_id.is_none() && self.start.is_some() {
            let last = self.ended.pop_back();
            let run_id = last.and_then(|end| end.run_id);
            self.ended.push_back(RunEnd { run_id, event });
        } else {
            if self.ended.len() == MAX_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back(RunEnd { run_id, event });
        }
        self.is_active = false;
        self.open_calls = HashMap::new();
        self.recount();
    }

    pub(super) fn begin_subagent(&mut self, mut start: SubagentStarted) {
        start.raw_event = None;
        self.bytes += json_bytes(&start);
        let id = start.subagent_run_id.clone();
        self.subagent_places.insert(id, self.subagents.len());
        self.subagents.push(Subagent { start, end: None });
    }

    /// Takes SUBAGENT_FINISHED or SUBAGENT_ERROR.
    pub(super) fn end_subagent(&mut self, mut event: AgUiEvent) {
        forget_origin(&mut event);
        let Some(place) = event
            .subagent_run_id()
            .and_then(|id| self.subagent_places.get(id))
        else {
            return;
        };
        self.bytes += json_bytes(&event);
        self.subagents[*place].end = Some(event);
    }

    pub(super) fn subagent(&self, id: &str) -> Option<&Subagent> {
        let place = self.subagent_places.get(id)?;
        self.subagents.get(*place)
    }

    pub(super) fn begin_call(&mut self, start: &ToolCallStart) {
        let mut kept =
            ToolCallStart::new(start.tool_call_id.clone(), start.tool_call_name.as_str());
        kept.parent_message_id.clone_from(&start.parent_message_id);
        kept.subagent_run_id.clone_from(&start.subagent_run_id);
        self.bytes += json_bytes(&kept);
        self.open_calls.insert(start.tool_call_id.to_shared(), kept);
    }

    pub(super) fn end_call(&mut self, id: &str) {
        if let Some(start) = self.open_calls.remove(id) {
            self.bytes -= json_bytes(&start).min(self.bytes);
        }
    }

    /// Counts anew what it takes; between the events of a run the count is exact.
    pub(super) fn recount(&mut self) {
        let ended = self.ended.iter().map(|end| json_bytes(&end.event));
        let subagents = self.subagents.iter().map(|subagent| {
            json_bytes(&subagent.start) + subagent.end.as_ref().map_or(0, json_bytes)
        });
        self.bytes = self.start.as_ref().map_or(0, json_bytes)
            + ended.sum::<usize>()
            + subagents.sum::<usize>()
            + self.open_calls.values().map(json_bytes).sum::<usize>();
    }
}

/// Leaves of an end what tells how it was.
fn shorten(event: &mut AgUiEvent) {
    match event {
        AgUiEvent::RunFinished(end) => {
            let mut short = RunFinished::new(end.thread_id.clone(), end.run_id.clone());
            short.outcome = end.outcome.take();
            short.timestamp = end.timestamp;
            *end = short;
        }
        AgUiEvent::RunError(end) => {
            end.metadata = None;
            end.usage = None;
        }
        _ => {}
    }
}

/// Leaves out the provider's event, which is not needed to know where things stand.
fn forget_origin(event: &mut AgUiEvent) {
    match event {
        AgUiEvent::RunFinished(end) => end.raw_event = None,
        AgUiEvent::RunError(end) => end.raw_event = None,
        AgUiEvent::SubagentFinished(end) => end.raw_event = None,
        AgUiEvent::SubagentError(end) => end.raw_event = None,
        _ => {}
    }
}
