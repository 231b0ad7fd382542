//! Which key was meant.

use super::KEYS;

/// Finds the known key that differs least from a name. The first keys below it win when it is the name of a table.
pub(crate) fn nearest_key(name: &str) -> &'static str {
    let table = format!("{name}.");
    let distance = |key: &&'static str| {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        // The right last part in the wrong table is nearer than its letters say.
        let of_last = strsim::damerau_levenshtein(&last(name), &last(key)) + 2;
        strsim::damerau_levenshtein(name, key).min(of_last)
    };
    let mut names = KEYS.iter().map(|key| key.name);
    names
        .clone()
        .find(|key| key.starts_with(&table))
        .or_else(|| names.by_ref().min_by_key(distance))
        .unwrap_or_default()
}
