//! Tasks that are saved and read again: where a replica begins that did not see a task from its beginning.
//!
//! The same holds for them as for the checkpoints of [threads](crate::agui::checkpoint): one line of JSON with a
//! version, about as long as the task's own JSON; what is read is in all respects what was written; bounds are the
//! reader's; what is not wholly understood is refused.

use serde::{Deserialize, Serialize};

use super::{
    fold::{MAX_BYTES, SavedContent, TaskContent},
    order::{DEFAULT_MAX_ARTIFACTS, SavedOrder, TaskOrder},
};
use crate::checkpoint::{CheckpointError, VERSION};

/// What a task may hold that is read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskLimits {
    /// How many artifacts it may have, see [`TaskOrder::with_max_artifacts`].
    pub max_artifacts: usize,
    /// What the content may take, in bytes of JSON, see [`TaskContent::with_max_bytes`]. A content that takes more is
    /// given up as it would be if it had grown beyond.
    pub max_bytes: usize,
}

impl Default for TaskLimits {
    fn default() -> Self {
        Self {
            max_artifacts: DEFAULT_MAX_ARTIFACTS,
            max_bytes: MAX_BYTES,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTask<'a> {
    version: u32,
    #[serde(borrow)]
    order: SavedOrder<'a>,
    #[serde(borrow)]
    content: SavedContent<'a>,
}

/// Appends the checkpoint of a task to `out`: `{"version":1,"order":{…},"content":{…}}`. Nothing of the content is
/// copied on the way.
///
/// ```
/// use events_models::{A2AEventBuilder as Make, a2a::{checkpoint, fold::TaskContent, order::TaskOrder}};
///
/// let (mut order, mut content) = (TaskOrder::default(), TaskContent::default());
/// let submitted = Make::task_submitted("t".into(), "c".into(), "cook", None);
/// order.check(&submitted)?;
/// content.take(submitted);
///
/// let mut saved = Vec::new();
/// checkpoint::write(&order, &content, &mut saved)?;
/// let (again, told) = checkpoint::read(&saved, checkpoint::TaskLimits::default())?;
/// assert_eq!((again, told.prelude()), (order, content.prelude()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// None in practice: every task has such a form, that of 1.0. One that was told events that
/// [`validate`](crate::A2AEvent::validate) refuses can be written and not read.
pub fn write(
    order: &TaskOrder,
    content: &TaskContent,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    // About what is written, so that it grows once at most.
    out.reserve(content.json_bytes() + content.json_bytes() / 16 + 1_024);
    let saved = SavedTask {
        version: VERSION,
        order: order.into(),
        content: content.into(),
    };
    serde_json::to_writer(out, &saved)
}

/// Reads the checkpoint of a task.
///
/// # Errors
///
/// It is of another version, of something else, or damaged; then the task has to be rebuilt otherwise.
pub fn read(bytes: &[u8], limits: TaskLimits) -> Result<(TaskOrder, TaskContent), CheckpointError> {
    let saved: SavedTask<'_> =
        serde_json::from_slice(bytes).map_err(|error| CheckpointError::of_form(bytes, error))?;
    if saved.version != VERSION {
        return Err(CheckpointError::other_version(saved.version));
    }
    let order = saved.order.restore(limits.max_artifacts)?;
    let content = saved.content.restore(limits.max_bytes)?;
    Ok((order, content))
}

#[cfg(test)]
mod tests;
