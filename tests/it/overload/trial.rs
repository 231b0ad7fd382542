//! The hub with its bounds, the ordinary streams before, in and after the attack, and what has to hold.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use events_tests::attack::{Attack, Attackers, Tally};
use events_tests::deadline::{PATIENCE, within};
use events_tests::guest::{Epoch, Guest, Visit};
use events_tests::raw_client::get;
use events_tests::resident;
use events_tests::server_process::{ServerProcess, events_binary};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::interval;

/// Screens of an ordinary user.
const SCREENS: usize = 3;
/// Bytes of an ordinary piece of text.
const PADDING: usize = 60;
/// How long a hub stands still that is to be found out.
const STANDSTILL: Duration = Duration::from_secs(3);

/// Settings of a hub, tight enough that they are reached.
pub(super) struct Bounds {
    connections: usize,
    streams: usize,
    users: usize,
    bodies: usize,
    live_requests: usize,
    order_bytes: &'static str,
    total_bytes: &'static str,
}

impl Bounds {
    pub(super) const LONG: Self = Self {
        connections: 12_000,
        streams: 10_500,
        users: 50_000,
        bodies: 256,
        live_requests: 64,
        order_bytes: "1GiB",
        total_bytes: "64MiB",
    };
    pub(super) const SHORT: Self = Self {
        connections: 600,
        streams: 500,
        users: 500,
        bodies: 256,
        live_requests: 64,
        order_bytes: "32MiB",
        total_bytes: "4MiB",
    };
    /// As little as ordinary users need.
    pub(super) const TIGHT: Self = Self {
        connections: 80,
        streams: 40,
        users: 500,
        bodies: 16,
        live_requests: 8,
        order_bytes: "8MiB",
        total_bytes: "4MiB",
    };

    fn settings(&self) -> String {
        format!(
            r#"
listen = "127.0.0.1:0"
drain.window = "0s"
llm.streams = 1
history.total_bytes = "{}"
history.bytes = "1MiB"
[limits]
users = {}
user_id_bytes = 64
connections = {connections}
connections_per_address = {connections}
streams = {}
event_bytes = "64KiB"
head_bytes = "8KiB"
body_bytes = "256KiB"
order_bytes = "{}"
threads_bytes = "16MiB"
bodies = {}
large_bodies = 4
live_requests = {}
"#,
            self.total_bytes,
            self.users,
            self.streams,
            self.order_bytes,
            self.bodies,
            self.live_requests,
            connections = self.connections,
        )
    }
}

/// What may be wrong, to see that it is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    /// The hub has printed a hundredth of what it should.
    Memory,
    /// The hub keeps two events of a user, and ordinary screens come back to it after cuts.
    Loss,
    /// The hub is stopped for a moment now and then while it is attacked.
    Stall,
}

/// What is tried.
pub(super) struct Trial {
    pub(super) attack: Attack,
    pub(super) bounds: Bounds,
    /// Ordinary users at the same time.
    pub(super) n_guests: usize,
    /// The time between two events of one of them.
    pub(super) period: Duration,
    /// How long they stay; those beside the attack are followed by others as long as it goes on.
    pub(super) phase: Duration,
    /// How much longer events may take under attack, 99 of a hundred.
    pub(super) p99_factor: f64,
    /// What is no measurement, but the machine's doing: less counts as this much.
    pub(super) least_p99: Duration,
    pub(super) plant: Option<Plant>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    calm: Visit,
    attacked: Visit,
    took: Duration,
    peak: u64,
    bound: u64,
    n_open: u64,
    n_reopened: usize,
    n_filled: usize,
    n_users: usize,
    n_refused: usize,
    n_given_up: usize,
    n_garbage: usize,
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

/// A hub, the bound that it printed, and where its settings are.
struct Hub {
    process: ServerProcess,
    bound: u64,
    _folder: tempfile::TempDir,
}

impl Hub {
    async fn start(bounds: &Bounds, plant: Option<Plant>) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("events.toml");
        std::fs::write(&file, bounds.settings())?;
        let file = file.display().to_string();
        let checked = Command::new(events_binary().await?)
            .args(["check-config", "--config", &file])
            .output();
        let checked = within("check-config", PATIENCE, checked).await?;
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        let bound = said
            .lines()
            .find_map(|line| line.strip_prefix("# worst-case memory: "))
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no worst case in {said}")))?;
        let mut words = vec!["serve", "--insecure", "--config", &file];
        words.extend(match plant {
            Some(Plant::Loss) => &["--history.events", "2"][..],
            Some(Plant::Memory | Plant::Stall) | None => &[][..],
        });
        let process = ServerProcess::events(&words, &[("RUST_LOG", "error")]).await?;
        Ok(Self {
            process,
            bound,
            _folder: folder,
        })
    }

    fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// The sum of a metric over its labels.
    async fn metric(&self, name: &str) -> io::Result<u64> {
        let metrics = get(self.address(), "/metrics", &[]).await?.text();
        let values = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let is_it = rest.starts_with([' ', '{']);
            is_it.then(|| rest.rsplit(' ').next()?.parse::<u64>().ok())?
        });
        Ok(values.sum())
    }

    /// Waits until so many streams are open.
    async fn has_open(&self, n_streams: u64) -> io::Result<u64> {
        let mut ticks = interval(Duration::from_millis(50));
        within("all streams", 4 * PATIENCE, async {
            loop {
                ticks.tick().await;
                let n_open = self.metric("events_connections").await?;
                if n_open >= n_streams {
                    return Ok(n_open);
                }
            }
        })
        .await
    }
}

impl Trial {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// What broke, or what does not hold.
    pub(super) async fn run(self) -> Result<Seen, String> {
        let hub = Hub::start(&self.bounds, self.plant).await.map_err(text)?;
        let is_said_wrong = self.plant == Some(Plant::Memory);
        let mut seen = Seen {
            bound: hub.bound / if is_said_wrong { 100 } else { 1 },
            calm: self.phase(&hub, "before").await?,
            ..Seen::default()
        };
        let started = self.attack.clone().start(hub.address());
        let mut attackers = started.map_err(text)?;
        attackers.ready(4 * PATIENCE).await.map_err(text)?;
        let n_stalled = self.attack.n_stalled as u64;
        seen.n_open = hub.has_open(n_stalled).await.map_err(text)?;
        let mut round = 0;
        while round == 0 || !attackers.has_ended() {
            let name = format!("round{round}");
            let ordinary = self.phase(&hub, &name);
            let (visit, planted) = tokio::join!(ordinary, self.misbehave(&hub));
            planted.map_err(text)?;
            seen.attacked.add(visit?);
            round += 1;
        }
        seen.take(&mut attackers).await?;
        let id = hub.process.id().ok_or("the hub has ended")?;
        seen.peak = resident::peak(id).ok_or("memory needs /proc")?;
        // What the attackers have left is cleared away first.
        drop(attackers);
        seen.calm.add(self.phase(&hub, "after").await?);
        self.check(&seen, &hub)
            .await
            .map_err(|why| format!("{why}; {seen}"))?;
        Ok(seen)
    }

    /// Has ordinary users for a while.
    async fn phase(&self, hub: &Hub, name: &str) -> Result<Visit, String> {
        let (epoch, mut guests) = (Epoch::now(), JoinSet::new());
        let n_deltas = self.phase.as_millis() / self.period.as_millis().max(1);
        for number in 0..self.n_guests {
            let guest = Guest {
                user: format!("{name}-{number}"),
                n_screens: SCREENS,
                n_runs: 1,
                n_deltas: usize::try_from(n_deltas).unwrap_or(usize::MAX),
                n_padding: PADDING,
                period: self.period,
                cuts: (self.plant == Some(Plant::Loss)).then_some(3..10),
                seed: number as u64,
            };
            guests.spawn(guest.stay(hub.address(), epoch));
        }
        let mut visit = Visit::default();
        while let Some(stayed) = guests.join_next().await {
            visit.add(stayed.map_err(text)??);
        }
        Ok(visit)
    }

    /// Does what is planted.
    async fn misbehave(&self, hub: &Hub) -> io::Result<()> {
        match self.plant {
            Some(Plant::Stall) => {
                // In the midst of what is published.
                let mut ticks = interval(self.phase / 2);
                ticks.tick().await;
                ticks.tick().await;
                hub.process.signal("STOP").await?;
                // The second tick comes after the time.
                let mut still = interval(STANDSTILL);
                still.tick().await;
                still.tick().await;
                hub.process.signal("CONT").await
            }
            Some(Plant::Memory | Plant::Loss) | None => Ok(()),
        }
    }

    /// Says what does not hold. That nothing is lost, twice or out of order was looked at by each guest.
    async fn check(&self, seen: &Seen, hub: &Hub) -> Result<(), String> {
        let n_expected = self.n_guests * SCREENS;
        if seen.attacked.n_read < n_expected || seen.calm.n_read < 2 * n_expected {
            return Err("ordinary streams read too little".to_owned());
        }
        if seen.peak > seen.bound {
            return Err("more is resident than was printed".to_owned());
        }
        if seen.n_users < self.attack.n_users {
            return Err("not every user's event was taken, although others could go".to_owned());
        }
        if self.attack.n_slow > 0 && self.attack.time > Duration::from_secs(30) {
            // Each head is given up after ten seconds.
            let n_heads = hub
                .metric("events_bound_hits_total{bound=\"head_time\"}")
                .await;
            if n_heads.map_err(text)? < self.attack.n_slow as u64 {
                return Err("slow heads were not given up".to_owned());
            }
        }
        let calm = seen.calm.p99().max(self.least_p99);
        let attacked = seen.attacked.p99();
        if attacked > calm.mul_f64(self.p99_factor) {
            return Err(format!(
                "the p99 of ordinary streams is {attacked:.2?} under attack, of {calm:.2?} without"
            ));
        }
        Ok(())
    }
}

impl Seen {
    async fn take(&mut self, attackers: &mut Attackers) -> Result<(), String> {
        self.took = attackers.end().await.map_err(text)?;
        let tally = attackers.tally();
        if Tally::of(&tally.n_taken) > 0 {
            return Err(format!(
                "{} requests of garbage were taken",
                Tally::of(&tally.n_taken)
            ));
        }
        self.n_reopened = Tally::of(&tally.n_reopened);
        self.n_filled = Tally::of(&tally.n_filled);
        self.n_users = Tally::of(&tally.n_users);
        self.n_refused = Tally::of(&tally.n_refused);
        self.n_given_up = Tally::of(&tally.n_given_up);
        self.n_garbage = Tally::of(&tally.n_garbage);
        Ok(())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "overload | {} streams open, {} opened again, {} large events for them | {} users in {:.1} s, {} refused | \
             {:.0} garbage a second | {} slow heads given up | peak {} of {} MiB | ordinary: {} events read, p99 {:.2} \
             ms, {:.2} ms without the attack",
            self.n_open,
            self.n_reopened,
            self.n_filled,
            self.n_users,
            self.took.as_secs_f64(),
            self.n_refused,
            self.n_garbage as f64 / self.took.as_secs_f64().max(1e-3),
            self.n_given_up,
            self.peak >> 20,
            self.bound >> 20,
            self.attacked.n_read,
            ms(self.attacked.p99()),
            ms(self.calm.p99()),
        )
    }
}
