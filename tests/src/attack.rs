//! Clients that mean harm, or whose network does: thousands of streams that nobody reads, heads that never end, garbage,
//! and more users than anybody has.
//!
//! They have a thread of their own, which may be one that gets the processor only when nobody else wants it: with all
//! parties on one machine, what is measured beside them shall be the hub's doing, and not that they take the processor
//! from the hub and its clients, as they could not from elsewhere.

mod garbage;
mod line;
mod stalled;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, interval};

use line::Line;

/// Connections over which users are published to.
const PUBLISHERS: usize = 8;

/// What is done to a hub.
#[derive(Debug, Clone)]
pub struct Attack {
    /// Streams that are opened and never read, ten to a user. One that the hub ends is opened again.
    pub n_stalled: usize,
    /// Large events a second for the users of these streams, so that there is something that is not read.
    pub fill_rate: usize,
    /// Users that are published to once.
    pub n_users: usize,
    /// At most so many of them a second: what is published is served, so a hub can be kept from serving others by it.
    pub user_rate: usize,
    /// Connections that send a byte of a head now and then.
    pub n_slow: usize,
    /// Requests a second that are none, or make no sense: as many as can be, and at most so many.
    pub garbage_rate: usize,
    /// How long it lasts at least; it ends when all users were published to.
    pub time: Duration,
    /// Whether others go first on the processor.
    pub stands_back: bool,
}

/// What came of it so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Streams that were opened again because the hub had ended them.
    pub n_reopened: AtomicUsize,
    /// Large events that were taken.
    pub n_filled: AtomicUsize,
    /// Users whose event was taken.
    pub n_users: AtomicUsize,
    /// Users whose event was not.
    pub n_refused: AtomicUsize,
    /// Heads that the hub gave up.
    pub n_given_up: AtomicUsize,
    /// Requests of garbage that were answered, or whose connection was closed.
    pub n_garbage: AtomicUsize,
    /// Those of them that were answered as if they made sense.
    pub n_taken: AtomicUsize,
    is_ready: AtomicBool,
    is_over: AtomicBool,
}

/// An attack under way; it ends with [`Attackers::end`], or by itself when it is dropped.
#[derive(Debug)]
pub struct Attackers {
    tally: Arc<Tally>,
    thread: Option<JoinHandle<io::Result<Duration>>>,
}

/// Adds one.
fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// Returns a counter's value.
    #[must_use]
    pub fn of(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl Attack {
    /// Begins.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub fn start(self, address: SocketAddr) -> io::Result<Attackers> {
        let tally = Arc::new(Tally::default());
        let own = Arc::clone(&tally);
        let thread = std::thread::Builder::new()
            .name("attack".to_owned())
            .spawn(move || {
                if self.stands_back {
                    stand_back();
                }
                let mut runtime = runtime::Builder::new_current_thread();
                let ended = runtime
                    .enable_all()
                    .build()?
                    .block_on(self.run(address, &own));
                own.is_over.store(true, Ordering::Relaxed);
                ended
            })?;
        Ok(Attackers {
            tally,
            thread: Some(thread),
        })
    }

    /// Attacks; returns how long it took once all streams were open.
    async fn run(self, address: SocketAddr, tally: &Arc<Tally>) -> io::Result<Duration> {
        let mut tasks = JoinSet::new();
        let stalled = stalled::open(address, self.n_stalled).await?;
        tasks.spawn(stalled::keep(address, stalled, Arc::clone(tally)));
        for number in 0..self.n_slow {
            tasks.spawn(garbage::speak_slowly(address, number, Arc::clone(tally)));
        }
        tally.is_ready.store(true, Ordering::Release);
        let begun = Instant::now();
        if self.n_stalled > 0 && self.fill_rate > 0 {
            let n_users = self.n_stalled.div_ceil(stalled::PER_USER);
            let fill = stalled::fill(address, n_users, self.fill_rate, Arc::clone(tally));
            tasks.spawn(fill);
        }
        for number in 0..garbage::SOURCES {
            let rate = self.garbage_rate / garbage::SOURCES;
            tasks.spawn(garbage::throw(address, number, rate, Arc::clone(tally)));
        }
        let mut publishers = JoinSet::new();
        for number in 0..PUBLISHERS {
            let users = (number..self.n_users).step_by(PUBLISHERS);
            let rate = self.user_rate / PUBLISHERS;
            publishers.spawn(publish_to(address, users, rate, Arc::clone(tally)));
        }
        while let Some(ended) = publishers.join_next().await {
            ended.map_err(io::Error::other)?;
        }
        let mut ticks = interval(Duration::from_millis(20));
        while begun.elapsed() < self.time && !tally.is_over() {
            ticks.tick().await;
        }
        Ok(begun.elapsed())
    }
}

impl Attackers {
    /// Returns the counters.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Waits until all streams that nobody reads are open, as far as the system knows.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `limit`; the attack's own error.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn ready(&mut self, limit: Duration) -> io::Result<()> {
        let mut ticks = interval(Duration::from_millis(20));
        crate::deadline::within("the attackers", limit, async {
            while !self.tally.is_ready.load(Ordering::Acquire) {
                if self.has_ended() {
                    return self.join().map(drop);
                }
                ticks.tick().await;
            }
            Ok(())
        })
        .await
    }

    /// Tells whether all of it is done.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it, and returns how long it took once all streams were open.
    ///
    /// # Errors
    ///
    /// A connection that could not be had in the beginning.
    ///
    /// # Cancel safety
    ///
    /// It ends all the same.
    pub async fn end(&mut self) -> io::Result<Duration> {
        self.tally.is_over.store(true, Ordering::Relaxed);
        let mut ticks = interval(Duration::from_millis(5));
        while !self.has_ended() {
            ticks.tick().await;
        }
        self.join()
    }

    fn join(&mut self) -> io::Result<Duration> {
        let Some(thread) = self.thread.take() else {
            return Ok(Duration::ZERO);
        };
        let panicked = |_| Err(io::Error::other("the attack panicked"));
        thread.join().unwrap_or_else(panicked)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        self.tally.is_over.store(true, Ordering::Relaxed);
        // It looks at the flag every few milliseconds.
        let _ended = self.join();
    }
}

/// Leaves the processor to others, where there is a program to say so.
///
/// To be nice is not enough: to Linux a processor is taken that has only something nice to do, so it had the hub's two
/// threads share the other one for tens of milliseconds.
fn stand_back() {
    let own = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let id = own.file_name().unwrap_or_default();
    let mut command = std::process::Command::new("chrt");
    command.args(["--idle", "--pid", "0"]).arg(id);
    // Without it the trial is harder, not wrong.
    let _said = command.output();
}

/// Connects from one of the addresses that a machine has for itself, so that there are enough ports.
async fn connect(address: SocketAddr, source: u8, buffer: Option<u32>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(n_bytes) = buffer {
        socket.set_recv_buffer_size(n_bytes)?;
    }
    socket.bind(SocketAddr::new(
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, source)),
        0,
    ))?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Ticks a hundred times a second or twice, less often where less is due, and says how many are due at each.
fn pace(rate: usize) -> (Interval, usize) {
    let n_due = (rate / 100).max(1);
    let period = Duration::from_secs(1).mul_f64(n_due as f64 / rate.max(1) as f64);
    (interval(period), n_due)
}

/// Publishes one event to each of these users.
async fn publish_to(
    address: SocketAddr,
    users: impl Iterator<Item = usize>,
    rate: usize,
    tally: Arc<Tally>,
) {
    let mut line = Line::new(address, 3);
    let (mut ticks, n_due) = pace(rate);
    for (n_sent, number) in users.enumerate() {
        if n_sent % n_due == 0 {
            ticks.tick().await;
        }
        if tally.is_over() {
            return;
        }
        let body = format!(
            r#"{{"type":"CONTEXT_UPDATED","contextId":"c","name":"user {number}","timestamp":1}}"#
        );
        let path = format!("/publish/system/crowd-{number}?user=crowd");
        match line.post(&path, body.as_bytes()).await {
            Ok(200) => count(&tally.n_users),
            Ok(_) | Err(_) => count(&tally.n_refused),
        }
    }
}
