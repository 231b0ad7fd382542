//! What was published, what was answered, and what the log holds in the end.

use std::collections::{BTreeMap, HashMap};

use events_core::{EventId, ThreadId};
use events_models::{AgUiEvent, AgUiEventBuilder as Make, MessageRole};
use events_router::{BusEvent, Item, MsgId};

use super::client::Events;

/// One batch of deltas, each unlike all others.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) user: usize,
    thread: usize,
    first_mark: usize,
    n_events: usize,
    name: Option<String>,
    /// The ids of the first answer.
    pub(super) ids: Option<Vec<EventId>>,
}

#[derive(Default)]
pub(super) struct Publisher {
    n_marks: usize,
    pub(super) sent: Vec<Sent>,
}

fn message(thread: usize) -> String {
    format!("message-{thread}")
}

/// One event as it is sent.
pub(super) struct Said {
    thread: usize,
    event: AgUiEvent,
    msg_id: Option<String>,
}

/// Begins a run with an open message, which never ends.
pub(super) fn opening(thread: usize) -> Vec<Said> {
    let (thread_id, run) = (format!("t{thread}"), format!("r{thread}"));
    let events = [
        Make::run_started(thread_id.as_str(), run.as_str(), None),
        Make::text_message_start(message(thread), MessageRole::Assistant),
    ];
    let said = |event| Said {
        thread,
        event,
        msg_id: None,
    };
    events.map(said).into()
}

impl Said {
    pub(super) fn item(&self) -> Item {
        let item = Item::new(BusEvent::AgUi {
            thread: Some(ThreadId::from(format!("t{}", self.thread))),
            event: self.event.clone(),
        });
        match &self.msg_id {
            Some(msg_id) => item.with_msg_id(MsgId::new(msg_id.as_str()).expect("a short one")),
            None => item,
        }
    }

    pub(super) fn json(&self) -> Vec<u8> {
        let mut json = Vec::new();
        self.event
            .write_json(&mut json)
            .expect("every event has a form");
        json
    }
}

impl Sent {
    pub(super) fn events(&self) -> Vec<Said> {
        let said = |index: usize| {
            let mark = format!("<{}>", self.first_mark + index);
            Said {
                thread: self.thread,
                event: Make::text_message_content(message(self.thread), mark),
                msg_id: self.name.as_ref().map(|name| format!("{name}-{index}")),
            }
        };
        (0..self.n_events).map(said).collect()
    }

    pub(super) fn is_named(&self) -> bool {
        self.name.is_some()
    }

    /// Notes an answer; that to a retry must be the same.
    pub(super) fn answered(&mut self, ids: &[EventId]) -> Result<(), String> {
        if ids.len() != self.n_events {
            return Err(format!("{} ids for {self:?}", ids.len()));
        }
        let known = self.ids.get_or_insert_with(|| ids.to_vec());
        if known != ids {
            return Err(format!("a retry is told {ids:?}: {self:?}"));
        }
        Ok(())
    }
}

impl Publisher {
    /// Makes the next batch.
    pub(super) fn next(
        &mut self,
        user: usize,
        thread: usize,
        n_events: usize,
        is_named: bool,
    ) -> usize {
        let first_mark = self.n_marks;
        self.n_marks += n_events;
        self.sent.push(Sent {
            user,
            thread,
            first_mark,
            n_events,
            name: is_named.then(|| format!("batch-{first_mark}")),
            ids: None,
        });
        self.sent.len() - 1
    }

    /// Compares what was acknowledged with the log: it is there, under its number, and nothing is there twice.
    pub(super) fn check(&self, user: usize, events: &Events) -> Result<(), String> {
        let texts: BTreeMap<u64, String> = events
            .iter()
            .map(|(seq, json)| (*seq, String::from_utf8_lossy(json).into_owned()))
            .collect();
        let mut places: HashMap<usize, u64> = HashMap::new();
        for (seq, text) in &texts {
            let mark = text
                .split_once('<')
                .and_then(|(_, rest)| rest.split_once('>'));
            let Some(mark) = mark.and_then(|(mark, _)| mark.parse().ok()) else {
                continue;
            };
            if let Some(other) = places.insert(mark, *seq) {
                return Err(format!("{mark} is in the log at {other} and at {seq}"));
            }
        }
        for sent in self.sent.iter().filter(|sent| sent.user == user) {
            for (index, id) in sent.ids.iter().flatten().enumerate() {
                let mark = sent.first_mark + index;
                if places.get(&mark) != Some(&id.seq) {
                    let place = places.get(&mark);
                    return Err(format!(
                        "{mark} was acknowledged as {id}, and is at {place:?}"
                    ));
                }
            }
        }
        Ok(())
    }
}
