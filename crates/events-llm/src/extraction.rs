//! What is read out of an answer, whatever the provider.

use crate::Usage;

/// One thing that a provider said, in the same words for all providers.
///
/// Deltas of one `choice` belong together; most answers have choice 0 only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extraction {
    /// The answer begins, or more is known of it. Absent is what was not said this time.
    Answer {
        /// The provider's id of the answer.
        id: Option<String>,
        /// The model that answers.
        model: Option<String>,
    },
    /// The answer begins anew, as when a proxy splices a second try into the stream: what came before is void.
    Restarted,
    /// Text of the answer; never empty.
    Text {
        /// Which alternative.
        choice: u32,
        /// The text to append.
        delta: String,
    },
    /// Text of a refusal, from providers that keep it apart; never empty.
    Refusal {
        /// Which alternative.
        choice: u32,
        /// The text to append.
        delta: String,
    },
    /// Text of reasoning; never empty.
    Reasoning {
        /// Which alternative.
        choice: u32,
        /// The text to append.
        delta: String,
    },
    /// A block of reasoning is complete.
    ReasoningEnded {
        /// Which alternative.
        choice: u32,
    },
    /// An opaque value that must be sent back with what it belongs to.
    Encrypted {
        /// The call that it belongs to; `None` for the reasoning that was last.
        call: Option<u32>,
        /// The value as the provider sent it.
        value: String,
    },
    /// The model calls a tool.
    ToolCallStarted {
        /// Which alternative.
        choice: u32,
        /// The call's number in this answer, from 0.
        call: u32,
        /// The provider's id of the call, if it has one.
        id: Option<String>,
        /// The tool.
        name: String,
        /// Whether the provider itself runs the tool.
        is_server: bool,
    },
    /// A fragment of a call's arguments; never empty. Only all fragments together are JSON, or text for some tools.
    ToolCallArguments {
        /// The call's number.
        call: u32,
        /// The fragment to append.
        delta: String,
    },
    /// A call's arguments are complete.
    ToolCallEnded {
        /// The call's number.
        call: u32,
    },
    /// The provider's own tool has answered.
    ToolCallResult {
        /// The call's number.
        call: u32,
        /// The answer as compact JSON.
        content: String,
    },
    /// All that is known of tokens by now; the last one counts, they are not to be added.
    Usage(Usage),
    /// The model stopped. Some providers say so more than once; the last one counts.
    Finished {
        /// Which alternative.
        choice: u32,
        /// Why, in the provider's words.
        reason: String,
    },
    /// The answer failed; said once for each answer.
    Failed(StreamFailure),
    /// The provider's own mark of the end was seen.
    Ended,
    /// An event was too large and was left out; said once for each answer.
    Oversized {
        /// Its length in bytes.
        bytes: u64,
    },
    /// Nothing more is read from this answer; said once.
    GaveUp(GiveUp),
}

impl Extraction {
    /// Tells whether the model has produced something, so that the time to the first token ends here.
    #[must_use]
    pub const fn is_output(&self) -> bool {
        matches!(
            self,
            Self::Text { .. }
                | Self::Refusal { .. }
                | Self::Reasoning { .. }
                | Self::ToolCallStarted { .. }
                | Self::ToolCallArguments { .. }
        )
    }
}

/// An error that a provider reported, inside of a stream or as its whole body.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StreamFailure {
    /// The kind of error, such as `overloaded_error`.
    pub kind: Option<String>,
    /// A code, such as `insufficient_quota` or `503`.
    pub code: Option<String>,
    /// What went wrong, for people.
    pub message: String,
}

/// Why a reader reads no further. The bytes of the answer are not touched by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GiveUp {
    /// The body's content-encoding is none that can be decoded.
    #[error("the content-encoding is not known")]
    UnknownEncoding,
    /// The body is not what its content-encoding says.
    #[error("the body does not decode as its content-encoding says")]
    BadEncoding,
    /// Decoded, the body is larger than is read.
    #[error("the decoded body is over the limit of {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// The answer opens more tool calls or blocks than are followed.
    #[error("the answer has more than {limit} blocks or tool calls")]
    TooManyBlocks {
        /// The limit.
        limit: usize,
    },
    /// The reader panicked.
    #[error("the reader of the stream failed, which is a mistake in it")]
    Panicked,
}
