//! Threads that are saved and read again: where a replica begins that did not see a thread from its beginning.
//!
//! A checkpoint is one line of JSON: a version, the order with the items made of chunks, and the content. It takes
//! about what the content takes as JSON, and one state has one form. What is read is in all respects what was
//! written: the same events are refused and taken after it, and readers are told the same, byte for byte. Bounds are
//! not in it, they are the reader's.
//!
//! What is not wholly understood is refused, also if only a message in it has one member more. A letter that was
//! changed within a text is not noticed: that bytes stay as they are is up to whoever keeps them.

use serde::{Deserialize, Serialize};

use super::{
    fold::{MAX_BYTES, SavedContent, ThreadContent},
    intake::{SavedIntake, ThreadIntake},
    order::DEFAULT_MAX_IDS,
};
use crate::checkpoint::{CheckpointError, VERSION};

/// What a thread may hold that is read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadLimits {
    /// How many ids a run may have open or remembered, see
    /// [`ThreadOrder::with_max_ids`](super::order::ThreadOrder::with_max_ids).
    pub max_ids: usize,
    /// What the content may take, in bytes of JSON, see [`ThreadContent::with_max_bytes`]. A content that takes more
    /// is given up as it would be if it had grown beyond.
    pub max_bytes: usize,
}

impl Default for ThreadLimits {
    fn default() -> Self {
        Self {
            max_ids: DEFAULT_MAX_IDS,
            max_bytes: MAX_BYTES,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedThread<'a> {
    version: u32,
    #[serde(borrow)]
    intake: SavedIntake<'a>,
    #[serde(borrow)]
    content: SavedContent<'a>,
}

/// Appends the checkpoint of a thread to `out`: `{"version":1,"intake":{…},"content":{…}}`. Nothing of the content is
/// copied on the way.
///
/// ```
/// use events_models::{AgUiEventBuilder as Make, agui::checkpoint, agui::fold::ThreadContent, agui::intake::ThreadIntake};
///
/// let (mut intake, mut content) = (ThreadIntake::default(), ThreadContent::default());
/// let mut log = Vec::new();
/// intake.admit(Make::run_started("thread", "run", None), &mut log)?;
/// intake.admit(Make::text_message_chunk("m1", "Hello"), &mut log)?;
/// log.into_iter().for_each(|event| content.take(event));
///
/// let mut saved = Vec::new();
/// checkpoint::write(&intake, &content, &mut saved)?;
/// let (again, told) = checkpoint::read(&saved, checkpoint::ThreadLimits::default())?;
/// assert_eq!((again, told.messages()), (intake, content.messages()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// None in practice: every thread has such a form. One that was told events that
/// [`validate`](crate::AgUiEvent::validate) refuses can be written and not read.
pub fn write(
    intake: &ThreadIntake,
    content: &ThreadContent,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    // About what is written, so that it grows once at most.
    out.reserve(content.size() + content.size() / 16 + 1_024);
    let saved = SavedThread {
        version: VERSION,
        intake: intake.into(),
        content: content.into(),
    };
    serde_json::to_writer(out, &saved)
}

/// Reads the checkpoint of a thread.
///
/// # Errors
///
/// It is of another version, of something else, or damaged; then the thread has to be rebuilt otherwise.
pub fn read(
    bytes: &[u8],
    limits: ThreadLimits,
) -> Result<(ThreadIntake, ThreadContent), CheckpointError> {
    let saved: SavedThread<'_> =
        serde_json::from_slice(bytes).map_err(|error| CheckpointError::of_form(bytes, error))?;
    if saved.version != VERSION {
        return Err(CheckpointError::other_version(saved.version));
    }
    let intake = saved.intake.restore(limits.max_ids)?;
    let content = saved.content.restore(limits.max_bytes)?;
    Ok((intake, content))
}

#[cfg(test)]
mod tests;
