//! The worst case that is printed is an upper bound of the memory that the program takes.

use std::{io, net::SocketAddr, process::Stdio};

use events_tests::{
    deadline::{PATIENCE, within},
    raw_client::{RawSse, Request, get},
    server_process::{ServerProcess, events_binary},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, process::Command, task::JoinSet};

const NDJSON: &str = "application/x-ndjson";

/// Small bounds, so that a test can reach them.
const CONFIG: &str = r#"
listen = "127.0.0.1:0"
drain.window = "0s"
history.total_bytes = "24MiB"
history.bytes = "2MiB"
dedupe.age = "1s"
[limits]
users = 1500
event_bytes = "256KiB"
order_bytes = "8MiB"
threads_bytes = "4MiB"
connections = 260
streams = 150
body_bytes = "2MiB"
bodies = 16
large_bodies = 4
live_requests = 8
"#;

struct Flood {
    server: ServerProcess,
    bound: u64,
    _folder: tempfile::TempDir,
}

/// Starts the program with the small bounds; `None` where memory cannot be read.
async fn start() -> io::Result<Option<Flood>> {
    if !std::path::Path::new("/proc/self/status").exists() {
        eprintln!("skipped: memory needs /proc");
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("events.toml");
    std::fs::write(&file, CONFIG)?;
    let file = file.display().to_string();
    let checked = Command::new(events_binary().await?)
        .args(["check-config", "--config", &file])
        .output();
    let checked = within("check-config", PATIENCE, checked).await?;
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    let bound = text
        .lines()
        .find_map(|line| line.strip_prefix("# worst-case memory: "))
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no worst case in {text}"));
    let arguments = ["serve", "--insecure", "--config", &file];
    let server = ServerProcess::events(&arguments, &[]).await?;
    Ok(Some(Flood {
        server,
        bound,
        _folder: folder,
    }))
}

impl Flood {
    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The most resident memory that the program has had, in bytes.
    fn peak(&self) -> u64 {
        let id = self.server.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("a peak") << 10
    }

    fn check(&self, phase: &str) {
        let (peak, bound) = (self.peak(), self.bound);
        eprintln!("{phase}: {} of {} MiB", peak >> 20, bound >> 20);
        assert!(peak <= bound, "{phase}: {peak} bytes of {bound}");
    }

    async fn metric(&self, name: &str) -> io::Result<u64> {
        let metrics = get(self.address(), "/metrics", &[]).await?.text();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        let value = value.and_then(|value| value.trim().parse().ok());
        Ok(value.unwrap_or_else(|| panic!("{name} is not in {metrics}")))
    }
}

/// Runs a request for each number, 16 at a time; answers of any status are fine, and so are cut connections.
async fn flood(n_requests: usize, request: impl Fn(usize) -> Request, address: SocketAddr) {
    let mut running = JoinSet::new();
    for number in 0..n_requests {
        if running.len() == 16 {
            running.join_next().await;
        }
        let request = request(number);
        running.spawn(async move { drop(request.send(address).await) });
    }
    while running.join_next().await.is_some() {}
}

fn run(thread: &str, messages: usize) -> String {
    let messages: Vec<_> = (0..messages)
        .map(|n| format!(r#"{{"id":"{thread}-{n}","role":"user","content":""}}"#))
        .collect();
    let input = format!(
        r#"{{"threadId":"{thread}","runId":"r","state":{{}},"messages":[{}],"tools":[],"context":[],"forwardedProps":{{}}}}"#,
        messages.join(",")
    );
    format!(r#"{{"type":"RUN_STARTED","threadId":"{thread}","runId":"r","input":{input}}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_takes_no_more_memory_than_was_said() -> io::Result<()> {
    let Some(flooded) = start().await? else {
        return Ok(());
    };
    let address = flooded.address();
    flooded.check("idle");

    // More users than may be, each with message ids and a thread.
    let users = |number: usize| {
        let body = format!(
            "{}\n{}\n",
            run(&format!("t{number}"), 2),
            r#"{"type":"RUN_FINISHED","threadId":"T","runId":"r"}"#
                .replace('T', &format!("t{number}"))
        );
        let path = format!("/publish/agui/{}-{number}?msg_id=k", "u".repeat(200));
        Request::post(&path, NDJSON, body)
    };
    flood(1_700, users, address).await;
    flooded.check("users");

    // Many threads of a few users, with runs that do not end and remember thousands of ids.
    let threads = |number: usize| {
        let path = format!("/publish/agui/many-{}", number % 8);
        Request::post(
            &path,
            "application/json",
            run(&format!("{}-{number}", "t".repeat(300)), 150),
        )
    };
    flood(300, threads, address).await;
    flooded.check("threads");
    assert!(flooded.metric("events_order_refused_full_total ").await? > 0);

    // Runs can be ended although there is no room; then their users become idle and give it back.
    let ends = |number: usize| {
        let thread = format!("{}-{number}", "t".repeat(300));
        let path = format!("/publish/agui/many-{}?thread={thread}", number % 8);
        let end = r#"{"type":"RUN_ERROR","message":"over"}"#;
        Request::post(&path, "application/json", end)
    };
    flood(300, ends, address).await;
    assert_eq!(flooded.metric("events_active_runs ").await?, 0);

    // Streams that are not read, of users whose history is full of large events.
    let event = format!(
        r#"{{"type":"CONTEXT_UPDATED","contextId":"c","name":"{}","timestamp":1}}"#,
        "x".repeat(200_000)
    );
    let mut stalled = Vec::new();
    for number in 0..150 {
        let path = format!("/contexts?user=slow-{}", number / 10);
        let request = Request::get(&path).receive_buffer(4_096);
        stalled.extend(RawSse::open(address, &request).await);
    }
    let large = |number: usize| {
        let path = format!("/publish/system/slow-{}", number % 15);
        Request::post(&path, "application/json", &event)
    };
    let fills = async {
        while flooded
            .metric("events_log_evicted_total_bound_total ")
            .await?
            == 0
        {
            flood(150, large, address).await;
        }
        io::Result::Ok(())
    };
    within("history beyond its bound", PATIENCE, fills).await?;
    flooded.check("stalled streams");

    // Connections that say a part of a head, and nothing more.
    let mut idle = Vec::new();
    for _ in 0..60 {
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}",
            "x".repeat(60_000)
        );
        stream.write_all(head.as_bytes()).await?;
        idle.push(stream);
    }
    flooded.check("heads");

    // Large bodies of the shortest events, more at a time than may be.
    let shortest = format!(
        "{}\n{}",
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
        "{\"type\":\"RAW\",\"event\":1}\n".repeat(80_000)
    );
    let bodies = |number: usize| {
        let path = format!("/publish/agui/body-{number}");
        Request::post(&path, NDJSON, &shortest)
    };
    flood(10, bodies, address).await;
    flooded.check("bodies");
    assert!(flooded.metric("events_log_bytes ").await? <= 25 << 20);
    drop((stalled, idle));
    Ok(())
}

#[tokio::test]
async fn the_worst_case_is_said_at_the_start_on_standard_error() -> io::Result<()> {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    for command in [&["dev"][..], &["serve", "--insecure"]] {
        let program = Command::new(events_binary().await?)
            .args(command)
            .args(["--listen", &address])
            .stderr(Stdio::piped())
            .output();
        let output = within("the failure", PATIENCE, program).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines = said
            .lines()
            .filter(|line| line.starts_with("worst-case memory: "));
        assert_eq!(lines.count(), 1, "{said}");
        assert!(said.contains(" + connections "), "{said}");
    }
    Ok(())
}
