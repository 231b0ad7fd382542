//! One connection that publishes, and who tells it when and for whom.

use std::{
    io,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};

use super::{
    SILENCE,
    plan::Plan,
    response::Response,
    state::{Bench, count},
    window::Turn,
};
use crate::Failure;

/// One request to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    /// With a window, the first user of a lane.
    pub(super) user: u32,
    /// When it is due on the bench's clock; `None` is as soon as it is taken.
    pub(super) due: Option<Duration>,
}

/// How much is published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amount {
    /// Requests.
    pub(super) n_requests: Option<u64>,
    pub(super) length: Option<Duration>,
    /// Between two requests.
    pub(super) interval: Option<Duration>,
}

/// Tickets that wait for a publisher. With a rate a publisher that is late finds its next ones waiting; what they say
/// about when they were due is true however long they have waited.
const WAITING: usize = 1_024;
/// Without a rate waiting means nothing.
const WAITING_UNRATED: usize = 2;

/// How long it takes until a dispatcher that sleeps sees that it is over.
const NAP: Duration = Duration::from_millis(50);

impl Amount {
    /// Makes the queue of one publisher.
    pub(super) fn queue(self) -> (mpsc::Sender<Ticket>, mpsc::Receiver<Ticket>) {
        mpsc::channel(match self.interval {
            Some(_) => WAITING,
            None => WAITING_UNRATED,
        })
    }

    /// Hands out tickets, each user's to the same publisher, until all are handed out or nobody takes them.
    ///
    /// It blocks: the timers of the runtime tick in milliseconds, which would be most of what is measured.
    pub(super) fn dispatch(self, bench: &Bench, mut plan: Plan, queues: &[mpsc::Sender<Ticket>]) {
        let start = bench.now();
        for number in 0..self.n_requests.unwrap_or(u64::MAX) {
            let due = self.interval.map(|interval| {
                let nanos = u128::from(number) * interval.as_nanos();
                start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            });
            let at = due.unwrap_or_else(|| bench.now());
            if self.length.is_some_and(|length| at >= start + length) {
                return;
            }
            if !wait_until(bench, at) {
                return;
            }
            let user = plan.next_user();
            let queue = &queues[user as usize % queues.len()];
            if queue.blocking_send(Ticket { user, due }).is_err() {
                return;
            }
        }
    }
}

/// Returns false if the bench is over.
fn wait_until(bench: &Bench, at: Duration) -> bool {
    let moment = bench.moment(at);
    while !bench.is_over.load(Ordering::Relaxed) {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return true;
        }
        std::thread::sleep(wait.min(NAP));
    }
    false
}

/// How often a request is tried, and how long the pauses in between are at first and at most.
const ATTEMPTS: u32 = 30;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Makes requests until there are no more tickets. One that may not have arrived is repeated with its message id, so
/// it is not published twice.
///
/// # Cancel safety
///
/// The last request may have been published without being counted.
pub(super) async fn publish(
    bench: Arc<Bench>,
    mut tickets: mpsc::Receiver<Ticket>,
    mut n_lanes: usize,
) {
    let thread = bench.script.thread();
    let (mut lines, mut request) = (Vec::new(), Vec::new());
    let mut connection = None;
    while let Some(Ticket { user, due }) = next(&bench, &mut tickets).await {
        if bench.is_over.load(Ordering::Relaxed) {
            return;
        }
        let users = match &bench.window {
            None => user..user + 1,
            Some(window) => match window.take(user, bench.now()) {
                Some(users) => users,
                None => {
                    n_lanes -= 1;
                    if n_lanes == 0 {
                        return;
                    }
                    continue;
                }
            },
        };
        let first = bench.published[user as usize].load(Ordering::Relaxed);
        if bench.is_generated() {
            let (n, size) = (bench.batch, bench.payload);
            bench.target.generate(&users, n, first, size, &mut request);
            publish_for(&bench, &mut connection, &request, users).await;
        } else {
            for user in users {
                let due_us = micros(due.unwrap_or_else(|| bench.now()));
                lines.clear();
                for number in first..first + bench.batch {
                    bench.script.write(user, number, due_us, &mut lines);
                }
                let msg_id = format!("{thread}-{user}-{first}");
                bench
                    .target
                    .publish(user, &thread, &msg_id, &lines, &mut request);
                publish_for(&bench, &mut connection, &request, user..user + 1).await;
            }
        }
        if let Some(window) = &bench.window
            && window.answered(user) == Turn::Finished
        {
            n_lanes -= 1;
            if n_lanes == 0 {
                return;
            }
        }
    }
}

/// Waits for a ticket. With a window none comes any more once a reader has lost something; then it is the end.
async fn next(bench: &Bench, tickets: &mut mpsc::Receiver<Ticket>) -> Option<Ticket> {
    if bench.window.is_none() {
        return tickets.recv().await;
    }
    if let Ok(ticket) = tickets.try_recv() {
        return Some(ticket);
    }
    tokio::time::timeout(SILENCE, tickets.recv()).await.ok()?
}

/// Makes a request, and counts what it has published for each of these users.
async fn publish_for(
    bench: &Bench,
    connection: &mut Option<TcpStream>,
    request: &[u8],
    users: Range<u32>,
) {
    if let Err(failure) = deliver(bench, connection, request).await {
        return bench.fail(failure);
    }
    let n_events = u64::from(bench.batch) * users.len() as u64;
    for user in users {
        bench.published[user as usize].fetch_add(bench.batch, Ordering::Release);
    }
    bench.n_published.fetch_add(n_events, Ordering::Relaxed);
    bench
        .last_published_us
        .fetch_max(micros(bench.now()), Ordering::Relaxed);
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Makes one request until it is accepted.
async fn deliver(
    bench: &Bench,
    connection: &mut Option<TcpStream>,
    request: &[u8],
) -> Result<(), Failure> {
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        match exchange(bench, connection, request).await {
            // A hub says 200; others may say 201 or 202.
            Ok((200..=299, _)) => return Ok(()),
            Ok((status @ (429 | 503 | 504), body)) => {
                count(&bench.n_refused);
                last = Some(io::Error::other(format!("status {status}: {body}")));
            }
            Ok((status, body)) => return Err(Failure::Refused(format!("status {status}: {body}"))),
            Err(error) => {
                *connection = None;
                count(&bench.n_reconnects);
                last = Some(error);
            }
        }
    }
    Err(Failure::Unreachable {
        hub: bench.target.authority().to_owned(),
        source: last.unwrap_or_else(|| io::ErrorKind::TimedOut.into()),
    })
}

/// Sends a request and reads its answer; returns its status, and its body if it is a refusal.
async fn exchange(
    bench: &Bench,
    connection: &mut Option<TcpStream>,
    request: &[u8],
) -> io::Result<(u16, String)> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(bench.target.connect(None).await?),
    };
    stream.write_all(request).await?;
    let mut response = Response::new();
    let mut body = Vec::new();
    let mut buffer = [0; 4_096];
    while !response.is_done() {
        let n_read = stream.read(&mut buffer).await?;
        if n_read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        response.read(&buffer[..n_read], |part| {
            if body.len() < buffer.len() {
                body.extend_from_slice(part);
            }
        })?;
    }
    let body = match response.status() {
        200..=299 => String::new(),
        _ => String::from_utf8_lossy(&body).into_owned(),
    };
    Ok((response.status(), body))
}
