//! Agents of the official client that join, come back and fall behind hold what one holds that was there all
//! along.

use events_core::Fold as _;
use events_models::{
    AgUiEvent, Message, RunAgentInput,
    agui::{
        UserMessage,
        fold::{Generation, OpenSet, Reader},
    },
};
use events_tests::{agui_check::AgUiVersion, agui_runs};
use serde_json::{Value, json};

use super::{
    invariants::fold,
    judge::{Cases, Held, Part},
    threads::{Thread, for_1_0, handmade, thread, transcripts},
};

/// Of a longer thread not every place is cut.
const MAX_CUTS: usize = 24;

/// One thread before one generation of clients.
struct Trial<'a> {
    thread: &'a Thread,
    generation: Generation,
}

impl Trial<'_> {
    fn len(&self) -> usize {
        self.thread.log.len()
    }

    /// The places where the thread is cut, but for its beginning.
    fn cuts(&self, max: usize) -> impl Iterator<Item = usize> + use<> {
        let (len, step) = (self.len(), self.len().div_ceil(max).max(1));
        (1..=len).filter(move |cut| cut % step == 0 || *cut == len)
    }

    fn log(&self, from: usize, to: usize) -> Part {
        Part::Log(self.thread.name.clone(), from, to)
    }

    fn rest(&self, from: usize) -> Part {
        self.log(from, self.len())
    }

    /// What a client gets that joins, with the messages that it sends.
    fn prelude(&self, cut: usize, messages: Option<Vec<Message>>) -> Part {
        let is_sent = |message: &Message| !matches!(message, Message::Activity(_));
        let input = messages.map(|messages| {
            let sent: Vec<_> = messages.into_iter().filter(is_sent).collect();
            RunAgentInput::new("thread", "request", sent)
        });
        let reader = Reader {
            input: input.as_ref(),
            generation: self.generation,
        };
        let fold = fold(&self.thread.log[..cut]);
        Part::Events(fold.content().prelude(fold.order(), &reader))
    }

    /// What brings a client to the present that has lost events: by what it has been sent, and by what is worked
    /// out backwards, if that is something else.
    fn catch_ups(&self, from: usize, to: usize) -> Vec<(&'static str, Part)> {
        let log = &self.thread.log;
        let mut since = OpenSet::default();
        log[..from].iter().for_each(|event| since.see(event));
        let fold = fold(&log[..to]);
        let before = OpenSet::before(&fold.open(), &log[from..to]);
        let reader = Reader {
            input: None,
            generation: self.generation,
        };
        let part = |open| Part::Events(fold.content().catch_up(fold.order(), open, &reader));
        let mut parts = vec![("behind", part(&since))];
        if before != since {
            parts.push(("back behind", part(&before)));
        }
        parts
    }

    fn messages_at(&self, cut: usize) -> Vec<Message> {
        fold(&self.thread.log[..cut]).content().messages()
    }

    /// What the client holds as state that starts the thread's first run.
    fn first_state(&self) -> Value {
        let Some(AgUiEvent::RunStarted(start)) = self.thread.log.first() else {
            return json!({});
        };
        let state = start.input.as_ref().and_then(|input| input.state.as_ref());
        state.map_or_else(|| json!({}), |state| state.to_value().expect("JSON"))
    }

    fn add_cases(&self, cases: &mut Cases) {
        let name = &self.thread.name;
        let state = self.first_state();
        cases.log(name, &self.thread.log);
        cases.case(
            &format!("{name}|whole"),
            &[],
            &state,
            vec![vec![self.rest(0)]],
        );
        for cut in self.cuts(MAX_CUTS) {
            let parts = vec![self.prelude(cut, None), self.rest(cut)];
            cases.case(&format!("{name}|fresh {cut}"), &[], &json!({}), vec![parts]);
        }
        for to in self.cuts(MAX_CUTS / 3) {
            self.add_returns(to, &state, cases);
            for from in self.cuts(MAX_CUTS / 4).filter(|from| *from < to) {
                for (what, caught_up) in self.catch_ups(from, to) {
                    let parts = vec![self.log(0, from), caught_up, self.rest(to)];
                    let case = format!("{name}|{what} {from} to {to}");
                    cases.case(&case, &[], &state, vec![parts]);
                }
            }
        }
    }

    /// Adds clients that hold something when they join.
    fn add_returns(&self, to: usize, state: &Value, cases: &mut Cases) {
        let name = &self.thread.name;
        for from in self.cuts(MAX_CUTS / 6).filter(|from| *from <= to) {
            let prelude = self.prelude(to, Some(self.messages_at(from)));
            let connections = vec![vec![self.log(0, from)], vec![prelude, self.rest(to)]];
            let case = format!("{name}|back {from} to {to}");
            cases.case(&case, &[], state, connections);
        }
        // One that holds the question, one that holds the half of it all and something of its own.
        let known = self.messages_at(to);
        let is_question = |message: &&Message| matches!(message, Message::User(_));
        let question: Vec<_> = known.iter().filter(is_question).take(1).cloned().collect();
        let mut half = vec![UserMessage::new("unsent", "Hello?").into()];
        half.extend_from_slice(&known[..known.len() / 2]);
        for (what, held) in [("question", question), ("half", half)] {
            let parts = vec![self.prelude(to, Some(held.clone())), self.rest(to)];
            let case = format!("{name}|{what} {to}");
            cases.case(&case, &held, &json!({"old": true}), vec![parts]);
        }
    }
}

/// Sorts what stands where it came: activities, which no request has, and reasoning, which snapshots keep; and
/// answers in a row, which are put behind those that no activity stands before.
fn sorted(messages: &[Value]) -> (Vec<&Value>, Vec<&Value>) {
    let (mut shown, mut said): (Vec<_>, Vec<_>) = messages
        .iter()
        .filter(|message| message["id"] != "unsent")
        .partition(|message| message["role"] == "activity" || message["role"] == "reasoning");
    let by_id = |message: &&Value| message["id"].to_string();
    shown.sort_by_key(by_id);
    let is_answer = |message: &Value| message["role"] == "tool";
    for answers in said.chunk_by_mut(|one, two| is_answer(one) && is_answer(two)) {
        answers.sort_by_key(by_id);
    }
    (said, shown)
}

/// Says what is wrong with what a client holds in the end.
fn fault(what: &str, held: &Held, whole: &Held) -> Option<String> {
    if held.why != whole.why {
        return Some(format!("refused: {:?}", held.why));
    }
    let are_messages_right = if what.starts_with("fresh") {
        held.messages == whole.messages
    } else {
        sorted(&held.messages) == sorted(&whole.messages)
    };
    // Who has an old state and is told none keeps it, also when patches then begin a state.
    let mut state = held.state.clone();
    if let Some(members) = state.as_object_mut() {
        members.remove("old");
    }
    let is_state_right = state == whole.state;
    if are_messages_right && is_state_right {
        return None;
    }
    let text = |held: &Held| format!("{} {}", json!(held.messages), held.state);
    Some(format!(
        "holds\n{}\ninstead of\n{}",
        text(held),
        text(whole)
    ))
}

async fn check(test: &str, version: AgUiVersion, threads: &[Thread]) {
    let generation = match version {
        AgUiVersion::V1_0 => Generation::V1_0,
        AgUiVersion::V0_0_59 => Generation::V0_0_59,
    };
    let mut cases = Cases::new(version);
    for thread in threads {
        Trial { thread, generation }.add_cases(&mut cases);
    }
    let n_cases = cases.len();
    let Some(held) = cases.judge(test).await else {
        return;
    };
    let mut faults = Vec::new();
    for (case, joined) in &held {
        let (name, what) = case.split_once('|').expect("a thread and a case");
        let whole = &held[&format!("{name}|whole")];
        assert_eq!(whole.why, None, "{case}: the thread itself is refused");
        faults.extend(fault(what, joined, whole).map(|fault| format!("{case}: {fault}")));
    }
    faults.sort();
    let n_faults = faults.len();
    faults.truncate(3);
    let faults = faults.join("\n");
    assert_eq!(
        n_faults, 0,
        "{n_faults} of {n_cases} cases with {version:?}:\n{faults}"
    );
}

fn made_up() -> Vec<Thread> {
    (0..10)
        .map(|seed| {
            let n_runs = 1 + usize::try_from(seed).expect("small") % 3;
            thread(
                &format!("made up {seed}"),
                agui_runs::thread(seed, n_runs, 30),
            )
        })
        .collect()
}

#[tokio::test]
async fn who_joins_a_transcript_anywhere_holds_what_the_others_hold() {
    for version in AgUiVersion::ALL {
        check("who_joins_a_transcript", version, &transcripts()).await;
    }
}

#[tokio::test]
async fn who_joins_a_made_up_thread_anywhere_holds_what_the_others_hold() {
    for version in AgUiVersion::ALL {
        check("who_joins_a_made_up_thread", version, &made_up()).await;
    }
}

#[tokio::test]
async fn who_joins_a_thread_with_an_odd_turn_holds_what_the_others_hold() {
    for version in AgUiVersion::ALL {
        check("who_joins_an_odd_thread", version, &handmade()).await;
    }
    check("who_joins_an_odd_thread", AgUiVersion::V1_0, &for_1_0()).await;
}
