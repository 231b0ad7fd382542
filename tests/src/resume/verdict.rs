//! What publishers were told against what clients were sent.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use tokio::time::Instant;

use super::screen::Screen;
use crate::client_log::seq_of;

/// What one publisher sent, one event after the other, and was told.
#[derive(Debug, Clone, Default)]
pub struct PublisherRecord {
    /// A name for findings.
    pub name: String,
    /// What makes each event unlike all others, in the order in which they were first sent.
    pub sent: Vec<String>,
    /// The events themselves, as JSON, by what makes them unlike all others.
    pub events: HashMap<String, String>,
    /// What was acknowledged, in that order.
    pub acked: Vec<Acked>,
    /// Answers that should not be: refusals, and events that were never taken.
    pub complaints: Vec<String>,
    /// How often an event was sent again.
    pub n_retries: usize,
}

/// An event that was acknowledged.
#[derive(Debug, Clone)]
pub struct Acked {
    /// What makes it unlike all others.
    pub mark: String,
    /// Its id.
    pub id: String,
    /// When it was first sent.
    pub sent_at: Instant,
}

/// What one client was sent, over all its connections.
#[derive(Debug, Clone, Default)]
pub struct ClientRecord {
    /// A name for findings.
    pub name: String,
    /// When it had its first cursor.
    pub attached_at: Option<Instant>,
    /// The number in its first cursor.
    pub began: u64,
    /// What came, in order.
    pub sights: Vec<Sight>,
    /// What the events have come to, for a client that keeps a screen rather than `sights`.
    pub screen: Option<Screen>,
    /// Events that the screen was changed by, preludes included.
    pub n_shown: usize,
    /// What no stream should do.
    pub complaints: Vec<String>,
    /// How many streams it opened.
    pub n_connections: usize,
    /// How often a stream said that the log is away, and that it is back.
    pub n_degraded: (usize, usize),
}

/// Something with an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// An event.
    Event {
        /// Its id.
        id: String,
        /// What makes it unlike all others.
        mark: String,
    },
    /// The stream says that something is missing, or begins anew with a prelude.
    Gap {
        /// Why.
        reason: String,
        /// The number after which it goes on.
        to: u64,
    },
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub what: What,
    /// The client or publisher.
    pub who: String,
    /// The event, and what was found.
    pub details: String,
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// An acknowledged event was not sent to a client that was there, and no gap says so.
    Lost,
    /// An event that another client has was not sent to a client that was there, and no gap says so.
    Unshared,
    /// A client got the same id again.
    Twice,
    /// A client got an id below one that it had.
    OutOfOrder,
    /// Two events have one number, or one event has two ids.
    Differs,
    /// One event has two numbers.
    Repeated,
    /// Nobody published what a client got.
    Phantom,
    /// A gap, or a prelude in the middle of a stream, although the log has everything.
    Gap,
    /// An event that was sent after the answer to another one stands before it.
    AckOrder,
    /// A client's first cursor is beyond an event that was sent later.
    BeganTooFar,
    /// A client never had a cursor.
    NeverBegan,
    /// What a client's screen shows is not what the log's events come to.
    Screen,
    /// A client or publisher was answered as nobody should be.
    Complaint,
    /// Clients were without news for too long after a fault was over.
    Slow,
}

impl Finding {
    /// Makes a finding.
    #[must_use]
    pub fn new(what: What, who: &str, details: impl fmt::Display) -> Self {
        let (who, details) = (who.to_owned(), details.to_string());
        Self { what, who, details }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}: {}", self.what, self.who, self.details)
    }
}

/// Everything that anybody knows of one user's log.
#[derive(Default)]
struct Truth {
    by_number: BTreeMap<u64, (String, String)>,
    acked: BTreeSet<u64>,
    by_mark: HashMap<String, u64>,
    findings: Vec<Finding>,
}

/// Compares the records of one user's publishers and clients. All of them are over, and every client has had the time
/// to get the last event.
#[must_use]
pub fn check(publishers: &[PublisherRecord], clients: &[ClientRecord]) -> Vec<Finding> {
    let mut truth = Truth::default();
    for publisher in publishers {
        truth.take_publisher(publisher);
    }
    let sent: HashSet<&str> = publishers
        .iter()
        .flat_map(|publisher| publisher.sent.iter().map(String::as_str))
        .collect();
    for client in clients {
        for sight in &client.sights {
            if let Sight::Event { id, mark } = sight {
                truth.learn(&client.name, id, mark);
                if !sent.contains(mark.as_str()) {
                    truth.find(What::Phantom, &client.name, format_args!("{id} is {mark}"));
                }
            }
        }
    }
    for client in clients {
        truth.check_client(client, publishers);
    }
    truth.findings
}

impl Truth {
    fn find(&mut self, what: What, who: &str, details: impl fmt::Display) {
        self.findings.push(Finding::new(what, who, details));
    }

    fn take_publisher(&mut self, publisher: &PublisherRecord) {
        let who = publisher.name.as_str();
        for complaint in &publisher.complaints {
            self.find(What::Complaint, who, complaint);
        }
        let mut last = 0;
        for acked in &publisher.acked {
            let Some(seq) = self.learn(who, &acked.id, &acked.mark) else {
                continue;
            };
            self.acked.insert(seq);
            if seq <= last {
                let text = format!("{} was told {seq} after {last}", acked.mark);
                self.find(What::AckOrder, who, text);
            }
            last = last.max(seq);
        }
    }

    /// Notes that somebody knows an event under an id; returns its number.
    fn learn(&mut self, who: &str, id: &str, mark: &str) -> Option<u64> {
        let seq = match seq_of(id) {
            Ok(seq) => seq,
            Err(error) => {
                self.find(What::Complaint, who, error);
                return None;
            }
        };
        let known = self
            .by_number
            .entry(seq)
            .or_insert_with(|| (id.to_owned(), mark.to_owned()));
        if (known.0.as_str(), known.1.as_str()) != (id, mark) {
            let text = format!("{} is {}, and {id} is {mark}", known.0, known.1);
            self.find(What::Differs, who, text);
        }
        let other = *self.by_mark.entry(mark.to_owned()).or_insert(seq);
        if other != seq {
            self.find(
                What::Repeated,
                who,
                format_args!("{mark} is {other} and {seq}"),
            );
        }
        Some(seq)
    }

    fn check_client(&mut self, client: &ClientRecord, publishers: &[PublisherRecord]) {
        let who = client.name.as_str();
        for complaint in &client.complaints {
            self.find(What::Complaint, who, complaint);
        }
        let Some(attached_at) = client.attached_at else {
            return self.find(What::NeverBegan, who, "no stream gave it a cursor");
        };
        let (mut seen, mut last) = (BTreeSet::new(), client.began);
        for sight in &client.sights {
            match sight {
                Sight::Event { id, .. } => {
                    let Ok(seq) = seq_of(id) else { continue };
                    if seen.contains(&seq) {
                        self.find(What::Twice, who, format_args!("{id}, after {last}"));
                    } else if seq <= last {
                        self.find(What::OutOfOrder, who, format_args!("{id}, after {last}"));
                    }
                    seen.insert(seq);
                    last = last.max(seq);
                }
                Sight::Gap { reason, to } => {
                    self.find(
                        What::Gap,
                        who,
                        format_args!("{reason}, from {last} to {to}"),
                    );
                    // Said aloud, so not lost besides.
                    seen.extend(last + 1..=*to);
                    last = last.max(*to);
                }
            }
        }
        if let Some(screen) = &client.screen {
            self.check_screen(client, screen, publishers);
            return self.check_beginning(client, attached_at, publishers);
        }
        let missing: Vec<(u64, String)> = self
            .by_number
            .range(client.began.saturating_add(1)..)
            .filter(|(seq, _)| !seen.contains(seq))
            .map(|(seq, (id, mark))| (*seq, format!("{id}, which is {mark}; its last is {last}")))
            .collect();
        for (seq, text) in missing {
            let is_acked = self.acked.contains(&seq);
            let what = if is_acked { What::Lost } else { What::Unshared };
            self.find(what, who, text);
        }
        self.check_beginning(client, attached_at, publishers);
    }

    /// Compares a screen with what the log's events come to.
    fn check_screen(
        &mut self,
        client: &ClientRecord,
        screen: &Screen,
        publishers: &[PublisherRecord],
    ) {
        let (mut truth, from) = screen.begin_again(client.began);
        for (_, mark) in self.by_number.range(from..).map(|(_, known)| known) {
            let event = publishers
                .iter()
                .find_map(|publisher| publisher.events.get(mark));
            // What nobody has sent is a finding already.
            if let Some(Ok(event)) = event.map(|text| serde_json::from_str(text)) {
                truth.apply(&event);
            }
        }
        if let Some(difference) = screen.difference(&truth) {
            self.find(What::Screen, &client.name, difference);
        }
    }

    fn check_beginning(
        &mut self,
        client: &ClientRecord,
        attached_at: Instant,
        publishers: &[PublisherRecord],
    ) {
        let too_early = publishers
            .iter()
            .flat_map(|publisher| &publisher.acked)
            .find(|acked| {
                acked.sent_at > attached_at
                    && seq_of(&acked.id).is_ok_and(|seq| seq <= client.began)
            });
        if let Some(acked) = too_early {
            let text = format!("after {}, and {} was sent later", client.began, acked.id);
            self.find(What::BeganTooFar, &client.name, text);
        }
    }
}
