//! The bell: tells other replicas that there is news, after the commit and seldom.
//!
//! Commits that notify wait for each other in the whole cluster. So publishers never notify: one task gathers what they
//! say and sends it on a connection of its own, at most once in five milliseconds.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use events_core::UserId;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use tokio_postgres::types::ToSql;

use crate::{
    connection::{Connection, Connector},
    counts::Counts,
    error::chain,
    life::Life,
    notice,
    statement::Call,
};

/// The least time between two transactions that notify.
const GATHER: Duration = Duration::from_millis(5);
/// How many users are named; with more, others are told to look around.
const MAX_PLACES: usize = 10_000;
/// How many live events may wait, and how many of them go with one transaction.
const MAX_LIVE: usize = 1_024;
const LIMIT: Duration = Duration::from_secs(1);
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_millis(500);

/// The handle by which it is rung. Dropping it ends the task.
pub(crate) struct Bell {
    rope: Arc<Rope>,
    _task: JoinSet<()>,
}

/// What the task and those who ring share.
pub(crate) struct Rope {
    pending: Mutex<Pending>,
    wake: Notify,
    is_down: AtomicBool,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Pending {
    /// By the user's name as the database has it.
    places: HashMap<UserId, u64>,
    look_around: bool,
    live: VecDeque<String>,
    probe: bool,
}

/// There is no room for a live event, or nobody to take it.
pub(crate) enum NotPassed {
    Full,
    Down,
}

impl Bell {
    pub(crate) fn start(
        connector: Connector,
        life: Arc<Life>,
        counts: Arc<Counts>,
        channel: String,
    ) -> Self {
        let rope = Arc::new(Rope {
            pending: Mutex::default(),
            wake: Notify::new(),
            is_down: AtomicBool::new(false),
            counts,
        });
        let ringer = Ringer {
            connector,
            life,
            channel,
            rope: Arc::clone(&rope),
            connection: None,
        };
        let mut task = JoinSet::new();
        task.spawn(ringer.run());
        Self { rope, _task: task }
    }

    pub(crate) fn rope(&self) -> &Arc<Rope> {
        &self.rope
    }
}

impl Rope {
    fn change<T>(&self, change: impl FnOnce(&mut Pending) -> T) -> T {
        let outcome = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut pending)
        };
        self.wake.notify_one();
        outcome
    }

    /// Says that a user's log has reached a place.
    pub(crate) fn ring(&self, user: UserId, place: u64) {
        self.change(|pending| {
            if pending.places.len() < MAX_PLACES || pending.places.contains_key(&user) {
                let known = pending.places.entry(user).or_default();
                *known = place.max(*known);
            } else {
                pending.look_around = true;
            }
        });
    }

    pub(crate) fn pass(&self, payload: String) -> Result<(), NotPassed> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(NotPassed::Down);
        }
        self.change(|pending| {
            if pending.live.len() >= MAX_LIVE {
                self.counts.unheard.add(1);
                return Err(NotPassed::Full);
            }
            pending.live.push_back(payload);
            Ok(())
        })
    }

    /// Lets all tails hear something.
    pub(crate) fn probe(&self) {
        self.change(|pending| pending.probe = true);
    }

    /// Takes what is to be sent at once.
    fn take(&self) -> Vec<String> {
        let pending = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            mem::take(&mut *pending)
        };
        let mut payloads = if pending.look_around {
            vec![notice::look_around()]
        } else {
            notice::of_places(pending.places)
        };
        payloads.extend(pending.probe.then(notice::probe));
        payloads.extend(pending.live);
        payloads
    }
}

/// The task.
struct Ringer {
    connector: Connector,
    life: Arc<Life>,
    channel: String,
    rope: Arc<Rope>,
    connection: Option<Connection>,
}

impl Ringer {
    async fn run(mut self) {
        let mut not_before = Instant::now();
        let mut backoff = MIN_BACKOFF;
        loop {
            self.rope.wake.notified().await;
            sleep_until(not_before).await;
            let payloads = self.rope.take();
            if payloads.is_empty() {
                continue;
            }
            match self.send(&payloads).await {
                Ok(()) => {
                    self.rope.is_down.store(false, Ordering::Relaxed);
                    self.rope.counts.notifies.add(1);
                    backoff = MIN_BACKOFF;
                }
                Err(text) => {
                    // What was to be told is found by polls; live events are lost, as they may be.
                    tracing::warn!(error = text, "cannot notify other replicas");
                    self.rope.is_down.store(true, Ordering::Relaxed);
                    self.rope.counts.unheard.add(payloads.len() as u64);
                    self.connection = None;
                    if self.life.is_over() {
                        return;
                    }
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                    // So that those who pass events on learn that it works again.
                    self.rope.change(|pending| pending.look_around = true);
                }
            }
            not_before = Instant::now() + GATHER;
        }
    }

    async fn send(&mut self, payloads: &[String]) -> Result<(), String> {
        let connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => timeout(LIMIT, self.connector.connect(&self.life))
                .await
                .map_err(|_elapsed| "cannot connect to PostgreSQL in time".to_owned())??,
        };
        let connection = self.connection.insert(connection);
        let statements = &self.connector.statements;
        let parameters: &[&(dyn ToSql + Sync)] = &[&self.channel, &payloads];
        let sent = connection.query(statements, Call::Notify, parameters);
        match timeout(LIMIT, sent).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }
}
