//! What a client is told that has lost events.

use std::sync::Arc;

use super::{
    OUTCOME_UNKNOWN, OpenSet, Reader, ThreadContent,
    items::end_of,
    open_set::RunMark,
    prelude::{in_form, too_large},
    run::RunEnd,
};
use crate::agui::{
    AgUiEvent, RunError,
    order::{ItemKind, ThreadOrder},
};

impl ThreadContent {
    /// Makes the events that bring a client to the present who has seen the thread up to where `since` was
    /// open, so that the thread's next event may follow.
    ///
    /// Within one run: the messages and the state, the ends of what has closed, the starts of what has opened.
    /// Messages come before the ends, so that whoever acts on an end finds the whole message. If the run has
    /// ended since, then also its end; and if it is not the last run, a [prelude](ThreadContent::prelude) of
    /// that one. Whole runs in between are not told. How a run has ended is remembered for the last eight; for
    /// an older one it is RUN_ERROR with [`OUTCOME_UNKNOWN`]. Who may or may not be in a run that has failed gets
    /// RUN_ERROR, and then the prelude.
    ///
    /// Of a thread that is [too large](ThreadContent::is_too_large) a client in mid-run is told by RUN_ERROR;
    /// what follows of the run must then not be sent.
    #[must_use]
    pub fn catch_up(
        &self,
        order: &ThreadOrder,
        since: &OpenSet,
        reader: &Reader<'_>,
    ) -> Vec<AgUiEvent> {
        let Some(run) = &since.run else {
            let is_new = self.runs.start.is_none() && self.runs.ended.is_empty();
            return if is_new {
                Vec::new()
            } else {
                self.begin(order, reader, self.messages.n_right_since(0))
            };
        };
        let mut events = Vec::new();
        if self.is_too_large() {
            events.push(too_large());
        } else if self.is_within(run) {
            self.catch_up_within_run(order, since, reader, &mut events);
        } else if *run == RunMark::Unclear {
            return self.catch_up_unclear(order, reader);
        } else {
            self.restate(order, reader, self.messages.n_right_since(0), &mut events);
            let end = self.end_of_run(run);
            let is_last = end.is_some_and(|end| self.is_last(end));
            match end.map(|end| &end.event) {
                Some(finished @ AgUiEvent::RunFinished(_)) => {
                    self.close_all(since, is_last, &mut events);
                    events.push(finished.clone());
                }
                Some(failed) => events.push(failed.clone()),
                None => events.push(outcome_unknown()),
            }
            if !is_last {
                let mut events = in_form(events, reader.generation);
                events.extend(self.prelude(order, reader));
                return events;
            }
        }
        in_form(events, reader.generation)
    }

    /// Catches up a client of which it is not known whether it is in a run.
    ///
    /// Nothing but RUN_ERROR is valid both in a run and after one, and nothing but a run may follow it: so the
    /// last one is told again, like to a client that joins.
    fn catch_up_unclear(&self, order: &ThreadOrder, reader: &Reader<'_>) -> Vec<AgUiEvent> {
        let end = self.end_of_run(&RunMark::Unclear);
        let error = end.map_or_else(outcome_unknown, |end| end.event.clone());
        let mut events = in_form(vec![error], reader.generation);
        // A thread of nothing but errors has no run to tell of, and no error may follow an error.
        if self.runs.start.is_some() || end.is_none() {
            events.extend(self.begin(order, reader, self.messages.n_right_since(0)));
        }
        events
    }

    fn is_within(&self, run: &RunMark) -> bool {
        let active = self.runs.start.as_ref().filter(|_| self.runs.is_active);
        match (run, active) {
            (RunMark::Named(id), Some(start)) => **id == *start.run_id.as_str(),
            _ => false,
        }
    }

    fn is_last(&self, end: &RunEnd) -> bool {
        let last = self.runs.ended.back();
        !self.runs.is_active && last.is_some_and(|last| std::ptr::eq(last, end))
    }

    fn end_of_run(&self, run: &RunMark) -> Option<&RunEnd> {
        self.runs
            .ended
            .iter()
            .rev()
            .find(|end| match (run, &end.event) {
                (RunMark::Named(id), _) => end.run_id.as_ref() == Some(id),
                (RunMark::Finished(id), AgUiEvent::RunFinished(finished)) => {
                    finished.run_id.as_str() == &**id
                }
                (RunMark::Failed | RunMark::Unclear, AgUiEvent::RunError(_)) => true,
                _ => false,
            })
    }

    fn catch_up_within_run(
        &self,
        order: &ThreadOrder,
        since: &OpenSet,
        reader: &Reader<'_>,
        events: &mut Vec<AgUiEvent>,
    ) {
        let now = OpenSet::of(order);
        let (swallowed, shown): (Vec<_>, Vec<_>) = order
            .open_items()
            .filter(|item| !since.has(item))
            .partition(|item| self.is_swallowed(item));
        events.extend(swallowed.iter().filter_map(|item| self.start_of(item)));
        let n_right = self.messages.n_right_since(self.messages.run);
        self.restate(order, reader, n_right, events);
        for item in since.items.difference(&now.items) {
            events.push(end_of(item.kind, &item.id, item.owner.as_ref()));
        }
        for (id, was_active) in &since.subagents {
            if *was_active && now.subagents.get(id) != Some(&true) {
                events.push(self.subagent_end(id));
            }
        }
        for subagent in &self.runs.subagents {
            if !since
                .subagents
                .contains_key(&*subagent.start.subagent_run_id)
            {
                events.push(subagent.start.clone().into());
                events.extend(subagent.end.clone());
            }
        }
        events.extend(shown.iter().filter_map(|item| self.start_of(item)));
    }

    /// Ends everything that was open in a run which has finished.
    fn close_all(&self, since: &OpenSet, is_last: bool, events: &mut Vec<AgUiEvent>) {
        for item in &since.items {
            events.push(end_of(item.kind, &item.id, item.owner.as_ref()));
        }
        for (id, _) in since.subagents.iter().filter(|(_, active)| **active) {
            events.push(if is_last {
                self.subagent_end(id)
            } else {
                end_of(ItemKind::Subagent, id, None)
            });
        }
    }

    fn subagent_end(&self, id: &Arc<str>) -> AgUiEvent {
        let known = self.runs.subagent(id).and_then(|known| known.end.clone());
        known.unwrap_or_else(|| end_of(ItemKind::Subagent, id, None))
    }
}

fn outcome_unknown() -> AgUiEvent {
    let mut error = RunError::new("the run has ended; how is not remembered");
    error.code = Some(OUTCOME_UNKNOWN.to_owned());
    error.into()
}
