//! What a log's records do to a user's state, on every replica alike.

use std::{collections::HashMap, sync::Arc};

use events_broadcast::Delivery;
use events_core::{Epoch, EventId, EventResult, Logged, RecordIds};
use events_models::{A2AEvent, AgUiEvent, SystemEvent};

use super::{
    Note, Shared,
    mirror::{Mirror, Phase},
    parts::{CONTEXTS_PART, PartName},
    refused::RefusedRecords,
    unnamed::{UnnamedKeys, is_unnamed},
};
use crate::{
    EventRouter, Refusal,
    lane::LaneState,
    order_budget::{growth_of_agui, growth_of_other},
    poison::caught,
    routes::{A2A, AGUI, ERASED, SYSTEM},
};

/// Up to which place each part of a user's state is known already, from its checkpoint.
#[derive(Debug, Default)]
pub(super) struct Floors(pub(super) HashMap<Box<str>, u64>);

impl Floors {
    fn has(&self, part: &str, seq: u64) -> bool {
        self.0.get(part).is_some_and(|floor| seq <= *floor)
    }
}

/// What reliving records has led to.
#[derive(Debug, Default)]
pub(super) struct Relived {
    /// The records that are for readers.
    pub(super) deliver: Vec<Logged>,
    /// The parts of the state that have changed.
    pub(super) parts: Vec<Box<str>>,
    pub(super) n_refused: usize,
    /// Those of them at which our own code failed.
    pub(super) n_panics: usize,
    pub(super) refusal: Option<String>,
    /// A run has ended, so its thread is worth saving.
    pub(super) has_ended: bool,
    /// What came before these records was erased.
    pub(super) is_erased: bool,
}

impl Relived {
    /// Adds what the next records have led to; what readers are to get goes to `records`.
    pub(super) fn merge(&mut self, next: Self, records: &mut Vec<Logged>) {
        if next.is_erased {
            records.clear();
            self.parts.clear();
        }
        records.extend(next.deliver);
        self.parts.extend(next.parts);
    }
}

impl LaneState {
    /// Lives through records of the user's log once more, in their order.
    ///
    /// A record that its thread or task refuses changes nothing and is for nobody; so every replica decides alike,
    /// whoever wrote it.
    pub(super) fn relive(
        &mut self,
        records: Vec<Logged>,
        floors: &Floors,
        refused: &mut RefusedRecords,
        now_ms: i64,
    ) -> Relived {
        let mut relived = Relived::default();
        let mut growth = 0;
        for logged in records {
            if logged.record.channel == ERASED {
                self.erase();
                refused.clear();
                relived = Relived {
                    is_erased: true,
                    ..Relived::default()
                };
                continue;
            }
            if let Some(part) = before_floor(&logged, floors) {
                // It was judged before the checkpoint, which says how.
                if refused.has(part.as_str(), logged.seq) {
                    relived.n_refused += 1;
                } else {
                    relived.deliver.push(logged);
                }
                continue;
            }
            let lived = caught("the record of a log", || {
                self.relive_one(&logged, floors, &mut relived, &mut growth)
            });
            let lived = lived.unwrap_or_else(|panicked| {
                relived.n_panics += 1;
                Err(panicked.text().to_owned())
            });
            match lived {
                Ok(()) => {
                    if !refused.is_empty()
                        && let Some(part) = part_of(&logged)
                    {
                        refused.take(part.as_str());
                    }
                    relived.deliver.push(logged);
                }
                Err(error) => {
                    if let Some(part) = part_of(&logged) {
                        refused.refuse(part.as_str(), logged.seq);
                    }
                    relived.n_refused += 1;
                    relived.refusal.get_or_insert(error);
                }
            }
        }
        self.touched_ms = now_ms;
        self.pay(growth);
        relived
    }

    fn relive_one(
        &mut self,
        logged: &Logged,
        floors: &Floors,
        relived: &mut Relived,
        growth: &mut usize,
    ) -> Result<(), String> {
        let (record, at_ms) = (&logged.record, logged.at_ms);
        #[cfg(test)]
        crate::poison::strike_record(&record.json);
        let scope = record.scope.as_ref();
        let json_bytes = record.json.len();
        let invalid = |error: &dyn std::error::Error| error.to_string();
        match (record.channel, scope) {
            (AGUI, Some(thread)) => {
                let part = PartName::of_thread(thread);
                let event = AgUiEvent::from_json(&record.json).map_err(|error| invalid(&error))?;
                *growth += growth_of_agui(&event, json_bytes);
                let is_end = matches!(event, AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_));
                let is_start = matches!(event, AgUiEvent::RunStarted(_));
                let Self {
                    threads,
                    budget,
                    contexts,
                    ..
                } = self;
                let note = Note::read(&record.note);
                threads
                    .relive(thread, event, note, budget, at_ms)
                    .map_err(|refusal: Refusal| invalid(&refusal))?;
                if is_start && !floors.has(CONTEXTS_PART, logged.seq) {
                    contexts.saw_run(thread, at_ms, budget);
                    relived.changed(CONTEXTS_PART);
                }
                relived.has_ended |= is_end;
                relived.changed(part.as_str());
            }
            (A2A, Some(task)) => {
                let part = PartName::of_task(task);
                let event = A2AEvent::from_json(&record.json).map_err(|error| invalid(&error))?;
                *growth += growth_of_other(json_bytes);
                let Self { tasks, budget, .. } = self;
                let task = tasks.shared(task);
                tasks
                    .admit(&task, &event, at_ms, budget)
                    .map_err(|refusal| invalid(&refusal))?;
                tasks.tell(&task, event);
                relived.changed(part.as_str());
            }
            (SYSTEM, _) => {
                let event =
                    SystemEvent::from_json(&record.json).map_err(|error| invalid(&error))?;
                *growth += growth_of_other(json_bytes);
                let Self {
                    contexts, budget, ..
                } = self;
                contexts.saw_system(&event, at_ms, budget);
                relived.changed(CONTEXTS_PART);
            }
            (AGUI, None) => return Err("an AG-UI record without a thread".to_owned()),
            // A message of A2A that names no task, and what a later version may publish.
            _ => {}
        }
        Ok(())
    }

    /// Remembers which message ids records have; those of one id stand side by side. Keys without a name are remembered
    /// if they are of `waiting`.
    pub(super) fn know(
        &mut self,
        records: &[Logged],
        epoch: Epoch,
        now_ms: i64,
        waiting: Option<&UnnamedKeys>,
    ) {
        let mut growth = 0;
        for group in records.chunk_by(|one, other| one.record.key == other.record.key) {
            let Some(key) = group[0].record.key else {
                continue;
            };
            let is_unnamed = is_unnamed(key);
            if is_unnamed && !waiting.is_some_and(|keys| keys.are_own(key)) {
                continue;
            }
            let ids: RecordIds = group
                .iter()
                .map(|logged| EventId::new(epoch, logged.seq, logged.record.tag))
                .collect();
            if is_unnamed {
                self.unanswered.insert(key.bits(), ids);
            } else {
                growth += crate::known::Known::growth_of(&ids);
                self.known.insert(key.bits(), ids, now_ms, &self.budget);
            }
        }
        self.pay(growth);
    }
}

/// The part of the state that a record changes.
fn part_of(logged: &Logged) -> Option<PartName> {
    let record = &logged.record;
    match (record.channel, record.scope.as_deref()) {
        (AGUI, Some(thread)) => Some(PartName::of_thread(thread)),
        (A2A, Some(task)) => Some(PartName::of_task(task)),
        (SYSTEM, _) => Some(PartName::of_contexts()),
        _ => None,
    }
}

/// The part of a record that stands before that part's checkpoint.
fn before_floor(logged: &Logged, floors: &Floors) -> Option<PartName> {
    if floors.0.is_empty() {
        return None;
    }
    part_of(logged).filter(|part| floors.has(part.as_str(), logged.seq))
}

impl Relived {
    fn changed(&mut self, part: &str) {
        if self.parts.last().is_none_or(|last| **last != *part) {
            self.parts.push(part.into());
        }
    }
}

/// What became of records that were said to be in the log.
#[derive(Debug)]
pub(super) enum Applied {
    /// They have changed the state and are on their way to readers.
    Now(Box<Delivery>),
    /// They had been applied before.
    Before,
    /// Something before them is missing; the log has to be read.
    Hole,
}

impl Shared {
    /// Applies records that stand after `previous` in the user's log, once, whoever tells them first.
    ///
    /// Among them may be some of a publish that waits for its answer, with keys of `waiting`; none if they are the answer.
    pub(super) fn apply(
        &self,
        router: &EventRouter,
        mirror: &Arc<Mirror>,
        previous: u64,
        records: Vec<Logged>,
        waiting: Option<&UnnamedKeys>,
    ) -> EventResult<Applied> {
        let Some(last) = records.last().map(|logged| logged.seq) else {
            return Ok(Applied::Before);
        };
        let inner = &*router.inner;
        let applied = inner.lanes.in_lane(&mirror.user, &*inner.clock, |lane| {
            if waiting.is_none() {
                lane.forget_unanswered();
            }
            let mut state = mirror.lock();
            if state.phase == Phase::Ready && last <= state.applied {
                return Applied::Before;
            }
            state.reached = state.reached.max(last);
            if state.phase != Phase::Ready || previous > state.applied {
                return Applied::Hole;
            }
            let applied = state.applied;
            let new: Vec<Logged> = records
                .into_iter()
                .filter(|logged| logged.seq > applied)
                .collect();
            let now_ms = inner.clock.now_ms();
            lane.know(&new, inner.store.epoch(), now_ms, waiting);
            let (n_records, n_bytes) = (
                new.len(),
                new.iter()
                    .map(|logged| logged.record.json.len())
                    .sum::<usize>(),
            );
            let relived = lane.relive(new, &Floors::default(), &mut state.refused, now_ms);
            let relived = self.note(&mirror.user, relived);
            if relived.is_erased {
                inner.store.clear(&mirror.user);
                state.unsaved.clear();
            }
            state.applied = last;
            state.unsaved_records += n_records;
            state.unsaved_bytes += n_bytes;
            state.has_ended |= relived.has_ended;
            state.unsaved.extend(relived.parts);
            Applied::Now(Box::new(inner.store.extend(
                &mirror.user,
                relived.deliver,
                last,
            )))
        });
        if inner.lanes.budget.folds.is_exceeded() {
            inner.lanes.shed_folds();
        }
        applied
    }
}
