//! The routers, the log and the readers of one story.

mod attaching;
mod ending;
mod publishing;

use std::sync::Arc;
use std::time::Duration;

use events_broadcast::Limits;
use events_core::{EventLog, ManualClock, UserId};
use events_router::{EventRouter, MemoryLog, RouterConfig};
use tokio::task::JoinSet;

use super::client::{Client, Events, Floor};
use super::fickle::FickleLog;
use super::publisher::{Publisher, opening};
use super::step::{CLIENTS, REPLICAS, Step, THREADS, USERS};

/// What is kept of a user in memory.
const KEPT: usize = 12;

/// More than any story tells.
const PLENTY: usize = 100_000;

/// Where the events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// In one router, which keeps little.
    Memory,
    /// In a log, to which the way of each router may fail; it keeps everything.
    Fickle,
}

/// A fault that is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plant {
    /// A reader comes back one event before its cursor.
    OffByOne,
    /// A reader that comes back gets what is new, and nothing of what it missed.
    NoReadBack,
    /// Readers at the router that was asked to publish get the event from there too.
    AtOrigin,
    ForgetsKeys,
    IgnoresExpected,
    LosesAcked,
    TailLeavesOut,
    /// What has left the ring is passed over.
    SilentGap,
}

struct Replica {
    router: EventRouter,
    way: Option<FickleLog>,
    _work: JoinSet<()>,
}

pub(super) struct World {
    setting: Setting,
    plant: Option<Plant>,
    log: Option<Arc<dyn EventLog>>,
    /// Users' names: a real log has other stories in it.
    users: [UserId; USERS],
    clock: Arc<ManualClock>,
    is_real_time: bool,
    replicas: Vec<Replica>,
    clients: Vec<Client>,
    publisher: Publisher,
    /// What a log in memory has been given; a log elsewhere is asked in the end.
    given: [Events; USERS],
}

impl Setting {
    pub(super) fn has_moods(self) -> bool {
        self == Self::Fickle
    }
}

impl Plant {
    /// Where the fault can show.
    pub(super) fn setting(self) -> Setting {
        match self {
            Self::SilentGap => Setting::Memory,
            _ => Setting::Fickle,
        }
    }
}

/// Waits for what must not take long, in a time that may stand still.
async fn within<T>(what: &str, work: impl Future<Output = T>) -> Result<T, String> {
    let done = tokio::time::timeout(Duration::from_secs(120), work).await;
    done.map_err(|_elapsed| format!("{what} takes for ever"))
}

async fn rest(time: Duration) {
    let _elapsed = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

impl World {
    pub(super) fn new(setting: Setting, plant: Option<Plant>) -> Self {
        let log: Option<Arc<dyn EventLog>> = match setting {
            Setting::Memory => None,
            Setting::Fickle => Some(Arc::new(MemoryLog::new(PLENTY))),
        };
        Self::on(setting, plant, log, "")
    }

    /// A story on a real log, in real time.
    pub(super) fn on_engine(log: Arc<dyn EventLog>, name: &str) -> Self {
        let mut world = Self::on(Setting::Fickle, None, Some(log), name);
        world.is_real_time = true;
        world
    }

    fn on(
        setting: Setting,
        plant: Option<Plant>,
        log: Option<Arc<dyn EventLog>>,
        name: &str,
    ) -> Self {
        Self {
            setting,
            plant,
            log,
            users: std::array::from_fn(|index| UserId::new(format!("{name}user-{index}"))),
            clock: Arc::new(ManualClock::new(1_782_302_400_000)),
            is_real_time: false,
            replicas: Vec::new(),
            clients: (0..CLIENTS)
                .map(|index| Client::of(index % USERS))
                .collect(),
            publisher: Publisher::default(),
            given: std::array::from_fn(|_| Events::new()),
        }
    }

    fn replica(&self) -> Replica {
        let mut config = RouterConfig::default();
        if !self.is_real_time {
            config.clock = self.clock.clone();
        }
        let mut work = JoinSet::new();
        let Some(log) = &self.log else {
            config.limits = Limits {
                events: KEPT,
                connections_per_user: CLIENTS,
                ..Limits::default()
            };
            return Replica {
                router: EventRouter::new(config),
                way: None,
                _work: work,
            };
        };
        let way = FickleLog::new(Arc::clone(log), self.plant);
        let (router, replica) = EventRouter::on_log(config, Arc::new(way.clone()));
        work.spawn(replica.run());
        Replica {
            router,
            way: Some(way),
            _work: work,
        }
    }

    /// Tells the story, and then lets all be well and every reader come to the end.
    pub(super) async fn run(mut self, steps: &[Step]) -> Result<(), String> {
        self.start().await?;
        for step in steps {
            self.step(step).await?;
        }
        self.end().await
    }

    /// Memory is one process; a log is shared.
    fn n_replicas(&self) -> usize {
        if self.setting == Setting::Memory {
            1
        } else {
            REPLICAS
        }
    }

    async fn start(&mut self) -> Result<(), String> {
        self.replicas.clear();
        for _ in 0..self.n_replicas() {
            self.replicas.push(self.replica());
        }
        for user in 0..USERS {
            for thread in 0..THREADS {
                let published = self.publish(0, user, &opening(thread)).await?;
                published.map_err(|error| format!("at the start: {error}"))?;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::Publish {
                replica,
                user,
                thread,
                n_events,
                is_named,
            } => {
                let batch = self.publisher.next(user, thread, n_events, is_named);
                self.send(replica, batch).await?;
            }
            Step::PublishAtOnce { user, n_events } => self.publish_at_once(user, n_events).await?,
            Step::Retry { replica, batch } => {
                let named = self.publisher.sent.iter().enumerate().rev();
                let mut named = named.filter(|(_, sent)| sent.is_named());
                if let Some((batch, _)) = named.nth(batch) {
                    self.send(replica, batch).await?;
                }
            }
            Step::Attach {
                client,
                replica,
                with,
            } => {
                self.attach(client, replica % self.n_replicas(), with)
                    .await?;
            }
            Step::Read { client, batches } => self.read(client, batches)?,
            Step::Cut { client } => self.clients[client].connection = None,
            Step::Turns(n_turns) => {
                for _ in 0..n_turns {
                    tokio::task::yield_now().await;
                }
            }
            Step::Pass(ms) if !self.is_real_time => {
                self.clock.advance(i64::try_from(ms).unwrap_or(0));
                rest(Duration::from_millis(ms)).await;
                self.replicas
                    .iter()
                    .for_each(|replica| replica.router.sweep());
            }
            Step::Restart { replica } if self.setting != Setting::Memory => {
                for client in &mut self.clients {
                    if client
                        .connection
                        .as_ref()
                        .is_some_and(|it| it.replica == replica)
                    {
                        client.connection = None;
                    }
                }
                self.replicas[replica] = self.replica();
            }
            Step::Mood { replica, mood } => {
                if let Some(way) = &self.replicas[replica].way {
                    way.set(mood);
                }
            }
            Step::Recreate => self.recreate().await?,
            Step::Pass(_) | Step::Restart { .. } => {}
        }
        Ok(())
    }

    /// What may be gone of a user.
    fn floor(&self, user: usize) -> Floor {
        let last = self.given[user].keys().next_back().copied().unwrap_or(0);
        let kept = u64::try_from(KEPT).unwrap_or(u64::MAX);
        Floor {
            gone: last.saturating_sub(kept),
        }
    }

    fn read(&mut self, client: usize, batches: usize) -> Result<(), String> {
        let user = self.clients[client].user;
        let floor = self.floor(user);
        let hides_gaps = self.plant == Some(Plant::SilentGap);
        self.clients[client]
            .read(batches, floor, &self.given[user], hides_gaps)
            .map_err(|why| format!("reader {client}: {why}"))
    }

    /// The log is lost; what was told of it means nothing any more.
    async fn recreate(&mut self) -> Result<(), String> {
        self.log = Some(Arc::new(MemoryLog::new(PLENTY)));
        self.publisher.sent.clear();
        self.clients.iter_mut().for_each(Client::forget);
        self.start().await
    }
}
