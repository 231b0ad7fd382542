//! What a task is, as it is saved.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{TaskContent, content::Place};
use crate::{
    a2a::{A2AEvent, Artifact},
    checkpoint::{CheckpointError, Stored, count, require},
    wire::json_bytes,
};

/// What a task is, without its bound. Where the artifacts are follows from them; what they take is an estimate, on
/// which it depends when a task has become too large.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::a2a) struct SavedContent<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    told: Option<Stored<'a, A2AEvent>>,
    /// What the artifacts take, in their order; of those with one id the last has a place.
    artifact_bytes: Vec<u64>,
    json_bytes: u64,
    is_too_large: bool,
}

impl<'a> From<&'a TaskContent> for SavedContent<'a> {
    fn from(content: &'a TaskContent) -> Self {
        let mut places: Vec<_> = content.artifacts.values().collect();
        places.sort_unstable_by_key(|place| place.index);
        Self {
            told: content.told.as_ref().map(Stored::from),
            artifact_bytes: places.iter().map(|place| place.bytes as u64).collect(),
            json_bytes: content.json_bytes as u64,
            is_too_large: content.is_too_large,
        }
    }
}

impl SavedContent<'_> {
    /// Makes the content again, with a bound as [`TaskContent::with_max_bytes`] takes it.
    pub(in crate::a2a) fn restore(self, max_bytes: usize) -> Result<TaskContent, CheckpointError> {
        let mut content = TaskContent::with_max_bytes(max_bytes);
        content.told = self
            .told
            .map(|told| told.read("task or message"))
            .transpose()?;
        match &content.told {
            Some(A2AEvent::Task(task)) => {
                let artifacts = task.artifacts.as_deref().unwrap_or_default();
                content.artifacts = places(artifacts, &self.artifact_bytes)?;
                content.status_bytes = json_bytes(&task.status);
                content.n_parts = artifacts.iter().map(|artifact| artifact.parts.len()).sum();
            }
            Some(A2AEvent::Message(_)) | None => {
                let has_none = self.artifact_bytes.is_empty();
                require(has_none, "there are artifacts without a task")?;
            }
            Some(A2AEvent::StatusUpdate(_) | A2AEvent::ArtifactUpdate(_)) => {
                require(false, "an update stands for a whole task")?;
            }
        }
        content.json_bytes = count(self.json_bytes)?;
        content.is_too_large = self.is_too_large;
        // The bound may be lower than the one that it was saved with.
        if content.json_bytes > max_bytes {
            content.give_up();
        }
        Ok(content)
    }
}

/// Finds where the artifacts are, and puts down what they take.
fn places(
    artifacts: &[Artifact],
    bytes: &[u64],
) -> Result<HashMap<Box<str>, Place>, CheckpointError> {
    let mut places: HashMap<Box<str>, Place> = HashMap::new();
    for (index, artifact) in artifacts.iter().enumerate() {
        let id = artifact.artifact_id.as_str().into();
        places.insert(id, Place { index, bytes: 0 });
    }
    let mut in_order: Vec<_> = places.values_mut().collect();
    in_order.sort_unstable_by_key(|place| place.index);
    let is_each = in_order.len() == bytes.len();
    require(is_each, "the artifacts are not those that were counted")?;
    for (place, bytes) in in_order.into_iter().zip(bytes) {
        place.bytes = count(*bytes)?;
    }
    Ok(places)
}
