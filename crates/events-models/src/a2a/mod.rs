//! A2A: the objects of its streams in the forms of 1.0 and 0.3, and their order within a task.
//!
//! There is one model, that of 1.0. [`A2AEvent::from_json`] and [`A2AEvent::write_json`] speak 1.0, as do the
//! structs through serde; [`A2AEvent::from_json_as`] and [`A2AEvent::write_json_v0_3`] also speak the JSON-RPC
//! form of 0.3. What the two versions do not share:
//!
//! | | 1.0 | 0.3 |
//! | --- | --- | --- |
//! | kind of object | the name of the only member | `kind`, also in messages and parts |
//! | states, roles | `TASK_STATE_INPUT_REQUIRED`, `ROLE_USER` | `input-required`, `user` |
//! | end of a stream | the state | `final`, see [`TaskStatusUpdateEvent::is_final`] |
//! | media type of text and data | kept | has no place, and is lost |
//! | data | any JSON | an object; other data in an object of one member, `value` |
//! | times | UTC, written with `Z` | any zone or none, read as UTC; what is no time is left aside |
//!
//! Reading is lenient where writing is not: `null` stands for nothing, and 1.0 may come with names in
//! `snake_case`, enumerations as numbers, times with an offset and base64 for URLs.
//!
//! Members that neither version describes are kept where they stand, with the text of their values, and written
//! in both: see [`UnknownMembers`]. Three places are not the same in both versions. What stands beside the one
//! member of 1.0 ([`Task::beside`]) is written among the members of 0.3. What stands in the `file` of a 0.3 part is
//! kept as the part's. And a name that means something in the other version is not unknown: `kind`, the `final` of
//! a status and the `file` of a part are left aside in 1.0, and the names of 1.0 in 0.3.

mod base64;
mod builder;
mod codec;
mod event;
mod macros;
mod objects;
mod part;
mod state;
mod timestamp;
mod unknown;
mod update;
mod version;

pub mod checkpoint;
pub mod fold;
pub mod order;

pub use builder::A2AEventBuilder;
pub use event::{A2AEvent, A2AEventType};
pub use objects::{Artifact, Message, Task, TaskStatus};
pub use part::{Part, PartContent};
pub use state::{Role, TaskState};
pub use timestamp::Timestamp;
pub use unknown::UnknownMembers;
pub use update::{TaskArtifactUpdateEvent, TaskStatusUpdateEvent};
pub use version::A2AVersion;

pub use crate::wire::{AnyJson, OpenObject};

#[cfg(test)]
mod tests;
