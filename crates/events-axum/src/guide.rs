//! How things are done, page by page; every example here runs as a test.
//!
//! | page | answers |
//! | --- | --- |
//! | [`streams`] | which stream is for what, what is in a frame, what a cursor is good for |
//! | [`rejoining`] | how a page that comes late or comes back gets to where the run is |
//! | [`engines`] | where the log is, and what survives what |
//! | [`security`] | who may see and publish what, with tokens or with your own authentication |
//! | [`operations`] | starting, stopping, bounding and watching a hub |
//! | [`from_axum_sse`] | coming from handlers that return axum's `Sse` |
//! | [`from_a_broadcaster`] | coming from a map of senders that you keep yourself |

#[doc = include_str!("guide/streams.md")]
pub mod streams {}

#[doc = include_str!("guide/rejoining.md")]
pub mod rejoining {}

#[doc = include_str!("guide/engines.md")]
pub mod engines {}

#[doc = include_str!("guide/security.md")]
pub mod security {}

#[doc = include_str!("guide/operations.md")]
pub mod operations {}

#[doc = include_str!("guide/from_axum_sse.md")]
pub mod from_axum_sse {}

#[doc = include_str!("guide/from_a_broadcaster.md")]
pub mod from_a_broadcaster {}
