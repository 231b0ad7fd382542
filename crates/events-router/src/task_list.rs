//! Reading where a user's A2A tasks stand.

use events_core::{EventId, TaskId, UserId};
use events_models::{TaskState, a2a::Task};

use crate::{EventRouter, tasks};

/// A task as it is at one moment.
#[derive(Clone, Debug)]
pub struct TaskSnapshot {
    /// The task; if it is too large, its ids and its status only.
    pub task: Task,
    /// When its last event was appended, in milliseconds since the Unix epoch.
    pub updated_at_ms: i64,
    /// The user's last event then: a stream that begins after this cursor continues the snapshot.
    pub cursor: EventId,
    /// The task has grown beyond what is kept.
    pub is_too_large: bool,
}

/// Which tasks to list, and how much of each, as `ListTasksRequest` of A2A 1.0 has it.
#[derive(Clone, Debug)]
pub struct TaskQuery {
    /// Only those of this conversation.
    pub context_id: Option<String>,
    /// Only those in this state.
    pub state: Option<TaskState>,
    /// Only those whose status was reached then or later, in milliseconds since the Unix epoch. A status without a
    /// time counts from when the task's last event was appended.
    pub status_after_ms: Option<i64>,
    /// How many tasks to return, from 1 to [`TaskQuery::MAX_PAGE`].
    pub page_size: usize,
    /// Where to go on: what [`TaskPage::next`] was.
    pub page_token: Option<String>,
    /// How many messages of each history to return, the last ones; all if it is not said.
    pub history_length: Option<usize>,
    /// Whether to return the artifacts.
    pub has_artifacts: bool,
}

impl Default for TaskQuery {
    fn default() -> Self {
        Self {
            context_id: None,
            state: None,
            status_after_ms: None,
            page_size: 50,
            page_token: None,
            history_length: None,
            has_artifacts: false,
        }
    }
}

impl TaskQuery {
    /// The largest page, in tasks.
    pub const MAX_PAGE: usize = 100;

    /// A page ends early when its tasks take so much as JSON, in bytes; a larger task comes alone.
    pub const MAX_BYTES: usize = 8 << 20;

    /// Tells whether a text can be a page token.
    #[must_use]
    pub fn is_page_token(text: &str) -> bool {
        read_token(text).is_some()
    }

    fn wants(&self, task: &Task, touched_ms: i64) -> bool {
        let context_id = task.context_id.as_ref().map(|id| id.as_str());
        let status_ms = task
            .status
            .timestamp
            .map_or(touched_ms, |time| time.as_millis());
        self.context_id
            .as_deref()
            .is_none_or(|wanted| context_id == Some(wanted))
            && self.state.is_none_or(|wanted| task.status.state == wanted)
            && self.status_after_ms.is_none_or(|after| status_ms >= after)
    }
}

/// Some of a user's tasks, the one that was written to last first.
#[derive(Clone, Debug, Default)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// The token of the next page; none after the last one.
    pub next: Option<String>,
    /// How many tasks there are on all pages.
    pub total: usize,
}

impl EventRouter {
    /// Reads a task of a user as it is now, with at most `history_length` messages of its history, the last ones.
    /// None if nothing is known of it, or the answer was a message and no task.
    #[must_use]
    pub fn snapshot_task(
        &self,
        user: &UserId,
        task: &TaskId,
        history_length: Option<usize>,
    ) -> Option<TaskSnapshot> {
        let lane = self.inner.lanes.find(user)?;
        let state = lane.lock();
        let found = state.tasks.get(task.as_str())?;
        Some(TaskSnapshot {
            task: view(found.content().task()?, history_length, true),
            updated_at_ms: found.touched_ms(),
            // Under the lane's lock nothing is published.
            cursor: self.store().last(user),
            is_too_large: found.content().is_too_large(),
        })
    }

    /// Lists tasks of a user, the one that was written to last first. A task that is written to between two pages
    /// goes to the front, where the first page shows it.
    #[must_use]
    pub fn tasks_of(&self, user: &UserId, query: &TaskQuery) -> TaskPage {
        let Some(lane) = self.inner.lanes.find(user) else {
            return TaskPage::default();
        };
        let state = lane.lock();
        let mut found: Vec<_> = state
            .tasks
            .iter()
            .filter_map(|entry| entry.content().task().map(|task| (entry, task)))
            .filter(|(entry, task)| query.wants(task, entry.touched_ms()))
            .collect();
        found.sort_unstable_by(|one, other| place(other).cmp(&place(one)));
        let total = found.len();
        let after = query.page_token.as_deref().and_then(read_token);
        let begin = after.map_or(0, |after| {
            found.partition_point(|entry| place(entry) >= after)
        });
        let (mut tasks, mut n_bytes) = (Vec::new(), 0);
        let mut rest = found[begin..].iter().peekable();
        let page_size = query.page_size.clamp(1, TaskQuery::MAX_PAGE);
        let mut last = None;
        while let Some(&&(entry, task)) = rest.peek() {
            n_bytes += entry.content().json_bytes();
            let is_full = tasks.len() == page_size || n_bytes > TaskQuery::MAX_BYTES;
            if is_full && !tasks.is_empty() {
                break;
            }
            tasks.push(view(task, query.history_length, query.has_artifacts));
            last = Some((entry.touched_ms(), task.id.as_str()));
            rest.next();
        }
        let next = last.filter(|_| rest.peek().is_some());
        TaskPage {
            tasks,
            next: next.map(|(touched_ms, id)| format!("{touched_ms}~{id}")),
            total,
        }
    }
}

/// Where a task stands in the list; the greatest comes first.
fn place<'a>((entry, task): &(&tasks::Task, &'a Task)) -> (i64, &'a str) {
    (entry.touched_ms(), task.id.as_str())
}

fn read_token(text: &str) -> Option<(i64, &str)> {
    let (touched_ms, id) = text.split_once('~')?;
    Some((touched_ms.parse().ok()?, id))
}

/// Copies what is wanted of a task.
fn view(task: &Task, history_length: Option<usize>, has_artifacts: bool) -> Task {
    let history = task.history.as_ref().map(|history| {
        let n_wanted = history_length.unwrap_or(history.len());
        history[history.len().saturating_sub(n_wanted)..].to_vec()
    });
    Task {
        id: task.id.clone(),
        context_id: task.context_id.clone(),
        status: task.status.clone(),
        artifacts: task.artifacts.clone().filter(|_| has_artifacts),
        history: history.filter(|history| !history.is_empty()),
        metadata: task.metadata.clone(),
        unknown: task.unknown.clone(),
        beside: task.beside.clone(),
    }
}
