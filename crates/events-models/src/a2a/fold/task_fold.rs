//! Order and content of a task as one.

use events_core::Fold;

use super::TaskContent;
use crate::a2a::{
    A2AEvent,
    order::{OrderError, TaskOrder},
};

/// The fold of an A2A task: what its events have led to, as the Task object that a subscriber gets first.
///
/// ```
/// use events_core::Fold;
/// use events_models::{A2AEvent, A2AEventBuilder as Make, TaskState, a2a::fold::TaskFold};
///
/// let mut fold = TaskFold::default();
/// fold.apply(Make::task_submitted("t".into(), "c".into(), "cook", None))?;
/// fold.apply(Make::task_status_update("t".into(), "c".into(), TaskState::Working, None))?;
/// let prelude = fold.prelude();
/// assert!(matches!(&*prelude, [A2AEvent::Task(task)] if task.status.state == TaskState::Working));
/// # Ok::<(), events_models::a2a::order::OrderError>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct TaskFold {
    order: TaskOrder,
    content: TaskContent,
}

impl TaskFold {
    /// Makes the fold of a task whose beginning was not seen; see [`TaskOrder::midway`].
    #[must_use]
    pub fn midway() -> Self {
        Self {
            order: TaskOrder::midway(),
            content: TaskContent::default(),
        }
    }

    /// Returns the checker of the task's order.
    #[must_use]
    pub const fn order(&self) -> &TaskOrder {
        &self.order
    }

    /// Returns what the task is now.
    #[must_use]
    pub const fn content(&self) -> &TaskContent {
        &self.content
    }
}

impl Fold for TaskFold {
    type Event = A2AEvent;
    /// The Task object says everything, whatever a client has seen.
    type Open = ();
    type Refusal = OrderError;

    fn apply(&mut self, event: A2AEvent) -> Result<(), OrderError> {
        self.order.check(&event)?;
        self.content.take(event);
        Ok(())
    }

    fn prelude(&self) -> Vec<A2AEvent> {
        self.content.prelude().cloned().into_iter().collect()
    }

    fn open(&self) {}

    fn catch_up(&self, _since: &()) -> Vec<A2AEvent> {
        self.prelude()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.content.size()
    }
}
