//! What clients ask of tasks, from the params of a call or the query of an address.

use events_core::TaskId;
use events_models::{TaskState, a2a::Timestamp};
use events_router::TaskQuery;
use serde_json::{Map, Value};

use super::Fault;

/// The members of a request. Values may come as text, as ProtoJSON allows and queries demand.
pub(super) struct Wishes<'a>(pub(super) &'a Map<String, Value>);

impl Wishes<'_> {
    /// Returns the task that is asked for.
    pub(super) fn task(&self) -> Result<TaskId, Fault> {
        let id = self.text("id")?;
        id.map(TaskId::from)
            .ok_or_else(|| Fault::invalid_params("id: name the task"))
    }

    /// Returns how many messages of the history are wanted at most.
    pub(super) fn history_length(&self) -> Result<Option<usize>, Fault> {
        self.number("historyLength", 0, u64::MAX)
    }

    pub(super) fn list(&self) -> Result<TaskQuery, Fault> {
        let max = u64::try_from(TaskQuery::MAX_PAGE).unwrap_or(u64::MAX);
        let state = self
            .text("status")?
            .filter(|name| name != "TASK_STATE_UNSPECIFIED");
        let state = state.map(|name| {
            TaskState::from_wire(&name)
                .ok_or_else(|| Fault::invalid_params(format!("status: {name:?} is no task state")))
        });
        let after = self.text("statusTimestampAfter")?.map(|text| {
            Timestamp::parse(&text).ok_or_else(|| {
                let why = format!("statusTimestampAfter: {text:?} is no RFC 3339 time");
                Fault::invalid_params(why)
            })
        });
        let page_token = self.text("pageToken")?;
        if let Some(token) = &page_token
            && !TaskQuery::is_page_token(token)
        {
            return Err(Fault::invalid_params(
                "pageToken: not one that was given out",
            ));
        }
        let default = TaskQuery::default();
        Ok(TaskQuery {
            context_id: self.text("contextId")?,
            state: state.transpose()?,
            status_after_ms: after.transpose()?.map(|time| time.as_millis()),
            page_size: self
                .number("pageSize", 1, max)?
                .unwrap_or(default.page_size),
            page_token,
            history_length: self.history_length()?,
            has_artifacts: self.flag("includeArtifacts")?,
        })
    }

    /// Finds a member that is set.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .get(name)
            .filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Fault::invalid_params(format!("{name}: must be a string"))),
        }
    }

    fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<usize>, Fault> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value
            .as_u64()
            .or_else(|| value.as_str()?.parse().ok())
            .filter(|number| (least..=most).contains(number));
        let Some(number) = number else {
            let range = if most == u64::MAX {
                format!("{least} or more")
            } else {
                format!("from {least} to {most}")
            };
            return Err(Fault::invalid_params(format!(
                "{name}: must be a whole number, {range}"
            )));
        };
        Ok(Some(usize::try_from(number).unwrap_or(usize::MAX)))
    }

    fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(Fault::invalid_params(format!(
                "{name}: must be true or false"
            ))),
        }
    }
}
