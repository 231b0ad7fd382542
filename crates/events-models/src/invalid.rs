//! Why a text is not a legal event.

use std::fmt;

/// Tells what kind of trouble an [`InvalidEvent`] reports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InvalidKind {
    /// The bytes are not UTF-8 or not one JSON value (an HTTP server answers 400).
    Syntax,
    /// The JSON is well formed and is not a legal event (an HTTP server answers 422).
    Event,
}

/// Says where and why an event is not legal.
///
/// It prints as `$.messages[0].content: expected a string, found an array`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidEvent {
    /// The JSON path of the offending value, such as `$.messages[0].content`; `$` is the event itself.
    pub path: String,
    /// What is wrong with it, as a lower-case fragment.
    pub reason: String,
    kind: InvalidKind,
}

impl InvalidEvent {
    /// Makes an error about a well-formed value; its path grows while it travels outwards.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            path: "$".to_owned(),
            reason: reason.into(),
            kind: InvalidKind::Event,
        }
    }

    pub(crate) fn syntax(reason: impl Into<String>) -> Self {
        Self {
            kind: InvalidKind::Syntax,
            ..Self::new(reason)
        }
    }

    pub(crate) fn in_member(mut self, name: &str) -> Self {
        self.path.insert_str(1, name);
        self.path.insert(1, '.');
        self
    }

    pub(crate) fn in_element(mut self, index: usize) -> Self {
        self.path.insert_str(1, &format!("[{index}]"));
        self
    }

    /// Returns the kind of trouble.
    #[must_use]
    pub const fn kind(&self) -> InvalidKind {
        self.kind
    }

    /// Tells whether the text is not even JSON, as opposed to JSON that is not an event.
    #[must_use]
    pub const fn is_syntax(&self) -> bool {
        matches!(self.kind, InvalidKind::Syntax)
    }
}

impl fmt::Display for InvalidEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl std::error::Error for InvalidEvent {}
