//! What a client asks of a stream.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use events_broadcast::Attach;
use serde::{Deserialize, de::DeserializeOwned};

use crate::Problem;

/// The form of a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HeartbeatForm {
    /// A comment, which no parser hands on.
    #[default]
    Comment,
    /// An event named `heartbeat`, for clients that must see liveness.
    Event,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Switch {
    #[default]
    On,
    Off,
}

#[derive(Debug, Default, Deserialize)]
struct Fields {
    thread: Option<String>,
    task: Option<String>,
    last_event_id: Option<String>,
    #[serde(default)]
    heartbeat: HeartbeatForm,
    #[serde(default)]
    control: Switch,
}

/// A client's wishes, read from the query and the `Last-Event-ID` header, of which the header wins.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamQuery {
    pub(crate) thread: Option<Arc<str>>,
    pub(crate) task: Option<Arc<str>>,
    pub(crate) cursor: Option<String>,
    pub(crate) heartbeat: HeartbeatForm,
    pub(crate) has_control: bool,
}

/// What stands in the path where a route has a name: a thread, a user, an agent, a run. One that is no text is refused
/// as every mistake is, with a problem.
#[derive(Debug)]
pub(crate) struct PathName(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) = read.map_err(|rejection| Problem::bad_request(rejection.to_string()))?;
        Ok(Self(name))
    }
}

/// What a route asks of its query. One that says a thing twice, or what no field can be, is refused with a problem.
#[derive(Debug)]
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        let wrong = |rejection| Problem::bad_request(format!("query: {rejection}"));
        let Query(fields) = read.map_err(wrong)?;
        Ok(Self(fields))
    }
}

impl StreamQuery {
    /// Makes the wish to attach to all that a broadcaster carries for the user.
    pub(crate) fn attach(&self) -> Attach {
        Attach::from_cursor(self.cursor.as_deref())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for StreamQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let QueryOf(fields) = QueryOf::<Fields>::from_request_parts(parts, state).await?;
        let header = parts.headers.get("last-event-id");
        let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Self {
            thread: fields.thread.map(Into::into),
            task: fields.task.map(Into::into),
            cursor: header
                .or(fields.last_event_id)
                .filter(|cursor| !cursor.is_empty()),
            heartbeat: fields.heartbeat,
            has_control: fields.control == Switch::On,
        })
    }
}

/// Reads a time such as `30s` out of a query.
pub(crate) fn read_time(name: &str, text: &str, max: Duration) -> Result<Duration, Problem> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| *time <= max).ok_or_else(|| {
        let max = humantime::format_duration(max);
        Problem::bad_request(format!(
            "{name}={text:?}: use a time such as 30s, at most {max}"
        ))
    })
}
