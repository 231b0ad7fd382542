//! Agents in the hub: their routes, and how their runs end with it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use events_agents::{AgentCaller, AgentConfig};
use events_axum::{StreamState, agent_router};

use crate::{ConfigError, Settings, StopRequests, demo};

/// The caller of agents; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    caller: AgentCaller,
}

impl Agents {
    /// Makes the caller of the configured agents and, if there is one, of the demo's.
    pub(crate) fn new(
        settings: &Settings,
        state: &StreamState,
        demo: Option<SocketAddr>,
    ) -> Result<Self, ConfigError> {
        let mut config = settings.agents.config()?;
        if let Some(address) = demo {
            let agent = AgentConfig::new(format!("http://{address}/"));
            config.agents.insert(demo::AGENT.to_owned(), agent);
        }
        let caller = AgentCaller::new(config, state.router().clone())?;
        let shown = caller.clone();
        state.add_metrics(move |out| shown.write_metrics(out));
        Ok(Self { caller })
    }

    /// Serves `/agui/run/{agent}` and `/agui/runs/{run}/stop`.
    pub(crate) fn router(&self, state: &StreamState) -> Router {
        agent_router(state.clone(), Arc::new(self.caller.clone()))
    }

    /// Waits for the first request to stop; then lets runs end within `limit`. The second request cuts this short. What
    /// is cut off is told so.
    pub(crate) async fn drain(&self, stop_requests: StopRequests, limit: Duration) {
        stop_requests.clone().first().await;
        let n_cut = tokio::select! {
            n_cut = self.caller.shutdown(limit) => n_cut,
            () = stop_requests.second() => self.caller.shutdown(Duration::ZERO).await,
        };
        if n_cut > 0 {
            tracing::warn!(n_cut, "runs of agents were cut off");
        }
    }
}
