//! Many clients at once on real sockets: all come back at the same moment, or half of them stop reading.
//!
//! The short form has hundreds of connections, the long one (`EVENTS_SOAK=1`) thousands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use events_broadcast::Limits;
use events_tests::client_log::{ClientLog, Published, published, seq_of};
use events_tests::fault_proxy::FaultProxy;
use events_tests::hub::{Hub, HubOptions};
use events_tests::raw_client::{RawFrame, RawSse, Request};
use events_tests::{rigs, sample};
use tokio::task::JoinSet;

/// Clients of one user; below the usual cap.
const PER_USER: usize = 5;
/// Pieces of text in a run that is published.
const DELTAS: usize = 6;

/// A crowd, and what it may take.
#[derive(Clone)]
struct Crowd {
    options: HubOptions,
    n_clients: usize,
    limit: Duration,
}

/// What was seen of it.
struct Seen {
    took: Duration,
    /// Publish to frame at a client that nothing happened to, the 99th of a hundred.
    p99: Duration,
}

impl Crowd {
    fn of(short: usize, long: usize) -> Self {
        Self {
            options: HubOptions::default(),
            n_clients: if rigs::is_soak() { long } else { short },
            limit: Duration::from_secs(30),
        }
    }

    fn n_users(&self) -> usize {
        self.n_clients / PER_USER
    }
}

fn user(client: usize) -> String {
    format!("user-{}", client / PER_USER)
}

fn path(client: usize) -> String {
    format!("/agui?user={}", user(client))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn is_number(frame: &RawFrame, number: u64) -> bool {
    frame
        .id
        .as_deref()
        .is_some_and(|id| seq_of(id) == Ok(number))
}

/// Publishes a run for every user, event by event; returns the truth of each, and how long events took to a client
/// that reads.
async fn publish(
    hub: &Hub,
    crowd: &Crowd,
    run: &str,
    n_padding: usize,
) -> Result<(Vec<Published>, Vec<Duration>), String> {
    let mut steady = hub.stream(&path(0)).await.map_err(text)?;
    let (mut truths, mut times) = (Vec::new(), Vec::new());
    for number in 0..crowd.n_users() {
        let lines = sample::padded_run(run, run, DELTAS, n_padding);
        let mut ids = Vec::new();
        for event in sample::typed(&lines) {
            let begun = Instant::now();
            ids.extend(
                hub.publish(&user(number * PER_USER), event)
                    .await
                    .map_err(text)?,
            );
            if number == 0 {
                let is_it = |frame: &RawFrame| frame.id.as_ref() == ids.last();
                steady.read_until(crowd.limit, is_it).await.map_err(text)?;
                times.push(begun.elapsed());
            }
        }
        truths.push(published(&ids, &lines)?);
    }
    times.sort();
    Ok((truths, times))
}

/// Opens a stream behind a cursor, again and again as long as it is turned away.
async fn come_back(
    crowd: &Crowd,
    address: std::net::SocketAddr,
    client: usize,
    log: &mut ClientLog,
    last: u64,
) -> Result<(), String> {
    let deadline = Instant::now() + crowd.limit;
    while log.last() != Some(last) {
        if Instant::now() > deadline {
            return Err(format!(
                "client {client} is not back after {:?}",
                crowd.limit
            ));
        }
        let cursor = log.cursor().unwrap_or_default().to_owned();
        let Ok(mut stream) =
            RawSse::connect(address, &path(client), &[("last-event-id", &cursor)]).await
        else {
            tokio::task::yield_now().await;
            continue;
        };
        let read = stream
            .read_until(Duration::from_secs(5), |frame| is_number(frame, last))
            .await;
        // What came before a cut counts.
        for frame in stream.frames() {
            log.take(frame)?;
        }
        if read.is_err() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// All connections are reset, and every client comes back at once; with a fault, to a hub that has never heard of them.
async fn storm(crowd: Crowd, is_strange: bool) -> Result<Seen, String> {
    let hub = Hub::start(crowd.options.clone()).await.map_err(text)?;
    let proxy = FaultProxy::start(hub.address()).await.map_err(text)?;
    let (mut streams, mut logs) = (Vec::new(), Vec::new());
    for client in 0..crowd.n_clients {
        let mut stream = RawSse::connect(proxy.address(), &path(client), &[])
            .await
            .map_err(text)?;
        let first = stream
            .read_until(crowd.limit, |frame| frame.id.is_some())
            .await;
        let mut log = ClientLog::default();
        first
            .map_err(text)?
            .iter()
            .try_for_each(|frame| log.take(frame))?;
        streams.push(stream);
        logs.push(log);
    }
    proxy.reset_all();
    drop(streams);
    let stranger = Hub::start(crowd.options.clone()).await.map_err(text)?;
    if is_strange {
        proxy.set_target(stranger.address());
    }
    let (truths, _) = publish(&hub, &crowd, "away", 0).await?;
    // All of them at once, without the pause that the hub has asked for.
    let begun = Instant::now();
    let mut coming = JoinSet::new();
    let address = proxy.address();
    for (client, mut log) in logs.into_iter().enumerate() {
        let crowd = crowd.clone();
        let truth = truths[client / PER_USER].clone();
        coming.spawn(async move {
            let last = truth.keys().next_back().copied().unwrap_or(0);
            come_back(&crowd, address, client, &mut log, last).await?;
            log.check(&truth)?;
            if log.gaps().is_empty() {
                Ok(())
            } else {
                Err(format!("client {client}: {:?}", log.gaps()))
            }
        });
    }
    let meanwhile = async {
        let calm = Crowd {
            n_clients: PER_USER,
            ..crowd.clone()
        };
        let lone = hub.stream("/agui?user=lone").await.map_err(text)?;
        publish_to_one(&hub, lone, &calm).await
    };
    let (mut times, back) = tokio::join!(meanwhile, async {
        let mut outcome = Ok(());
        while let Some(joined) = coming.join_next().await {
            outcome = outcome.and(joined.map_err(text).and_then(|it| it));
        }
        outcome.map(|()| begun.elapsed())
    });
    let took = back?;
    let p99 = p99(times.as_mut().map_err(|error| error.clone())?);
    Ok(Seen { took, p99 })
}

/// Publishes to one user while others are busy; returns how long each event took.
async fn publish_to_one(
    hub: &Hub,
    mut stream: RawSse,
    crowd: &Crowd,
) -> Result<Vec<Duration>, String> {
    let mut times = Vec::new();
    for event in sample::typed(&sample::run("lone", "lone", 40)) {
        let begun = Instant::now();
        let ids = hub.publish("lone", event).await.map_err(text)?;
        let is_it = |frame: &RawFrame| frame.id.as_ref() == ids.last();
        stream.read_until(crowd.limit, is_it).await.map_err(text)?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort();
    let at = times.len() * 99 / 100;
    times
        .get(at.min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// Half of the clients stop reading while runs of large events are published; then they read on.
async fn stall(crowd: Crowd) -> Result<(Seen, Duration), String> {
    let hub = Arc::new(Hub::start(crowd.options.clone()).await.map_err(text)?);
    let lone = hub.stream("/agui?user=lone").await.map_err(text)?;
    let calm = p99(&mut publish_to_one(&hub, lone, &crowd).await?);
    let mut stalled = Vec::new();
    let mut healthy = JoinSet::new();
    let mut truth_of = Vec::new();
    for client in 0..crowd.n_clients {
        let request = Request::get(&path(client)).receive_buffer(4_096);
        let mut stream = RawSse::open(hub.address(), &request).await.map_err(text)?;
        let first = stream
            .read_until(crowd.limit, |frame| frame.id.is_some())
            .await;
        first.map_err(text)?;
        if client.is_multiple_of(2) {
            stalled.push((client, stream));
        } else {
            let (sender, receiver) = tokio::sync::oneshot::channel::<Published>();
            truth_of.push((client, sender));
            let crowd = crowd.clone();
            healthy.spawn(async move { drain(&crowd, stream, receiver).await });
        }
    }
    let begun = Instant::now();
    let (truths, times) = publish(&hub, &crowd, "run", 20_000).await?;
    let took = begun.elapsed();
    for (client, sender) in truth_of {
        // Whoever has failed is told by its task.
        let _gone = sender.send(truths[client / PER_USER].clone());
    }
    while let Some(joined) = healthy.join_next().await {
        joined.map_err(text)??;
    }
    let bound = hub.router().store().limits().total_bytes;
    let used = hub.router().store().used_bytes();
    if used > bound {
        return Err(format!("{used} bytes are held, of {bound}"));
    }
    for (client, stream) in stalled {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let _there = sender.send(truths[client / PER_USER].clone());
        drain(&crowd, stream, receiver)
            .await
            .map_err(|why| format!("stalled {client}: {why}"))?;
    }
    let mut times = times;
    Ok((
        Seen {
            took,
            p99: p99(&mut times),
        },
        calm,
    ))
}

/// Reads to the end of what was published, which is told when it is known.
async fn drain(
    crowd: &Crowd,
    mut stream: RawSse,
    truth: tokio::sync::oneshot::Receiver<Published>,
) -> Result<(), String> {
    let n_events = sample::run("x", "x", DELTAS).len() as u64;
    stream
        .read_until(crowd.limit, |frame| is_number(frame, n_events))
        .await
        .map_err(text)?;
    let truth = truth.await.map_err(text)?;
    let mut log = ClientLog::default();
    for frame in stream.frames() {
        log.take(frame)?;
    }
    log.check(&truth)?;
    if log.gaps().is_empty() {
        Ok(())
    } else {
        Err(format!("{:?}", log.gaps()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_comes_back_at_once_has_everything_and_harms_nobody() {
    let crowd = Crowd::of(200, 2_000);
    let n_clients = crowd.n_clients;
    let seen = storm(crowd, false).await.unwrap();
    rigs::say(&format_args!(
        "storm | {n_clients} clients | all back in {:.2} s | p99 of others {:.1} ms",
        seen.took.as_secs_f64(),
        seen.p99.as_secs_f64() * 1e3
    ));
    assert!(seen.p99 < Duration::from_secs(1), "p99 {:?}", seen.p99);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stop_lose_nothing_and_harm_nobody() {
    let crowd = Crowd::of(100, 2_000);
    let n_stalled = crowd.n_clients / 2;
    let (seen, calm) = stall(crowd).await.unwrap();
    rigs::say(&format_args!(
        "slow readers | {n_stalled} stalled of twice as many | {:.2} s | p99 of others {:.1} ms, alone {:.1} ms",
        seen.took.as_secs_f64(),
        seen.p99.as_secs_f64() * 1e3,
        calm.as_secs_f64() * 1e3
    ));
    assert!(seen.p99 < Duration::from_secs(1), "p99 {:?}", seen.p99);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_does_not_know_the_cursors_of_a_crowd_is_found() {
    let mut crowd = Crowd::of(20, 20);
    crowd.limit = Duration::from_secs(2);
    let why = storm(crowd, true)
        .await
        .map(drop)
        .expect_err("the fault is planted");
    rigs::say(&format_args!(
        "planted: a crowd comes back to a stranger | {why}"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_forgets_what_stalled_readers_have_not_read_is_found() {
    let mut crowd = Crowd::of(20, 20);
    crowd.options.limits = Limits {
        bytes: 30_000,
        ..Limits::default()
    };
    let why = stall(crowd)
        .await
        .map(drop)
        .expect_err("the fault is planted");
    rigs::say(&format_args!(
        "planted: too little history for readers that stall | {why}"
    ));
}
