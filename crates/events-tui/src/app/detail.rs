//! One request, and how far its text is scrolled.

use super::stepped;
use crate::{keys::Step, model::Stream, text};

/// What is shown of one request.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    /// The request.
    pub(crate) number: u64,
    /// Whether the end of the text stays in sight.
    pub(crate) follows: bool,
    /// Whether the text has the room of the numbers too.
    pub(crate) is_wide: bool,
    /// The text, broken into lines.
    pub(crate) lines: Vec<String>,
    /// The first line that is seen.
    pub(crate) offset: usize,
    page: usize,
    /// What the lines were made of: bytes of the whole text, bytes that were kept, columns.
    made_of: Option<(u64, usize, u16)>,
}

impl Detail {
    pub(crate) const fn new(number: u64) -> Self {
        Self {
            number,
            follows: true,
            is_wide: false,
            lines: Vec::new(),
            offset: 0,
            page: 1,
            made_of: None,
        }
    }

    /// Moves in the text. Whoever reaches the end follows it.
    pub(super) fn step(&mut self, step: Step) {
        let last = self.lines.len().saturating_sub(self.page);
        self.offset = stepped(self.offset, step, last, self.page);
        self.follows = self.offset == last;
    }

    /// Breaks the text for this many columns and lines.
    pub(super) fn settle(&mut self, stream: &Stream, (columns, page): (u16, usize)) {
        let summary = &stream.summary;
        let made_of = Some((summary.text_bytes, summary.text.len(), columns));
        if self.made_of != made_of {
            self.made_of = made_of;
            self.lines = if summary.text.is_empty() {
                Vec::new()
            } else {
                text::wrap(&text::lines(&summary.text), usize::from(columns))
            };
        }
        self.page = page.max(1);
        let last = self.lines.len().saturating_sub(self.page);
        self.offset = if self.follows {
            last
        } else {
            self.offset.min(last)
        };
    }
}
