//! A hub in this process, over a real socket.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};

use super::*;
use crate::{Stop, stop_channel};

/// No answer takes longer, except where time is what is tested.
const PATIENCE: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    stop: Stop,
    tasks: JoinSet<()>,
}

async fn start(drain_window: Duration) -> Running {
    start_with(Settings {
        drain_window,
        ..Settings::default()
    })
    .await
}

async fn start_with(settings: Settings) -> Running {
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..settings
    };
    let mode = Mode::Dev { plays_demo: false };
    let hub = Hub::bind(mode, &settings).await.unwrap();
    let (stop, stop_requests) = stop_channel();
    let (ready, is_ready) = oneshot::channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let running = hub.run(stop_requests, |address| ready.send(address).unwrap());
        running.await.unwrap();
    });
    let address = is_ready.await.unwrap();
    Running {
        address,
        stop,
        tasks,
    }
}

impl Running {
    async fn send(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    async fn ended(&mut self) {
        let ended = timeout(PATIENCE, self.tasks.join_next()).await;
        ended.expect("it has not ended").unwrap().unwrap();
    }
}

/// Reads until the text comes, or the end.
async fn read_to(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        let mut buffer = [0; 4_096];
        while !String::from_utf8_lossy(&read).contains(text) {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n_read) => read.extend_from_slice(&buffer[..n_read]),
            }
        }
    };
    timeout(PATIENCE, reading)
        .await
        .expect("nothing more comes");
    String::from_utf8_lossy(&read).into_owned()
}

const AGUI: &str = "GET /agui?user=ada HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Starts a hub with bounds of connections.
async fn bounded(change: impl FnOnce(&mut ConnectionLimits)) -> Running {
    let mut settings = Settings::default();
    change(&mut settings.connections);
    start_with(settings).await
}

/// Reads on a connection that is kept how often a bound was hit.
async fn hits(stream: &mut TcpStream, bound: &str) -> u32 {
    let head = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let metrics = read_to(stream, "# EOF").await;
    let name = format!("events_bound_hits_total{{bound=\"{bound}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value
        .unwrap_or_else(|| panic!("{bound} is not in {metrics}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let hub = bounded(|limits| limits.per_address = 1).await;
    let mut first = hub.send("").await;
    assert_eq!(hits(&mut first, "connections_per_address").await, 0);
    assert_eq!(read_to(&mut hub.send(AGUI).await, "never said").await, "");
    assert_eq!(hits(&mut first, "connections_per_address").await, 1);
}

#[tokio::test]
async fn beyond_all_connections_clients_wait() {
    let hub = bounded(|limits| limits.connections = 1).await;
    let mut first = hub.send("").await;
    assert_eq!(hits(&mut first, "connections").await, 1);
    let mut second = hub.send(AGUI).await;
    drop(first);
    assert!(read_to(&mut second, "retry: ").await.contains(" 200 OK"));
}

#[tokio::test]
async fn a_head_may_be_so_large_and_take_so_long() {
    let hub = bounded(|limits| {
        limits.head_bytes = 8 << 10;
        limits.head_time = Duration::from_millis(50);
    })
    .await;
    let head = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}",
        "x".repeat(9_000)
    );
    let answer = read_to(&mut hub.send(&head).await, "never said").await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    for begun in ["", "GET / HTTP/1.1\r\nhost: localhost\r\n"] {
        read_to(&mut hub.send(begun).await, "never said").await;
    }
    // The client is told before the end is counted.
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut stream = hub.send("").await;
        let counts = (
            hits(&mut stream, "head_bytes").await,
            hits(&mut stream, "head_time").await,
        );
        // The connection of an earlier look may have been idle for too long, too.
        if counts.0 == 1 && counts.1 >= 2 {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{counts:?}");
    }
}

#[tokio::test]
async fn official_a2a_clients_find_addresses_that_name_their_user() {
    let hub = start(Duration::ZERO).await;
    for (path, url) in [
        ("/.well-known/agent-card.json", "/a2a/rpc"),
        (
            "/.well-known/agent-card.json?user=a+b",
            "/a2a/users/a%20b/rpc",
        ),
        (
            "/a2a/users/ada/.well-known/agent-card.json",
            "/a2a/users/ada/rpc",
        ),
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost:7\r\nconnection: close\r\n\r\n");
        let mut stream = hub.send(&request).await;
        let answer = read_to(&mut stream, "\"url\":\"").await;
        assert!(
            answer.contains(&format!("\"url\":\"http://localhost:7{url}\"")),
            "{answer}"
        );
        assert!(!answer.contains("securitySchemes"), "{answer}");
    }
}

#[tokio::test]
async fn the_page_and_the_problems_are_served() {
    let hub = start(Duration::ZERO).await;
    for (request, status, part) in [
        ("GET / HTTP/1.1\r\nhost: localhost:1", "200", "curl -N"),
        (
            "GET /nowhere?user=a HTTP/1.1\r\nhost: localhost",
            "404",
            "application/problem+json",
        ),
        (
            "DELETE / HTTP/1.1\r\nhost: localhost",
            "405",
            "application/problem+json",
        ),
        (
            "GET /agui HTTP/1.1\r\nhost: localhost",
            "401",
            "application/problem+json",
        ),
        (
            "GET /agui?user=a HTTP/1.1\r\nhost: evil.example",
            "403",
            "application/problem+json",
        ),
    ] {
        let head = format!("{request}\r\nconnection: close\r\n\r\n");
        let answer = read_to(&mut hub.send(&head).await, "never said").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(part), "{answer}");
    }
}

#[tokio::test]
async fn a_stream_is_told_and_the_listener_is_closed_at_once() {
    let mut hub = start(Duration::from_secs(1)).await;
    let mut stream = hub.send(AGUI).await;
    let mut idle = TcpStream::connect(hub.address).await.unwrap();
    assert!(read_to(&mut stream, "retry:").await.contains("retry:"));
    hub.stop.request();
    assert!(
        read_to(&mut stream, "closing")
            .await
            .contains("event: closing")
    );
    // It has the listener no more, and an idle connection does not hold it up.
    assert!(TcpStream::connect(hub.address).await.is_err());
    assert_eq!(read_to(&mut idle, "never said").await, "");
    hub.ended().await;
}

#[tokio::test]
async fn the_second_request_ends_it_at_once() {
    let mut hub = start(Duration::from_secs(3_600)).await;
    let mut stream = hub.send(AGUI).await;
    read_to(&mut stream, "retry:").await;
    hub.stop.request();
    hub.stop.request();
    hub.ended().await;
}

#[test]
fn without_tokens_only_loopback_is_listened_on() {
    let at = |listen: &str| Settings {
        listen: listen.parse().unwrap(),
        ..Settings::default()
    };
    let dev = Mode::Dev { plays_demo: true };
    let insecure = Mode::Serve { is_insecure: true };
    for mode in [dev, insecure] {
        for good in [
            "127.0.0.1:0",
            "127.1.2.3:1",
            "[::1]:0",
            "[::ffff:127.0.0.1]:0",
        ] {
            assert!(mode.check(&at(good)).is_ok(), "{good}");
        }
        for bad in [
            "0.0.0.0:4000",
            "[::]:4000",
            "192.168.0.1:4000",
            "[::ffff:10.0.0.1]:0",
        ] {
            let failure = mode.check(&at(bad)).unwrap_err();
            assert!(matches!(failure, Failure::NotLoopback { .. }), "{failure}");
            assert_eq!(failure.exit_code(), 2);
        }
    }
    let failure = Mode::Serve { is_insecure: false }
        .check(&at("127.0.0.1:0"))
        .unwrap_err();
    assert!(
        failure.line().starts_with("error: no key configured: "),
        "{failure}"
    );
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        listen: taken.local_addr().unwrap(),
        ..Settings::default()
    };
    let failure = Hub::bind(Mode::Dev { plays_demo: false }, &settings)
        .await
        .unwrap_err();
    assert!(failure.line().contains("--listen"), "{}", failure.line());
    assert_eq!(failure.exit_code(), 1);
}
