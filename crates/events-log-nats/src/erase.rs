//! Erasing a user.

use events_core::{EventError, EventResult, Record, UserId};
use serde::Deserialize;
use serde_json::json;

use crate::{api::ApiError, append, checkpoints, log::Inner, place::sequence_of};

/// Erases a user; see the contract. The marker comes first: who hears of it looks again, and whatever fails after it
/// is done by a retry, which makes another marker.
pub(crate) async fn erase(
    inner: &Inner,
    user: &UserId,
    marker: Record,
    at_ms: i64,
) -> EventResult<u64> {
    let place = append::append(inner, user, &[marker], at_ms, None).await?;
    // A state from before the marker is shown to nobody from here on, also if a replica saves one late.
    checkpoints::erase(inner, user, place).await?;
    let stream = &inner.names.stream;
    purge(
        inner,
        stream,
        &inner.names.of_user(user),
        Some(sequence_of(place)),
    )
    .await?;
    Ok(place)
}

/// Lets go of the messages of a subject; of those before a sequence only, if one is given.
pub(crate) async fn purge(
    inner: &Inner,
    stream: &str,
    subject: &str,
    before: Option<u64>,
) -> EventResult<()> {
    #[derive(Deserialize)]
    struct Purged {
        success: bool,
    }
    let mut question = json!({ "filter": subject });
    if let Some(before) = before {
        question["seq"] = before.into();
    }
    let purged = inner
        .api
        .call::<Purged>(&format!("STREAM.PURGE.{stream}"), &question)
        .await;
    match purged {
        Ok(Purged { success: true }) => Ok(()),
        Ok(_) => Err(ApiError::Strange("nothing was let go".to_owned()).into_event_error()),
        Err(ApiError::NoAnswer) => Err(EventError::Timeout),
        Err(error) => Err(error.into_event_error()),
    }
}
