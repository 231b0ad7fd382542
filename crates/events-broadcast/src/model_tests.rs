//! The promise of resume, checked against a model: per client, over all its connections, every event once, in
//! order, or named by a gap.

mod client_log;
mod race;
mod schedules;

use std::{
    collections::BTreeMap,
    future::Future as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use events_core::{Channel, Frame, ManualClock, Record, UserId};
use events_sse::ClosingReason;
use proptest::{prelude::*, test_runner::TestRunner};

pub(crate) use client_log::ClientLog;

use crate::{
    Attach, Batch, Flush, GenericBroadcaster, Limits, LogStore, Next, NextWire, Subscription, View,
    fault::Fault,
};

const CLIENTS: usize = 4;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Publish {
        events: usize,
    },
    Connect {
        client: usize,
    },
    Read {
        client: usize,
        batches: usize,
    },
    Cut {
        client: usize,
    },
    Age {
        ms: i64,
    },
    Trim,
    /// The flusher has so many turns.
    Flush {
        turns: usize,
    },
    /// A flusher begins, or the one that there is goes away.
    Relieve,
    /// All streams lose their slots.
    Close,
}

/// What happens, and above how many connections the user has a crowd: one, or more than there are clients.
fn story() -> impl Strategy<Value = (usize, Vec<Step>)> {
    let step = prop_oneof![
        4 => (1..4_usize).prop_map(|events| Step::Publish { events }),
        2 => (0..CLIENTS).prop_map(|client| Step::Connect { client }),
        4 => (0..CLIENTS, 1..3_usize).prop_map(|(client, batches)| Step::Read { client, batches }),
        2 => (0..CLIENTS).prop_map(|client| Step::Cut { client }),
        1 => (1..120_i64).prop_map(|ms| Step::Age { ms }),
        1 => Just(Step::Trim),
        2 => (1..3_usize).prop_map(|turns| Step::Flush { turns }),
        1 => Just(Step::Relieve),
        1 => Just(Step::Close),
    ];
    let crowd_above = prop_oneof![Just(1), Just(CLIENTS)];
    (crowd_above, proptest::collection::vec(step, 1..120))
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
    clients: Vec<(ClientLog, Option<Connection>)>,
    flusher: Option<(Pin<Box<Flush>>, Arc<Signal>)>,
    batch: Batch,
}

/// A task that is polled only when it has been woken.
#[derive(Debug)]
struct Signal(AtomicBool);

impl Signal {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Connection {
    subscription: Subscription,
    signal: Arc<Signal>,
}

impl World {
    fn new(fault: Option<Fault>, crowd_above: usize) -> Self {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let limits = Limits {
            events: 8,
            age: Duration::from_millis(100),
            connections_per_user: CLIENTS,
            ..Limits::default()
        };
        let mut store = LogStore::with_clock(limits, clock.clone());
        // Two readers are many here: a second one queues, and a flusher does not get to the end of them at once.
        let inner = Arc::get_mut(&mut store.inner).expect("a new store");
        (inner.crowd_above, inner.flush_slice) = (crowd_above, 1);
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
            flusher: None,
            batch: Batch::default(),
        }
    }

    fn run(mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps {
            self.step(step)?;
        }
        // Who is connected has been woken for all that there is, without asking.
        self.flush(usize::MAX);
        for client in 0..CLIENTS {
            self.read(client, usize::MAX)?;
            let (log, connection) = &self.clients[client];
            if connection.is_some() {
                log.check(&self.published)?;
            }
        }
        let n_connected = self.clients.iter().filter(|(_, it)| it.is_some()).count();
        if self.broadcaster.count(&self.user) != n_connected {
            return Err("a stream has lost its slot and was not told".to_owned());
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
                let n_slots = self.broadcaster.count(&self.user);
                let delivery = self.broadcaster.store().append(&self.user, &records, None);
                let delivery = delivery.map_err(|error| error.to_string())?;
                let reached = delivery.reached(&self.broadcaster);
                if reached.woken != n_slots {
                    return Err(format!("{reached:?} of {n_slots}"));
                }
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
            Step::Flush { turns } => self.flush(*turns),
            Step::Relieve => {
                self.flusher = match self.flusher.take() {
                    Some(_) => None,
                    None => {
                        let flush = self.broadcaster.store().flush();
                        Some((Box::pin(flush), Signal::new()))
                    }
                };
                self.flush(1);
            }
            Step::Close => {
                self.broadcaster
                    .disconnect(&self.user, ClosingReason::Draining);
            }
        }
        Ok(())
    }

    fn flush(&mut self, turns: usize) {
        let Some((flush, signal)) = &mut self.flusher else {
            return;
        };
        let waker = Waker::from(Arc::clone(signal));
        for _ in 0..turns {
            if !signal.is_set() {
                break;
            }
            signal.clear();
            let _never = flush.as_mut().poll(&mut Context::from_waker(&waker));
        }
    }

    fn connect(&mut self, client: usize) {
        let (log, connection) = &mut self.clients[client];
        if connection.is_none() {
            let attach = Attach::from_cursor(log.cursor.as_deref());
            let connected = self
                .broadcaster
                .connect(&self.user, attach)
                .expect("below the cap");
            log.attached(&connected);
            *connection = Some(Connection {
                subscription: connected,
                signal: Signal::new(),
            });
        }
    }

    fn read(&mut self, client: usize, batches: usize) -> Result<(), String> {
        let (log, connection) = &mut self.clients[client];
        let Some(Connection {
            subscription,
            signal,
        }) = connection
        else {
            return Ok(());
        };
        let waker = Waker::from(Arc::clone(signal));
        let mut context = Context::from_waker(&waker);
        for _ in 0..batches {
            if !signal.is_set() {
                break;
            }
            // Half of the clients read what goes out, the others what it is made of.
            let polled = if client.is_multiple_of(2) {
                subscription.poll_next(&mut context, &mut self.batch)
            } else {
                subscription
                    .poll_wire(&mut context)
                    .map(|next| read_wire(next, &mut self.batch))
            };
            match polled {
                Poll::Ready(Next::Closed(_)) => {
                    *connection = None;
                    break;
                }
                Poll::Ready(next) => log.take(&next, &self.batch)?,
                Poll::Pending => signal.clear(),
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
        .run(&story(), |(crowd_above, steps)| {
            let world = World::new(fault, crowd_above);
            world.run(&steps).map_err(TestCaseError::fail)
        })
        .map_err(|error| error.to_string())
}

#[test]
fn every_client_sees_every_event_once_or_a_gap_that_names_it() {
    search(None, 3_000).expect("the promise holds");
}

/// The rarest of the faults shows in one story of eighty, so that two thousand do not miss it.
fn must_be_found(fault: Fault) {
    search(Some(fault), 2_000).expect_err("the fault is planted");
}

#[test]
fn a_skipped_hand_over_is_found() {
    must_be_found(Fault::SkipHandOver);
}

#[test]
fn delivery_from_the_publish_call_is_found() {
    must_be_found(Fault::DeliverFromPublish);
}

#[test]
fn a_flusher_that_forgets_a_user_is_found() {
    must_be_found(Fault::ForgetUser);
}

#[test]
fn a_flusher_that_forgets_a_reader_is_found() {
    must_be_found(Fault::ForgetReader);
}

#[test]
fn a_sequence_that_is_given_again_is_found() {
    must_be_found(Fault::ReuseSequence);
}
