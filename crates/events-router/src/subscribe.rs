//! Attaching to one thread or task of a user.

use events_broadcast::{Attach, ConnectError};
use events_core::{ConnectionId, TaskId, ThreadId, UserId};
use events_models::{RunAgentInput, agui::fold::Generation};

use crate::{EventRouter, TaskEnd, TaskError, TaskSubscription, ThreadSubscription};

/// A wish to follow one thread or task of a user; see [`EventRouter::subscribe`].
///
/// ```
/// use events_core::UserId;
/// use events_models::AgUiEventBuilder;
/// use events_router::EventRouter;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = EventRouter::default();
/// let ada = UserId::new("ada");
/// let mut run = router.run(&ada, "thread");
/// run.start(None).await?;
/// run.publish(AgUiEventBuilder::step_started("plan")).await?;
///
/// let mut late = router.subscribe(&ada).thread("thread")?;
/// let mut types = Vec::new();
/// for _ in 0..3 {
///     types.extend(late.next_event().await.map(|event| event.event_type().as_str()));
/// }
/// assert_eq!(types, ["RUN_STARTED", "MESSAGES_SNAPSHOT", "STEP_STARTED"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is attached before `thread` or `task` is called"]
pub struct Subscribe {
    pub(crate) router: EventRouter,
    pub(crate) user: UserId,
    pub(crate) attach: Attach,
    pub(crate) input: Option<Box<RunAgentInput>>,
    pub(crate) generation: Generation,
    pub(crate) awaits: Option<TaskId>,
}

impl Subscribe {
    pub(crate) fn new(router: EventRouter, user: UserId) -> Self {
        Self {
            router,
            user,
            attach: Attach::now(),
            input: None,
            generation: Generation::V1_0,
            awaits: None,
        }
    }

    /// Comes back from a cursor. What lies after it is replayed, if the log still has it; else the reader begins
    /// anew, as without a cursor.
    pub fn from_cursor(mut self, cursor: Option<&str>) -> Self {
        let connection = self.attach.connection;
        self.attach = Attach {
            connection,
            ..Attach::from_cursor(cursor)
        };
        self
    }

    /// Gives the connection an id of yours.
    pub fn as_connection(mut self, connection: ConnectionId) -> Self {
        self.attach.connection = connection;
        self
    }

    /// Attaches for an official client that has sent this input: its own messages stay in every snapshot, an
    /// unknown thread is answered in its ids, and the subscription ends with the thread's run.
    pub fn for_client(mut self, input: RunAgentInput, generation: Generation) -> Self {
        self.input = Some(Box::new(input));
        self.generation = generation;
        self
    }

    /// Attaches for an official client whose input is about to begin a run: it is told nothing of what was before,
    /// then the run's events as they are in the log, and the subscription ends with the run.
    pub fn for_run(self, input: RunAgentInput, generation: Generation) -> Self {
        let awaits = Some(input.run_id.clone());
        Self {
            awaits,
            ..self.for_client(input, generation)
        }
    }

    /// Attaches to a thread.
    ///
    /// A reader without a cursor that can be followed is first told where the thread stands.
    ///
    /// # Errors
    ///
    /// The user has too many connections on the AG-UI stream, that stream has been closed, or there are too many
    /// users.
    pub fn thread(self, thread: impl Into<ThreadId>) -> Result<ThreadSubscription, ConnectError> {
        ThreadSubscription::attach(self, &thread.into())
    }

    /// Attaches to an A2A task, which need not be known yet.
    ///
    /// A reader without a cursor that can be followed is first given the Task object as it is now.
    ///
    /// # Errors
    ///
    /// The user has too many connections on the A2A stream, that stream has been closed, or there are too many
    /// users.
    pub fn task(self, task: impl Into<TaskId>) -> Result<TaskSubscription, ConnectError> {
        TaskSubscription::attach(self, &task.into())
    }

    /// Attaches to a task that is being done, as A2A 1.0 (3.1.6) has it: first the Task object as it is now,
    /// whatever the cursor, then what follows, to the end.
    ///
    /// # Errors
    ///
    /// Nothing is known of the task, it has ended, or it is too large to be told; else as for [`Subscribe::task`].
    pub fn running_task(
        self,
        task: impl Into<TaskId>,
        end: TaskEnd,
    ) -> Result<TaskSubscription, TaskError> {
        TaskSubscription::attach_running(self, &task.into(), end)
    }
}
