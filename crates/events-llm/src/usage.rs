//! Tokens.

/// What an answer used, brought to one meaning for all providers. `None` is "not reported".
///
/// Totals include their parts: the prompt includes what was read from a cache and put into one, the answer
/// includes reasoning. That is how OpenAI counts; Anthropic counts the prompt without the cache and Gemini the
/// answer without its thoughts, so their numbers are added up here.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the whole prompt.
    pub input_tokens: Option<u64>,
    /// Tokens found in a cache, part of the prompt's.
    pub cached_input_tokens: Option<u64>,
    /// Tokens put into a cache, part of the prompt's.
    pub cache_write_tokens: Option<u64>,
    /// Those that the cache keeps for an hour, part of the ones put into it; the others are kept for five minutes.
    pub cache_write_1h_tokens: Option<u64>,
    /// Tokens of the whole answer.
    pub output_tokens: Option<u64>,
    /// Tokens of reasoning, part of the answer's.
    pub reasoning_tokens: Option<u64>,
    /// Searches of the web that the provider ran.
    pub web_searches: Option<u64>,
    /// The provider's service tier, such as `priority`, which some prices depend on.
    pub service_tier: Option<String>,
    /// What is billed, where that is more than the counts above: Anthropic's counts are those of the last turn, and
    /// a compaction before it is billed as well.
    pub billed: Option<Box<Self>>,
}

impl Usage {
    /// Returns the counts that the bill is made of.
    #[must_use]
    pub fn billed(&self) -> &Self {
        self.billed.as_deref().unwrap_or(self)
    }

    /// Tells whether nothing was reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.input_tokens.is_none() && self.output_tokens.is_none()
    }
}
