//! One connection that reads.

use std::{
    io,
    sync::{Arc, MutexGuard, atomic::Ordering},
    time::Duration,
};

use events_sse::{Control, Decoder, DecoderOptions, Item};
use tokio::{
    net::TcpStream,
    time::{Instant, MissedTickBehavior},
};

use super::{
    checker::Checker,
    plan::{Pace, Seat},
    response::Response,
    script::{MadeStamp, Stamp},
    state::{Bench, count},
};
use crate::Failure;

/// What a slow reader takes each second, in bytes.
pub(super) const SLOW_BYTES: usize = 1_024;

/// The receive buffer of slow and stalled readers, in bytes; the system may double it.
const SMALL_BUFFER: u32 = 4_096;

/// What is read at once, in bytes. It lies on the stack, so that a waiting reader has no buffer.
const READ_BYTES: usize = 16 << 10;

/// How long the hub may take to answer and to send the beginning of a stream.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stalled reader comes back after this long: longer than a hub keeps one that acknowledges nothing, and without
/// this only the first half minute would have stalled readers.
const STALLED_FOR: Duration = Duration::from_secs(40);

/// How often a reader tries to come in before the bench gives up, and how long it waits between two attempts.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// Reads until it is aborted, and comes back with its cursor when the stream ends.
///
/// # Cancel safety
///
/// What has been seen is in the shared state.
pub(super) async fn read(bench: Arc<Bench>, seat: usize) {
    let pace = bench.seats[seat].pace;
    let mut cursor = None;
    let mut is_first = true;
    let mut n_failures = 0;
    loop {
        match attach(&bench, seat, cursor.as_deref()).await {
            Ok(mut stream) => {
                n_failures = 0;
                if std::mem::take(&mut is_first) {
                    bench.n_ready.fetch_add(1, Ordering::Relaxed);
                }
                // However it ends, it is tried again.
                let _ended = match pace {
                    Pace::Ordinary => stream.follow(&bench, seat).await,
                    Pace::Slow => stream.sip(&bench, seat).await,
                    Pace::Stalled => stream.stall().await,
                };
                cursor = stream.decoder.last_event_id().map(str::to_owned);
            }
            Err(Refusal::Final(failure)) => return bench.fail(failure),
            Err(Refusal::Later(error)) => {
                n_failures += 1;
                if n_failures == ATTEMPTS {
                    return bench.fail(Failure::Unreachable {
                        hub: bench.target.authority().to_owned(),
                        source: error,
                    });
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
        if !is_first {
            count(match pace {
                Pace::Ordinary => &bench.n_reconnects,
                Pace::Slow | Pace::Stalled => &bench.n_returns,
            });
        }
    }
}

/// Why a stream did not come about.
enum Refusal {
    Final(Failure),
    Later(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Later(error)
    }
}

/// Connects and reads the beginning of the stream, which ends with a cursor.
async fn attach(bench: &Bench, seat: usize, cursor: Option<&str>) -> Result<Stream, Refusal> {
    // The semaphore is never closed.
    let _permit = bench.connects.acquire().await;
    let begun = begin(bench, seat, cursor);
    match tokio::time::timeout(PATIENCE, begun).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "no stream within 30 s; the hub may have all the connections that it can hold",
        )
        .into()),
    }
}

async fn begin(bench: &Bench, seat: usize, cursor: Option<&str>) -> Result<Stream, Refusal> {
    let of = bench.seats[seat];
    let buffer = (of.pace != Pace::Ordinary).then_some(SMALL_BUFFER);
    let socket = bench.target.connect(buffer).await?;
    let request = bench.target.subscribe(of.user, cursor);
    // It is the first thing that is sent, and shorter than any send buffer.
    socket.writable().await?;
    if socket.try_write(request.as_bytes())? != request.len() {
        return Err(io::Error::other("the request does not fit into the send buffer").into());
    }
    let mut stream = Stream {
        socket,
        response: Response::new(),
        decoder: Decoder::new(DecoderOptions::default()),
        refusal: Vec::new(),
    };
    if let Some(cursor) = cursor {
        stream.decoder.set_last_event_id(cursor);
    }
    let mut is_begun = false;
    while !is_begun {
        stream.socket.readable().await?;
        stream.read_some(bench, seat, READ_BYTES)?;
        is_begun = match stream.response.status() {
            0 => false,
            // An ordinary reader has its place now; whether a cursor comes depends on the server.
            200 => of.pace == Pace::Ordinary || stream.decoder.last_event_id().is_some(),
            status if stream.response.is_done() => {
                let detail = String::from_utf8_lossy(&stream.refusal);
                let text = format!("status {status}: {detail}");
                if matches!(status, 429 | 503) && cursor.is_some() {
                    count(&bench.n_refused);
                    return Err(io::Error::other(text).into());
                }
                return Err(Refusal::Final(Failure::Refused(text)));
            }
            _ => false,
        };
    }
    Ok(stream)
}

struct Stream {
    socket: TcpStream,
    response: Response,
    decoder: Decoder,
    /// The beginning of a refusal's body.
    refusal: Vec<u8>,
}

impl Stream {
    /// Reads as fast as it can.
    async fn follow(&mut self, bench: &Bench, seat: usize) -> io::Result<()> {
        loop {
            self.socket.readable().await?;
            self.read_some(bench, seat, READ_BYTES)?;
        }
    }

    /// Reads a little each second.
    async fn sip(&mut self, bench: &Bench, seat: usize) -> io::Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.socket.readable().await?;
            self.read_some(bench, seat, SLOW_BYTES)?;
        }
    }

    /// Reads nothing, and ends when the hub has cut it off, or when it is time to come back.
    async fn stall(&mut self) -> io::Result<()> {
        let end = Instant::now() + STALLED_FOR;
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        while Instant::now() < end {
            ticks.tick().await;
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Reads what is there, at most so many bytes.
    fn read_some(&mut self, bench: &Bench, seat: usize, n_bytes: usize) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES];
        let n_read = match self.socket.try_read(&mut buffer[..n_bytes]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n_read) => n_read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let now_us = u64::try_from(bench.now().as_micros()).unwrap_or(u64::MAX);
        let status = self.response.status();
        let (decoder, refusal) = (&mut self.decoder, &mut self.refusal);
        let mut seen = Seen {
            bench,
            of: bench.seats[seat],
            checker: bench.checker(seat),
            now_us,
            latencies: Vec::new(),
        };
        let next = seen.checker.next();
        self.response.read(&buffer[..n_read], |mut body| {
            // Whether it is a refusal is known only behind its head, which often comes together with it.
            if status != 200 && refusal.len() < 512 {
                refusal.extend_from_slice(&body[..body.len().min(512)]);
            }
            if matches!(status, 0 | 200) {
                while let Some(item) = decoder.decode(&mut body) {
                    seen.take(&item);
                }
            }
        })?;
        seen.note(seat, next);
        if self.response.status() == 200 {
            self.refusal = Vec::new();
            if self.response.is_done() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

/// What one read has brought.
struct Seen<'a> {
    bench: &'a Bench,
    of: Seat,
    checker: MutexGuard<'a, Checker>,
    now_us: u64,
    latencies: Vec<u64>,
}

impl Seen<'_> {
    fn take(&mut self, item: &Item) {
        let Item::Event(event) = item else { return };
        if event.event != "message" {
            if let Ok(Some(Control::Gap(gap))) = Control::decode(&event.event, &event.data) {
                self.checker.take_gap(gap.lost);
            }
            return;
        }
        if self.bench.is_generated() {
            if let Some(stamp) = MadeStamp::find(&event.data) {
                self.take_number(stamp.number, self.bench.micros_of(stamp.made_ns));
            }
            return;
        }
        match Stamp::find(&event.data) {
            Some(stamp) if stamp.tag != self.bench.tag => {}
            Some(stamp) if stamp.user == self.of.user => {
                self.take_number(stamp.number, stamp.due_us);
            }
            Some(_) => self.checker.take_stranger(),
            None => {}
        }
    }

    fn take_number(&mut self, number: u32, due_us: u64) {
        self.checker.take(number);
        if self.of.pace == Pace::Ordinary {
            self.latencies.push(self.now_us.saturating_sub(due_us));
        }
    }

    /// Hands on what was seen, from the number `next` on.
    fn note(self, seat: usize, next: u32) {
        if self.latencies.is_empty() {
            return;
        }
        let numbers = next..self.checker.next();
        drop(self.checker);
        if let Some(window) = &self.bench.window {
            window.seen(self.of.user, numbers);
        }
        self.bench
            .last_delivered_us
            .fetch_max(self.now_us, Ordering::Relaxed);
        let mut histogram = self.bench.latencies(seat);
        for latency in self.latencies {
            histogram.saturating_record(latency.max(1));
        }
    }
}
