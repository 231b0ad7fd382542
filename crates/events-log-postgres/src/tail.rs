//! What the log says by itself: last places that polls find, sooner when the bell rings.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future,
    sync::Arc,
    time::Duration,
};

use events_core::{Tail, Tailed, UserId};
use futures_util::{future::BoxFuture, stream};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep, sleep_until},
};
use tokio_postgres::{Row, types::ToSql};

use crate::{
    connection::read_identity,
    error::{CallError, chain},
    inner::Inner,
    listener::{Heard, Listener},
    notice::Notice,
    statement::Call,
    value::{from_column, to_column, to_i64, to_u64},
};

/// How many users are asked for at once.
const CHUNK: usize = 1_000;
const POLL_LIMIT: Duration = Duration::from_secs(1);
/// How soon a poll that failed is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// For how long polls may fail before the engine is said to be down. One that gets no answer takes longer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Polls take at most one part in so many of a hub's time, as far as that makes them no rarer than every two seconds.
const POLL_SHARE: u32 = 20;
const RARE_POLL: Duration = Duration::from_secs(2);
/// How long users who were just followed are gathered before they are asked for.
const GATHER: Duration = Duration::from_millis(10);
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// A listener that has heard nothing for so long, although it was rung for, is given up.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_millis(500);
/// Longer than a listener takes to open or to fail, which begins the first poll.
const FIRST_POLL: Duration = Duration::from_secs(10);

/// Begins a tail.
pub(crate) fn tail(inner: Arc<Inner>) -> Tail {
    let follower = Follower::new(inner);
    Box::pin(stream::unfold(follower, async |mut follower| {
        let said = follower.next().await;
        Some((said, follower))
    }))
}

/// One tail. Its work is done while it is polled, but for reading the listening connection.
struct Follower {
    inner: Arc<Inner>,
    ready: VecDeque<Tailed>,
    /// What has been said of users who are followed.
    told: HashMap<UserId, u64>,
    fresh: broadcast::Receiver<UserId>,
    /// Users who were just followed, to be asked for at `ask_at`.
    asked: Vec<UserId>,
    ask_at: Instant,
    poll_at: Instant,
    failing_since: Option<Instant>,
    ears: Ears,
    backoff: Duration,
    probe_at: Instant,
    heard_at: Instant,
    state: State,
    has_started: bool,
    /// Places that were told are gone from the log.
    has_gone_back: bool,
}

/// The listening connection.
enum Ears {
    Open(Box<Listener>),
    Opening(BoxFuture<'static, Result<Listener, String>>),
    /// There is no address where one can listen.
    None,
}

/// Whether the tail is trusted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was said yet.
    New,
    Up,
    Down,
    /// The log is another one, and nothing more is said of it.
    Over,
}

/// What a tail waits for.
enum Step {
    Heard(Heard),
    Opened(Result<Listener, String>),
    Fresh(Result<UserId, RecvError>),
    Ask,
    Poll,
    Probe,
}

impl Follower {
    fn new(inner: Arc<Inner>) -> Self {
        let now = Instant::now();
        let ears = Ears::open(&inner, Duration::ZERO);
        Self {
            ready: VecDeque::new(),
            told: HashMap::new(),
            fresh: inner.follows.subscribe(),
            asked: Vec::new(),
            ask_at: now,
            poll_at: match ears {
                Ears::None => now,
                Ears::Open(_) | Ears::Opening(_) => now + FIRST_POLL,
            },
            failing_since: None,
            ears,
            backoff: MIN_BACKOFF,
            probe_at: now + PROBE_EVERY,
            heard_at: now,
            state: State::New,
            has_started: false,
            has_gone_back: false,
            inner,
        }
    }

    async fn next(&mut self) -> Tailed {
        loop {
            if let Some(said) = self.ready.pop_front() {
                return said;
            }
            if self.state == State::Over {
                return future::pending().await;
            }
            let step = self.wait().await;
            self.take(step).await;
        }
    }

    async fn wait(&mut self) -> Step {
        // First, so that a flood of what is heard cannot put them off.
        let now = Instant::now();
        if now >= self.poll_at {
            return Step::Poll;
        }
        if !self.asked.is_empty() && now >= self.ask_at {
            return Step::Ask;
        }
        tokio::select! {
            biased;
            step = self.ears.listen() => step,
            fresh = self.fresh.recv() => Step::Fresh(fresh),
            () = sleep_until(self.ask_at), if !self.asked.is_empty() => Step::Ask,
            () = sleep_until(self.poll_at) => Step::Poll,
            () = sleep_until(self.probe_at) => Step::Probe,
        }
    }

    async fn take(&mut self, step: Step) {
        let now = Instant::now();
        match step {
            Step::Heard(Heard::Payload(payload)) => self.hear(&payload, now),
            Step::Heard(Heard::Missed) => self.poll_at = now,
            Step::Heard(Heard::Ended) => self.reopen("the connection ended"),
            Step::Opened(Ok(listener)) => {
                self.ears = Ears::Open(Box::new(listener));
                self.backoff = MIN_BACKOFF;
                self.heard_at = now;
                self.probe_at = now + PROBE_EVERY;
                // What was said before this moment nobody heard.
                self.poll_at = now;
            }
            Step::Opened(Err(text)) => {
                self.reopen(&text);
                if self.state == State::New {
                    self.poll_at = now;
                }
            }
            Step::Fresh(Ok(user)) => {
                // What was told of him in an earlier time is nothing that whoever follows now has to know.
                self.told.remove(&user);
                if self.asked.is_empty() {
                    self.ask_at = now + GATHER;
                }
                self.asked.push(user);
            }
            Step::Fresh(Err(_lagged)) => {
                self.told.clear();
                self.asked.clear();
                self.poll_at = now;
            }
            Step::Ask => {
                let users = std::mem::take(&mut self.asked);
                if self.look(&users).await.is_err() {
                    self.poll_at = now;
                }
            }
            Step::Poll => self.poll().await,
            Step::Probe => {
                self.probe_at = now + PROBE_EVERY;
                if !matches!(self.ears, Ears::Open(_)) {
                    return;
                }
                if now - self.heard_at > PROBE_LIMIT {
                    self.inner.counts.probes_lost.add(1);
                    self.reopen("no probe came back");
                } else {
                    self.inner.bell.rope().probe();
                }
            }
        }
    }

    /// Begins to listen anew, after a while.
    fn reopen(&mut self, why: &str) {
        tracing::warn!(why, "not listening to PostgreSQL; news come by polls");
        self.inner.counts.relistens.add(1);
        let wait = self.backoff.mul_f64(0.5 + fastrand::f64());
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        self.ears = Ears::open(&self.inner, wait);
    }

    fn hear(&mut self, payload: &str, now: Instant) {
        self.heard_at = now;
        self.inner.counts.heard.add(1);
        match Notice::read(payload) {
            Some(Notice::Places(places)) => {
                for (user, last) in places {
                    self.advance(user, last);
                }
            }
            Some(Notice::LookAround) => self.poll_at = now,
            Some(Notice::Live {
                origin,
                user,
                record,
            }) => {
                if origin != self.inner.origin {
                    self.ready.push_back(Tailed::Passed { user, record });
                }
            }
            Some(Notice::Probe) => {}
            None => tracing::debug!("a notification that is not ours"),
        }
    }

    fn advance(&mut self, user: UserId, last: u64) {
        let told = self.told.get(&user).copied().unwrap_or(0);
        if last > told && self.inner.follows.contains(&user) {
            self.told.insert(user.clone(), last);
            self.ready.push_back(Tailed::Advanced { user, last });
        }
    }

    /// Takes note of the last place that a look has found. What was told is committed, so one below it is of a log
    /// that has lost something.
    fn find(&mut self, user: UserId, last: u64) {
        match self.told.get(&user) {
            Some(told) if last < *told => {
                self.told.insert(user, last);
                self.has_gone_back = true;
            }
            _ => self.advance(user, last),
        }
    }

    /// Looks at all, and says whether the engine answers.
    async fn poll(&mut self) {
        self.inner.counts.polls.add(1);
        let users = self.inner.follows.all();
        let begun_at = Instant::now();
        let n_before = self.ready.len();
        let outcome = self.look(&users).await;
        let found = self.ready.split_off(n_before);
        if self.inner.life.is_over() {
            self.state = State::Over;
            self.ears = Ears::None;
            self.ready.push_back(Tailed::Replaced);
            return;
        }
        if let Err(text) = outcome {
            self.fail(text, begun_at);
        } else {
            let now = Instant::now();
            if self.failing_since.take().is_some() {
                // Whoever listens may not have noticed that nobody is at the other end.
                self.probe_at = now;
            }
            let rare = ((now - begun_at) * POLL_SHARE).min(RARE_POLL);
            self.poll_at = now + self.inner.poll.max(rare);
            self.inner.counts.lag.set(found.len() as u64);
            self.announce();
            if self.told.len() > users.len() {
                let users: HashSet<_> = users.into_iter().collect();
                self.told.retain(|user, _| users.contains(user));
            }
        }
        self.ready.extend(found);
    }

    fn fail(&mut self, text: String, begun_at: Instant) {
        self.inner.counts.polls_failed.add(1);
        let now = Instant::now();
        self.poll_at = now + RETRY;
        let since = *self.failing_since.get_or_insert(begun_at);
        if self.state != State::Down && now - since >= PATIENCE {
            self.state = State::Down;
            self.ready.push_back(Tailed::Down(text));
            // Nobody knows which of them still lead anywhere, and a call finds out after seconds.
            self.inner.pool.forget_idle();
        }
    }

    /// Says what is due after a poll that succeeded. It has asked for whatever was not told, so an outage leaves out
    /// nothing, and only the first time, or when told places are gone, everybody has to read.
    fn announce(&mut self) {
        if self.state != State::Up {
            self.state = State::Up;
            self.ready.push_back(Tailed::Up);
        }
        if std::mem::take(&mut self.has_gone_back) || !self.has_started {
            self.has_started = true;
            self.ready.push_back(Tailed::Started);
        }
    }

    /// Asks for the last places of users, and for which log this is.
    async fn look(&mut self, users: &[UserId]) -> Result<(), String> {
        let rows = call(&self.inner, Call::Identity, &[]).await?;
        let identity = read_identity(&rows).map_err(|error| chain(&error))?;
        if !self.inner.life.meet(&identity) {
            return Err("another log".to_owned());
        }
        for users in users.chunks(CHUNK) {
            let names: Vec<_> = users.iter().map(|user| to_column(user.as_str())).collect();
            let known: Vec<i64> = users
                .iter()
                .map(|user| to_i64(self.told.get(user).copied().unwrap_or(0)))
                .collect();
            let rows = call(&self.inner, Call::Heads, &[&names, &known]).await?;
            for row in rows {
                let (user, last): (&str, i64) = (row.get(0), row.get(1));
                self.find(UserId::from(&*from_column(user)), to_u64(last));
            }
        }
        Ok(())
    }
}

async fn call(
    inner: &Inner,
    call: Call,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, String> {
    let outcome = inner.poll_pool.call(call, parameters, POLL_LIMIT).await;
    outcome.map_err(|error: CallError| error.text().to_owned())
}

impl Ears {
    fn open(inner: &Inner, wait: Duration) -> Self {
        let Some(address) = inner.listen_address.clone() else {
            return Self::None;
        };
        let channel = inner.channel.clone();
        let counts = Arc::clone(&inner.counts);
        Self::Opening(Box::pin(async move {
            sleep(wait).await;
            Listener::connect(&address, &channel, counts).await
        }))
    }

    async fn listen(&mut self) -> Step {
        match self {
            Self::Open(listener) => Step::Heard(listener.hear().await),
            Self::Opening(opening) => Step::Opened(opening.await),
            Self::None => future::pending().await,
        }
    }
}
