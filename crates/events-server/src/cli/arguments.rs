//! What the commands that talk to a hub, or read its configuration, are given.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, ValueHint, builder::NonEmptyStringValueParser, value_parser};
use serde::{Deserialize, Serialize};

/// Which hub. A token is taken from the variable `EVENTS_TOKEN`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct HubArgs {
    /// The address of the hub. Its token, if it wants one, is taken from the variable `EVENTS_TOKEN`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000", value_hint = ValueHint::Url)]
    pub url: String,
    /// Wait until a hub answers. Default: fail if the first attempt does. A hub that is lost later is waited for anyhow.
    #[arg(long)]
    pub wait: bool,
    /// Trust the authority in this file (PEM) too, for an https:// address. `SSL_CERT_FILE` names one instead.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca: Option<PathBuf>,
}

/// What the bearer of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TokenRole {
    /// Read their own streams.
    Subscriber,
    /// Publish for themselves and for the users named, too.
    Publisher,
    /// Everything.
    Operator,
}

/// A token that is asked for.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct TokenArgs {
    /// Whose token it is.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// What its bearer may do.
    #[arg(long, value_name = "ROLE", default_value = "subscriber")]
    pub role: TokenRole,
    /// For whom a publisher may publish: a user, or users whose names begin so, such as `team-*`; may be given more often.
    #[arg(long = "for", value_name = "PATTERN")]
    pub publishes_for: Vec<String>,
    /// How long it is good for.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
}

/// A stream that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum TailStream {
    /// AG-UI events.
    #[value(name = "agui")]
    AgUi,
    /// A2A stream objects.
    #[value(name = "a2a")]
    A2a,
    /// Everything of the user, in envelopes.
    Contexts,
    /// Analytics events.
    Analytics,
    /// The LLM gateway's running streams, for operators.
    Llm,
}

/// A stream that can be published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum PublishStream {
    /// AG-UI events.
    #[value(name = "agui")]
    AgUi,
    /// A2A stream objects.
    #[value(name = "a2a")]
    A2a,
    /// System events.
    System,
    /// Analytics events.
    Analytics,
}

/// A stream that can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RecordStream {
    /// AG-UI events of all threads, each with its thread.
    #[value(name = "agui")]
    AgUi,
    /// A2A stream objects of all tasks.
    #[value(name = "a2a")]
    A2a,
    /// Everything of the user, in envelopes.
    Contexts,
    /// Analytics events.
    Analytics,
}

/// How fast a recording is played, in thousandths of its own speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed(pub(crate) u64);

/// What `events tail` is given.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct TailArgs {
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// The stream to follow.
    #[arg(long, value_enum)]
    pub stream: TailStream,
    /// The user whose stream it is, where no token says it.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// Follow one AG-UI thread only.
    #[arg(long, value_name = "ID")]
    pub thread: Option<String>,
    /// Follow one A2A task only.
    #[arg(long, value_name = "ID")]
    pub task: Option<String>,
    /// Begin after this event id. Default: the present.
    #[arg(long, value_name = "ID")]
    pub from: Option<String>,
    /// Print each event as it was received, one JSON object per line.
    #[arg(long)]
    pub json: bool,
}

/// What `events top` is given.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct TopArgs {
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// What `events publish` is given.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct PublishArgs {
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// The stream to publish to.
    #[arg(long, value_enum)]
    pub stream: PublishStream,
    /// The user the events are for.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// The AG-UI thread that the events belong to. Default: the one that the events name.
    #[arg(long, value_name = "ID")]
    pub thread: Option<String>,
    /// One event as JSON per line; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// What `events record` is given.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct RecordArgs {
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// The stream to record.
    #[arg(long, value_enum)]
    pub stream: RecordStream,
    /// The user whose stream it is.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// The file to write; `-` is standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Replace a file that has something in it.
    #[arg(long)]
    pub force: bool,
    /// Stop this long after the stream is open, such as `10s`. Default: at Ctrl-C.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub length: Option<Duration>,
}

/// What `events replay` is given.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ReplayArgs {
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// The recording.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Play this many times as fast.
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = read_speed)]
    pub speed: Speed,
    /// The user to publish for. Default: the recorded one.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
}

/// What `events bench` is given.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct BenchArgs {
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// Users who are published for, in turn: `bench-0`, `bench-1` and so on.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub users: u32,
    /// Of them, those with ordinary readers. Default: all that have no slow or stalled one.
    #[arg(long, value_name = "N")]
    pub watched: Option<u32>,
    /// Ordinary readers of each such user.
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = value_parser!(u32).range(1..=10_000))]
    pub connections_per_user: u32,
    /// Further users with one reader that takes 1 KiB per second.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub slow: u32,
    /// Further users with one reader that takes nothing, and comes back every 40 seconds.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub stalled: u32,
    /// Publish this many events, rounded up to whole requests.
    #[arg(long, value_name = "N", conflicts_with = "duration", value_parser = value_parser!(u64).range(1..))]
    pub events: Option<u64>,
    /// Publish for this long. Default: 10s.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Events per second, such as `5000` or `5000/s`. Default: as fast as they are accepted.
    #[arg(long, value_name = "R/s", value_parser = read_rate)]
    pub rate: Option<u64>,
    /// The text of a delta, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub payload: usize,
    /// Events of one request; from 5 on they are a whole run.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Connections that publish, each with one request at a time.
    #[arg(long, value_name = "P", default_value_t = 4, value_parser = value_parser!(u32).range(1..=1_000))]
    pub publishers: u32,
    /// Percent of the events that are for users with readers. Default: as many as there are such users.
    #[arg(long, value_name = "PERCENT", value_parser = value_parser!(u8).range(0..=100))]
    pub focus: Option<u8>,
    /// Publish as fast as it is read: keep every connection at most this many events behind.
    #[arg(long, value_name = "W", conflicts_with_all = ["rate", "watched", "slow", "stalled", "focus"], value_parser = value_parser!(u32).range(1..=100_000))]
    pub window: Option<u32>,
    /// Let the server make the events by itself, as the servers of `cargo xtask bench` do: then publishing is no part
    /// of what is measured, and --payload is the size of a whole event.
    #[arg(long, requires = "window")]
    pub generator: bool,
    /// With --window, users who are published for together; with --generator by one request.
    #[arg(long, value_name = "G", default_value_t = 1, requires = "window", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub group: u32,
    /// Meanwhile, further readers who come, and are cut when their stream stands, such as `200/s`.
    #[arg(long, value_name = "R/s", value_parser = read_rate)]
    pub churn: Option<u64>,
    /// The process of a hub on this machine, to report its memory and processor time and that of its children.
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Print the report as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What the help of `events bench` ends with.
pub(super) const BENCH_HELP: &str = "\
Latency is counted from the time at which an event was due, so a hub that is late is not excused.
The end is 1 if an event was lost without a gap, came twice, out of order, or to another user.

How to read the figures:
  Latency means something at a --rate that the hub keeps up with; without one it is the length of the queue. With
    --window it is that of the window.
  'delivered in one of publishing' (--pid) is what the hub delivers for a second of processor time. It hardly
    depends on what else the machine does; events per second do. Compare figures of the same minute.
  'a connection' (--pid) is resident memory that has grown until all were connected; it wants thousands of them.
  Readers and hub share this machine: give them different processors (taskset) before comparing.

Examples:
  events bench --events 200000                     as fast as the hub takes it
  events bench --rate 2000/s --duration 30s        at a quiet pace, for latency
  events bench --users 1 --connections-per-user 1000 --window 16 --batch 1 --events 20000 --pid $(pgrep -n -x events)
                                                   what a processor of the hub delivers, with nothing lost
  events bench --users 100 --rate 1000/s --churn 200/s --duration 30s
                                                   what readers that come and go do to the others
  events bench --users 10000 --duration 5s --pid $(pgrep -n -x events)
                                                   memory of 10,000 connections
  events bench --users 100000 --watched 500 --slow 1000 --stalled 1000 --focus 50 \\
    --events 1000000 --rate 15000/s --batch 5 --payload 1000
                                                   what slow readers do to the others";

/// Reads a rate per second.
fn read_rate(text: &str) -> Result<u64, String> {
    match text.strip_suffix("/s").unwrap_or(text).parse() {
        Ok(rate @ 1..=1_000_000_000) => Ok(rate),
        _ => Err("expected events per second, such as 5000 or 5000/s".to_owned()),
    }
}

/// Reads a factor; thousandths are exact enough, and keep the arithmetic whole.
fn read_speed(text: &str) -> Result<Speed, String> {
    let factor: f64 = text.parse().unwrap_or(f64::NAN);
    if (0.001..=1_000_000.0).contains(&factor) {
        Ok(Speed((factor * 1_000.0) as u64))
    } else {
        Err("expected a factor from 0.001 to 1000000".to_owned())
    }
}
