//! What a request asks of the gateway itself.

use events_core::{ThreadId, UserId};
use http::{HeaderMap, HeaderName};

use super::{
    headers::{AGENT, DETACH, THREAD, USER},
    problem::Problem,
};

/// The longest user, thread or agent, in bytes.
const MAX_ID_BYTES: usize = 256;

/// The headers `X-Events-…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asks {
    pub(crate) user: Option<UserId>,
    pub(crate) thread: Option<ThreadId>,
    pub(crate) agent: Option<String>,
    pub(crate) is_detached: bool,
}

impl Asks {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let user = text(headers, &USER)?.map(UserId::from);
        let thread = text(headers, &THREAD)?.map(ThreadId::from);
        let is_detached = match text(headers, &DETACH)?.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(Problem::bad_request(
                    "the header x-events-detach is neither true nor false",
                ));
            }
        };
        Ok(Self {
            user,
            thread,
            agent: text(headers, &AGENT)?,
            is_detached,
        })
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
    if values.next().is_some()
        || text.is_empty()
        || text.len() > MAX_ID_BYTES
        || text.chars().any(char::is_control)
    {
        return Err(Problem::bad_request(format!(
            "the header {name} is not one text of 1 to {MAX_ID_BYTES} bytes"
        )));
    }
    Ok(Some(text.to_owned()))
}
