//! An agent's answer, read: bytes in, events of the run out.

#[cfg(test)]
mod tests;

use events_axum::AgentStart;
use events_core::{TaskId, ThreadId};
use events_models::{AgUiEvent, AgUiEventType};
use events_sse::{Decoder, DecoderOptions, Item};
use serde_json::{Map, Value};

use crate::{RunEnd, metrics::Dropped};

/// What stands around one event in its frame, in bytes.
const FRAME_SLACK: usize = 1 << 10;
/// The longest text about an invalid event, in bytes.
const MAX_REASON: usize = 300;

/// The optional members that the official client takes for absent when they are `null`.
const NULL_IS_ABSENT: [&str; 4] = ["parentMessageId", "outcome", "result", "rawEvent"];

/// Reads an answer.
pub(crate) struct Answer {
    decoder: Decoder,
    thread: ThreadId,
    run: TaskId,
    /// Taken by the agent's own RUN_STARTED.
    started: Option<AgentStart>,
    has_begun: bool,
    /// Events that came, those that are left out included.
    n_events: u64,
    most: usize,
}

/// What a piece of an answer said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// In their order. The last one may end the run.
    pub(crate) events: Vec<AgUiEvent>,
    /// Which events of the answer they are, counted from 1.
    pub(crate) numbers: Vec<u64>,
    /// What ends the run behind them.
    pub(crate) end: Option<RunEnd>,
    /// Why how many events are left out.
    pub(crate) dropped: Vec<Dropped>,
}

impl Answer {
    pub(crate) fn new(thread: ThreadId, run: TaskId, started: AgentStart, most: usize) -> Self {
        let options = DecoderOptions {
            max_event_bytes: most.saturating_add(FRAME_SLACK),
            unterminated: true,
            ..DecoderOptions::default()
        };
        Self {
            decoder: Decoder::new(options),
            thread,
            run,
            started: Some(started),
            has_begun: false,
            n_events: 0,
            most,
        }
    }

    /// Reads a piece of the answer.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Said {
        let mut said = Said::default();
        while let Some(item) = self.decoder.decode(&mut bytes) {
            self.take(item, &mut said);
        }
        said
    }

    /// Reads what is left at the answer's end; official clients take a last event without its blank line.
    pub(crate) fn finish(&mut self) -> Said {
        let mut said = Said::default();
        if let Some(item) = self.decoder.finish() {
            self.take(item, &mut said);
        }
        said.end.get_or_insert(RunEnd::Unfinished);
        said
    }

    fn take(&mut self, item: Item, said: &mut Said) {
        let data = match item {
            Item::Event(event) => event.data,
            Item::Oversized { .. } if said.end.is_none() => {
                let most = self.most;
                let reason = format!("it is larger than the limit of {most} bytes");
                said.end = Some(self.invalid(&reason));
                return;
            }
            _ => return,
        };
        if said.end.is_some() {
            said.dropped.push(Dropped::AfterEnd);
            return;
        }
        self.n_events += 1;
        match self.event(&data) {
            Ok(Some(event)) => {
                said.end = match &event {
                    AgUiEvent::RunFinished(_) => Some(RunEnd::Finished),
                    AgUiEvent::RunError(_) => Some(RunEnd::Failed),
                    _ => None,
                };
                if said.end.is_some() {
                    // Whoever waits for the agent's beginning has waited long enough.
                    self.started = None;
                }
                said.events.push(event);
                said.numbers.push(self.n_events);
            }
            Ok(None) => {}
            Err(Unread::Unknown) => said.dropped.push(Dropped::UnknownType),
            Err(Unread::Invalid(end)) => said.end = Some(end),
        }
    }

    /// Reads one event. That which begins the run is in the log already.
    fn event(&mut self, data: &str) -> Result<Option<AgUiEvent>, Unread> {
        let mut event = match AgUiEvent::from_json(data.as_bytes()) {
            Ok(event) => event,
            Err(invalid) => match mend(data) {
                Mended::Event(event) => *event,
                Mended::Unknown => return Err(Unread::Unknown),
                Mended::Not => return Err(Unread::Invalid(self.invalid(&invalid.to_string()))),
            },
        };
        match &mut event {
            AgUiEvent::RunStarted(start) => {
                start.thread_id.clone_from(&self.thread);
                start.run_id.clone_from(&self.run);
                self.has_begun = true;
                if let Some(started) = self.started.take() {
                    started.tell(event);
                    return Ok(None);
                }
            }
            AgUiEvent::RunFinished(finish) => {
                finish.thread_id.clone_from(&self.thread);
                finish.run_id.clone_from(&self.run);
            }
            _ => {}
        }
        if !self.has_begun && !matches!(event, AgUiEvent::RunError(_)) {
            let found = event.event_type();
            let reason = format!(
                "rule 1: {found} cannot be first, an answer begins with RUN_STARTED or RUN_ERROR"
            );
            return Err(Unread::Invalid(self.invalid(&reason)));
        }
        Ok(Some(event))
    }

    fn invalid(&self, reason: &str) -> RunEnd {
        invalid_event(self.n_events, reason)
    }
}

/// Says what is wrong with an event of an agent, counted from 1.
pub(crate) fn invalid_event(n: u64, reason: &str) -> RunEnd {
    let mut reason = reason.to_owned();
    if reason.len() > MAX_REASON {
        let end = (0..=MAX_REASON)
            .rev()
            .find(|at| reason.is_char_boundary(*at));
        reason.truncate(end.unwrap_or(0));
        reason.push('…');
    }
    RunEnd::Invalid(format!("event {n} of the agent is not valid: {reason}"))
}

/// Why an event is not read.
enum Unread {
    Unknown,
    Invalid(RunEnd),
}

enum Mended {
    Event(Box<AgUiEvent>),
    Unknown,
    Not,
}

/// Reads an event that is not legal as the official client would.
fn mend(data: &str) -> Mended {
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(data) else {
        return Mended::Not;
    };
    let Some(Value::String(kind)) = members.get("type") else {
        return Mended::Not;
    };
    let head = serde_json::json!({ "type": kind }).to_string();
    if AgUiEventType::of_json(head.as_bytes()).is_none() {
        return Mended::Unknown;
    }
    let n_before = members.len();
    members.retain(|name, value| !(value.is_null() && NULL_IS_ABSENT.contains(&name.as_str())));
    if members.len() == n_before {
        return Mended::Not;
    }
    let json = serde_json::to_vec(&members).unwrap_or_default();
    AgUiEvent::from_json(&json).map_or(Mended::Not, |event| Mended::Event(Box::new(event)))
}
