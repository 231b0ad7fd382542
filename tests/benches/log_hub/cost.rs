//! What an event costs: of the process that publishes, and of that and the engine together.

use std::{
    io,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use bytes::Bytes;
use events_core::{Channel, Entry, MsgKey, Record};
use events_tests::{
    postgres_server::PostgresServer,
    processor_time::{of_ended_children, processor_time},
    resume::{Engine, hubs::Hubs},
};
use tokio::process::Command;

use crate::{
    Outcome,
    load::{self, Load, USERS, event},
};

/// What one line of the table has measured, over all rounds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    n_events: u64,
    wall: Duration,
    publisher: Duration,
    engine: Duration,
}

impl Cost {
    pub(crate) fn add(&mut self, other: Self) {
        self.n_events += other.n_events;
        self.wall += other.wall;
        self.publisher += other.publisher;
        self.engine += other.engine;
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.n_events as f64 / self.wall.as_secs_f64()
    }

    /// Events for each second of a processor that the publishing process has taken.
    pub(crate) fn alone(&self) -> f64 {
        self.n_events as f64 / self.publisher.as_secs_f64()
    }

    /// Events for each second of a processor that the publishing process and the engine have taken.
    pub(crate) fn with_engine(&self) -> f64 {
        self.n_events as f64 / (self.publisher + self.engine).as_secs_f64()
    }
}

fn of_engine(engine: Option<&Engine>) -> Duration {
    let ids = engine.map_or_else(Vec::new, Engine::processes);
    ids.into_iter().filter_map(processor_time).sum()
}

/// Lets a hub take events, so many at once, with or without a screen for each user.
pub(crate) async fn of_hub(
    hubs: &Hubs,
    engine: Option<&Engine>,
    limit: Duration,
    load: Load,
    has_readers: bool,
) -> Outcome<Cost> {
    let (hub, id) = (hubs.board().address(0), hubs.id(0).ok_or("no hub")?);
    let of_hub = || processor_time(id).ok_or("the hub has ended");
    let readers = if has_readers {
        Some(load::readers(hub).await?)
    } else {
        None
    };
    let (publisher, of_engine_before, begin) = (of_hub()?, of_engine(engine), Instant::now());
    let n_events = load::publish(hub, limit, load).await?;
    let cost = Cost {
        n_events,
        wall: begin.elapsed(),
        publisher: of_hub()? - publisher,
        engine: of_engine(engine) - of_engine_before,
    };
    drop(readers);
    Ok(cost)
}

/// Lets the engine's bare client write as many bytes as the hub does for so many events; none without one.
pub(crate) async fn of_bare(
    engine: &Engine,
    bare_client: &Path,
    limit: Duration,
    load: Load,
) -> Outcome<Option<Cost>> {
    let per_message = load.per_message();
    let (publisher, before, begin) = (of_ended_children(), of_engine(Some(engine)), Instant::now());
    let (n_messages, seconds) = if let Some(servers) = engine.nats() {
        let url = servers.url();
        of_bare_nats(bare_client, &url, load, limit).await?
    } else if let Some(server) = engine.postgres() {
        let n_messages = of_bare_postgres(server, limit, per_message).await?;
        (n_messages, begin.elapsed().as_secs_f64())
    } else {
        return Ok(None);
    };
    Ok(Some(Cost {
        n_events: n_messages * per_message as u64,
        wall: Duration::from_secs_f64(seconds),
        publisher: of_ended_children() - publisher,
        engine: of_engine(Some(engine)) - before,
    }))
}

/// The bytes of one message of the hub: the events with their channel, tag and key, and whose they are.
fn message_len(per_message: usize) -> usize {
    let record = Record {
        channel: Channel::new(0),
        scope: None,
        name: None,
        json: event(0).into(),
        tag: 1,
        key: Some(MsgKey::from_bits(1)),
        note: Bytes::new(),
    };
    let head = 26 + "u0".len();
    head + Entry::written_len(&vec![record; per_message])
}

async fn of_bare_nats(
    bare_client: &Path,
    url: &str,
    load: Load,
    limit: Duration,
) -> Outcome<(u64, f64)> {
    let output = Command::new(bare_client)
        .args([
            url,
            &load.at_once().to_string(),
            &message_len(load.per_message()).to_string(),
            &limit.as_secs().to_string(),
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_ascii_whitespace();
    let (Some(n), Some(seconds)) = (words.next(), words.next()) else {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(text).into());
    };
    Ok((n.parse()?, seconds.parse()?))
}

/// `pgbench` writes rows as the hub's function does, by bare statements: the user's counter, then one row an event
/// behind it, in one transaction; the events come over the wire.
async fn of_bare_postgres(
    server: &PostgresServer,
    limit: Duration,
    per_message: usize,
) -> Outcome<u64> {
    let tables = "create table if not exists bare_head (name text primary key, seq bigint) with (fillfactor = 50); \
        create table if not exists bare_row (name text, seq bigint, at_ms bigint, key uuid, body text, primary key (name, seq))";
    server.psql("postgres", tables).await?;
    let one = event(0);
    let bodies = vec![one.as_str(); per_message].concat();
    let script = format!(
        "with h as (insert into bare_head values ('u' || :client_id, {per_message}) on conflict (name) \
         do update set seq = bare_head.seq + {per_message} returning seq) \
         insert into bare_row select 'u' || :client_id, seq - i, 1, md5((seq - i)::text)::uuid, \
         substr(:body::text, i * {len} + 1, {len}) from h, generate_series(0, {per_message} - 1) i;\n",
        len = one.len()
    );
    let (clients, seconds) = (USERS.to_string(), limit.as_secs().to_string());
    let body = format!("body={bodies}");
    let words = [
        "-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-D", &body,
    ];
    let (output, _) = server.pgbench(&words, &script).await?;
    let n = |line: &str| {
        let (_, n) = line.split_once("transactions actually processed: ")?;
        n.split(['/', ' ']).next()?.parse().ok()
    };
    output
        .lines()
        .find_map(n)
        .ok_or_else(|| io::Error::other(output.clone()).into())
}
