//! The A2A tasks of one user: their order, and what they are now.

use std::sync::Arc;

use bytes::Bytes;
use events_models::{
    A2AEvent, TaskState,
    a2a::{fold::TaskContent, order::TaskOrder},
};
use hashbrown::HashMap;

use crate::{
    Refusal,
    order_budget::{OrderBudget, count},
    poison,
};

/// The tasks of one user, bounded in number.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    /// Boxed as threads are.
    tasks: HashMap<Arc<str>, Box<Task>>,
    /// What the folds take together, in bytes.
    fold_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Task {
    order: TaskOrder,
    content: TaskContent,
    /// The Task object as JSON as long as nothing has changed; joiners in a row share it.
    told: Option<Bytes>,
    touched_ms: i64,
}

/// What a batch has changed so far: each task as it was, `None` for one that was not known.
pub(crate) type SavedTasks = Vec<(Arc<str>, Option<(TaskOrder, i64)>)>;

/// What a reader is told of a task in place of its events.
#[derive(Debug)]
pub(crate) enum TaskTelling {
    /// Nothing is known of it.
    Unknown,
    /// It has grown too large to be told.
    TooLarge(Option<TaskState>),
    /// The JSON of the event that says all, and the state; no state if the answer was a message.
    Told(Bytes, Option<TaskState>),
}

impl Tasks {
    /// Counts the bytes that it holds, from above.
    pub(crate) fn held_bytes(&self) -> usize {
        let tasks = self
            .tasks
            .iter()
            .map(|(id, task)| id.len() + 48 + size_of::<Task>() + task.order.held_bytes());
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
        let task = Task::new(order, budget.threads.fold_bytes, now_ms);
        self.fold_bytes += task.content.size();
        self.tasks.insert(Arc::clone(id), Box::new(task));
        Ok(())
    }

    /// Tells the fold of an event that is in the log, or that nothing can keep out of it any more.
    pub(crate) fn tell(&mut self, id: &str, event: A2AEvent) {
        if let Some(task) = self.tasks.get_mut(id) {
            let before = task.content.size();
            task.told = None;
            let content = &mut task.content;
            if poison::caught("the fold of a task", || content.take(event)).is_err() {
                // What it holds may be half of something.
                content.give_up();
            }
            self.fold_bytes = self.fold_bytes + task.content.size() - before;
        }
    }

    /// Puts a task back as it was saved.
    pub(crate) fn put_back(
        &mut self,
        id: Arc<str>,
        order: TaskOrder,
        content: TaskContent,
        touched_ms: i64,
    ) {
        self.fold_bytes += content.size();
        let task = Task {
            order,
            content,
            told: None,
            touched_ms,
        };
        self.tasks.insert(id, Box::new(task));
    }

    /// Calls up what is to be saved of each task.
    pub(crate) fn saved(&self) -> impl Iterator<Item = (&str, &TaskOrder, &TaskContent, i64)> {
        self.tasks
            .iter()
            .map(|(id, task)| (&**id, &task.order, &task.content, task.touched_ms))
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
            self.forget(&id);
            count(&budget.counters.tasks_forgotten);
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(task) = self.tasks.remove(id) {
            self.fold_bytes -= task.content.size();
        }
    }

    /// Remembers a task as it is, once per batch.
    pub(crate) fn save(&self, id: &Arc<str>, saved: &mut SavedTasks) {
        if saved.iter().all(|(known, _)| known != id) {
            saved.push((
                Arc::clone(id),
                self.tasks
                    .get(&**id)
                    .map(|task| (task.order.clone(), task.touched_ms)),
            ));
        }
    }

    /// Puts back what has been saved.
    pub(crate) fn restore(&mut self, saved: SavedTasks) {
        for (id, order) in saved {
            match order {
                Some((order, touched_ms)) => {
                    if let Some(task) = self.tasks.get_mut(&id) {
                        task.order = order;
                        task.touched_ms = touched_ms;
                    }
                }
                None => self.forget(&id),
            }
        }
    }
}

// === keeping within bounds ===

impl Tasks {
    /// Tells what the folds take together, in bytes.
    pub(crate) const fn fold_bytes(&self) -> usize {
        self.fold_bytes
    }

    /// Calls up when the tasks that have ended were last written to.
    pub(crate) fn idle_since(&self) -> impl Iterator<Item = i64> {
        self.tasks
            .values()
            .filter(|task| task.order.is_ended())
            .map(|task| task.touched_ms)
    }

    /// Forgets the ended tasks that nobody has written to since `before_ms`, and counts them.
    ///
    /// Tasks that have not ended stay, as long as their user does: some wait for days for an answer.
    pub(crate) fn forget_idle(&mut self, before_ms: i64) -> usize {
        let n_before = self.tasks.len();
        let fold_bytes = &mut self.fold_bytes;
        self.tasks.retain(|_, task| {
            let stays = !task.order.is_ended() || task.touched_ms >= before_ms;
            if !stays {
                *fold_bytes -= task.content.size();
            }
            stays
        });
        n_before - self.tasks.len()
    }

    /// Gives up the largest fold; its task goes on without being told. Tells whether there was one.
    pub(crate) fn give_up_largest(&mut self) -> bool {
        let largest = self
            .tasks
            .values_mut()
            .filter(|task| !task.content.is_too_large())
            .max_by_key(|task| task.content.size());
        largest.is_some_and(|task| {
            let before = task.content.size();
            task.content.give_up();
            task.told = None;
            self.fold_bytes = self.fold_bytes + task.content.size() - before;
            true
        })
    }
}

// === telling readers ===

impl Tasks {
    /// Tells a reader where a task stands.
    pub(crate) fn telling(&mut self, id: &str) -> TaskTelling {
        let Some(task) = self.tasks.get_mut(id) else {
            return TaskTelling::Unknown;
        };
        let state = task.content.state();
        if task.content.is_too_large() {
            return TaskTelling::TooLarge(state);
        }
        if task.told.is_none() {
            let mut json = Vec::new();
            let is_written = |event: &A2AEvent| event.write_json(&mut json).is_ok();
            // Every event has a JSON form.
            if task.content.prelude().is_some_and(is_written) {
                task.told = Some(json.into());
            }
        }
        match &task.told {
            Some(told) => TaskTelling::Told(told.clone(), state),
            None => TaskTelling::Unknown,
        }
    }

    /// Finds a task.
    pub(crate) fn get(&self, id: &str) -> Option<&Task> {
        self.tasks.get(id).map(Box::as_ref)
    }

    /// Goes through all tasks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().map(Box::as_ref)
    }
}

impl Task {
    fn new(order: TaskOrder, fold_bytes: usize, now_ms: i64) -> Self {
        Self {
            order,
            content: TaskContent::with_max_bytes(fold_bytes),
            told: None,
            touched_ms: now_ms,
        }
    }

    pub(crate) const fn content(&self) -> &TaskContent {
        &self.content
    }

    /// The last event was at this time, in milliseconds.
    pub(crate) const fn touched_ms(&self) -> i64 {
        self.touched_ms
    }
}
