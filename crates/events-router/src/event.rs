//! What can be published.

use std::{fmt, sync::Arc, time::Duration};

use events_core::{MsgKey, TaskId, ThreadId};
use events_models::{
    A2AEvent, AgUiEvent, AnalyticsEvent, ContextEvent, InvalidEvent, SystemEvent, a2a::A2AVersion,
};
use sha2::{Digest as _, Sha256};

/// Everything that can be published, in one closed type.
#[derive(Clone, Debug, PartialEq)]
pub enum BusEvent {
    /// An AG-UI event of a thread.
    AgUi {
        /// The thread, which most AG-UI events do not name. Without it the router looks at the event, then at the
        /// request's RUN_STARTED, then at the user's only active run.
        thread: Option<ThreadId>,
        /// The event. A chunk is expanded on the way in.
        event: AgUiEvent,
    },
    /// An A2A event of a task, or a message that belongs to none.
    A2A(Box<A2AEvent>),
    /// A system event, for the context stream.
    System(SystemEvent),
    /// An event for the context stream only, already in its envelope.
    Context(Box<ContextEvent>),
    /// An analytics event: live only, without an id.
    Analytics(AnalyticsEvent),
}

impl From<AgUiEvent> for BusEvent {
    fn from(event: AgUiEvent) -> Self {
        Self::AgUi {
            thread: None,
            event,
        }
    }
}

impl From<A2AEvent> for BusEvent {
    fn from(event: A2AEvent) -> Self {
        Self::A2A(Box::new(event))
    }
}

impl From<SystemEvent> for BusEvent {
    fn from(event: SystemEvent) -> Self {
        Self::System(event)
    }
}

impl From<ContextEvent> for BusEvent {
    fn from(event: ContextEvent) -> Self {
        Self::Context(Box::new(event))
    }
}

impl From<AnalyticsEvent> for BusEvent {
    fn from(event: AnalyticsEvent) -> Self {
        Self::Analytics(event)
    }
}

/// A publisher's own name for one event, which makes a retry safe.
///
/// 1 to 128 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MsgId(Box<str>);

/// The text cannot be a message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message id has 1 to {} visible ASCII characters", MsgId::MAX_LEN)]
pub struct MsgIdError;

impl MsgId {
    /// The longest message id, in characters.
    pub const MAX_LEN: usize = 128;

    /// Makes a message id.
    ///
    /// # Errors
    ///
    /// The text is empty, longer than [`MsgId::MAX_LEN`], or has other than visible ASCII characters.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, MsgIdError> {
        let text = text.into();
        let is_legal = (1..=Self::MAX_LEN).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_legal {
            Ok(Self(text))
        } else {
            Err(MsgIdError)
        }
    }

    /// Makes the message id of one line of a request that has this one: `K:line:i`, where the line number
    /// counts from 1.
    #[must_use]
    pub fn of_line(&self, line: usize) -> Self {
        Self(format!("{}:line:{line}", self.0).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key that stands for this id in logs: the first 128 bits of its SHA-256.
    pub(crate) fn key(&self) -> MsgKey {
        let digest = Sha256::digest(self.0.as_bytes());
        let first = digest.first_chunk().copied().unwrap_or_default();
        MsgKey::from_bits(u128::from_be_bytes(first))
    }

    /// Draws the 25 bits that go into an event's id. The same on every machine: 64-bit FNV-1a, folded.
    pub(crate) fn tag(&self, record: usize) -> u32 {
        let bytes = self.0.bytes().chain(record.to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let folded = (hash ^ (hash >> 25) ^ (hash >> 50)) & 0x01ff_ffff;
        // Zero means "let the log choose".
        u32::try_from(folded).unwrap_or(1).max(1)
    }
}

impl fmt::Debug for MsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MsgId").field(&self.0).finish()
    }
}

/// One event of a publish, with the message id that makes its retry safe.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub(crate) event: BusEvent,
    pub(crate) msg_id: Option<MsgId>,
    /// The event was read from JSON, so it is known to be legal by itself.
    pub(crate) is_checked: bool,
    pub(crate) run_timeout: Option<Duration>,
    /// The event is for this run; once another is active, or none, it is left out.
    pub(crate) only_in_run: Option<TaskId>,
    /// The thread of the run that was started earlier in the same request.
    pub(crate) of_request: Option<Arc<str>>,
}

impl Item {
    /// Makes an item of an event that was built in Rust; it is validated when it is published.
    pub fn new(event: impl Into<BusEvent>) -> Self {
        Self {
            event: event.into(),
            msg_id: None,
            is_checked: false,
            run_timeout: None,
            only_in_run: None,
            of_request: None,
        }
    }

    /// Says which thread an earlier item of the same request has started a run of; an event that names no thread
    /// belongs to it. Items of one batch know that of each other.
    #[must_use]
    pub fn after_start_of(mut self, thread: Option<Arc<str>>) -> Self {
        self.of_request = thread;
        self
    }

    /// Returns the thread of which this item starts a run; none if it does not.
    #[must_use]
    pub fn started_thread(&self) -> Option<Arc<str>> {
        match &self.event {
            BusEvent::AgUi { event, .. } if matches!(event, AgUiEvent::RunStarted(_)) => {
                event.thread_id().map(Arc::from)
            }
            _ => None,
        }
    }

    /// Reads an AG-UI event of a thread.
    ///
    /// # Errors
    ///
    /// The text is not a legal AG-UI 1.0 event.
    pub fn agui(json: &[u8], thread: Option<ThreadId>) -> Result<Self, InvalidEvent> {
        let event = AgUiEvent::from_json(json)?;
        Ok(Self {
            event: BusEvent::AgUi { thread, event },
            msg_id: None,
            is_checked: true,
            run_timeout: None,
            only_in_run: None,
            of_request: None,
        })
    }

    /// Reads an A2A stream object in the form of `version`; it is stored and sent in that of 1.0.
    ///
    /// # Errors
    ///
    /// The text is not such an object, or one that is not legal in A2A 1.0.
    pub fn a2a(json: &[u8], version: A2AVersion) -> Result<Self, InvalidEvent> {
        let event = A2AEvent::from_json_as(json, version)?;
        event.validate()?;
        Ok(Self {
            event: event.into(),
            msg_id: None,
            is_checked: true,
            run_timeout: None,
            only_in_run: None,
            of_request: None,
        })
    }

    /// Reads a system event.
    ///
    /// # Errors
    ///
    /// The text is not a legal system event.
    pub fn system(json: &[u8]) -> Result<Self, InvalidEvent> {
        let event = SystemEvent::from_json(json)?;
        Ok(Self {
            event: event.into(),
            msg_id: None,
            is_checked: true,
            run_timeout: None,
            only_in_run: None,
            of_request: None,
        })
    }

    /// Reads an analytics event.
    ///
    /// # Errors
    ///
    /// The text is not a legal analytics event.
    pub fn analytics(json: &[u8]) -> Result<Self, InvalidEvent> {
        let event = AnalyticsEvent::from_json(json)?;
        Ok(Self {
            event: event.into(),
            msg_id: None,
            is_checked: true,
            run_timeout: None,
            only_in_run: None,
            of_request: None,
        })
    }

    /// Says how long the run that this event starts may be silent. Without effect on any other event.
    #[must_use]
    pub const fn with_run_timeout(mut self, run_timeout: Duration) -> Self {
        self.run_timeout = Some(run_timeout);
        self
    }

    /// Says that the event is for this run of its thread: once another run is active, or none, it is left out, and
    /// makes no record.
    #[must_use]
    pub fn only_in_run(mut self, run: TaskId) -> Self {
        self.only_in_run = Some(run);
        self
    }

    /// Gives the item a message id.
    #[must_use]
    pub fn with_msg_id(mut self, msg_id: MsgId) -> Self {
        self.msg_id = Some(msg_id);
        self
    }
}

impl<E: Into<BusEvent>> From<E> for Item {
    fn from(event: E) -> Self {
        Self::new(event)
    }
}
