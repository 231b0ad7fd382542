//! How runs of agents end.

use std::time::Duration;

use events_llm::gateway::UpstreamFailure;
use events_models::{AgUiEvent, AgUiEventBuilder};

/// What ended a run of an agent.
///
/// All but the first three become RUN_ERROR with the code [`RunEnd::code`] and a text for people, in which there is no
/// address and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// The agent said RUN_FINISHED.
    Finished,
    /// The agent said RUN_ERROR.
    Failed,
    /// The run was over in the log: stopped, or silent for too long, or its user was erased.
    Elsewhere,
    /// There is no answer, or it broke off: `agent_unreachable`, `agent_timeout` or `agent_broken`.
    Upstream(UpstreamFailure),
    /// The agent answered with another status than 200: `agent_status`.
    Status(u16),
    /// The agent said what is not AG-UI, or not allowed where it said it: `agent_invalid`.
    Invalid(String),
    /// The answer ended before the run did: `agent_unfinished`.
    Unfinished,
    /// The run took longer than it may: `agent_timeout`.
    TooLong(Duration),
    /// The hub goes away: `hub_stopped`.
    HubStopped,
    /// The log does not take the events: `log_unavailable`.
    Log,
}

impl RunEnd {
    /// Returns the code of its RUN_ERROR; for the first three, what it is called in metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Elsewhere => "stopped",
            Self::Upstream(failure) if failure.is_timeout() => "agent_timeout",
            Self::Upstream(failure) if failure.is_unreached() => "agent_unreachable",
            Self::Upstream(_) => "agent_broken",
            Self::Status(_) => "agent_status",
            Self::Invalid(_) => "agent_invalid",
            Self::Unfinished => "agent_unfinished",
            Self::TooLong(_) => "agent_timeout",
            Self::HubStopped => "hub_stopped",
            Self::Log => "log_unavailable",
        }
    }

    fn message(&self) -> Option<String> {
        Some(match self {
            Self::Finished | Self::Failed | Self::Elsewhere => return None,
            Self::Upstream(failure) => failure.text("the agent"),
            Self::Status(status @ 300..=399) => format!(
                "the agent answered with status {status}, which leads elsewhere: the hub has to be given the address \
                 it leads to"
            ),
            Self::Status(status) => format!("the agent answered with status {status}"),
            Self::Invalid(what) => what.clone(),
            Self::Unfinished => {
                "the agent ended its answer without RUN_FINISHED or RUN_ERROR".to_owned()
            }
            Self::TooLong(limit) => {
                format!("the run took longer than the {} s it may", limit.as_secs())
            }
            Self::HubStopped => {
                "the hub that called the agent was stopped before the run had ended; run it again"
                    .to_owned()
            }
            Self::Log => "what the agent said could not be stored".to_owned(),
        })
    }

    /// Makes the RUN_ERROR that the log lacks, if it lacks one.
    pub(crate) fn event(&self) -> Option<AgUiEvent> {
        let code = Some(self.code().to_owned());
        Some(AgUiEventBuilder::run_error(self.message()?, code))
    }
}
