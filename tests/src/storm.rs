//! A hub that goes away with all its streams open while somebody publishes, and all clients coming back.
//!
//! Clients do what a browser does: they wait for the reconnection time that they were given, come back with their
//! cursor, and wait again if nobody is there. Where there is another replica, that is where they come back.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::client_log::seq_of;
use crate::deadline::{PATIENCE, within};
use crate::resume::client::Client;
use crate::resume::hubs::{Board, Hubs};
use crate::resume::publisher::{Ledger, Publisher};
use crate::resume::verdict::ClientRecord;
use crate::resume::{Engine, EngineKind, Finding, Kind, check, rest};

/// Streams that are opened at the same time in the beginning.
const OPENING: usize = 128;
/// The reconnection time of a client that was given none.
const RETRY: Duration = Duration::from_secs(3);

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// The log.
    pub engine: EngineKind,
    /// Replicas. All streams are on the first, which goes away; if it is the only one it comes back at once.
    pub n_hubs: usize,
    /// Streams, dealt out to the users.
    pub n_streams: usize,
    /// Users, each with a publisher of his own.
    pub n_users: usize,
    /// The time between two publishes of a user, on average.
    pub period: Duration,
    /// The drain window.
    pub window: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// How the hub ended.
    pub status: ExitStatus,
    /// How long after the signal.
    pub ended_after: Duration,
    /// When each stream ended, after the signal.
    pub ends: Vec<Duration>,
    /// Ends that are not: cut, or without `closing: draining`.
    pub unclean: Vec<String>,
    /// When each stream was open again, after the signal.
    pub returns: Vec<Duration>,
    /// Attempts that found nobody.
    pub n_failed: usize,
    /// Events that were acknowledged, and events that clients got.
    pub n_events: (usize, usize),
    /// Promises that were broken.
    pub findings: Vec<Finding>,
    window: Duration,
}

/// What the clients have seen, for all of them.
#[derive(Debug, Default)]
struct Ledgers {
    opened: Mutex<Vec<Instant>>,
    ended: Mutex<Vec<Instant>>,
    unclean: Mutex<Vec<String>>,
    n_open: AtomicUsize,
    n_failed: AtomicUsize,
    /// The hub at which clients look.
    home: AtomicUsize,
}

fn push<T>(list: &Mutex<Vec<T>>, item: T) {
    list.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(item);
}

fn all<T>(list: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Storm {
    /// Runs it for the test of this name; none if the test lacks the engine.
    ///
    /// # Errors
    ///
    /// When something of the rig does not work, or streams do not come back. What is wrong with what they got is in
    /// the report.
    ///
    /// # Panics
    ///
    /// When the engine is missing and everything is required.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends everything.
    pub async fn run(self, test: &str) -> io::Result<Option<Report>> {
        let Some(engine) = Engine::start(test, self.engine, self.n_hubs).await? else {
            return Ok(None);
        };
        let arguments = (0..self.n_hubs).map(|hub| self.arguments(&engine, hub));
        let mut hubs = Hubs::start(arguments.collect()).await?;
        let ledgers = Arc::new(Ledgers::default());
        let (publishers_end, clients_end) = (watch::Sender::new(false), watch::Sender::new(false));
        // No probe is ever sent; a lost sender would be one.
        let probes = watch::Sender::new(0);
        let (mut publishers, mut users) = (JoinSet::new(), Vec::new());
        for user in 0..self.n_users {
            let (name, board) = (format!("u{user}"), hubs.board());
            let seed = user as u64;
            let (publisher, ledger) = Publisher::new(
                format!("{name}p"),
                name,
                Kind::System,
                self.period,
                board,
                seed,
            );
            users.push((ledger, Vec::new()));
            publishers.spawn(publisher.run(publishers_end.subscribe(), probes.subscribe()));
        }
        let mut clients = JoinSet::new();
        let doors = Arc::new(Semaphore::new(OPENING));
        for stream in 0..self.n_streams {
            let user = stream % self.n_users;
            let reached = Arc::new(AtomicU64::new(0));
            users[user].1.push(Arc::clone(&reached));
            let name = format!("client {stream} of u{user}");
            let client = Client::new(
                name,
                format!("u{user}"),
                Kind::System,
                hubs.board(),
                reached,
                0,
            );
            let visitor = Visitor {
                client,
                board: hubs.board(),
                ledgers: Arc::clone(&ledgers),
                doors: Arc::clone(&doors),
            };
            let is_over = clients_end.subscribe();
            clients.spawn(async move { (user, visitor.run(is_over).await) });
        }
        ledgers.wait_for(self.n_streams).await?;
        // Somebody should be in the middle of something.
        rest(self.period.max(Duration::from_secs(1))).await;
        drop(all(&ledgers.opened));
        ledgers.home.store(self.n_hubs - 1, Ordering::Relaxed);
        let asked_at = Instant::now();
        let (status, ended_after) = hubs.terminate(0, self.window + PATIENCE).await?;
        if self.n_hubs == 1 {
            hubs.restart(0).await?;
        }
        ledgers.wait_for(self.n_streams).await?;
        rest(self.period).await;
        publishers_end.send_replace(true);
        while publishers.join_next().await.is_some() {}
        within("the last events", PATIENCE, all_reached(&users)).await?;
        clients_end.send_replace(true);
        let mut records: Vec<Vec<ClientRecord>> = users.iter().map(|_| Vec::new()).collect();
        while let Some(ended) = clients.join_next().await {
            let (user, record) = ended.map_err(io::Error::other)?;
            records[user].push(record);
        }
        let after = |moments: &Mutex<Vec<Instant>>| {
            let moments = all(moments).into_iter();
            moments.map(|moment| moment - asked_at).collect()
        };
        let mut report = Report {
            status,
            ended_after,
            ends: after(&ledgers.ended),
            unclean: all(&ledgers.unclean),
            returns: after(&ledgers.opened),
            n_failed: ledgers.n_failed.load(Ordering::Relaxed),
            n_events: (0, 0),
            findings: Vec::new(),
            window: self.window,
        };
        for ((ledger, _), clients) in users.iter().zip(&records) {
            report.n_events.0 += ledger.n_acked();
            report.n_events.1 += clients
                .iter()
                .map(|client| client.sights.len())
                .sum::<usize>();
            report.findings.extend(check(&[ledger.record()], clients));
        }
        Ok(Some(report))
    }

    fn arguments(&self, engine: &Engine, hub: usize) -> Vec<String> {
        let mut arguments = engine.arguments(hub);
        arguments.extend([
            "--limits.connections_per_user".to_owned(),
            "10000".to_owned(),
        ]);
        let window = format!("{}ms", self.window.as_millis());
        arguments.extend(["--drain.window".to_owned(), window]);
        arguments
    }
}

/// A client that comes back to where it should.
struct Visitor {
    client: Client,
    board: Arc<Board>,
    ledgers: Arc<Ledgers>,
    /// Only so many come for the first time at once; afterwards everybody comes when told.
    doors: Arc<Semaphore>,
}

impl Visitor {
    /// Reads and comes back until it is told to stop.
    async fn run(mut self, mut is_over: watch::Receiver<bool>) -> ClientRecord {
        loop {
            tokio::select! {
                biased;
                _ = is_over.wait_for(|is_over| *is_over) => return self.client.into_record(),
                () = self.visit_and_rest() => {}
            }
        }
    }

    async fn visit_and_rest(&mut self) {
        let Self {
            client,
            board,
            ledgers,
            doors,
        } = self;
        let address = board.address(ledgers.home.load(Ordering::Relaxed));
        let mut door = doors.acquire().await.ok();
        let mut is_open = false;
        let parted = client.visit(address, || {
            is_open = true;
            drop(door.take());
            push(&ledgers.opened, Instant::now());
            ledgers.n_open.fetch_add(1, Ordering::Relaxed);
        });
        let parted = parted.await;
        if is_open {
            push(&ledgers.ended, Instant::now());
            ledgers.n_open.fetch_sub(1, Ordering::Relaxed);
        } else {
            ledgers.n_failed.fetch_add(1, Ordering::Relaxed);
        }
        drop(door);
        let retry = match parted {
            Ok(parting) if parting.reason.as_deref() == Some("draining") => parting.retry,
            // Nobody was there.
            Err(_) if !is_open => None,
            other => {
                push(&ledgers.unclean, format!("{other:?}"));
                None
            }
        };
        rest(retry.unwrap_or(RETRY)).await;
    }
}

/// Waits until all clients of all users have got the last event.
async fn all_reached(users: &[(Ledger, Vec<Arc<AtomicU64>>)]) -> io::Result<()> {
    let mut ticks = interval(Duration::from_millis(20));
    for (ledger, reached) in users {
        let last = ledger.last().and_then(|id| seq_of(&id).ok()).unwrap_or(0);
        while reached.iter().any(|seq| seq.load(Ordering::Relaxed) < last) {
            ticks.tick().await;
        }
    }
    Ok(())
}

impl Report {
    /// Computes how many streams ended in the fullest of `n_bins` equal parts of the time in which they were to end,
    /// over the mean of all.
    #[must_use]
    pub fn peak(&self, n_bins: usize) -> f64 {
        // Streams end in nine tenths of the window.
        let bin = self.window.mul_f64(0.9) / u32::try_from(n_bins).unwrap_or(u32::MAX);
        let counts = counts(&self.ends, bin);
        let most = counts.iter().max().copied().unwrap_or_default();
        most as f64 * n_bins as f64 / self.ends.len() as f64
    }

    /// Says the most important of it in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let tenths = (self.window.mul_f64(0.9).as_millis() / 100).max(1) as usize;
        format!(
            "{} streams ended in {:.2} s, {} not cleanly | fullest tenth of a second {:.2} times the mean | {} back, the \
             last {:.2} s after the hub was gone | {} events published, {} read | {} findings",
            self.ends.len(),
            self.ended_after.as_secs_f64(),
            self.unclean.len(),
            self.peak(tenths),
            self.returns.len(),
            self.all_back_after().as_secs_f64(),
            self.n_events.0,
            self.n_events.1,
            self.findings.len()
        )
    }

    /// Returns when the last stream was open again, after the hub had ended.
    #[must_use]
    pub fn all_back_after(&self) -> Duration {
        let last = self.returns.iter().max().copied().unwrap_or_default();
        last.saturating_sub(self.ended_after)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenth = Duration::from_millis(100);
        let most = |moments| counts(moments, tenth).into_iter().max().unwrap_or_default();
        let last = self.ends.iter().max().copied().unwrap_or_default();
        writeln!(
            f,
            "ended with {} after {:.2?}; {} streams ended, the last after {last:.2?}, {} not cleanly; at most {} in \
             100 ms, {:.2} times the mean",
            self.status,
            self.ended_after,
            self.ends.len(),
            self.unclean.len(),
            most(&self.ends),
            self.peak((self.window.mul_f64(0.9).as_millis() / 100).max(1) as usize),
        )?;
        write!(
            f,
            "{} came back, the last {:.2?} after the end, at most {} in 100 ms, {} attempts in vain; {} events \
             published, {} read; {} findings",
            self.returns.len(),
            self.all_back_after(),
            most(&self.returns),
            self.n_failed,
            self.n_events.0,
            self.n_events.1,
            self.findings.len()
        )?;
        for finding in self.findings.iter().take(10) {
            write!(f, "\n{finding}")?;
        }
        for end in self.unclean.iter().take(10) {
            write!(f, "\n{end}")?;
        }
        Ok(())
    }
}

fn counts(moments: &[Duration], bin: Duration) -> Vec<usize> {
    let mut counts = Vec::new();
    for moment in moments {
        let at = (moment.as_nanos() / bin.as_nanos().max(1)) as usize;
        if counts.len() <= at {
            counts.resize(at + 1, 0);
        }
        counts[at] += 1;
    }
    counts
}

impl Ledgers {
    async fn wait_for(&self, n_streams: usize) -> io::Result<()> {
        let mut ticks = interval(Duration::from_millis(20));
        within("all streams", 4 * PATIENCE, async {
            while self.n_open.load(Ordering::Relaxed) < n_streams {
                ticks.tick().await;
            }
            Ok(())
        })
        .await
    }
}
