//! What one connection has been told of and not seen ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::agui::{
    AgUiEvent,
    order::{self, ItemKind, ThreadOrder},
};

/// The run that a connection is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum RunMark {
    /// It is known by its id.
    Named(Arc<str>),
    /// It is known to have ended with RUN_FINISHED, which gave this id.
    Finished(Arc<str>),
    /// It is known to have ended with RUN_ERROR.
    Failed,
    /// Whether it was active is not known: what followed is RUN_ERROR, which may also come without a run or
    /// after its RUN_FINISHED.
    Unclear,
}

/// Something that is open.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct OpenItem {
    pub(super) kind: ItemKind,
    pub(super) id: Arc<str>,
    /// Whose step it is; nothing else needs it to be told apart.
    pub(super) owner: Option<Arc<str>>,
}

impl From<&order::OpenItem<'_>> for OpenItem {
    fn from(item: &order::OpenItem<'_>) -> Self {
        let is_step = item.kind == ItemKind::Step;
        Self {
            kind: item.kind,
            id: Arc::clone(item.id),
            owner: item.owner.filter(|_| is_step).cloned(),
        }
    }
}

/// What an event does to the items that are open.
enum Effect {
    Opens(OpenItem),
    Closes(OpenItem),
}

/// What is open in the run that a connection is in: ids only, no more of them than
/// [`ThreadOrder`] allows a run.
///
/// A connection that tracks what it is sent can be caught up from there.
///
/// ```
/// use events_models::{AgUiEventBuilder as Make, MessageRole, agui::fold::OpenSet};
///
/// let sent = [
///     Make::run_started("thread", "run", None),
///     Make::text_message_start("m1", MessageRole::Assistant),
/// ];
/// let mut open = OpenSet::default();
/// sent.iter().for_each(|event| open.see(event));
/// assert_eq!((open.is_run_active(), open.n_items()), (true, 1));
///
/// let end = Make::text_message_end("m1");
/// let mut head = open.clone();
/// head.see(&end);
/// assert_eq!(OpenSet::before(&head, [&end]), open);
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct OpenSet {
    pub(super) run: Option<RunMark>,
    pub(super) items: BTreeSet<OpenItem>,
    /// Every subagent of the run, and whether it is active.
    pub(super) subagents: BTreeMap<Arc<str>, bool>,
}

impl OpenSet {
    /// Reads off what is open on a thread.
    #[must_use]
    pub fn of(order: &ThreadOrder) -> Self {
        Self {
            run: order.run_id().map(|id| RunMark::Named(id.into())),
            items: order
                .open_items()
                .filter(|item| item.kind != ItemKind::Subagent)
                .map(|item| OpenItem::from(&item))
                .collect(),
            subagents: order
                .subagents()
                .map(|(id, is_active)| (Arc::clone(id), is_active))
                .collect(),
        }
    }

    /// Takes note of an event that the connection is sent. Only those matter that are
    /// [structural](AgUiEvent::is_structural).
    pub fn see(&mut self, event: &AgUiEvent) {
        match event {
            AgUiEvent::RunStarted(start) => {
                *self = Self {
                    run: Some(RunMark::Named(start.run_id.to_shared())),
                    ..Self::default()
                };
            }
            AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_) => *self = Self::default(),
            AgUiEvent::SubagentStarted(start) => {
                self.subagents
                    .insert(start.subagent_run_id.as_str().into(), true);
            }
            AgUiEvent::SubagentFinished(end) => self.end_subagent(&end.subagent_run_id),
            AgUiEvent::SubagentError(end) => self.end_subagent(&end.subagent_run_id),
            _ => match effect_of(event) {
                Some(Effect::Opens(item)) => {
                    self.items.insert(item);
                }
                Some(Effect::Closes(item)) => {
                    self.items.remove(&item);
                }
                None => {}
            },
        }
    }

    /// Works out what was open before some events of a thread, from what is open after them.
    ///
    /// `after` are the events between that moment and `head`, or the [structural](AgUiEvent::is_structural)
    /// ones among them. Of what a RUN_ERROR hides nothing is known; it may follow whatever is open, and also a
    /// run that has finished.
    pub fn before<'e>(head: &Self, after: impl IntoIterator<Item = &'e AgUiEvent>) -> Self {
        let mut told = Told::default();
        for event in after {
            match event {
                AgUiEvent::RunStarted(_) => return Self::default(),
                AgUiEvent::RunFinished(end) => {
                    return told.at_end_of(RunMark::Finished(end.run_id.to_shared()));
                }
                AgUiEvent::RunError(_) if told.is_nothing() => {
                    return told.at_end_of(RunMark::Unclear);
                }
                AgUiEvent::RunError(_) => return told.at_end_of(RunMark::Failed),
                AgUiEvent::SubagentStarted(start) => told.subagent(&start.subagent_run_id, false),
                AgUiEvent::SubagentFinished(end) => told.subagent(&end.subagent_run_id, true),
                AgUiEvent::SubagentError(end) => told.subagent(&end.subagent_run_id, true),
                _ => match effect_of(event) {
                    Some(Effect::Opens(item)) => told.item(item, false),
                    Some(Effect::Closes(item)) => told.item(item, true),
                    None => {}
                },
            }
        }
        told.within_run_of(head)
    }

    /// Tells whether the connection is within a run, or may be for all that is known.
    #[must_use]
    pub const fn is_run_active(&self) -> bool {
        self.run.is_some()
    }

    /// Counts what is open, subagents included.
    #[must_use]
    pub fn n_items(&self) -> usize {
        let n_subagents = self.subagents.values().filter(|active| **active).count();
        self.items.len() + n_subagents
    }

    /// Tells whether an item of the thread was open.
    pub(super) fn has(&self, item: &order::OpenItem<'_>) -> bool {
        if item.kind == ItemKind::Subagent {
            return self.subagents.get(item.id) == Some(&true);
        }
        self.items.contains(&OpenItem::from(item))
    }

    fn end_subagent(&mut self, id: &str) {
        if let Some(is_active) = self.subagents.get_mut(id) {
            *is_active = false;
        }
    }
}

/// What the first event about each thing tells of the time before it.
#[derive(Default)]
struct Told {
    items: BTreeMap<OpenItem, bool>,
    /// Whether the subagent was there, and then active.
    subagents: BTreeMap<Arc<str>, bool>,
}

impl Told {
    fn is_nothing(&self) -> bool {
        self.items.is_empty() && self.subagents.is_empty()
    }

    fn item(&mut self, item: OpenItem, was_open: bool) {
        self.items.entry(item).or_insert(was_open);
    }

    fn subagent(&mut self, id: &str, was_active: bool) {
        self.subagents.entry(id.into()).or_insert(was_active);
    }

    fn open_items(&self) -> impl Iterator<Item = OpenItem> + '_ {
        let was_open = self.items.iter().filter(|(_, was_open)| **was_open);
        was_open.map(|(item, _)| item.clone())
    }

    fn active_subagents(&self) -> impl Iterator<Item = (Arc<str>, bool)> + '_ {
        let was_active = self.subagents.iter().filter(|(_, was_active)| **was_active);
        was_active.map(|(id, _)| (Arc::clone(id), true))
    }

    /// What no event has told of was closed, for else the run could not have finished.
    fn at_end_of(&self, run: RunMark) -> OpenSet {
        OpenSet {
            run: Some(run),
            items: self.open_items().collect(),
            subagents: self.active_subagents().collect(),
        }
    }

    /// What no event has told of was as it is.
    fn within_run_of(&self, head: &OpenSet) -> OpenSet {
        let untold = |item: &&OpenItem| !self.items.contains_key(*item);
        let mut open = OpenSet {
            run: head.run.clone(),
            items: head.items.iter().filter(untold).cloned().collect(),
            subagents: head.subagents.clone(),
        };
        open.items.extend(self.open_items());
        open.subagents
            .retain(|id, _| self.subagents.get(id) != Some(&false));
        open.subagents.extend(self.active_subagents());
        open
    }
}

fn effect_of(event: &AgUiEvent) -> Option<Effect> {
    let item = |kind, id| OpenItem {
        kind,
        id,
        owner: None,
    };
    let step = |name: &str, owner: Option<&str>| OpenItem {
        kind: ItemKind::Step,
        id: name.into(),
        owner: owner.map(Arc::from),
    };
    Some(match event {
        AgUiEvent::TextMessageStart(start) => {
            Effect::Opens(item(ItemKind::TextMessage, start.message_id.to_shared()))
        }
        AgUiEvent::TextMessageEnd(end) => {
            Effect::Closes(item(ItemKind::TextMessage, end.message_id.to_shared()))
        }
        AgUiEvent::ToolCallStart(start) => {
            Effect::Opens(item(ItemKind::ToolCall, start.tool_call_id.to_shared()))
        }
        AgUiEvent::ToolCallEnd(end) => {
            Effect::Closes(item(ItemKind::ToolCall, end.tool_call_id.to_shared()))
        }
        AgUiEvent::ReasoningMessageStart(start) => Effect::Opens(item(
            ItemKind::ReasoningMessage,
            start.message_id.to_shared(),
        )),
        AgUiEvent::ReasoningMessageEnd(end) => {
            Effect::Closes(item(ItemKind::ReasoningMessage, end.message_id.to_shared()))
        }
        AgUiEvent::ReasoningStart(start) => {
            Effect::Opens(item(ItemKind::ReasoningSpan, start.message_id.to_shared()))
        }
        AgUiEvent::ReasoningEnd(end) => {
            Effect::Closes(item(ItemKind::ReasoningSpan, end.message_id.to_shared()))
        }
        AgUiEvent::StepStarted(started) => {
            Effect::Opens(step(&started.step_name, started.subagent_run_id.as_deref()))
        }
        AgUiEvent::StepFinished(finished) => Effect::Closes(step(
            &finished.step_name,
            finished.subagent_run_id.as_deref(),
        )),
        _ => return None,
    })
}
