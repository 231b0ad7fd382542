//! Live events, which pass by and are kept by nobody.

use std::sync::atomic::Ordering::Relaxed;

use async_nats::Message;
use events_core::{EventError, EventResult, Record, Tailed, UserId};

use crate::{
    api::ApiError,
    counters::add,
    log::{Inner, check_user},
    packet::{self, Part},
};

/// Passes an event to the other replicas. The one that says it does not hear it.
pub(crate) async fn pass_by(inner: &Inner, user: &UserId, record: &Record) -> EventResult<()> {
    inner.check_life()?;
    check_user(user)?;
    let part = Part {
        append_id: inner.origin,
        is_continued: false,
        n_parts_left: 0,
        n_records_from_here: 1,
    };
    let body = packet::write(user, part, 0, 0, std::slice::from_ref(record));
    let limit = inner.max_body();
    if body.len() > limit {
        return Err(EventError::TooLarge {
            size: body.len(),
            limit,
        });
    }
    if !inner.api.is_connected() {
        return Err(ApiError::NotConnected.into_event_error());
    }
    let published = inner.api.client.publish(inner.names.live(user), body);
    let limit = inner.config.append_timeout;
    match tokio::time::timeout(limit, published).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ApiError::NoAnswer.into_event_error()),
    }
}

/// Reads what another replica passes by.
pub(crate) fn heard(inner: &Inner, message: Message) -> Option<Tailed> {
    let packet = match packet::read(1, message.payload) {
        Ok(packet) => packet,
        Err(error) => {
            add(&inner.counters.unreadable, 1);
            tracing::debug!(%error, "nats: a live event cannot be read");
            return None;
        }
    };
    let is_ours = packet.part.append_id == inner.origin;
    inner
        .counters
        .bytes_tailed
        .fetch_add(message.length as u64, Relaxed);
    let record = packet
        .entry
        .records
        .into_iter()
        .next()
        .filter(|_| !is_ours)?;
    Some(Tailed::Passed {
        user: packet.user,
        record: record.record,
    })
}
