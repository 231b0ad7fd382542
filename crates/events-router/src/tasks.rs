//! The order state of a user's A2A tasks.

use std::sync::Arc;

use events_models::{A2AEvent, a2a::order::TaskOrder};
use hashbrown::HashMap;

use crate::{
    Refusal,
    order_budget::{OrderBudget, count},
};

/// The tasks of one user, bounded in number.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    tasks: HashMap<Arc<str>, Task>,
}

#[derive(Debug)]
struct Task {
    order: TaskOrder,
    touched_ms: i64,
}

/// What a batch has changed so far: each task as it was, `None` for one that was not known.
pub(crate) type SavedTasks = Vec<(Arc<str>, Option<TaskOrder>)>;

impl Tasks {
    /// Counts the bytes that it holds, from above.
    pub(crate) fn held_bytes(&self) -> usize {
        let tasks = self
            .tasks
            .iter()
            .map(|(id, task)| id.len() + 48 + task.order.held_bytes());
        self.tasks.allocation_size() + tasks.sum::<usize>()
    }

    /// Returns the task's shared id.
    pub(crate) fn shared(&self, task: &str) -> Arc<str> {
        self.tasks
            .get_key_value(task)
            .map_or_else(|| task.into(), |(task, _)| Arc::clone(task))
    }

    /// Takes an event into its task; unchanged if it is refused.
    ///
    /// A task that is not known here may be in its middle: producers restart, and those that know only the reference
    /// begin with a status. A Task object states everything anew, so a turn that begins with one is judged from it.
    pub(crate) fn admit(
        &mut self,
        id: &Arc<str>,
        event: &A2AEvent,
        now_ms: i64,
        budget: &OrderBudget,
    ) -> Result<(), Refusal> {
        if let Some(task) = self.tasks.get_mut(&**id) {
            if matches!(event, A2AEvent::Task(_)) && !task.order.is_ended() {
                let mut order = TaskOrder::default();
                order.check(event)?;
                task.order = order;
            } else {
                task.order.check(event)?;
            }
            task.touched_ms = now_ms;
            return Ok(());
        }
        let is_whole = matches!(event, A2AEvent::Task(_));
        let mut order = if is_whole {
            TaskOrder::default()
        } else {
            TaskOrder::midway()
        };
        order.check(event)?;
        self.make_room(budget);
        self.tasks.insert(
            Arc::clone(id),
            Task {
                order,
                touched_ms: now_ms,
            },
        );
        Ok(())
    }

    /// Forgets the task that was touched longest ago, if there are too many; one that has ended goes first.
    fn make_room(&mut self, budget: &OrderBudget) {
        if self.tasks.len() < budget.tasks_per_user {
            return;
        }
        let ended_first = |task: &Task| (!task.order.is_ended(), task.touched_ms);
        let oldest = self
            .tasks
            .iter()
            .min_by_key(|(_, task)| ended_first(task))
            .map(|(id, _)| Arc::clone(id));
        if let Some(id) = oldest {
            self.tasks.remove(&id);
            count(&budget.counters.tasks_forgotten);
        }
    }

    /// Remembers a task as it is, once per batch.
    pub(crate) fn save(&self, id: &Arc<str>, saved: &mut SavedTasks) {
        if saved.iter().all(|(known, _)| known != id) {
            saved.push((
                Arc::clone(id),
                self.tasks.get(&**id).map(|task| task.order.clone()),
            ));
        }
    }

    /// Puts back what has been saved.
    pub(crate) fn restore(&mut self, saved: SavedTasks) {
        for (id, order) in saved {
            match (order, self.tasks.get_mut(&id)) {
                (Some(order), Some(task)) => task.order = order,
                (Some(order), None) => {
                    self.tasks.insert(
                        id,
                        Task {
                            order,
                            touched_ms: 0,
                        },
                    );
                }
                (None, _) => {
                    self.tasks.remove(&id);
                }
            }
        }
    }
}
