//! Checking a batch against a user's state, without changing it.

use events_core::{EventId, EventResult, Record};

use super::{
    mirror::Mirror,
    publishing::Job,
    unnamed::{UnnamedKeys, is_unnamed},
};
use crate::{
    EventRouter, PublishError,
    batch::{Batch, Plans},
    lane::{LaneState, Undo},
};

/// What was checked and is to be appended.
pub(super) struct Staged {
    pub(super) records: Vec<Record>,
    pub(super) at_ms: i64,
    /// The place that the check was made at.
    pub(super) expected: u64,
    pub(super) jobs: Vec<(Job, Plans)>,
}

/// What a check has led to.
pub(super) enum Checked {
    /// Every job is answered.
    Nothing,
    /// There is something to append.
    Staged(Staged),
    /// A job would be refused, and what it lacks may be in the log already.
    Doubtful(Vec<Job>),
}

/// Checks jobs against the user's state, and leaves the state as it was. Jobs that have nothing new are answered, and
/// those that are refused if the state is as the log was when they had come; none may be left.
pub(super) fn stage(
    router: &EventRouter,
    mirror: &Mirror,
    unnamed: &UnnamedKeys,
    jobs: Vec<Job>,
    is_current: bool,
) -> EventResult<Checked> {
    let inner = &*router.inner;
    inner.lanes.in_lane(&mirror.user, &*inner.clock, |lane| {
        if !is_current {
            // Whoever waited before has an answer, or has given up.
            lane.forget_unanswered();
        }
        let expected = mirror.lock().applied;
        let mut staged = Staged {
            records: Vec::new(),
            at_ms: inner.clock.now_ms(),
            expected,
            jobs: Vec::new(),
        };
        let mut undone = Vec::new();
        let mut doubtful = Vec::new();
        let overdue = router.overdue_items(lane, staged.at_ms);
        if !overdue.is_empty() {
            // Until the log has taken their ends, these runs are as they were.
            lane.threads.look_again(staged.at_ms);
        }
        let silent = (!overdue.is_empty()).then(|| Job::of_silence(overdue, unnamed));
        for job in silent.into_iter().chain(jobs) {
            if !doubtful.is_empty() {
                // It comes after one that is in doubt.
                doubtful.push(job);
                continue;
            }
            match stage_job(router, lane, &job, staged.at_ms) {
                Ok((records, plans, undo)) => {
                    undone.push(undo);
                    if records.is_empty() {
                        job.answer(Ok(plans.answer(&[])));
                    } else {
                        staged.records.extend(records);
                        staged.jobs.push((job, plans));
                    }
                }
                Err(PublishError::Refused { .. }) if !is_current && !job.ends_silence() => {
                    doubtful.push(job);
                }
                Err(error) => job.answer(Err(error)),
            }
        }
        // The log has the last word; what it takes is applied when it has said so.
        for undo in undone.into_iter().rev() {
            lane.restore(undo);
        }
        if !doubtful.is_empty() {
            let jobs = staged.jobs.into_iter().map(|(job, _)| job);
            // Whether a run is silent is looked at again.
            let jobs = jobs.filter(|job| !job.ends_silence());
            Checked::Doubtful(jobs.chain(doubtful).collect())
        } else if staged.jobs.is_empty() {
            Checked::Nothing
        } else {
            Checked::Staged(staged)
        }
    })
}

type StagedJob = (Vec<Record>, Plans, Undo);

fn stage_job(
    router: &EventRouter,
    lane: &mut LaneState,
    job: &Job,
    at_ms: i64,
) -> Result<StagedJob, PublishError> {
    let mut batch = Batch::staged(job.items.len(), &router.inner, at_ms);
    for (index, keyed) in job.items.iter().enumerate() {
        let key = Some(keyed.key.bits());
        if let Err(refused) = batch.take(lane, index, &mut keyed.item.clone(), key) {
            lane.restore(std::mem::take(&mut batch.undo));
            return Err(refused.at(index));
        }
    }
    let undo = std::mem::take(&mut batch.undo);
    let records = std::mem::take(&mut batch.records);
    let plans = batch.into_plans(|index| is_unnamed(job.items[index].key));
    let records = records.into_iter().map(|mut record| {
        record.tag = EventId::tag_or_random(record.tag);
        record
    });
    Ok((records.collect(), plans, undo))
}
