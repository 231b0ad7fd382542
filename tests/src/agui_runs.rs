//! Made-up AG-UI threads: runs that are valid and do everything the protocol has.
//!
//! Events are proposed at random out of a small world, so that ids meet again, and those stay that the order
//! of the protocol allows. The same seed makes the same thread.

mod proposal;

use events_models::{
    AgUiEvent, Message, RunAgentInput,
    agui::{
        AnyJson, FunctionCall, Interrupt, InterruptOutcome, RunError, RunFinished, RunOutcome,
        RunStarted, SuccessOutcome, ToolCall, UserMessage, fold::ThreadContent,
        intake::ThreadIntake,
    },
};
use fastrand::Rng;

/// The thread of all events.
pub const THREAD: &str = "thread";

/// Makes a thread of `n_runs` runs with about `n_events` events each, as its log has them: without chunks.
///
/// The last run is active or has ended. An id always belongs to the same agent, and is never used for things
/// of two kinds. The state is an object or unknown.
///
/// ```
/// use events_models::agui::order::ThreadOrder;
/// use events_tests::agui_runs;
///
/// let mut order = ThreadOrder::default();
/// for event in agui_runs::thread(7, 2, 40) {
///     assert!(order.check(&event).is_ok());
/// }
/// ```
#[must_use]
pub fn thread(seed: u64, n_runs: usize, n_events: usize) -> Vec<AgUiEvent> {
    let mut maker = Maker {
        random: Rng::with_seed(seed),
        intake: ThreadIntake::default(),
        content: ThreadContent::default(),
        log: Vec::new(),
        n_made: 0,
    };
    for run in 0..n_runs {
        maker.start(run);
        let mut n_left = n_events * 4;
        let enough = maker.log.len() + n_events;
        while maker.log.len() < enough && n_left > 0 {
            n_left -= 1;
            let event = maker.propose();
            maker.admit(event);
        }
        let is_last = run + 1 == n_runs;
        if !is_last || maker.random.bool() {
            maker.end(run);
        }
    }
    maker.log
}

pub(crate) struct Maker {
    random: Rng,
    intake: ThreadIntake,
    content: ThreadContent,
    log: Vec<AgUiEvent>,
    n_made: usize,
}

impl Maker {
    /// Adds an event to the log if it is allowed now.
    fn admit(&mut self, event: impl Into<AgUiEvent>) {
        let before = self.log.len();
        if self.intake.admit(event.into(), &mut self.log).is_ok() {
            for event in &self.log[before..] {
                self.content.take(event.clone());
            }
        }
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.random.usize(..n) == 0
    }

    /// Makes a name that was not used before.
    fn fresh(&mut self, kind: &str) -> String {
        self.n_made += 1;
        format!("{kind}-{}", self.n_made)
    }

    fn start(&mut self, run: usize) {
        let mut start = RunStarted::new(THREAD, format!("run-{run}"));
        if !self.one_in(3) {
            // What a client sends with a run: its messages, its state, and what the person says now.
            let mut messages: Vec<Message> = if self.one_in(2) {
                let is_sent = |message: &Message| !matches!(message, Message::Activity(_));
                self.content
                    .messages()
                    .into_iter()
                    .filter(is_sent)
                    .collect()
            } else {
                Vec::new()
            };
            let user = UserMessage::new(self.fresh("user"), "Und jetzt? \u{1F642}\n");
            messages.push(user.into());
            let mut input = RunAgentInput::new(THREAD, format!("run-{run}"), messages);
            input.state = match self.content.state() {
                None if run == 0 && self.random.bool() => Some(json(r#"{"count":1,"list":[1]}"#)),
                known => known,
            };
            if self.random.bool() {
                input.tools = Some(Vec::new());
                input.context = Some(Vec::new());
            }
            start.input = Some(Box::new(input));
        }
        if self.one_in(3) {
            start.protocol_version = Some("1.0".to_owned());
        }
        self.admit(start);
    }

    fn end(&mut self, run: usize) {
        if self.one_in(4) {
            self.admit(RunError::new("upstream timed out"));
            return;
        }
        let closing = self.intake.close_all(None);
        for event in &closing {
            self.content.take(event.clone());
        }
        self.log.extend(closing);
        let mut end = RunFinished::new(THREAD, format!("run-{run}"));
        end.outcome = match self.random.u8(..5) {
            0 => Some(RunOutcome::Interrupt(InterruptOutcome::new(vec![
                Interrupt::new(format!("interrupt-{run}"), "tool_call"),
            ]))),
            1 => Some(RunOutcome::Cancelled),
            2 => {
                let mut success = SuccessOutcome::new();
                success.pending_tool_call_ids = Some(vec!["call-0".into()]);
                Some(RunOutcome::Success(success))
            }
            _ => None,
        };
        if end.outcome.is_none() {
            end.result = Some(json(r#"{"answer":42}"#));
        }
        let is_cancelled = end.outcome == Some(RunOutcome::Cancelled);
        self.admit(end);
        if !is_cancelled && self.one_in(8) {
            self.admit(RunError::new("the log could not be written"));
        }
    }
}

/// Reads JSON that is written in the source.
fn json(text: &str) -> AnyJson {
    AnyJson::from_json(text).unwrap_or_default()
}

fn tool_call(id: String) -> ToolCall {
    ToolCall::new(id, FunctionCall::new("restated", "{\"from\":\"snapshot\"}"))
}
