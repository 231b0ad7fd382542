//! Why an event is not allowed where it stands.

use std::fmt;

use crate::AgUiEventType;

/// Names what can be open within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ItemKind {
    /// A text message.
    TextMessage,
    /// A tool call.
    ToolCall,
    /// A reasoning message.
    ReasoningMessage,
    /// A span of reasoning.
    ReasoningSpan,
    /// A step.
    Step,
    /// A subagent.
    Subagent,
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TextMessage => "text message",
            Self::ToolCall => "tool call",
            Self::ReasoningMessage => "reasoning message",
            Self::ReasoningSpan => "reasoning span",
            Self::Step => "step",
            Self::Subagent => "subagent",
        })
    }
}

/// Says which rule of the order an event breaks, and with which ids.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Rule 1.
    #[error(
        "rule 1: {found} cannot be first on a thread, which begins with RUN_STARTED or RUN_ERROR"
    )]
    NotStarted {
        /// The refused event.
        found: AgUiEventType,
    },
    /// Rule 2.
    #[error(
        "rule 2: run `{next}` cannot start while run `{active}` is active; end that one first, or use another thread"
    )]
    RunActive {
        /// The active run.
        active: String,
        /// The run that was to start.
        next: String,
    },
    /// Rule 3, after RUN_FINISHED.
    #[error("rule 3: {found} cannot follow RUN_FINISHED, only RUN_STARTED or RUN_ERROR can")]
    RunFinished {
        /// The refused event.
        found: AgUiEventType,
    },
    /// Rule 3, after RUN_ERROR.
    #[error("rule 3: {found} cannot follow RUN_ERROR, only RUN_STARTED can")]
    RunFailed {
        /// The refused event.
        found: AgUiEventType,
    },
    /// Rules 4, 5 and 7: opened while open.
    #[error("rule {}: {kind} `{id}` is open already", rule_of(*kind))]
    AlreadyOpen {
        /// What is open.
        kind: ItemKind,
        /// Its id.
        id: String,
    },
    /// Rules 4, 5 and 7: continued or closed while not open.
    #[error("rule {}: {found} needs {kind} `{id}` to be open, and it is not", rule_of(*kind))]
    NotOpen {
        /// The refused event.
        found: AgUiEventType,
        /// What is not open.
        kind: ItemKind,
        /// Its id.
        id: String,
    },
    /// Rule 6: started while active.
    #[error("rule 6: step `{step}` of {} is active already", agent(.owner))]
    StepActive {
        /// The step.
        step: String,
        /// Its owner; none for the parent agent.
        owner: Option<String>,
    },
    /// Rule 6: ended while not active.
    #[error("rule 6: step `{step}` of {} is not active", agent(.owner))]
    StepNotActive {
        /// The step.
        step: String,
        /// Its owner; none for the parent agent.
        owner: Option<String>,
    },
    /// Rule 8: started while active.
    #[error("rule 8: subagent `{id}` is active already")]
    SubagentActive {
        /// The subagent.
        id: String,
    },
    /// Rule 8: started a second time in the run.
    #[error("rule 8: subagent `{id}` has ended in this run, and its id cannot be used again")]
    SubagentReused {
        /// The subagent.
        id: String,
    },
    /// Rule 8: ended while not active.
    #[error("rule 8: {found} needs subagent `{id}` to be active, and it is not")]
    SubagentNotActive {
        /// The refused event.
        found: AgUiEventType,
        /// The subagent.
        id: String,
    },
    /// Rule 8: the parent has not started in this run.
    #[error("rule 8: subagent `{id}` cannot start before its parent `{parent}`")]
    SubagentParentUnknown {
        /// The subagent.
        id: String,
        /// The parent that it names.
        parent: String,
    },
    /// Rule 9.
    #[error("rule 9: RUN_FINISHED needs everything closed; still open: {open}")]
    StillOpen {
        /// What is open, the first few things by kind and id.
        open: String,
    },
    /// Rule 10: the tag is not the owner's.
    #[error("rule 10: {found} of {} continues `{id}`, which belongs to {}", agent(.tag), agent(.owner))]
    ForeignOwner {
        /// The refused event.
        found: AgUiEventType,
        /// What it continues.
        id: String,
        /// Who the event says it comes from.
        tag: Option<String>,
        /// Whose thing it is; none for the parent agent.
        owner: Option<String>,
    },
    /// Rule 10: a tool call and the message that makes it belong to different agents.
    #[error("rule 10: tool call `{id}` of {} is made by message `{parent}`, which belongs to {}", agent(.tag), agent(.owner))]
    ForeignParent {
        /// The tool call.
        id: String,
        /// The message that makes it.
        parent: String,
        /// Whose call it is; none for the parent agent.
        tag: Option<String>,
        /// Whose message it is; none for the parent agent.
        owner: Option<String>,
    },
    /// Rule 12: a chunk where only explicit events can stand.
    #[error("rule 12: {found} has to be expanded before its order is checked")]
    NotExpanded {
        /// The refused event.
        found: AgUiEventType,
    },
    /// Rule 12: a chunk begins an item and does not say what it is.
    #[error("rule 12: the first {found} of an item needs {missing}")]
    ChunkIncomplete {
        /// The refused event.
        found: AgUiEventType,
        /// The member that is missing.
        missing: &'static str,
    },
    /// Rule 12: a chunk continues an item and says something else about it.
    #[error("rule 12: {kind} `{id}` was opened with another {member}")]
    ChunkConflict {
        /// What the chunk continues.
        kind: ItemKind,
        /// Its id.
        id: String,
        /// The member that differs.
        member: &'static str,
    },
    /// Rule 12: a chunk names nothing, and there are several items that it could continue.
    #[error(
        "rule 12: {found} names neither an item nor a subagent, and several subagents have a {kind} open"
    )]
    ChunkAmbiguous {
        /// The refused event.
        found: AgUiEventType,
        /// What it continues.
        kind: ItemKind,
    },
    /// Rule 12: an item made of chunks is closed by an explicit event.
    #[error("rule 12: {kind} `{id}` is made of chunks, and {found} cannot close it")]
    ChunkedItem {
        /// The refused event.
        found: AgUiEventType,
        /// What is open.
        kind: ItemKind,
        /// Its id.
        id: String,
    },
    /// No rule of the protocol: the run uses more ids than are remembered.
    #[error("the run uses more than {limit} ids")]
    TooManyIds {
        /// The limit, in ids.
        limit: usize,
    },
}

impl OrderError {
    /// Returns the number of the broken rule; 0 for [`OrderError::TooManyIds`], which is a bound, not a rule.
    #[must_use]
    pub const fn rule(&self) -> u8 {
        match self {
            Self::TooManyIds { .. } => 0,
            Self::NotStarted { .. } => 1,
            Self::RunActive { .. } => 2,
            Self::RunFinished { .. } | Self::RunFailed { .. } => 3,
            Self::AlreadyOpen { kind, .. } | Self::NotOpen { kind, .. } => rule_of(*kind),
            Self::StepActive { .. } | Self::StepNotActive { .. } => 6,
            Self::SubagentActive { .. }
            | Self::SubagentReused { .. }
            | Self::SubagentNotActive { .. }
            | Self::SubagentParentUnknown { .. } => 8,
            Self::StillOpen { .. } => 9,
            Self::ForeignOwner { .. } | Self::ForeignParent { .. } => 10,
            Self::NotExpanded { .. }
            | Self::ChunkIncomplete { .. }
            | Self::ChunkConflict { .. }
            | Self::ChunkAmbiguous { .. }
            | Self::ChunkedItem { .. } => 12,
        }
    }
}

const fn rule_of(kind: ItemKind) -> u8 {
    match kind {
        ItemKind::TextMessage => 4,
        ItemKind::ToolCall => 5,
        ItemKind::Step => 6,
        ItemKind::ReasoningMessage | ItemKind::ReasoningSpan => 7,
        ItemKind::Subagent => 8,
    }
}

#[expect(
    clippy::ref_option,
    reason = "the error texts hand over references to fields"
)]
fn agent(owner: &Option<String>) -> String {
    owner.as_ref().map_or_else(
        || "the parent agent".to_owned(),
        |id| format!("subagent `{id}`"),
    )
}
