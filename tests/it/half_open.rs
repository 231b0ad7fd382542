//! A client whose network goes away without a word: its slot is free before long, and nobody else's.
//!
//! The short form runs with all other tests; with `EVENTS_SOAK=1` (`cargo xtask soak`) the hub has its defaults, and the
//! time is printed.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use events_tests::deadline::PATIENCE;
use events_tests::network::Network;
use events_tests::raw_client::{RawSse, Request};
use events_tests::rigs::{self, is_soak};
use events_tests::server_process::{ServerProcess, events_binary};
use events_tests::skip;
use events_tests::tokens::{self, SECRET};
use tokio::runtime::Runtime;

/// A client over there, and what it is told to do.
struct Client {
    done: mpsc::Receiver<()>,
    thread: std::thread::JoinHandle<io::Result<usize>>,
}

async fn token(user: &str, role: &str) -> io::Result<String> {
    let token = tokens::token(user, &["--role", role]).await?;
    Ok(format!("Bearer {token}"))
}

/// Opens a stream over there and reads it for `time`; returns how many heartbeats came.
fn client(network: &Network, address: SocketAddr, token: String, time: Duration) -> Client {
    let (is_open, done) = mpsc::channel();
    let thread = network.at_client(move |runtime| {
        runtime.block_on(async {
            let request = Request::get("/agui").header("authorization", &token);
            let mut stream = RawSse::open(address, &request).await?;
            stream.next_frame(PATIENCE).await?;
            // The test waits for it.
            is_open.send(()).map_err(io::Error::other)?;
            let (until, mut n_heartbeats) = (Instant::now() + time, 0);
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                match stream.next_frame(left).await {
                    Ok(Some(frame)) => n_heartbeats += usize::from(!frame.comments.is_empty()),
                    Ok(None) => break,
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(n_heartbeats)
        })
    });
    Client { done, thread }
}

/// What the test asks the hub, from a thread on its side.
fn ask(runtime: &Runtime, address: SocketAddr, path: &str, token: &str) -> io::Result<String> {
    let request = Request::get(path).header("authorization", token);
    let answer = runtime.block_on(request.send(address))?;
    Ok(answer.text())
}

/// Waits until the hub says so; returns when it did.
fn wait_for(
    runtime: &Runtime,
    address: SocketAddr,
    (path, token): (&str, &str),
    limit: Duration,
    is_so: impl Fn(&str) -> bool,
) -> io::Result<Instant> {
    let begun = Instant::now();
    loop {
        let text = ask(runtime, address, path, token)?;
        if is_so(&text) {
            return Ok(Instant::now());
        }
        if begun.elapsed() > limit {
            return Err(io::Error::other(format!(
                "waited {limit:?}: {path} is {text}"
            )));
        }
        let pause = std::future::pending::<()>();
        let _elapsed = runtime
            .block_on(async { tokio::time::timeout(Duration::from_millis(50), pause).await });
    }
}

async fn check(test: &str, take_over: &str) -> io::Result<()> {
    let Some(network) = skip::require(test, "network namespaces", Network::new()) else {
        return Ok(());
    };
    let binary = events_binary().await?;
    let (ada, bob) = (
        token("ada", "subscriber").await?,
        token("bob", "subscriber").await?,
    );
    let operator = token("operator", "operator").await?;
    let (options, limit, read_for): (&[&str], _, _) = if is_soak() {
        (&[], Duration::from_secs(50), Duration::from_secs(62))
    } else {
        let options: &[&str] = &["--heartbeat", "1s", "--limits.unacknowledged", "2s"];
        (options, Duration::from_secs(8), Duration::from_secs(10))
    };
    let mut words = vec![
        "serve",
        "--listen",
        "0.0.0.0:0",
        "--serve.take_over",
        take_over,
    ];
    words.extend(options);
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();

    let (hub_is_up, up) = mpsc::channel();
    let (way_is_lost, lost) = mpsc::channel::<Instant>();
    let of_operator = operator;
    let server = network.at_server(move |runtime| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let environment = [("EVENTS_AUTH__SECRET", SECRET), ("RUST_LOG", "error")];
        let hub = runtime.block_on(ServerProcess::start(binary, &words, &environment))?;
        let address = SocketAddr::new(Network::SERVER[0], hub.address().port());
        hub_is_up.send(address).map_err(io::Error::other)?;
        let lost_at = lost.recv().map_err(io::Error::other)?;
        let of_ada = ("/connections?user=ada", &*of_operator);
        let free_at = wait_for(runtime, address, of_ada, limit, |text| text == "[]")?;
        let metrics = ask(runtime, address, "/metrics", &of_operator)?;
        let of_bob = ask(runtime, address, "/connections?user=bob", &of_operator)?;
        // The hub lives on for bob.
        let _next = lost.recv();
        Ok((free_at - lost_at, metrics, of_bob))
    });
    let address = up.recv().map_err(io::Error::other)?;
    let other = SocketAddr::new(Network::SERVER[1], address.port());
    let dead = client(&network, address, ada, read_for);
    let live = client(&network, other, bob, read_for);
    dead.done.recv().map_err(io::Error::other)?;
    live.done.recv().map_err(io::Error::other)?;
    network.lose_way_to(address.ip())?;
    way_is_lost.send(Instant::now()).map_err(io::Error::other)?;
    let n_heartbeats = live.thread.join().expect("no panic")?;
    drop(way_is_lost);
    let (freed_after, metrics, of_bob) = server.join().expect("no panic")?;
    dead.thread.join().expect("no panic")?;

    rigs::say(&format_args!(
        "half open, sockets taken over: {take_over} | the slot was free after {freed_after:.1?}"
    ));
    assert!(freed_after <= limit, "{freed_after:?}");
    let end = r#"events_stream_ends_total{stream="agui",reason="unacknowledged"} 1"#;
    assert!(metrics.contains(end), "{metrics}");
    let hit = r#"events_bound_hits_total{bound="unacknowledged"} 1"#;
    assert!(metrics.contains(hit), "{metrics}");
    // An idle one has acknowledged every heartbeat, and so it is there.
    assert!(of_bob.contains("\"user\":\"bob\""), "{of_bob}");
    assert!(n_heartbeats >= 3, "{n_heartbeats} heartbeats");
    Ok(())
}

#[tokio::test]
async fn a_dead_clients_slot_is_freed_and_a_live_idle_ones_is_kept() -> io::Result<()> {
    check(
        "a_dead_clients_slot_is_freed_and_a_live_idle_ones_is_kept",
        "true",
    )
    .await
}

#[tokio::test]
async fn the_same_holds_when_streams_stay_with_hyper() -> io::Result<()> {
    check("the_same_holds_when_streams_stay_with_hyper", "false").await
}
