//! The filter that holds, and the one that is being written.

use crate::filter::Filter;

/// A filter, and the one that is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterLine {
    /// The filter that holds.
    pub(crate) filter: Filter,
    /// Its text.
    pub(crate) text: String,
    /// What is written; it holds as soon as it is right.
    pub(crate) input: String,
    /// What is wrong with it.
    pub(crate) error: Option<String>,
    /// What held before somebody began to write.
    pub(super) before: String,
}
