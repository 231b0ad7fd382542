//! The order of a task as it is saved.

use std::{borrow::Cow, collections::HashSet};

use events_core::{ContextId, TaskId};
use serde::{Deserialize, Serialize};

use super::TaskOrder;
use crate::{
    a2a::TaskState,
    checkpoint::{CheckpointError, borrowed, require},
};

/// A checker without its limit.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::a2a) struct SavedOrder<'a> {
    is_started: bool,
    is_answered: bool,
    task_id: Option<Cow<'a, str>>,
    context_id: Option<Cow<'a, str>>,
    state: Option<TaskState>,
    /// Sorted, so that one state has one form.
    artifact_ids: Vec<Cow<'a, str>>,
    has_unseen: bool,
}

impl<'a> From<&'a TaskOrder> for SavedOrder<'a> {
    fn from(order: &'a TaskOrder) -> Self {
        let mut artifact_ids: Vec<_> = order.artifact_ids.iter().map(|id| borrowed(id)).collect();
        artifact_ids.sort_unstable();
        Self {
            is_started: order.is_started,
            is_answered: order.is_answered,
            task_id: order.task_id.as_ref().map(|id| borrowed(id.as_str())),
            context_id: order.context_id.as_ref().map(|id| borrowed(id.as_str())),
            state: order.state,
            artifact_ids,
            has_unseen: order.has_unseen,
        }
    }
}

impl SavedOrder<'_> {
    /// Makes the checker again, with a limit as [`TaskOrder::with_max_artifacts`] takes it.
    pub(in crate::a2a) fn restore(
        self,
        max_artifacts: usize,
    ) -> Result<TaskOrder, CheckpointError> {
        let n_listed = self.artifact_ids.len();
        let artifact_ids: HashSet<_> = self.artifact_ids.into_iter().map(Cow::into_owned).collect();
        require(artifact_ids.len() == n_listed, "an artifact is there twice")?;
        let has_trace = self.is_answered
            || self.task_id.is_some()
            || self.context_id.is_some()
            || self.state.is_some()
            || n_listed > 0;
        require(
            self.is_started || !has_trace,
            "a task has not begun and has left a trace",
        )?;
        Ok(TaskOrder {
            is_started: self.is_started,
            is_answered: self.is_answered,
            task_id: self.task_id.as_deref().map(TaskId::from),
            context_id: self.context_id.as_deref().map(ContextId::from),
            state: self.state,
            artifact_ids,
            has_unseen: self.has_unseen,
            max_artifacts,
        })
    }
}
