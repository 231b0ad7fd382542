//! What the LLM gateway adds: delay of each chunk and of the first byte, CPU, memory; beside the same client going
//! direct, and through nginx as a plain proxy, in one run.
//!
//! `taskset -c 1 cargo bench -p events-tests --bench llm_gateway [-- SECONDS [RATE]]`, six seconds a line by default, with
//! `cargo build --release` before it. The hub and nginx run on core 0; provider and clients are this process. 200
//! answers at once, RATE (100) events a second each. Rows are medians of three interleaved rounds; compare rows of one run.
//!
//! Over 400 lines because provider, clients, proxies and the table are of use to nobody else.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its figures"
)]

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant as Tick, MissedTickBehavior, interval_at},
};

const STREAMS: usize = 200;
const ROUNDS: usize = 3;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args()
        .filter_map(|word| word.parse().ok())
        .collect();
    let seconds = numbers.first().copied().unwrap_or(6).max(1);
    let rate = numbers.get(1).copied().unwrap_or(100).max(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(seconds, rate)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A way from the client to the provider.
struct Way {
    name: &'static str,
    address: SocketAddr,
    path: &'static str,
    /// Whose CPU and memory is counted.
    process: Option<u32>,
    watchers: usize,
    stopped: usize,
}

#[derive(Clone, Copy, Default)]
struct Figures {
    chunk_p50: f64,
    chunk_p99: f64,
    first_p50: f64,
    first_p99: f64,
    cpu_ms_per_1000: f64,
    kib_per_stream: f64,
    events: f64,
}

async fn run(seconds: u64, rate: u64) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let provider = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(provide(listener, began, rate, seconds * rate));
    let (mut hub, hub_address) = hub(provider).await?;
    let nginx = Nginx::start(folder.path(), provider)?;
    let hub_id = Some(hub.id().ok_or("the hub has ended")?);
    let way = |name, watchers, stopped| Way {
        name,
        address: hub_address,
        path: "/llm/up/v1/chat/completions",
        process: hub_id,
        watchers,
        stopped,
    };
    let direct = "/v1/chat/completions";
    let ways = [
        Way {
            name: "direct",
            address: provider,
            path: direct,
            process: None,
            ..way("", 0, 0)
        },
        Way {
            name: "nginx",
            address: nginx.address,
            path: direct,
            process: nginx.worker(),
            ..way("", 0, 0)
        },
        way("gateway, nobody watches", 0, 0),
        way("gateway, 1 watches", 1, 0),
        way("gateway, 8 watch, one of them stopped", 8, 1),
    ];
    let mut rows = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for (row, way) in rows.iter_mut().zip(&ways) {
            row.push(measure(way, began).await?);
        }
    }
    println!(
        "{:<40}{:>10}{:>10}{:>11}{:>11}{:>13}{:>12}{:>10}",
        "microseconds",
        "chunk p50",
        "chunk p99",
        "first p50",
        "first p99",
        "CPU ms/1000",
        "KiB/stream",
        "events/s"
    );
    for (row, way) in rows.iter().zip(&ways) {
        let median = |of: fn(&Figures) -> f64| {
            let mut values: Vec<f64> = row.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "{:<40}{:>10.0}{:>10.0}{:>11.0}{:>11.0}{:>13.2}{:>12.1}{:>10.0}",
            way.name,
            median(|figures| figures.chunk_p50),
            median(|figures| figures.chunk_p99),
            median(|figures| figures.first_p50),
            median(|figures| figures.first_p99),
            median(|figures| figures.cpu_ms_per_1000),
            median(|figures| figures.kib_per_stream),
            median(|figures| figures.events) / seconds as f64,
        );
    }
    hub.kill().await?;
    Ok(())
}

/// Answers each request with a stream whose events say when they were written.
async fn provide(listener: TcpListener, began: Instant, rate: u64, n_events: u64) {
    let mut answers = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        answers.spawn(answer(stream, began, rate, n_events));
        while answers.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream, began: Instant, rate: u64, n_events: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    read_request(&mut stream).await?;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let gap = Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1);
    let first = Tick::now() + gap.mul_f64(fastrand::f64());
    let mut ticks = interval_at(first, gap);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..n_events {
        ticks.tick().await;
        let event = format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1782302400,\"model\":\"bench\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{:020} word\"}},\"finish_reason\":null}}]}}\n\n",
            began.elapsed().as_nanos()
        );
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        stream.write_all(chunk.as_bytes()).await?;
    }
    stream
        .write_all(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        .await
}

async fn read_request(stream: &mut TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    // The body of the request is its end, so that nothing of it is left in the socket.
    while !request.ends_with(b"[]}") {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Lets the run go on for a while.
async fn pause(time: Duration) {
    interval_at(Tick::now() + time, time).tick().await;
}

/// What the clients of one round have seen, in microseconds.
#[derive(Default)]
struct Seen {
    chunks: Vec<f64>,
    firsts: Vec<f64>,
}

async fn measure(way: &Way, began: Instant) -> Outcome<Figures> {
    let mut watching = JoinSet::new();
    for at in 0..way.watchers {
        let stream = ask(way.address, "GET", "/llm/streams").await?;
        watching.spawn(watch(stream, at < way.stopped));
    }
    pause(Duration::from_millis(300)).await;
    let before = way.process.map(cost).transpose()?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut clients = JoinSet::new();
    for _ in 0..STREAMS {
        clients.spawn(read_answer(way.address, way.path, began, Arc::clone(&seen)));
        pause(Duration::from_millis(2)).await;
    }
    pause(Duration::from_secs(2)).await;
    let during = way.process.map(cost).transpose()?;
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let after = way.process.map(cost).transpose()?;
    let mut seen = std::mem::take(&mut *seen.lock().map_err(|_poisoned| "a client has failed")?);
    let at = |values: &mut Vec<f64>, share: f64| {
        values.sort_by(f64::total_cmp);
        let index = (values.len() as f64 * share) as usize;
        values
            .get(index.min(values.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    let n_chunks = seen.chunks.len() as f64;
    let cpu_ms = before
        .zip(after)
        .map_or(0.0, |(before, after)| after.0 - before.0);
    let kib = before
        .zip(during)
        .map_or(0.0, |(before, during)| during.1 - before.1);
    Ok(Figures {
        chunk_p50: at(&mut seen.chunks, 0.5),
        chunk_p99: at(&mut seen.chunks, 0.99),
        first_p50: at(&mut seen.firsts, 0.5),
        first_p99: at(&mut seen.firsts, 0.99),
        cpu_ms_per_1000: cpu_ms / n_chunks * 1_000.0,
        kib_per_stream: kib / STREAMS as f64,
        events: n_chunks,
    })
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let body = r#"{"model":"bench","stream":true,"messages":[]}"#;
    let body = if method == "POST" { body } else { "" };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

async fn watch(mut stream: TcpStream, is_stopped: bool) {
    if is_stopped {
        std::future::pending::<()>().await;
    }
    let mut buffer = vec![0; 64 << 10];
    while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
}

async fn read_answer(
    address: SocketAddr,
    path: &'static str,
    began: Instant,
    seen: Arc<Mutex<Seen>>,
) -> io::Result<()> {
    let asked = Instant::now();
    let mut lines = BufReader::new(ask(address, "POST", path).await?).lines();
    let (mut chunks, mut first) = (Vec::new(), None);
    while let Some(line) = lines.next_line().await? {
        first.get_or_insert_with(|| asked.elapsed());
        if let Some((_, rest)) = line.split_once("\"content\":\"") {
            let written: Option<u128> = rest.get(..20).and_then(|digits| digits.parse().ok());
            let written = written.ok_or_else(|| io::Error::other("an event without its time"))?;
            chunks.push((began.elapsed().as_nanos() - written) as f64 / 1_000.0);
        }
        if line == "data: [DONE]" {
            break;
        }
    }
    let mut seen = seen
        .lock()
        .map_err(|_poisoned| io::Error::other("a client has failed"))?;
    seen.chunks.extend(chunks);
    seen.firsts
        .extend(first.map(|first| first.as_secs_f64() * 1e6));
    Ok(())
}

/// The CPU that a process has used, in milliseconds, and its resident memory, in KiB.
fn cost(process: u32) -> Outcome<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    let ticks = ticks(11).zip(ticks(12)).ok_or("no times in /proc")?;
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
    Ok((
        (ticks.0 + ticks.1) * 10.0,
        resident.ok_or("no VmRSS in /proc")?,
    ))
}

/// Starts the hub on core 0.
async fn hub(provider: SocketAddr) -> Outcome<(tokio::process::Child, SocketAddr)> {
    let program = std::env::var_os("EVENTS_BIN").map_or_else(
        || {
            let bench = std::env::current_exe().unwrap_or_default();
            bench
                .ancestors()
                .nth(2)
                .unwrap_or(Path::new("."))
                .join("events")
        },
        PathBuf::from,
    );
    let mut hub = tokio::process::Command::new("taskset")
        .args(["-c", "0"])
        .arg(&program)
        .args(["dev", "--no-demo", "--listen", "127.0.0.1:0"])
        .arg(format!("--llm=up=http://{provider}"))
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = hub.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(output).lines();
    let line = lines.next_line().await?.ok_or_else(|| {
        format!(
            "{} does not start; cargo build --release",
            program.display()
        )
    })?;
    let address = line.rsplit("//").next().unwrap_or_default().parse()?;
    Ok((hub, address))
}

/// nginx on core 0, with one worker.
struct Nginx {
    master: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(folder: &Path, provider: SocketAddr) -> Outcome<Self> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.join("nginx.conf");
        write!(
            fs::File::create(&config)?,
            "worker_processes 1; daemon off; pid {0}/pid; error_log {0}/error;
             events {{ worker_connections 2048; }}
             http {{ access_log off; client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c;
               uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;
               server {{ listen {address}; location / {{ proxy_pass http://{provider}; proxy_http_version 1.1;
                 proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}",
            folder.display()
        )?;
        let master = Command::new("taskset")
            .args(["-c", "0", "nginx", "-c"])
            .arg(&config)
            .stdout(Stdio::null())
            .spawn()?;
        let began = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if began.elapsed() > Duration::from_secs(5) {
                return Err("nginx does not start; is it installed?".into());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(Self { master, address })
    }

    fn worker(&self) -> Option<u32> {
        let master = self.master.id();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master takes its worker with it when it is asked to stop.
        let id = self.master.id().to_string();
        let _ignored = Command::new("kill").arg(id).status();
        let _ignored = self.master.wait();
    }
}
