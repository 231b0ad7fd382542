//! The hub, those that come and go, and what has to hold in the end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use events_tests::deadline::{PATIENCE, within};
use events_tests::guest::{Epoch, Guest, Visit};
use events_tests::raw_client::{RawSse, get};
use events_tests::resident::{self, Samples};
use events_tests::server_process::ServerProcess;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

/// Visitors that are there at the same time at most.
const VISITORS: usize = 200;
/// What is at its old value again when everybody has gone.
const RETURNING: [&str; 7] = [
    "events_connections",
    "events_active_runs",
    "events_log_bytes",
    "events_order_bytes",
    "events_fold_bytes",
    "events_log_users",
    "events_sockets",
];

/// What may be wrong, to see that it is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    /// The hub keeps everything for an hour.
    Leak,
    /// The same, but little of it.
    Bytes,
    /// A stream stays open.
    Connection,
}

/// What is tried.
pub(super) struct Trial {
    /// How long.
    pub(super) time: Duration,
    /// Users with runs at the same time; each that goes is followed by another.
    pub(super) n_guests: usize,
    /// Bytes in a piece of their text.
    pub(super) n_padding: usize,
    /// Streams a second that are opened and left again, in the calm part of a wave and in its last third.
    pub(super) visits: (u32, u32),
    /// How long a wave is.
    pub(super) wave: Duration,
    /// How long the hub keeps what nobody asks for.
    pub(super) kept_for: Duration,
    /// The time between two looks at the memory.
    pub(super) sample_period: Duration,
    /// How fast resident memory may grow in the last two thirds of the time, in bytes a second.
    pub(super) most_growth: f64,
    pub(super) plant: Option<Plant>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    time: Duration,
    n_guests: usize,
    visit: Visit,
    n_visitors: usize,
    /// In bytes: the least and the most after the warm-up.
    resident: (u64, u64),
    slope: f64,
    returned_after: Duration,
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

impl Trial {
    async fn hub(&self) -> io::Result<ServerProcess> {
        let keeps = matches!(self.plant, Some(Plant::Leak | Plant::Bytes));
        let age = if keeps {
            Duration::from_secs(3_600)
        } else {
            self.kept_for
        };
        let (age, kept_for) = (
            format!("{}s", age.as_secs()),
            format!("{}s", self.kept_for.as_secs()),
        );
        let total = if keeps { "4GiB" } else { "16MiB" };
        let words = [
            ["--listen", "127.0.0.1:0"],
            ["--history.age", &age],
            ["--history.total_bytes", total],
            ["--limits.idle", &kept_for],
            ["--dedupe.age", &kept_for],
            ["--drain.window", "0s"],
        ];
        let words = [&["serve", "--insecure"], words.as_flattened()].concat();
        ServerProcess::events(&words, &[("RUST_LOG", "error")]).await
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// What broke, or what does not hold.
    pub(super) async fn run(self) -> Result<Seen, String> {
        let hub = self.hub().await.map_err(text)?;
        let (address, id) = (hub.address(), hub.id().ok_or("the hub has ended")?);
        let before = levels(address).await.map_err(text)?;
        let stays = match self.plant {
            Some(Plant::Connection) => Some(
                RawSse::connect(address, "/agui?user=stays", &[])
                    .await
                    .map_err(text)?,
            ),
            _ => None,
        };
        let is_over = watch::Sender::new(false);
        let (mut slots, mut visitors) = (JoinSet::new(), JoinSet::new());
        for slot in 0..self.n_guests {
            slots.spawn(keep_busy(
                address,
                slot,
                self.n_padding,
                is_over.subscribe(),
            ));
        }
        visitors.spawn(come_and_go(
            address,
            self.visits,
            self.wave,
            is_over.subscribe(),
        ));
        let mut seen = Seen {
            time: self.time,
            ..Seen::default()
        };
        let samples = self.watch(id, &mut slots).await?;
        is_over.send_replace(true);
        while let Some(slot) = slots.join_next().await {
            let (n_guests, visit) = slot.map_err(text)??;
            seen.n_guests += n_guests;
            seen.visit.add(visit);
        }
        while let Some(visited) = visitors.join_next().await {
            seen.n_visitors += visited.map_err(text)?.map_err(text)?;
        }
        let warm = samples.since(self.time / 3);
        seen.resident = warm.range();
        seen.slope = warm.slope();
        if seen.slope > self.most_growth {
            return Err(format!("resident memory grows: {seen}"));
        }
        let begun = Instant::now();
        self.returned(address, &before)
            .await
            .map_err(|why| format!("{why}: {seen}"))?;
        seen.returned_after = begun.elapsed();
        drop(stays);
        Ok(seen)
    }

    /// Looks at the memory until the time is over, or somebody has failed.
    async fn watch(
        &self,
        id: u32,
        slots: &mut JoinSet<Result<(usize, Visit), String>>,
    ) -> Result<Samples, String> {
        let (begun, mut samples) = (Instant::now(), Samples::default());
        let mut ticks = interval(self.sample_period);
        while begun.elapsed() < self.time {
            tokio::select! {
                _ = ticks.tick() => {
                    let n_bytes = resident::resident(id).ok_or("the hub has ended")?;
                    samples.push(begun.elapsed(), n_bytes);
                }
                Some(ended) = slots.join_next() => {
                    ended.map_err(text)??;
                    return Err("a guest left early".to_owned());
                }
            }
        }
        Ok(samples)
    }

    /// Waits until everything is as it was.
    async fn returned(&self, address: SocketAddr, before: &[u64]) -> Result<(), String> {
        let patience = match self.plant {
            None => 3 * self.kept_for + 2 * PATIENCE,
            Some(_) => self.kept_for + PATIENCE / 5,
        };
        let (begun, mut ticks) = (Instant::now(), interval(Duration::from_millis(200)));
        loop {
            ticks.tick().await;
            let now = levels(address).await.map_err(text)?;
            let mut levels = RETURNING.iter().zip(&now).zip(before);
            let Some(((name, now), before)) = levels.find(|((_, now), before)| now > before) else {
                return Ok(());
            };
            if begun.elapsed() > patience {
                return Err(format!(
                    "{name} is {now} after {patience:?}, of {before} before"
                ));
            }
        }
    }
}

/// Reads what has to return.
async fn levels(address: SocketAddr) -> io::Result<Vec<u64>> {
    let metrics = get(address, "/metrics", &[]).await?.text();
    let sum = |name: &&str| {
        let values = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let is_it = rest.starts_with([' ', '{']);
            is_it.then(|| rest.rsplit(' ').next()?.parse::<u64>().ok())?
        });
        values.sum()
    };
    Ok(RETURNING.iter().map(sum).collect())
}

/// Has one guest after the other, until it is over.
async fn keep_busy(
    address: SocketAddr,
    slot: usize,
    n_padding: usize,
    is_over: watch::Receiver<bool>,
) -> Result<(usize, Visit), String> {
    let mut random = fastrand::Rng::with_seed(slot as u64);
    let (epoch, mut all, mut n_guests) = (Epoch::now(), Visit::default(), 0);
    while !*is_over.borrow() {
        let guest = Guest {
            user: format!("guest-{slot}-{n_guests}"),
            n_screens: random.usize(1..4),
            n_runs: random.usize(1..4),
            n_deltas: random.usize(4..30),
            n_padding,
            period: Duration::from_millis(random.u64(20..60)),
            cuts: Some(4..30),
            seed: random.u64(..),
        };
        all.add(guest.stay(address, epoch).await?);
        n_guests += 1;
    }
    Ok((n_guests, all))
}

/// Opens streams of users who have never been there, and leaves them again; returns how many.
async fn come_and_go(
    address: SocketAddr,
    (calm, busy): (u32, u32),
    wave: Duration,
    is_over: watch::Receiver<bool>,
) -> io::Result<usize> {
    let (begun, mut n_visitors, mut there) = (Instant::now(), 0_usize, JoinSet::new());
    while !*is_over.borrow() {
        let second = Instant::now();
        let at = begun.elapsed().as_secs_f64() % wave.as_secs_f64() / wave.as_secs_f64();
        let rate = if at > 0.66 { busy } else { calm };
        let mut ticks = interval(Duration::from_secs(1) / rate.max(1));
        while second.elapsed() < Duration::from_secs(1).min(wave / 6) {
            ticks.tick().await;
            while there.len() >= VISITORS {
                left(there.join_next().await)?;
            }
            while let Some(ended) = there.try_join_next() {
                left(Some(ended))?;
            }
            there.spawn(visit(address, n_visitors));
            n_visitors += 1;
        }
    }
    while let Some(ended) = there.join_next().await {
        left(Some(ended))?;
    }
    Ok(n_visitors)
}

fn left(ended: Option<Result<io::Result<()>, tokio::task::JoinError>>) -> io::Result<()> {
    ended.map_or(Ok(()), |ended| ended.map_err(io::Error::other)?)
}

/// Opens a stream, sees that it is one, and leaves in one way or the other.
async fn visit(address: SocketAddr, number: usize) -> io::Result<()> {
    let path = match number % 3 {
        0 => format!("/agui?user=visitor-{number}"),
        1 => format!("/agui?user=visitor-{number}&thread=t"),
        _ => format!("/contexts?user=visitor-{number}"),
    };
    let opening = RawSse::connect(address, &path, &[]);
    let mut stream = within("a visitor's stream", PATIENCE, opening).await?;
    stream.next_frame(PATIENCE).await?;
    if number.is_multiple_of(2) {
        stream.reset()
    } else {
        Ok(())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |n_bytes: u64| n_bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "steady | {:.1} min | {} users with runs, {} events published, {} read over {} connections | {} visitors | \
             resident {:.1} to {:.1} MiB, {:+.1} KiB a minute | all given back after {:.0} s",
            self.time.as_secs_f64() / 60.0,
            self.n_guests,
            self.visit.n_published,
            self.visit.n_read,
            self.visit.n_connections,
            self.n_visitors,
            mib(self.resident.0),
            mib(self.resident.1),
            self.slope * 60.0 / 1_024.0,
            self.returned_after.as_secs_f64(),
        )
    }
}
