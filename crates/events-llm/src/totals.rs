//! What requests add up to, over all and for each model.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use events_models::{ModelTotals, StreamTotals, Usd};

/// The name under which models without an entry of their own are counted.
pub(crate) const OTHER: &str = "other";

/// Who serves a model, and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct ModelKey {
    pub(crate) provider: Option<String>,
    pub(crate) model: String,
}

impl ModelKey {
    fn other() -> Self {
        Self {
            provider: None,
            model: OTHER.to_owned(),
        }
    }
}

/// How a request ended, as far as it is added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ended {
    pub(crate) is_complete: bool,
    /// The provider answered with an error at once, so that there is nothing to count.
    pub(crate) is_refused: bool,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) cached_input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) cost_usd: Option<Usd>,
}

/// Sums, whose number is bounded. Names of models come from requests, so anybody can make them up: when there is no
/// place left, that of a model all of whose requests failed is given away.
#[derive(Debug)]
pub(crate) struct Totals {
    all: StreamTotals,
    models: HashMap<ModelKey, StreamTotals>,
    max_models: usize,
}

impl Default for Totals {
    fn default() -> Self {
        Self::new(64)
    }
}

impl Totals {
    pub(crate) fn new(max_models: usize) -> Self {
        Self {
            all: StreamTotals::default(),
            models: HashMap::new(),
            max_models,
        }
    }

    /// Counts a request that begins, and returns under which name it has to end.
    pub(crate) fn begin(&mut self, key: ModelKey) -> ModelKey {
        let key = self.place(key);
        self.all.started += 1;
        self.models.entry(key.clone()).or_default().started += 1;
        key
    }

    /// Counts the end of a request; without a key it is one whose model is not known any more.
    pub(crate) fn end(&mut self, key: Option<&ModelKey>, ended: &Ended) {
        add(&mut self.all, ended);
        let other = ModelKey::other();
        // The place may have been given away in between.
        let key = key
            .filter(|key| self.models.contains_key(key))
            .unwrap_or(&other);
        add(self.models.entry(key.clone()).or_default(), ended);
    }

    /// Finds the name under which a model is counted: its own as long as there is room.
    fn place(&mut self, key: ModelKey) -> ModelKey {
        // The entry of the others takes a place beside the bound.
        let other = ModelKey::other();
        let has_room = |totals: &Self| {
            let n_others = usize::from(totals.models.contains_key(&other));
            totals.models.len() - n_others < totals.max_models
        };
        if self.models.contains_key(&key) || has_room(self) {
            return key;
        }
        let never_answered = self.models.iter().find(|(key, totals)| {
            **key != other
                && totals.completed == 0
                && totals.failed > 0
                && totals.failed >= totals.started
        });
        if let Some((loser, _)) = never_answered {
            let loser = loser.clone();
            if let Some(totals) = self.models.remove(&loser) {
                merge(self.models.entry(other.clone()).or_default(), &totals);
            }
        }
        if has_room(self) { key } else { other }
    }

    pub(crate) const fn all(&self) -> StreamTotals {
        self.all
    }

    /// Returns the sums of each model, those with most requests first, and the others last.
    pub(crate) fn models(&self) -> Vec<ModelTotals> {
        let mut models: Vec<ModelTotals> = self
            .models
            .iter()
            .map(|(key, totals)| ModelTotals {
                provider: key.provider.clone(),
                model: key.model.clone(),
                totals: *totals,
            })
            .collect();
        models.sort_by(|a, b| {
            let rank = |model: &ModelTotals| {
                let is_other = model.provider.is_none() && model.model == OTHER;
                (is_other, std::cmp::Reverse(model.totals.started))
            };
            let by_name = || (&a.model, &a.provider).cmp(&(&b.model, &b.provider));
            rank(a).cmp(&rank(b)).then_with(by_name)
        });
        models
    }
}

fn add(totals: &mut StreamTotals, ended: &Ended) {
    totals.completed += u64::from(ended.is_complete);
    totals.failed += u64::from(!ended.is_complete);
    let sum = |total: &mut u64, tokens: Option<u64>| {
        *total = total.saturating_add(tokens.unwrap_or_default());
    };
    sum(&mut totals.input_tokens, ended.input_tokens);
    sum(&mut totals.cached_input_tokens, ended.cached_input_tokens);
    sum(&mut totals.output_tokens, ended.output_tokens);
    totals.cost_usd = totals.cost_usd + ended.cost_usd.unwrap_or_default();
    let is_reported = ended.input_tokens.is_some() || ended.output_tokens.is_some();
    totals.unpriced += u64::from(ended.cost_usd.is_none() && !ended.is_refused);
    totals.unreported += u64::from(!is_reported && !ended.is_refused);
}

fn merge(into: &mut StreamTotals, from: &StreamTotals) {
    into.started += from.started;
    into.completed += from.completed;
    into.failed += from.failed;
    into.input_tokens = into.input_tokens.saturating_add(from.input_tokens);
    into.cached_input_tokens = into
        .cached_input_tokens
        .saturating_add(from.cached_input_tokens);
    into.output_tokens = into.output_tokens.saturating_add(from.output_tokens);
    into.cost_usd = into.cost_usd + from.cost_usd;
    into.unpriced += from.unpriced;
    into.unreported += from.unreported;
}
