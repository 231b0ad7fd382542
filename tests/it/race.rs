//! Publishes, connects, cuts and resumes at the same time.

use events_broadcast::Limits;
use events_tests::client_log::{ClientLog, Published, published, seq_of};
use events_tests::deadline::PATIENCE;
use events_tests::hub::{Hub, ids_of};
use events_tests::raw_client::{LivePost, RawSse};
use events_tests::sample;
use std::net::SocketAddr;
use tokio::task::JoinSet;

const PUBLISHES: usize = 1_000;
const CLIENTS: u64 = 50;

/// Connects, reads a little, leaves in one way or the other, and comes back, until it has seen the end.
async fn client(address: SocketAddr, seed: u64) -> (ClientLog, usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut log = ClientLog::default();
    let mut n_connections = 0;
    let is_done = |log: &ClientLog| {
        let last = log.cursor().map(|cursor| seq_of(cursor).unwrap());
        last == Some(PUBLISHES as u64)
    };
    while !is_done(&log) {
        let headers = log.cursor().map(|cursor| [("last-event-id", cursor)]);
        let headers = headers.as_ref().map_or(&[][..], |headers| &headers[..]);
        let mut stream = RawSse::connect(address, "/agui?user=ada", headers)
            .await
            .unwrap();
        n_connections += 1;
        // Without its first cursor a client has nothing to come back with.
        let n_frames = random.u32(4..160);
        for _ in 0..n_frames {
            if is_done(&log) {
                break;
            }
            let frame = stream.next_frame(PATIENCE).await.unwrap().unwrap();
            log.take(&frame).unwrap();
        }
        if random.bool() {
            stream.reset().unwrap();
        }
    }
    (log, n_connections)
}

async fn publish(hub: &Hub) -> Published {
    let lines = sample::run("t", "r", PUBLISHES - 4);
    let path = "/publish/agui/ada/live?user=ada";
    let mut post = LivePost::open(hub.address(), path, &[]).await.unwrap();
    let mut ids = Vec::new();
    for line in &lines {
        post.send_line(line).await.unwrap();
        let receipt = post.next_line(PATIENCE).await.unwrap().unwrap();
        ids.extend(ids_of(&serde_json::from_str(&receipt).unwrap()));
    }
    post.finish().await.unwrap();
    assert_eq!(post.next_line(PATIENCE).await.unwrap(), None);
    published(&ids, &lines).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_publishes_race_fifty_clients_that_come_and_go() {
    let limits = Limits {
        connections_per_user: 10_000,
        ..Limits::default()
    };
    let hub = Hub::with_limits(limits).await.unwrap();
    let mut clients = JoinSet::new();
    for seed in 0..CLIENTS {
        clients.spawn(client(hub.address(), seed));
    }
    let truth = publish(&hub).await;
    assert_eq!(truth.len(), PUBLISHES);
    let (mut n_connections, mut n_events) = (0, 0);
    for (log, n_own) in clients.join_all().await {
        log.check(&truth).unwrap();
        assert_eq!(log.gaps().len(), 0, "the history is long enough for all");
        n_connections += n_own;
        n_events += log.entries().len();
    }
    assert!(
        n_connections > 100 && n_events > 10_000,
        "{n_connections} connections, {n_events} events"
    );
    hub.wait_for_connections("ada", 0).await.unwrap();
}
