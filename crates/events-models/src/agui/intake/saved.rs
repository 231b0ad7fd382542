//! An intake as it is saved.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Item, Lane, ThreadIntake};
use crate::{
    MessageRole,
    agui::order::SavedOrder,
    checkpoint::{CheckpointError, borrowed, require},
};

/// An intake without its limits.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::agui) struct SavedIntake<'a> {
    #[serde(borrow)]
    order: SavedOrder<'a>,
    #[serde(borrow)]
    lanes: Vec<SavedLane<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SavedLane<'a> {
    owner: Option<Cow<'a, str>>,
    item: SavedItem<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum SavedItem<'a> {
    Text {
        id: Cow<'a, str>,
        role: MessageRole,
        name: Option<Cow<'a, str>>,
    },
    ToolCall {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        parent: Option<Cow<'a, str>>,
    },
    Reasoning {
        id: Cow<'a, str>,
    },
}

impl<'a> From<&'a ThreadIntake> for SavedIntake<'a> {
    fn from(intake: &'a ThreadIntake) -> Self {
        let lane = |lane: &'a Lane| SavedLane {
            owner: lane.owner.as_deref().map(borrowed),
            item: (&lane.item).into(),
        };
        Self {
            order: (&intake.order).into(),
            lanes: intake.lanes.iter().map(lane).collect(),
        }
    }
}

impl<'a> From<&'a Item> for SavedItem<'a> {
    fn from(item: &'a Item) -> Self {
        match item {
            Item::Text { id, role, name } => Self::Text {
                id: borrowed(id),
                role: *role,
                name: name.as_deref().map(borrowed),
            },
            Item::ToolCall { id, name, parent } => Self::ToolCall {
                id: borrowed(id),
                name: borrowed(name),
                parent: parent.as_deref().map(borrowed),
            },
            Item::Reasoning { id } => Self::Reasoning { id: borrowed(id) },
        }
    }
}

impl From<SavedItem<'_>> for Item {
    fn from(item: SavedItem<'_>) -> Self {
        match item {
            SavedItem::Text { id, role, name } => Self::Text {
                id: Arc::from(&*id),
                role,
                name: name.map(Cow::into_owned),
            },
            SavedItem::ToolCall { id, name, parent } => Self::ToolCall {
                id: Arc::from(&*id),
                name: name.into_owned(),
                parent: parent.as_deref().map(Arc::from),
            },
            SavedItem::Reasoning { id } => Self::Reasoning {
                id: Arc::from(&*id),
            },
        }
    }
}

impl SavedIntake<'_> {
    /// Makes the intake again, with a limit on the ids of a run.
    pub(in crate::agui) fn restore(self, max_ids: usize) -> Result<ThreadIntake, CheckpointError> {
        let mut intake = ThreadIntake::new(self.order.restore(max_ids)?);
        for SavedLane { owner, item } in self.lanes {
            let item = Item::from(item);
            let owner = owner.as_deref().map(Arc::from);
            let is_open = intake.order.is_open(item.kind(), item.id());
            require(is_open, "an item made of chunks is not open")?;
            let is_new = intake.lane_of(owner.as_deref()).is_none()
                && intake.lane_with(item.kind(), item.id()).is_none();
            require(is_new, "two items made of chunks share a lane or an id")?;
            intake.lanes.push(Lane { owner, item });
        }
        Ok(intake)
    }
}
