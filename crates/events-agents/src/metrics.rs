//! What is counted of agents and their runs.

use events_axum::AgentRefusal;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode_registry},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Why an event of an agent is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// Its type is none of AG-UI 1.0.
    UnknownType,
    /// It came after the end of its run.
    AfterEnd,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRun {
    agent: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAgent {
    agent: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    reason: &'static str,
}

/// The counters of all agents.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    runs: Family<OfRun, Counter>,
    active: Family<OfAgent, Gauge>,
    events: Family<OfAgent, Counter>,
    dropped: Family<OfReason, Counter>,
    refused: Family<OfReason, Counter>,
}

impl Metrics {
    pub(crate) fn begun(&self, agent: &str) {
        self.active.get_or_create(&of(agent)).inc();
    }

    pub(crate) fn ended(&self, agent: &str, outcome: &'static str) {
        self.active.get_or_create(&of(agent)).dec();
        let agent = agent.to_owned();
        self.runs.get_or_create(&OfRun { agent, outcome }).inc();
    }

    pub(crate) fn said(&self, agent: &str, n_events: usize) {
        self.events
            .get_or_create(&of(agent))
            .inc_by(n_events as u64);
    }

    pub(crate) fn dropped(&self, dropped: Dropped) {
        let reason = match dropped {
            Dropped::UnknownType => "unknown_type",
            Dropped::AfterEnd => "after_end",
        };
        self.dropped.get_or_create(&OfReason { reason }).inc();
    }

    pub(crate) fn refused(&self, refusal: AgentRefusal) {
        let reason = match refusal {
            AgentRefusal::UserFull => "user_full",
            AgentRefusal::Full => "full",
            AgentRefusal::Closing => "closing",
            // Whoever asks could name any number of them.
            _ => "unknown",
        };
        self.refused.get_or_create(&OfReason { reason }).inc();
    }

    /// Appends the values in the text form of OpenMetrics, without the mark of the end.
    pub(crate) fn write(&self, out: &mut String) {
        let mut registry = Registry::with_prefix("events_agent");
        let (help, runs) = ("Runs of agents, by how they ended", self.runs.clone());
        registry.register("runs", help, runs);
        let (help, active) = ("Runs that are active", self.active.clone());
        registry.register("active_runs", help, active);
        let (help, events) = ("Events that agents said", self.events.clone());
        registry.register("events", help, events);
        let (help, dropped) = ("Events of agents that are left out", self.dropped.clone());
        registry.register("events_dropped", help, dropped);
        let (help, refused) = ("Runs that were not begun", self.refused.clone());
        registry.register("refused", help, refused);
        let n_written = out.len();
        if encode_registry(out, &registry).is_err() {
            out.truncate(n_written);
        }
    }
}

fn of(agent: &str) -> OfAgent {
    OfAgent {
        agent: agent.to_owned(),
    }
}
