//! Which key was meant.

use super::{AGENT_KEYS, KEYS, PROVIDER_KEYS, agents, providers::PREFIX};

/// Finds the known key that differs least from a name. The first keys below it win when it is the name of a table.
pub(crate) fn nearest_key(name: &str) -> String {
    let table = format!("{name}.");
    let distance = |key: &String| {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        // The right last part in the wrong table is nearer than its letters say.
        let of_last = strsim::damerau_levenshtein(&last(name), &last(key)) + 2;
        strsim::damerau_levenshtein(name, key).min(of_last)
    };
    // A provider's keys with the name that seems to be meant.
    let provider = name.split('.').nth(2).filter(|_| name.starts_with("llm."));
    let provider = provider.unwrap_or("NAME");
    let of_provider = PROVIDER_KEYS
        .iter()
        .map(|key| format!("{PREFIX}{provider}.{}", key.name));
    // Likewise of agents.
    let agent = name.split('.').nth(2).filter(|_| name.starts_with("agui."));
    let agent = agent.unwrap_or("NAME");
    let of_agent = AGENT_KEYS
        .iter()
        .map(|key| format!("{}{agent}.{}", agents::PREFIX, key.name));
    let names: Vec<String> = KEYS
        .iter()
        .map(|key| key.name.to_owned())
        .chain(of_provider)
        .chain(of_agent)
        .collect();
    let below = names.iter().find(|key| key.starts_with(&table)).cloned();
    below
        .or_else(|| names.into_iter().min_by_key(distance))
        .unwrap_or_default()
}
