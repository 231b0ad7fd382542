//! Servers to load: our hub, what people write without it, and the least that a server can do.
//!
//! `cargo bench -p events-tests --bench servers -- hub|broadcaster|plain|floor [options]`; `cargo xtask bench` runs them all and
//! compares. They have the same paths, so that one load generator fits all of them:
//!
//! - `GET /agui?user=U` or `/sse/U`: the stream of a user;
//! - `POST /publish/agui/U`: one event as JSON, or many as `application/x-ndjson`;
//! - `POST /gen?from=A&to=B&n=N&seq=S&size=BYTES[&prefix=P]`: the server makes N events itself for each of the users
//!   PA to P(B-1), numbered from S, and stamps each with the time at which it is made ([`order`]);
//! - `GET /count`: the number of open streams.
//!
//! They ask for no tokens and listen on loopback. `/gen` is what isolates delivery: it takes the request out of what
//! is measured.
#![expect(clippy::print_stdout, reason = "a bench prints its ready line")]
#![expect(clippy::print_stderr, reason = "errors go to standard error")]

mod broadcaster;
mod floor;
mod hub;
mod options;
mod order;
mod plain;
mod serving;

use std::{error::Error, net::SocketAddr, process::ExitCode};

use events_axum::serve::Server;
use options::{Kind, Options};

/// What the program `events` has as well. Plain and floor get it too, so that what is compared are the servers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    // What `cargo bench` adds by itself.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if words.is_empty() {
        println!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(&words) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<()> {
    match options.kind {
        Kind::Floor => floor::serve(options),
        Kind::Plain => on_runtime(options.workers, None, plain::serve(options.clone())),
        Kind::Broadcaster => on_workers(options.workers, broadcaster::serve(options.clone())),
        Kind::Hub => on_workers(options.workers, hub::serve(options.clone())),
    }
}

/// Runs one of our own servers on so many threads, as the program `events` does.
fn on_workers(
    workers: usize,
    serving: impl Future<Output = Outcome<()>> + Send + 'static,
) -> Outcome<()> {
    on_runtime(workers, Some(Server::EVENT_INTERVAL), serving)
}

/// Runs a server on so many threads, the accept loop included.
fn on_runtime(
    workers: usize,
    event_interval: Option<u32>,
    serving: impl Future<Output = Outcome<()>> + Send + 'static,
) -> Outcome<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(workers).enable_all();
    if let Some(event_interval) = event_interval {
        runtime.event_interval(event_interval);
    }
    runtime.build()?.block_on(async {
        let mut server = tokio::task::JoinSet::new();
        server.spawn(serving);
        match server.join_next().await {
            Some(ended) => ended?,
            None => Ok(()),
        }
    })
}

/// Prints the ready line, which programs wait for.
fn announce(address: SocketAddr) {
    println!("listening on http://{address}");
}
