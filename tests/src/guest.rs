//! A user as there are many: an agent that streams runs to the hub, and screens that show them.
//!
//! What every screen got is compared with what the hub has acknowledged, so a load made of guests is a trial as well.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::client_log::{ClientLog, Published, published};
use crate::deadline::PATIENCE;
use crate::hub::ids_of;
use crate::raw_client::{LivePost, RawSse};
use crate::resume::rest;

/// What every moment in an event is told from.
#[derive(Debug, Clone, Copy)]
pub struct Epoch(Instant);

/// A user for a while.
#[derive(Debug, Clone)]
pub struct Guest {
    /// The name, which no other has.
    pub user: String,
    /// Screens: streams of all threads of the user.
    pub n_screens: usize,
    /// Runs, one after the other.
    pub n_runs: usize,
    /// Pieces of text in a run.
    pub n_deltas: usize,
    /// Bytes in a piece beside its time.
    pub n_padding: usize,
    /// The time between two pieces.
    pub period: Duration,
    /// After how many frames a screen is cut off and comes back with its cursor; those of no range stay.
    pub cuts: Option<Range<u32>>,
    /// From which the cuts are drawn.
    pub seed: u64,
}

/// What came of a guest, or of several.
#[derive(Debug, Default)]
pub struct Visit {
    /// Events that were acknowledged.
    pub n_published: usize,
    /// Events that screens got.
    pub n_read: usize,
    /// Connections of screens.
    pub n_connections: usize,
    /// From the moment at which a piece was due to be published to its being read, for screens that stayed. What waits
    /// for an earlier one counts, so a hub that stands still is not measured once only.
    pub times: Vec<Duration>,
}

impl Epoch {
    /// Begins now.
    #[must_use]
    pub fn now() -> Self {
        Self(Instant::now())
    }

    fn text(self, moment: Instant) -> String {
        moment
            .saturating_duration_since(self.0)
            .as_micros()
            .to_string()
    }

    /// How long ago a piece was due, if it is one.
    fn age(self, data: &str) -> Option<Duration> {
        let (_, rest) = data.split_once(r#""delta":""#)?;
        let (micros, _) = rest.split_once(' ')?;
        let due = Duration::from_micros(micros.parse().ok()?);
        Some(self.0.elapsed().saturating_sub(due))
    }
}

impl Visit {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.n_published += other.n_published;
        self.n_read += other.n_read;
        self.n_connections += other.n_connections;
        self.times.extend(other.times);
    }

    /// Returns the time that only one of a hundred took longer than; zero if there is none.
    #[must_use]
    pub fn p99(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = (times.len() * 99 / 100).min(times.len().saturating_sub(1));
        times.get(at).copied().unwrap_or_default()
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Guest {
    /// Comes, streams its runs, and leaves when every screen has the last event.
    ///
    /// # Errors
    ///
    /// What went wrong with the hub, and the first promise that it broke: an event that a screen did not get, or not
    /// once, or not in order, or a gap.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all connections.
    pub async fn stay(self, address: SocketAddr, epoch: Epoch) -> Result<Visit, String> {
        let named = |why: String| format!("{}: {why}", self.user);
        let mut screens = JoinSet::new();
        for number in 0..self.n_screens {
            let screen = Screen::open(&self, address, epoch, number).await;
            screens.spawn(screen.map_err(named)?.read());
        }
        let truth = Arc::new(self.publish(address, epoch).await.map_err(named)?);
        let mut visit = Visit {
            n_published: truth.len(),
            ..Visit::default()
        };
        while let Some(screen) = screens.join_next().await {
            let screen = screen.map_err(text)?.map_err(named)?;
            screen.log.check(&truth).map_err(named)?;
            if let Some(gap) = screen.log.gaps().first() {
                return Err(named(format!("a gap: {gap:?}")));
            }
            visit.n_read += screen.log.entries().len();
            visit.n_connections += screen.n_connections;
            visit.times.extend(screen.times);
        }
        Ok(visit)
    }

    fn last_run(&self) -> String {
        format!("r{}", self.n_runs.saturating_sub(1))
    }

    async fn publish(&self, address: SocketAddr, epoch: Epoch) -> Result<Published, String> {
        let path = format!("/publish/agui/{0}/live?user={0}", self.user);
        let mut post = LivePost::open(address, &path, &[]).await.map_err(text)?;
        let padding = "x".repeat(self.n_padding);
        let (mut lines, mut ids) = (Vec::new(), Vec::new());
        let mut ticks = interval(self.period);
        // A piece that is late is still due when it was.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for run in 0..self.n_runs {
            let (run, message) = (format!("r{run}"), format!("m{run}"));
            let begin = [
                json!({ "type": "RUN_STARTED", "threadId": "t", "runId": run }),
                json!({ "type": "TEXT_MESSAGE_START", "messageId": message, "role": "assistant" }),
            ];
            let end = [
                json!({ "type": "TEXT_MESSAGE_END", "messageId": message }),
                json!({ "type": "RUN_FINISHED", "threadId": "t", "runId": run }),
            ];
            for event in begin {
                say(&mut post, event, &mut lines, &mut ids).await?;
            }
            for _ in 0..self.n_deltas {
                let due = ticks.tick().await;
                let delta = format!("{} {padding}", epoch.text(due));
                let event =
                    json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": message, "delta": delta });
                say(&mut post, event, &mut lines, &mut ids).await?;
            }
            for event in end {
                say(&mut post, event, &mut lines, &mut ids).await?;
            }
        }
        post.finish().await.map_err(text)?;
        published(&ids, &lines)
    }
}

/// Publishes one event and waits until it is in the log.
async fn say(
    post: &mut LivePost,
    event: Value,
    lines: &mut Vec<String>,
    ids: &mut Vec<String>,
) -> Result<(), String> {
    let line = event.to_string();
    post.send_line(&line).await.map_err(text)?;
    let receipt = post.next_line(PATIENCE).await.map_err(text)?;
    let receipt = receipt.ok_or("the answer ended")?;
    let json: Value = serde_json::from_str(&receipt).map_err(text)?;
    if !json["ids"].is_array() {
        return Err(format!("refused: {receipt}"));
    }
    ids.extend(ids_of(&json));
    lines.push(line);
    Ok(())
}

/// A reader of one user.
#[derive(Debug)]
struct Screen {
    address: SocketAddr,
    path: String,
    epoch: Epoch,
    stream: RawSse,
    log: ClientLog,
    times: Vec<Duration>,
    n_connections: usize,
    cuts: Option<Range<u32>>,
    random: fastrand::Rng,
    /// What the last event of all has in it.
    last: String,
}

impl Screen {
    async fn open(
        guest: &Guest,
        address: SocketAddr,
        epoch: Epoch,
        number: usize,
    ) -> Result<Self, String> {
        let path = format!("/agui?user={}", guest.user);
        let mut stream = RawSse::connect(address, &path, &[]).await.map_err(text)?;
        let first = stream.read_until(PATIENCE, |frame| frame.id.is_some());
        let mut log = ClientLog::default();
        for frame in first.await.map_err(text)? {
            log.take(&frame)?;
        }
        Ok(Self {
            address,
            path,
            epoch,
            stream,
            log,
            times: Vec::new(),
            n_connections: 1,
            cuts: guest.cuts.clone(),
            random: fastrand::Rng::with_seed(guest.seed ^ number as u64),
            last: format!(r#""runId":"{}""#, guest.last_run()),
        })
    }

    /// Reads to the last event, leaving and coming back as it should.
    async fn read(mut self) -> Result<Self, String> {
        let mut n_left = self.draw();
        loop {
            let frame = self.stream.next_frame(PATIENCE).await.map_err(text)?;
            let frame = frame.ok_or("a stream ended")?;
            self.log.take(&frame)?;
            let data = frame.data.as_deref().unwrap_or_default();
            if self.cuts.is_none() {
                self.times.extend(self.epoch.age(data));
            }
            if data.contains("RUN_FINISHED") && data.contains(&self.last) {
                return Ok(self);
            }
            n_left -= 1;
            if n_left == 0 {
                self.come_back().await.map_err(text)?;
                n_left = self.draw();
            }
        }
    }

    fn draw(&mut self) -> u32 {
        let cuts = self.cuts.clone();
        cuts.map_or(u32::MAX, |cuts| self.random.u32(cuts).max(1))
    }

    /// Is cut off, stays away for a moment, and comes back behind what it has.
    async fn come_back(&mut self) -> io::Result<()> {
        let is_reset = self.random.bool();
        if is_reset {
            self.stream.set_reset()?;
        }
        let away = Duration::from_millis(self.random.u64(0..40));
        let cursor = self.log.cursor().unwrap_or_default().to_owned();
        rest(away).await;
        let headers = [("last-event-id", cursor.as_str())];
        self.stream = RawSse::connect(self.address, &self.path, &headers).await?;
        self.n_connections += 1;
        Ok(())
    }
}
