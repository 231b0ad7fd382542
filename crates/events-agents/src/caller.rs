//! Whom agents are called for, and how many at a time.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use events_axum::{AgentPlace, AgentRefusal, Agents};
use events_core::{TaskId, UserId};
use events_llm::gateway::{GatewayConfig, UpstreamCaller};
use events_router::EventRouter;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{AgentLimits, AgentsConfig, AgentsError, config::Agent, metrics::Metrics};

/// How long the ends of runs that are cut off may take.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Calls the configured agents; see the [crate](crate). A cheap handle.
#[derive(Clone, Debug)]
pub struct AgentCaller {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) router: EventRouter,
    pub(crate) upstream: UpstreamCaller,
    agents: BTreeMap<String, Arc<Agent>>,
    pub(crate) limits: AgentLimits,
    pub(crate) metrics: Metrics,
    places: Arc<Semaphore>,
    /// Who has which places; a user without one is not here.
    by_user: Mutex<HashMap<UserId, Vec<Taken>>>,
    n_taken: AtomicU64,
    tasks: Mutex<JoinSet<()>>,
    /// How many tasks have not ended.
    running: watch::Sender<usize>,
    is_closing: AtomicBool,
    /// Says that what still runs is to end at once.
    cut: watch::Sender<bool>,
}

/// A place that is taken.
struct Taken {
    id: u64,
    run: Option<TaskId>,
    stop: Arc<Notify>,
}

/// A place for one call, free again when it is dropped.
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) agent: Arc<Agent>,
    user: UserId,
    id: u64,
    pub(crate) stop: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl AgentCaller {
    /// Makes the caller of these agents, for the logs of a router.
    ///
    /// # Errors
    ///
    /// An agent's name, address or header is none, or TLS cannot be set up.
    pub fn new(config: AgentsConfig, router: EventRouter) -> Result<Self, AgentsError> {
        let AgentsConfig {
            agents: configs,
            limits,
            connect_timeout,
            authorities_pem,
        } = config;
        let mut agents = BTreeMap::new();
        for (name, config) in &configs {
            agents.insert(name.clone(), Arc::new(Agent::of(name, config)?));
        }
        let mut gateway = GatewayConfig {
            authorities_pem,
            ..GatewayConfig::default()
        };
        if let Some(limit) = connect_timeout {
            gateway.timeouts.connect = limit;
        }
        let needs_tls = agents.values().any(|agent| agent.target.is_https());
        let upstream = UpstreamCaller::new(&gateway, needs_tls).map_err(AgentsError::Tls)?;
        Ok(Self {
            shared: Arc::new(Shared {
                router,
                upstream,
                agents,
                limits,
                metrics: Metrics::default(),
                places: Arc::new(Semaphore::new(limits.runs.min(Semaphore::MAX_PERMITS))),
                by_user: Mutex::default(),
                n_taken: AtomicU64::new(0),
                tasks: Mutex::default(),
                running: watch::Sender::new(0),
                is_closing: AtomicBool::new(false),
                cut: watch::Sender::new(false),
            }),
        })
    }

    /// Counts the calls that are made now.
    #[must_use]
    pub fn active(&self) -> usize {
        let by_user = self.shared.by_user();
        by_user.values().map(Vec::len).sum()
    }

    /// Appends what is counted in the text form of OpenMetrics, without the mark of the end.
    pub fn write_metrics(&self, out: &mut String) {
        self.shared.metrics.write(out);
    }

    /// Begins no run from now on, and waits until those that are active have ended. What is active at the limit ends
    /// with RUN_ERROR, code `hub_stopped`. Returns how many that were.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the refusal stays, and what runs goes on.
    pub async fn shutdown(&self, limit: Duration) -> usize {
        let shared = &self.shared;
        shared.is_closing.store(true, Ordering::Relaxed);
        let mut running = shared.running.subscribe();
        // The sender is in `shared`.
        if timeout(limit, running.wait_for(|n| *n == 0)).await.is_ok() {
            return 0;
        }
        let n_cut = self.active();
        shared.cut.send_replace(true);
        let _is_told = timeout(LAST_MOMENT, running.wait_for(|n| *n == 0))
            .await
            .is_ok();
        shared.tasks().abort_all();
        n_cut
    }
}

impl Agents for AgentCaller {
    fn names(&self) -> Vec<String> {
        self.shared.agents.keys().cloned().collect()
    }

    fn reserve(&self, agent: &str, user: &UserId) -> Result<Box<dyn AgentPlace>, AgentRefusal> {
        let place = self.shared.reserve(agent, user);
        place
            .map(|place| Box::new(place) as Box<dyn AgentPlace>)
            .inspect_err(|refusal| self.shared.metrics.refused(*refusal))
    }

    fn stop_here(&self, user: &UserId, run: &TaskId) {
        let by_user = self.shared.by_user();
        let taken = by_user.get(user).into_iter().flatten();
        for place in taken.filter(|taken| taken.run.as_ref() == Some(run)) {
            place.stop.notify_one();
        }
    }
}

impl Shared {
    fn reserve(self: &Arc<Self>, agent: &str, user: &UserId) -> Result<Place, AgentRefusal> {
        let agent = self.agents.get(agent).ok_or(AgentRefusal::Unknown)?;
        if self.is_closing.load(Ordering::Relaxed) {
            return Err(AgentRefusal::Closing);
        }
        let permit = Arc::clone(&self.places).try_acquire_owned();
        let permit = permit.map_err(|_full| AgentRefusal::Full)?;
        let id = self.n_taken.fetch_add(1, Ordering::Relaxed);
        let stop = Arc::new(Notify::new());
        let mut by_user = self.by_user();
        let taken = by_user.entry(user.clone()).or_default();
        if taken.len() >= self.limits.runs_per_user {
            return Err(AgentRefusal::UserFull);
        }
        taken.push(Taken {
            id,
            run: None,
            stop: Arc::clone(&stop),
        });
        drop(by_user);
        Ok(Place {
            shared: Arc::clone(self),
            agent: Arc::clone(agent),
            user: user.clone(),
            id,
            stop,
            _permit: permit,
        })
    }

    fn by_user(&self) -> MutexGuard<'_, HashMap<UserId, Vec<Taken>>> {
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a task, and forgets those that are done.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let running = Running::of(self);
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            task.await;
            drop(running);
        });
    }

    /// Waits until what still runs is to end at once.
    pub(crate) async fn cut_off(&self) {
        let mut cut = self.cut.subscribe();
        // The sender is in `self`.
        let _is_cut = cut.wait_for(|is_cut| *is_cut).await;
    }
}

/// A task that has not ended, however it does.
struct Running(Arc<Shared>);

impl Running {
    fn of(shared: &Arc<Shared>) -> Self {
        shared.running.send_modify(|n| *n += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.send_modify(|n| *n -= 1);
    }
}

impl Place {
    /// Says which run has the place, before its beginning is in the log, so that a stop meets it. Tells whether runs
    /// are still begun.
    pub(crate) fn admit(&self, run: &TaskId) -> bool {
        if self.shared.is_closing.load(Ordering::Relaxed) {
            return false;
        }
        self.shared.metrics.begun(&self.agent.name);
        let mut by_user = self.shared.by_user();
        let mut taken = by_user.get_mut(&self.user).into_iter().flatten();
        if let Some(taken) = taken.find(|taken| taken.id == self.id) {
            taken.run = Some(run.clone());
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_user = self.shared.by_user();
        if let Some(taken) = by_user.get_mut(&self.user) {
            taken.retain(|taken| taken.id != self.id);
            if taken.is_empty() {
                by_user.remove(&self.user);
            }
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("agents", &self.agents.keys())
            .finish_non_exhaustive()
    }
}
