//! A client that moves between hubs with its cursor.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::hubs::Board;
use super::rest;
use super::screen::Screen;
use super::verdict::{ClientRecord, Sight};
use super::{Kind, events};
use crate::client_log::seq_of;
use crate::raw_client::{RawFrame, RawSse};

/// Who does not answer in this time is left for another hub.
const ATTACH_TIME: Duration = Duration::from_secs(2);
/// A stream that says nothing for so long, not even a heartbeat, is dead.
const SILENCE: Duration = Duration::from_secs(40);
/// The wait before another try, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 30..120;

/// What a stream said at its end.
#[derive(Debug, Clone, Default)]
pub struct Parting {
    /// The reason in its last frame, if that is a `closing`.
    pub reason: Option<String>,
    /// The reconnection time that it gave last.
    pub retry: Option<Duration>,
}

/// A client at work.
#[derive(Debug)]
pub struct Client {
    user: String,
    kind: Kind,
    /// How long it stays with a hub, in milliseconds.
    stay_ms: std::ops::Range<u64>,
    random: fastrand::Rng,
    board: Arc<Board>,
    record: ClientRecord,
    cursor: Option<String>,
    reached: Arc<AtomicU64>,
}

impl Client {
    /// Makes a client of a user. What it has got so far, as a number, is told by `reached`.
    #[must_use]
    pub fn new(
        name: String,
        user: String,
        kind: Kind,
        board: Arc<Board>,
        reached: Arc<AtomicU64>,
        seed: u64,
    ) -> Self {
        let record = ClientRecord {
            name,
            ..ClientRecord::default()
        };
        Self {
            user,
            kind,
            stay_ms: 300..2_500,
            random: fastrand::Rng::with_seed(seed),
            board,
            record,
            cursor: None,
            reached,
        }
    }

    /// Says how long it stays with a hub, at least and at most, in milliseconds (300 to 2,500).
    #[must_use]
    pub const fn staying(mut self, ms: std::ops::Range<u64>) -> Self {
        self.stay_ms = ms;
        self
    }

    /// Keeps a screen of the thread, or of the tasks, rather than a list of events.
    #[must_use]
    pub fn keeping_a_screen(mut self) -> Self {
        self.record.screen = match self.kind {
            Kind::System => None,
            Kind::AgUi => Some(Screen::of_thread()),
            Kind::A2A => Some(Screen::of_tasks()),
        };
        self
    }

    /// Begins behind an event, by its id, as if it had been there.
    ///
    /// # Errors
    ///
    /// The text is no event id.
    pub fn from_cursor(mut self, cursor: &str) -> Result<Self, String> {
        self.record.began = seq_of(cursor)?;
        self.record.attached_at = Some(Instant::now());
        self.cursor = Some(cursor.to_owned());
        self.reached.store(self.record.began, Ordering::Relaxed);
        Ok(self)
    }

    /// Reads until it is told to stop, and returns its record.
    ///
    /// # Cancel safety
    ///
    /// The record is lost.
    pub async fn run(mut self, mut is_over: watch::Receiver<bool>) -> ClientRecord {
        loop {
            tokio::select! {
                biased;
                _ = is_over.wait_for(|is_over| *is_over) => return self.record,
                () = self.stay() => {}
            }
        }
    }

    /// Opens `/contexts` behind what it has got, calls `opened`, and reads to the end.
    ///
    /// # Errors
    ///
    /// As [`RawSse::connect`] and [`RawSse::next_frame`]: an end that is none.
    ///
    /// # Cancel safety
    ///
    /// What was read is in its record.
    pub async fn visit(
        &mut self,
        address: SocketAddr,
        opened: impl FnOnce(),
    ) -> io::Result<Parting> {
        let path = format!("/contexts?user={}", self.user);
        let cursor = self.cursor.clone();
        let headers: Vec<_> = cursor
            .iter()
            .map(|id| ("last-event-id", id.as_str()))
            .collect();
        let mut stream = RawSse::connect(address, &path, &headers).await?;
        self.record.n_connections += 1;
        opened();
        let mut parting = Parting::default();
        while let Some(frame) = stream.next_frame(SILENCE).await? {
            self.take(&frame, true);
            parting.retry = frame.retry.map(Duration::from_millis).or(parting.retry);
            let is_closing = frame.event.as_deref() == Some("closing");
            parting.reason = if is_closing {
                frame.json()?["reason"].as_str().map(str::to_owned)
            } else {
                None
            };
        }
        Ok(parting)
    }

    /// Returns its record.
    #[must_use]
    pub fn into_record(self) -> ClientRecord {
        self.record
    }

    /// Stays with some hub for a while.
    async fn stay(&mut self) {
        let stay = Duration::from_millis(self.random.u64(self.stay_ms.clone()));
        let address = self.board.any(&mut self.random);
        // What users of a protocol have is on both streams, and a cursor is good on each.
        let is_contexts = match (self.kind, &self.record.screen) {
            (Kind::System, _) => true,
            (_, None) => self.random.bool(),
            (_, Some(_)) => false,
        };
        if let Err(error) = self.read(address, is_contexts, stay).await {
            if error.kind() == io::ErrorKind::InvalidData {
                self.record.complaints.push(error.to_string());
            }
            let pause = self.random.u64(PAUSE_MS);
            rest(Duration::from_millis(pause)).await;
        }
    }

    async fn read(
        &mut self,
        address: SocketAddr,
        is_contexts: bool,
        stay: Duration,
    ) -> io::Result<()> {
        let (name, more) = match (is_contexts, self.kind) {
            (true, _) => ("contexts", ""),
            (false, Kind::AgUi) if self.record.screen.is_some() => ("agui", "&thread=t"),
            (false, kind) => (kind.stream(), ""),
        };
        let path = format!("/{name}?user={}{more}", self.user);
        let cursor = self.cursor.clone();
        let headers: Vec<_> = cursor
            .iter()
            .map(|id| ("last-event-id", id.as_str()))
            .collect();
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let opening = RawSse::connect(address, &path, &headers);
        let mut stream = timeout(ATTACH_TIME, opening).await.map_err(late)??;
        self.record.n_connections += 1;
        let until = Instant::now() + stay;
        loop {
            let limit = until.saturating_duration_since(Instant::now());
            match stream.next_frame(limit).await {
                Ok(Some(frame)) => self.take(&frame, is_contexts),
                Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
                // It moves on by itself.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, frame: &RawFrame, is_contexts: bool) {
        for comment in &frame.comments {
            match comment.as_str() {
                "degraded" => self.record.n_degraded.0 += 1,
                "recovered" => self.record.n_degraded.1 += 1,
                _ => {}
            }
        }
        if let Err(complaint) = self.note(frame, is_contexts) {
            let text = format!("{complaint}: '{}'", frame.raw);
            self.record.complaints.push(text);
        }
        if let Some(id) = &frame.id {
            self.cursor = Some(id.clone());
            if let Ok(seq) = seq_of(id) {
                self.reached.fetch_max(seq, Ordering::Relaxed);
            }
        }
    }

    fn note(&mut self, frame: &RawFrame, is_contexts: bool) -> Result<(), String> {
        let seq = frame.id.as_deref().map(seq_of).transpose()?;
        match (frame.event.as_deref(), &frame.data, &frame.id) {
            (Some("heartbeat" | "closing"), Some(_), None) | (None, None, None) => {}
            (None, None, Some(_)) => self.begin(seq, None)?,
            (Some("gap"), Some(_), Some(_)) => {
                let json = frame.json().map_err(|error| error.to_string())?;
                let reason = json["reason"].as_str().unwrap_or_default();
                self.gap(reason, seq);
            }
            (None, Some(_), id) => {
                let json = frame.json().map_err(|error| error.to_string())?;
                let event = if is_contexts { &json["event"] } else { &json };
                if self.record.screen.is_some() {
                    return self.show(seq, event);
                }
                if is_prelude(event) {
                    return self.begin(seq, Some("prelude"));
                }
                let id = id.clone().ok_or("an event without an id")?;
                if self.record.attached_at.is_none() {
                    return Err("an event before any cursor".to_owned());
                }
                let mark = events::mark(event);
                self.record.sights.push(Sight::Event { id, mark });
            }
            _ => return Err("an unexpected frame".to_owned()),
        }
        Ok(())
    }

    /// Puts an event on the screen. Those of a prelude have no id, but for the last.
    fn show(&mut self, seq: Option<u64>, event: &Value) -> Result<(), String> {
        let reached = self.reached.load(Ordering::Relaxed);
        match seq {
            Some(seq) if self.record.attached_at.is_none() => {
                self.record.attached_at = Some(Instant::now());
                self.record.began = seq;
            }
            Some(seq) if seq < reached => return Err(format!("{seq} after {reached}")),
            Some(_) | None => {}
        }
        if let Some(screen) = &mut self.record.screen {
            screen.apply(event);
            self.record.n_shown += 1;
        }
        Ok(())
    }

    /// Notes a cursor without an event. Only the first may come so, and it may come again as it was.
    fn begin(&mut self, seq: Option<u64>, again: Option<&str>) -> Result<(), String> {
        let Some(seq) = seq else { return Ok(()) };
        if self.record.attached_at.is_none() {
            self.record.attached_at = Some(Instant::now());
            self.record.began = seq;
        } else if let Some(reason) = again {
            self.gap(reason, Some(seq));
        } else if seq != self.reached.load(Ordering::Relaxed) {
            return Err("a cursor of another place".to_owned());
        }
        Ok(())
    }

    fn gap(&mut self, reason: &str, to: Option<u64>) {
        let (reason, to) = (reason.to_owned(), to.unwrap_or_default());
        self.record.sights.push(Sight::Gap { reason, to });
    }
}

fn is_prelude(event: &Value) -> bool {
    matches!(
        event["type"].as_str(),
        Some("CONNECTED" | "CONTEXTS_SNAPSHOT")
    )
}
