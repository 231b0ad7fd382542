//! A publisher that tries again elsewhere until it knows.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::Kind;
use super::events::Script;
use super::hubs::Board;
use super::rest;
use super::verdict::{Acked, PublisherRecord};
use crate::raw_client::Request;

/// A hub answers within its own two seconds, unless it stands still.
const ATTEMPT_TIME: Duration = Duration::from_millis(2_700);
/// An event that is not taken for so long is a complaint.
const GIVE_UP_AFTER: Duration = Duration::from_secs(40);
/// The wait before another try, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 20..100;
/// One publish in so many has several events.
const BATCHES: usize = 4;

/// The record of a publisher, for those who look on.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<PublisherRecord>>);

/// A publisher at work.
#[derive(Debug)]
pub struct Publisher {
    name: String,
    user: String,
    kind: Kind,
    period: Duration,
    script: Script,
    random: fastrand::Rng,
    board: Arc<Board>,
    ledger: Ledger,
    n_requests: usize,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, PublisherRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what there is so far.
    #[must_use]
    pub fn record(&self) -> PublisherRecord {
        self.lock().clone()
    }

    /// Returns the id of the first acknowledged event that was sent after a moment.
    #[must_use]
    pub fn first_after(&self, moment: Instant) -> Option<String> {
        let record = self.lock();
        let place = record
            .acked
            .partition_point(|acked| acked.sent_at <= moment);
        record.acked.get(place).map(|acked| acked.id.clone())
    }

    /// Returns the id of the last acknowledged event.
    #[must_use]
    pub fn last(&self) -> Option<String> {
        self.lock().acked.last().map(|acked| acked.id.clone())
    }

    /// Tells whether it was answered as nobody should be, and has stopped.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        !self.lock().complaints.is_empty()
    }

    /// Counts what was acknowledged.
    #[must_use]
    pub fn n_acked(&self) -> usize {
        self.lock().acked.len()
    }
}

/// What an answer means.
enum Answer {
    Taken(Vec<String>),
    Again,
    Refused(String),
}

impl Publisher {
    /// Makes a publisher of a user, with a name that no other has, and so much time between its publishes.
    #[must_use]
    pub fn new(
        name: String,
        user: String,
        kind: Kind,
        period: Duration,
        board: Arc<Board>,
        seed: u64,
    ) -> (Self, Ledger) {
        let ledger = Ledger::default();
        ledger.lock().name.clone_from(&name);
        let publisher = Self {
            script: Script::new(kind, &name),
            name,
            user,
            kind,
            period,
            random: fastrand::Rng::with_seed(seed),
            board,
            ledger: ledger.clone(),
            n_requests: 0,
        };
        (publisher, ledger)
    }

    /// Publishes until it is told to stop, and then knows what became of its last event. A change of `probes` makes it
    /// publish at once.
    ///
    /// # Cancel safety
    ///
    /// What was under way may be published or not.
    pub async fn run(mut self, is_over: watch::Receiver<bool>, mut probes: watch::Receiver<u32>) {
        while !*is_over.borrow() {
            let jitter = self.random.f64() + 0.5;
            // Without the sender there is nothing to wait for but time.
            if let Ok(Err(_gone)) = timeout(self.period.mul_f64(jitter), probes.changed()).await {
                rest(self.period).await;
            }
            if !self.publish().await {
                return;
            }
        }
    }

    /// Publishes an event or several; tells whether it may go on.
    async fn publish(&mut self) -> bool {
        let n_events = match self.random.usize(..BATCHES) {
            0 => self.random.usize(2..6),
            _ => 1,
        };
        let events: Vec<(String, String)> =
            (0..n_events).map(|_| self.script.next_event()).collect();
        let (marks, lines): (Vec<String>, Vec<String>) = events.into_iter().unzip();
        self.n_requests += 1;
        let request = self.request(&lines);
        let sent_at = Instant::now();
        {
            let mut record = self.ledger.lock();
            record.sent.extend(marks.iter().cloned());
            record.events.extend(marks.iter().cloned().zip(lines));
        }
        for attempt in 0.. {
            if attempt > 0 {
                self.ledger.lock().n_retries += 1;
                let pause = self.random.u64(PAUSE_MS);
                rest(Duration::from_millis(pause)).await;
            }
            let complaint = match self.attempt(&request).await {
                Answer::Taken(ids) if ids.len() == marks.len() => {
                    let acked =
                        marks
                            .into_iter()
                            .zip(ids)
                            .map(|(mark, id)| Acked { mark, id, sent_at });
                    self.ledger.lock().acked.extend(acked);
                    return true;
                }
                Answer::Taken(ids) => format!("{} ids for {} events", ids.len(), marks.len()),
                Answer::Refused(text) => text,
                Answer::Again if sent_at.elapsed() < GIVE_UP_AFTER => continue,
                Answer::Again => format!("not taken in {GIVE_UP_AFTER:?}"),
            };
            let text = format!("{} at try {attempt}: {complaint}", marks[0]);
            self.ledger.lock().complaints.push(text);
            return false;
        }
        false
    }

    fn request(&self, lines: &[String]) -> Request {
        let key = format!("{}-{}", self.name, self.n_requests);
        let (stream, user) = (self.kind.stream(), &self.user);
        let thread = match self.kind {
            Kind::AgUi => "&thread=t",
            Kind::System | Kind::A2A => "",
        };
        let path = format!("/publish/{stream}/{user}?user={user}{thread}&msg_id={key}");
        let content_type = match lines.len() {
            1 => "application/json",
            _ => "application/x-ndjson",
        };
        Request::post(&path, content_type, lines.join("\n"))
    }

    async fn attempt(&mut self, request: &Request) -> Answer {
        let address = self.board.any(&mut self.random);
        let Ok(Ok(response)) = timeout(ATTEMPT_TIME, request.send(address)).await else {
            return Answer::Again;
        };
        match response.status() {
            200 => match ids(&response.json()) {
                Some(ids) => Answer::Taken(ids),
                None => Answer::Refused(format!("200 with {}", response.text())),
            },
            // 502 is what a proxy says.
            429 | 502..=504 => Answer::Again,
            status => Answer::Refused(format!("{status} with {}", response.text())),
        }
    }
}

fn ids(answer: &io::Result<serde_json::Value>) -> Option<Vec<String>> {
    let ids = answer.as_ref().ok()?["ids"].as_array()?;
    ids.iter()
        .map(|id| id.as_str().map(str::to_owned))
        .collect()
}
