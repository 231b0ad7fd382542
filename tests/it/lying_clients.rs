//! Clients that hold on to what they do not use: half a head, half a body, every open file.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use events_axum::{StreamConfig, serve::ConnectionLimits};
use events_tests::{
    deadline::{PATIENCE, within},
    hub::{Hub, HubOptions},
    raw_client::{LivePost, RawSse, get},
    sample,
    server_process::{ServerProcess, events_binary},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// Half of them with half a head, the others with half a body.
const N_SLOW: usize = 500;

async fn metric(address: SocketAddr, name: &str) -> io::Result<usize> {
    let text = get(address, "/metrics", &[]).await?.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.trim().parse().ok());
    Ok(value.unwrap_or_else(|| panic!("{name} is not in {text}")))
}

async fn hits(address: SocketAddr, bound: &str) -> io::Result<usize> {
    metric(
        address,
        &format!("events_bound_hits_total{{bound=\"{bound}\"}} "),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_slow_requests_are_given_up_and_take_nothing_from_streams() -> io::Result<()> {
    let hub = Hub::start(HubOptions {
        streams: StreamConfig {
            body_time: Duration::from_secs(3),
            ..StreamConfig::default()
        },
        connections: ConnectionLimits {
            head_time: Duration::from_secs(3),
            ..ConnectionLimits::default()
        },
        ..HubOptions::default()
    })
    .await?;
    let address = hub.address();
    let mut streams = Vec::new();
    for number in 0..20 {
        streams.push(hub.stream(&format!("/agui?user=u{}", number % 5)).await?);
    }
    let mut slow = JoinSet::new();
    for number in 0..N_SLOW {
        slow.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            let begun: &[u8] = if number % 2 == 0 {
                b"GET /agui?user=slow HTTP/1.1\r\nhost: x\r\nx-slow: "
            } else {
                b"POST /publish/system/slow HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                  content-length: 1000\r\n\r\n{"
            };
            stream.write_all(begun).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        });
    }
    // All of them are there, unless the first is given up before.
    while metric(address, "events_sockets ").await? < N_SLOW + streams.len()
        && hits(address, "head_time").await? == 0
    {}
    let begun = Instant::now();
    let mut late = hub.stream("/agui?user=u0").await?;
    let attached = begun.elapsed();
    for user in 0..5 {
        let user = format!("u{user}");
        hub.publish_lines(&user, &sample::run("t", "r", 20)).await?;
    }
    let took = begun.elapsed();
    eprintln!("attached after {attached:?}, published after {took:?}");
    for stream in &mut streams {
        let is_last = |frame: &events_tests::raw_client::RawFrame| {
            frame
                .data
                .as_deref()
                .is_some_and(|data| data.contains("RUN_FINISHED"))
        };
        let frames = stream.read_until(PATIENCE, is_last).await?;
        let n_events = frames.iter().filter(|frame| frame.data.is_some()).count();
        assert_eq!(n_events, sample::run("t", "r", 20).len());
    }
    late.next_event(PATIENCE).await?;
    let mut n_answered = 0;
    within("their ends", PATIENCE, async {
        while let Some(ended) = slow.join_next().await {
            let answer = ended.expect("no panic")?;
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
                "{answer}"
            );
            n_answered += usize::from(!answer.is_empty());
        }
        Ok(())
    })
    .await?;
    assert!(n_answered >= N_SLOW / 2, "{n_answered}");
    assert_eq!(hits(address, "body_time").await?, N_SLOW / 2);
    assert!(hits(address, "head_time").await? >= N_SLOW / 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_open_file_left_streams_go_on_and_others_come_later() -> io::Result<()> {
    let binary = events_binary().await?.display().to_string();
    let script = "ulimit -n 48; exec \"$0\" \"$@\"";
    let arguments = [
        "-c",
        script,
        &binary,
        "dev",
        "--no-demo",
        "--listen",
        "127.0.0.1:0",
    ];
    let arguments = [&arguments[..], &["--limits.head_time", "2s"]].concat();
    let server = ServerProcess::start("sh", &arguments, &[("RUST_LOG", "error")]).await?;
    let address = server.address();
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(RawSse::connect(address, "/agui?user=ada", &[]).await?);
    }
    let path = "/publish/agui/ada/live?user=ada";
    let mut producer = LivePost::open(address, path, &[]).await?;
    let [first, rest @ ..] = &sample::run("t", "r", 10)[..] else {
        unreachable!("a run has a beginning")
    };
    producer.send_line(first).await?;
    // More than there are files for. The system takes them; the hub cannot.
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(TcpStream::connect(address).await?);
    }
    for line in rest {
        producer.send_line(line).await?;
    }
    for stream in &mut streams {
        for _ in 0..=rest.len() {
            stream.next_event(PATIENCE).await?;
        }
    }
    drop(idle);
    let attached = RawSse::connect(address, "/agui?user=ada", &[]);
    let mut late = within("a place", PATIENCE, attached).await?;
    assert!(hits(address, "open_files").await? > 0);
    producer.send_line(&sample::run("t", "r2", 0)[0]).await?;
    late.next_event(PATIENCE).await?;
    for stream in &mut streams {
        stream.next_event(PATIENCE).await?;
    }
    Ok(())
}
