//! Recorded agent runs, played for the user `demo` round after round, recorded answers of language models, and an
//! agent to ask.

mod agent;
pub(crate) mod llm;
mod pace;
mod play;
mod transcript;

#[cfg(test)]
mod tests;

pub(crate) use agent::{AGENT, agent};
pub(crate) use llm::{PROVIDER, prices};
pub(crate) use play::play;

/// The recordings, by name, in the order in which they are played. Where they come from is in `demo/SOURCES.md`.
const RECORDINGS: [(&str, &str); 8] = [
    ("text", include_str!("../demo/text-streaming.jsonl")),
    ("tool", include_str!("../demo/tool-call.jsonl")),
    ("reasoning", include_str!("../demo/reasoning.jsonl")),
    (
        "state",
        include_str!("../demo/state-snapshot-and-delta.jsonl"),
    ),
    (
        "restaurants",
        include_str!("../demo/dotnet-step02-backendtools-turn1.jsonl"),
    ),
    ("subagents", include_str!("../demo/subagents-nested.jsonl")),
    (
        "interrupt",
        include_str!("../demo/interrupt-and-resume.jsonl"),
    ),
    ("activity", include_str!("../demo/activity.jsonl")),
];
