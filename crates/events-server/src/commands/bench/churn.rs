//! Readers that come and go while others read.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{response::Response, state::Bench};

/// Those that are coming at the same time; a hub that is slower than the rate is waited for.
const MOST: usize = 256;

/// How long one may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether all that left are gone, and for how long.
const TICK: Duration = Duration::from_millis(10);
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// What became of those that came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Churned {
    /// Came, had the head of their stream, and were cut.
    pub(super) came: u64,
    /// Were refused or not answered.
    pub(super) refused: u64,
    /// From connecting to the head of the stream, in microseconds.
    pub(super) setup_p50_us: u64,
    pub(super) setup_p99_us: u64,
    /// The streams that the hub itself counts at the end; absent if it does not say.
    pub(super) counted: Option<u64>,
    /// How long that took to be the number of those who stayed, in milliseconds; absent if it never was.
    pub(super) gone_after_ms: Option<u64>,
}

/// Counts those that come and go.
#[derive(Debug)]
pub(super) struct Churn {
    found: Mutex<(Churned, Histogram<u64>)>,
}

impl Churn {
    pub(super) fn new(setup: Histogram<u64>) -> Self {
        Self {
            found: Mutex::new((Churned::default(), setup)),
        }
    }

    /// Lets `per_second` readers come and go until it is dropped.
    ///
    /// # Cancel safety
    ///
    /// Those that are coming are cut and not counted.
    pub(super) async fn run(&self, bench: &Arc<Bench>, per_second: u64) {
        let mut ticks = interval(Duration::from_nanos(1_000_000_000 / per_second.max(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut coming, mut number) = (JoinSet::new(), 0);
        loop {
            tokio::select! {
                biased;
                Some(came) = coming.join_next() => self.note(came.ok().and_then(io::Result::ok)),
                _ = ticks.tick(), if coming.len() < MOST => {
                    coming.spawn(come_and_go(Arc::clone(bench), number));
                    number += 1;
                }
            }
        }
    }

    fn note(&self, setup: Option<Duration>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (churned, histogram) = &mut *found;
        match setup {
            Some(setup) => {
                churned.came += 1;
                let setup_us = u64::try_from(setup.as_micros()).unwrap_or(u64::MAX);
                histogram.saturating_record(setup_us.max(1));
            }
            None => churned.refused += 1,
        }
    }

    /// Waits until the hub counts those only who have stayed, and says what was found.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn end(&self, bench: &Bench) -> Churned {
        let (begin, n_stay) = (Instant::now(), bench.seats.len() as u64);
        let mut ticks = interval(TICK);
        let mut counted = None;
        let mut gone_after_ms = None;
        while begin.elapsed() < GONE_WITHIN {
            ticks.tick().await;
            counted = count(bench).await;
            if counted.is_none_or(|n_streams| n_streams == n_stay) {
                let after = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
                gone_after_ms = counted.map(|_| after);
                break;
            }
        }
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (churned, setup) = &*found;
        Churned {
            setup_p50_us: setup.value_at_quantile(0.5),
            setup_p99_us: setup.value_at_quantile(0.99),
            counted,
            gone_after_ms,
            ..*churned
        }
    }
}

/// Comes, reads the head of a stream, and goes: by turns with a reset and in the usual way.
async fn come_and_go(bench: Arc<Bench>, number: usize) -> io::Result<Duration> {
    let begin = bench.now();
    let seat = bench.seats[number % bench.seats.len()];
    let coming = async {
        let mut socket = bench.target.connect(None).await?;
        let request = bench.target.subscribe(seat.user, None);
        socket.write_all(request.as_bytes()).await?;
        let response = read(&mut socket, |response| response.status() != 0, |_| {}).await?;
        Ok::<_, io::Error>((socket, response.status()))
    };
    let (socket, status) = timeout(PATIENCE, coming)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    if status != 200 {
        bench.n_refused.fetch_add(1, Ordering::Relaxed);
        return Err(io::Error::other(format!("status {status}")));
    }
    let setup = bench.now() - begin;
    if number.is_multiple_of(2) {
        socket.set_zero_linger()?;
    }
    Ok(setup)
}

/// Asks the hub how many streams are open; `None` if it does not say.
async fn count(bench: &Bench) -> Option<u64> {
    let metrics = get(bench, "/metrics").await;
    let line = metrics.as_deref().and_then(|text| {
        text.lines()
            .find_map(|line| line.strip_prefix("events_connections{stream=\"agui\"} "))
    });
    match line {
        Some(number) => number.trim().parse().ok(),
        None => get(bench, "/count").await?.trim().parse().ok(),
    }
}

/// What an answer may have, in bytes.
const MAX_TEXT: usize = 1 << 20;

async fn get(bench: &Bench, path: &str) -> Option<String> {
    let asking = async {
        let mut socket = bench.target.connect(None).await?;
        socket.write_all(bench.target.get(path).as_bytes()).await?;
        let mut text = Vec::new();
        let response = read(&mut socket, Response::is_done, |part| {
            if text.len() < MAX_TEXT {
                text.extend_from_slice(part);
            }
        })
        .await?;
        Ok::<_, io::Error>((response.status(), text))
    };
    let (status, text) = timeout(PATIENCE, asking).await.ok()?.ok()?;
    (status == 200).then(|| String::from_utf8_lossy(&text).into_owned())
}

async fn read(
    socket: &mut TcpStream,
    is_enough: impl Fn(&Response) -> bool,
    mut body: impl FnMut(&[u8]),
) -> io::Result<Response> {
    let mut response = Response::new();
    let mut buffer = vec![0; 4_096];
    while !is_enough(&response) {
        let n_read = socket.read(&mut buffer).await?;
        if n_read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        response.read(&buffer[..n_read], &mut body)?;
    }
    Ok(response)
}
