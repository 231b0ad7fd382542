//! The promise of resume, checked against a model: per client, over all its connections, every event once, in
//! order, or named by a gap.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use events_core::{Channel, Frame, ManualClock, Record, UserId};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    Attach, Batch, GenericBroadcaster, Limits, LogStore, Next, NextWire, Subscription, View,
    fault::Fault,
};

const CLIENTS: usize = 4;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Publish { events: usize },
    Connect { client: usize },
    Read { client: usize, batches: usize },
    Cut { client: usize },
    Age { ms: i64 },
    Trim,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..4_usize).prop_map(|events| Step::Publish { events }),
        2 => (0..CLIENTS).prop_map(|client| Step::Connect { client }),
        4 => (0..CLIENTS, 1..3_usize).prop_map(|(client, batches)| Step::Read { client, batches }),
        2 => (0..CLIENTS).prop_map(|client| Step::Cut { client }),
        1 => (1..120_i64).prop_map(|ms| Step::Age { ms }),
        1 => Just(Step::Trim),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What one client has been handed, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct ClientLog {
    /// Where it first attached.
    first: Option<u64>,
    /// Its cursor, as it would send it back.
    cursor: Option<String>,
    last: u64,
    seen: BTreeMap<u64, Vec<u8>>,
    gaps: Vec<(u64, u64, Option<u64>)>,
}

impl ClientLog {
    pub(crate) fn attached(&mut self, subscription: &Subscription) {
        if self.first.is_none() {
            self.first = Some(subscription.primed().seq);
            self.last = subscription.primed().seq;
            self.cursor = Some(subscription.primed().to_string());
        }
    }

    pub(crate) fn take(&mut self, next: &Next, batch: &Batch) -> Result<(), String> {
        match next {
            Next::Events => {
                for (id, frame) in &batch.events {
                    let id = id.ok_or("an event without an id")?;
                    if id.seq <= self.last {
                        return Err(format!(
                            "{} after {}: duplicate or out of order",
                            id.seq, self.last
                        ));
                    }
                    self.last = id.seq;
                    self.cursor = Some(id.to_string());
                    self.seen.insert(id.seq, frame.data.to_vec());
                }
            }
            Next::Missed(missed) => {
                if missed.to.seq < self.last {
                    return Err(format!("gap back to {} at {}", missed.to.seq, self.last));
                }
                self.gaps.push((self.last, missed.to.seq, missed.lost));
                self.last = missed.to.seq;
                self.cursor = Some(missed.to.to_string());
            }
            Next::Closed(reason) => return Err(format!("closed: {reason:?}")),
        }
        Ok(())
    }

    /// Compares with what was published: nothing foreign, nothing missing without a gap, every count right.
    pub(crate) fn check(&self, published: &BTreeMap<u64, Vec<u8>>) -> Result<(), String> {
        let Some(first) = self.first else {
            return Ok(());
        };
        for (seq, data) in &self.seen {
            if published.get(seq) != Some(data) {
                return Err(format!("{seq} is not what was published under it"));
            }
        }
        for seq in published.range(first + 1..).map(|(seq, _)| *seq) {
            let is_told = self
                .gaps
                .iter()
                .any(|(from, to, _)| (from + 1..=*to).contains(&seq));
            if !self.seen.contains_key(&seq) && !is_told {
                return Err(format!("{seq} is missing and no gap names it"));
            }
        }
        for (from, to, lost) in &self.gaps {
            let n_lost = published.range(from + 1..=*to).count() as u64;
            if lost.is_some_and(|lost| lost != n_lost) {
                return Err(format!(
                    "gap ({from}, {to}] says {lost:?} lost, {n_lost} were"
                ));
            }
        }
        Ok(())
    }
}

fn record(payload: usize) -> Record {
    Record {
        channel: Channel::new(0),
        scope: None,
        name: None,
        json: payload.to_string().into(),
        tag: 0,
        key: None,
        note: bytes::Bytes::new(),
    }
}

struct World {
    broadcaster: GenericBroadcaster<()>,
    clock: Arc<ManualClock>,
    user: UserId,
    published: BTreeMap<u64, Vec<u8>>,
    clients: Vec<(ClientLog, Option<Subscription>)>,
    batch: Batch,
}

impl World {
    fn new(fault: Option<Fault>) -> Self {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let limits = Limits {
            events: 8,
            age: Duration::from_millis(100),
            connections_per_user: CLIENTS,
            ..Limits::default()
        };
        let store = LogStore::with_clock(limits, clock.clone());
        store
            .inner
            .fault
            .store(fault.map_or(0, |fault| fault as u8), Ordering::Relaxed);
        Self {
            broadcaster: GenericBroadcaster::on(&store, View::alone("model")),
            clock,
            user: UserId::new("ada"),
            published: BTreeMap::new(),
            clients: (0..CLIENTS).map(|_| (ClientLog::default(), None)).collect(),
            batch: Batch::default(),
        }
    }

    fn run(mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps {
            self.step(step)?;
        }
        for client in 0..CLIENTS {
            if self.clients[client].0.first.is_some() {
                self.connect(client);
                self.read(client, usize::MAX)?;
            }
        }
        self.clients
            .iter()
            .try_for_each(|(log, _)| log.check(&self.published))
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Publish { events } => {
                let records: Vec<_> = (0..*events)
                    .map(|at| record(self.published.len() + at))
                    .collect();
                let delivery = self.broadcaster.store().append(&self.user, &records, None);
                let delivery = delivery.map_err(|error| error.to_string())?;
                for (id, record) in delivery.ids.iter().zip(&records) {
                    if self
                        .published
                        .insert(id.seq, record.json.to_vec())
                        .is_some()
                    {
                        return Err(format!("sequence {} was given twice", id.seq));
                    }
                }
            }
            Step::Connect { client } => self.connect(*client),
            Step::Read { client, batches } => self.read(*client, *batches)?,
            Step::Cut { client } => self.clients[*client].1 = None,
            Step::Age { ms } => self.clock.advance(*ms),
            Step::Trim => {
                self.broadcaster.store().trim(16);
            }
        }
        Ok(())
    }

    fn connect(&mut self, client: usize) {
        let (log, subscription) = &mut self.clients[client];
        if subscription.is_none() {
            let attach = Attach::from_cursor(log.cursor.as_deref());
            let connected = self
                .broadcaster
                .connect(&self.user, attach)
                .expect("below the cap");
            log.attached(&connected);
            *subscription = Some(connected);
        }
    }

    fn read(&mut self, client: usize, batches: usize) -> Result<(), String> {
        let (log, subscription) = &mut self.clients[client];
        let Some(subscription) = subscription else {
            return Ok(());
        };
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..batches {
            // Half of the clients read what goes out, the others what it is made of.
            let polled = if client.is_multiple_of(2) {
                subscription.poll_next(&mut context, &mut self.batch)
            } else {
                subscription
                    .poll_wire(&mut context)
                    .map(|next| read_wire(next, &mut self.batch))
            };
            match polled {
                Poll::Ready(next) => log.take(&next, &self.batch)?,
                Poll::Pending => break,
            }
        }
        Ok(())
    }
}

/// Reads the blocks of a wire back into a batch.
fn read_wire(next: NextWire, batch: &mut Batch) -> Next {
    batch.events.clear();
    let wire = match next {
        NextWire::Events(wire) => wire,
        NextWire::Missed(missed) => return Next::Missed(missed),
        NextWire::Closed(reason) => return Next::Closed(reason),
    };
    let blocks = wire.into_blocks().concat();
    let text = String::from_utf8(blocks).expect("the payloads are text");
    for block in text.split_terminator("\n\n") {
        let lines = block.strip_prefix("id: ").expect("an id");
        let (id, json) = lines.split_once("\ndata: ").expect("a payload");
        let frame = Frame::json(json.to_owned());
        batch.events.push((Some(id.parse().expect("an id")), frame));
    }
    Next::Events
}

fn search(fault: Option<Fault>, cases: u32) -> Result<(), String> {
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&steps(), |steps| {
            World::new(fault).run(&steps).map_err(TestCaseError::fail)
        })
        .map_err(|error| error.to_string())
}

#[test]
fn every_client_sees_every_event_once_or_a_gap_that_names_it() {
    search(None, 3_000).expect("the promise holds");
}

#[test]
fn a_skipped_hand_over_is_found() {
    search(Some(Fault::SkipHandOver), 500).expect_err("the fault is planted");
}

#[test]
fn delivery_from_the_publish_call_is_found() {
    search(Some(Fault::DeliverFromPublish), 500).expect_err("the fault is planted");
}

#[test]
fn a_sequence_that_is_given_again_is_found() {
    search(Some(Fault::ReuseSequence), 2_000).expect_err("the fault is planted");
}

/// One publisher and many readers that cut and resume, on real threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_publishes_race_fifty_connects_cuts_and_resumes() {
    const PUBLISHES: usize = 1_000;
    for seed in 0..8 {
        let limits = Limits {
            connections_per_user: 50,
            ..Limits::default()
        };
        let broadcaster = GenericBroadcaster::<()>::with_limits(limits);
        let user = UserId::new("ada");
        let mut readers = tokio::task::JoinSet::new();
        for reader in 0..50 {
            let (broadcaster, user) = (broadcaster.clone(), user.clone());
            let mut random = fastrand::Rng::with_seed(seed * 100 + reader);
            readers.spawn(async move {
                let mut log = ClientLog::default();
                let mut batch = Batch::default();
                let mut last_payload = None;
                while last_payload.as_deref() != Some(b"999".as_slice()) {
                    let attach = Attach::from_cursor(log.cursor.as_deref());
                    let mut subscription =
                        broadcaster.connect(&user, attach).expect("below the cap");
                    log.attached(&subscription);
                    for _ in 0..random.u32(1..20) {
                        let next = subscription.next(&mut batch).await;
                        log.take(&next, &batch).expect("strictly increasing");
                        last_payload = batch.events.last().map(|(_, frame)| frame.data.to_vec());
                        if last_payload.as_deref() == Some(b"999") {
                            break;
                        }
                        if random.u32(..4) == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                log
            });
        }
        let mut published = BTreeMap::new();
        while broadcaster.total() < 50 {
            tokio::task::yield_now().await;
        }
        for payload in 0..PUBLISHES {
            let delivery = broadcaster
                .store()
                .append(&user, &[record(payload)], None)
                .expect("appended");
            published.insert(delivery.ids[0].seq, payload.to_string().into_bytes());
            if payload % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let logs = tokio::time::timeout(Duration::from_secs(30), readers.join_all())
            .await
            .expect("all readers end");
        for log in logs {
            log.check(&published).expect("nothing is missing");
        }
        assert_eq!(broadcaster.total(), 0);
    }
}
