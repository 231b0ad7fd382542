//! What `events dev` and `events serve` put together.

use std::{future::pending, io, net::SocketAddr, time::Duration};

use axum::{Router, http::StatusCode, middleware};
use events_axum::{
    Problem, StreamState,
    auth::{Auth, KeyError, authenticate},
    hub_router, metrics_router,
    serve::{Ending, Proxies, Server},
};
use events_router::{EventRouter, LogHealth, Replica};
use tokio::{net::TcpListener, task::JoinSet, time::MissedTickBehavior};

use crate::{
    ConnectionLimits, Failure, Settings, StopRequests, agents::Agents, auth_keys::is_address,
    console, demo, engine, llm::Llm, local, telemetry,
};

/// How a hub is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For one person on one machine, without tokens.
    Dev {
        /// Whether recorded agent runs are played for the user `demo`, and answers of language models.
        plays_demo: bool,
    },
    /// For production.
    Serve {
        /// Whether tokens are waived.
        is_insecure: bool,
    },
}

impl Mode {
    /// Checks that the settings are safe in this mode.
    ///
    /// # Errors
    ///
    /// [`Failure::NoKey`], [`Failure::Config`] or [`Failure::NotLoopback`].
    pub fn check(self, settings: &Settings) -> Result<(), Failure> {
        let command = match self {
            Self::Dev { .. } => "events dev",
            Self::Serve { is_insecure: true } => "events serve --insecure",
            Self::Serve { is_insecure: false } if settings.auth.has_key() => {
                settings.auth.config()?;
                return Ok(());
            }
            Self::Serve { is_insecure: false } => return Err(Failure::NoKey),
        };
        let address = settings.listen;
        if address.ip().to_canonical().is_loopback() {
            Ok(())
        } else {
            Err(Failure::NotLoopback { address, command })
        }
    }
}

/// How often history is aged and idle users are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// How often the log is asked whether it is still the same.
const REPLACED_INTERVAL: Duration = Duration::from_secs(1);

/// Beyond the drain window, what is left of the connections is dropped after this long.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// What was published of answers that are cut off then has this long to be written.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// A hub that has its address and does not serve yet.
#[derive(Debug)]
pub struct Hub {
    listener: TcpListener,
    address: SocketAddr,
    state: StreamState,
    /// The work behind the router, if its events are kept by a log elsewhere.
    replica: Option<Replica>,
    app: Router,
    /// Who asks; none where nobody has to prove it.
    auth: Option<Auth>,
    llm: Llm,
    agents: Agents,
    plays_demo: bool,
    /// The provider of the demo, if it is not one of the user's own.
    demo_provider: Option<TcpListener>,
    /// The agent of the demo, likewise.
    demo_agent: Option<TcpListener>,
    drain_window: Duration,
    connections: ConnectionLimits,
    takes_over: bool,
    proxies: Proxies,
    /// Where metrics are read without a token.
    metrics: Option<TcpListener>,
}

impl Hub {
    /// Takes the address. From here on clients can connect; they are answered by [`Hub::run`].
    ///
    /// # Errors
    ///
    /// The settings are not safe in this mode, or the address cannot be taken.
    ///
    /// # Cancel safety
    ///
    /// Nothing is kept.
    pub async fn bind(mode: Mode, settings: &Settings) -> Result<Self, Failure> {
        mode.check(settings)?;
        let (listener, address) = bind(settings.listen).await?;
        let (router, replica) = match engine::open(settings).await? {
            None => (EventRouter::new(settings.router_config()), None),
            Some(log) => {
                let (router, replica) = EventRouter::on_log(settings.router_config(), log);
                (router, Some(replica))
            }
        };
        let metrics = match settings.metrics_listen {
            Some(address) => Some(bind(address).await?.0),
            None => None,
        };
        let mut stream_config = settings.stream_config();
        let card = &mut stream_config.a2a.card;
        let needs_token = matches!(mode, Mode::Serve { is_insecure: false });
        (card.needs_bearer, card.takes_user) = (needs_token, !needs_token);
        stream_config.operator_metrics = needs_token;
        let state = StreamState::with_config(router, stream_config);
        let auth = if needs_token {
            Some(authentication(settings, &state).await?)
        } else {
            None
        };
        let plays_demo = mode == Mode::Dev { plays_demo: true };
        let has_own = settings.llm.providers.contains_key(demo::PROVIDER);
        let (demo_provider, provider_address) = demo_part(plays_demo && !has_own).await?;
        let llm = Llm::new(settings, &state, provider_address)?;
        let has_own = settings.agents.agents.contains_key(demo::AGENT);
        let (demo_agent, agent_address) = demo_part(plays_demo && !has_own).await?;
        let agents = Agents::new(settings, &state, agent_address)?;
        let app = app(state.clone(), &llm, &agents, auth.clone());
        let app = if settings.otlp.is_some() {
            app.layer(middleware::from_fn(telemetry::trace_publish))
        } else {
            app
        };
        tracing::info!(%address, log = %settings.log, "bound");
        Ok(Self {
            listener,
            address,
            app,
            auth,
            state,
            replica,
            llm,
            agents,
            plays_demo,
            demo_provider,
            demo_agent,
            drain_window: settings.drain_window,
            connections: settings.connections,
            takes_over: settings.takes_over,
            proxies: settings.proxies.clone(),
            metrics,
        })
    }

    /// Returns the address, with its real port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is asked to stop and every connection is gone.
    ///
    /// `announce` is called once, when connections are being accepted. At the first request the listener is closed
    /// and the streams end over the drain window; a second later what is left is dropped. The second request drops
    /// everything at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the listener and all connections.
    ///
    /// # Errors
    ///
    /// [`Failure::LogReplaced`]: the events would get ids that mean something else to clients.
    pub async fn run(
        self,
        stop_requests: StopRequests,
        announce: impl FnOnce(SocketAddr),
    ) -> Result<(), Failure> {
        let mut background = JoinSet::new();
        background.spawn(sweep(self.state.router().clone(), self.llm.clone()));
        for _ in 0..tokio::runtime::Handle::current().metrics().num_workers() {
            background.spawn(self.state.router().flush());
        }
        if let Some(replica) = self.replica {
            background.spawn(replica.run());
        }
        if let Some(auth) = &self.auth {
            background.spawn(auth.run());
        }
        if self.state.router().event_log().is_some() {
            background.spawn(self.state.follow_revocations());
        }
        announce(self.address);
        if self.plays_demo {
            background.spawn(demo::play(self.state.router().clone()));
        }
        if let Some(listener) = self.demo_provider {
            background.spawn(Server::new(listener, demo::llm::upstream()).run(pending()));
            background.spawn(demo::llm::ask(self.llm.providers()));
        }
        if let Some(listener) = self.metrics {
            let app = metrics_router(self.state.clone());
            background.spawn(Server::new(listener, app).run(pending()));
        }
        if let Some(listener) = self.demo_agent {
            background.spawn(Server::new(listener, demo::agent()).run(pending()));
        }
        let router = self.state.router().clone();
        let limit = self.drain_window + DRAIN_GRACE;
        let draining = self.llm.drain(stop_requests.clone(), limit + LAST_MOMENT);
        // Screens are drained meanwhile, and those who come back to another replica see the end there.
        let calls = self.agents.drain(stop_requests.clone(), self.drain_window);
        let serving = Server::new(self.listener, self.app)
            .with_limits(self.connections)
            .take_over(self.takes_over)
            .with_proxies(self.proxies)
            .with_edge(self.state.edge().clone())
            .run_until(Ending {
                begins: self.state.drain_on(stop_requests.clone().first()),
                at_once: stop_requests.second(),
                limit,
            });
        let ended = tokio::select! {
            ((), (), ()) = async { tokio::join!(serving, draining, calls) } => Ok(()),
            () = watch_over(&mut background) => Ok(()),
            () = replaced(&router) => Err(Failure::LogReplaced),
        };
        background.shutdown().await;
        ended
    }
}

/// Takes an address. Returns it with its real port.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let taken = async {
        let listener = TcpListener::bind(address).await?;
        let real = listener.local_addr()?;
        Ok::<_, io::Error>((listener, real))
    };
    taken
        .await
        .map_err(|source| Failure::Listen { address, source })
}

/// Takes an address for what the demo serves to the hub itself, if it is wanted.
async fn demo_part(is_wanted: bool) -> Result<(Option<TcpListener>, Option<SocketAddr>), Failure> {
    if !is_wanted {
        return Ok((None, None));
    }
    let (listener, address) = demo::llm::bind().await.map_err(Failure::Start)?;
    Ok((Some(listener), Some(address)))
}

/// Makes the authentication of the settings. Keys in a file have to be there; an address may answer later.
async fn authentication(settings: &Settings, state: &StreamState) -> Result<Auth, Failure> {
    let auth = Auth::new(state.clone(), settings.auth.config()?);
    match auth.load().await {
        Ok(()) => {}
        Err(error @ KeyError::Source(_))
            if settings.auth.keys.as_deref().is_some_and(is_address) =>
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "no keys yet; the address is asked again");
        }
        Err(error) => return Err(Failure::Keys(error)),
    }
    Ok(auth)
}

/// Everything that is served, behind the authentication or, without one, behind the gate of this machine.
pub(crate) fn app(state: StreamState, llm: &Llm, agents: &Agents, auth: Option<Auth>) -> Router {
    let not_found =
        || async { Problem::new(StatusCode::NOT_FOUND, "nothing is served at this path") };
    let not_allowed = || async {
        let detail = "this path is not served for this method";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    };
    let (llm, agents) = (llm.router(&state), agents.router(&state));
    let routes = hub_router(state)
        .merge(llm)
        .merge(agents)
        .merge(console::router());
    let routes = match &auth {
        Some(auth) => routes.merge(auth.router()),
        None => routes,
    };
    let routes = routes
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed);
    match auth {
        Some(auth) => routes.layer(middleware::from_fn_with_state(auth, authenticate)),
        None => routes.layer(middleware::from_fn(local::gate)),
    }
}

async fn sweep(router: EventRouter, llm: Llm) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        router.sweep();
        llm.sweep();
        if let Some(log) = router.event_log()
            && let Err(error) = log.sweep().await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "log not swept");
        }
    }
}

/// Completes when the log behind the router has become another one.
async fn replaced(router: &EventRouter) {
    let mut ticks = tokio::time::interval(REPLACED_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while router.log_health() != LogHealth::Replaced {
        ticks.tick().await;
    }
}

/// Logs tasks that end although they should not; never completes.
async fn watch_over(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a background task failed");
        }
    }
    pending::<()>().await;
}

#[cfg(test)]
mod tests;
