//! Bodies of publish requests: how large, how many at a time, how long.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use futures_util::FutureExt as _;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{Problem, StreamConfig, StreamState, metrics::Bound};

/// What is read and thrown away of a body that is too large, in bytes.
const MAX_DISCARD: usize = 16 << 20;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// Checks that a body is not compressed.
///
/// # Errors
///
/// 415.
pub(crate) fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let is_plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    if codings.all(|value| is_plain(value.as_bytes().trim_ascii())) {
        Ok(())
    } else {
        Err(Problem::coded())
    }
}

/// A whole body. As long as it is there, it counts as one that is received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    _turns: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

/// Receives a body of at most so many bytes; beyond them, the bound is hit.
pub(crate) async fn receive(
    state: &StreamState,
    mut body: Body,
    most: (usize, Bound),
) -> Result<Received, Problem> {
    let limit = state.inner.config.body_time;
    let received = {
        let mut receiving = pin!(receive_in_time(state, &mut body, most));
        // Without a timer, if it has come with the head.
        match receiving.as_mut().now_or_never() {
            Some(received) => Ok(received),
            None => timeout(limit, receiving).await,
        }
    };
    match received {
        Ok(Err(Failed::TooLarge)) => {
            discard(body).await;
            Err(Problem::body_too_large(most.0, most.1))
        }
        Ok(Err(Failed::Busy(bound))) => {
            discard(body).await;
            let detail = "too many bodies of this size are being received; try again, or send less";
            Err(Problem::too_many(detail, bound))
        }
        Ok(Err(Failed::Cut(error))) => Err(Problem::bad_request(format!(
            "the body could not be read: {error}"
        ))),
        Ok(Ok(received)) => Ok(received),
        Err(_elapsed) => {
            let detail = format!("the body did not arrive within {} s", limit.as_secs_f64());
            Err(Problem::too_slow(detail, Bound::BodyTime))
        }
    }
}

enum Failed {
    TooLarge,
    Busy(Bound),
    Cut(axum::Error),
}

async fn receive_in_time(
    state: &StreamState,
    body: &mut Body,
    (most, _): (usize, Bound),
) -> Result<Received, Failed> {
    let inner = &state.inner;
    let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if said > most {
        return Err(Failed::TooLarge);
    }
    let turn = wait_for_turn(&inner.bodies, Bound::Bodies).await?;
    let large_turn = || wait_for_turn(&inner.large_bodies, Bound::LargeBodies);
    let mut large = None;
    if said > StreamConfig::SMALL_BODY {
        large = Some(large_turn().await?);
    }
    // Most bodies come in one piece, which is taken as it is.
    let mut first = Bytes::new();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Failed::Cut)?.into_data() else {
            continue;
        };
        let n_bytes = first.len().max(bytes.len()) + data.len();
        if n_bytes > most {
            return Err(Failed::TooLarge);
        }
        if n_bytes > StreamConfig::SMALL_BODY && large.is_none() {
            large = Some(large_turn().await?);
        }
        if n_bytes == data.len() {
            first = data;
            continue;
        }
        if bytes.is_empty() {
            bytes.reserve(said.max(n_bytes));
            bytes.extend_from_slice(&std::mem::take(&mut first));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Received {
        bytes: if bytes.is_empty() {
            first
        } else {
            bytes.into()
        },
        _turns: (turn, large),
    })
}

async fn wait_for_turn(
    turns: &Arc<Semaphore>,
    bound: Bound,
) -> Result<OwnedSemaphorePermit, Failed> {
    // Without a timer, if nobody waits.
    if let Ok(turn) = Arc::clone(turns).try_acquire_owned() {
        return Ok(turn);
    }
    let turn = Arc::clone(turns).acquire_owned();
    match timeout(StreamConfig::BODY_WAIT, turn).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Failed::Busy(bound)),
    }
}

/// Reads on a while for a client that sends all before it reads: a connection that is closed over unread bytes is
/// reset, and the answer with it.
pub(crate) async fn discard(mut body: Body) {
    let rest = async {
        let mut left = MAX_DISCARD;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Whoever takes longer than this has not sent it all at once.
    let _ = tokio::time::timeout(DISCARD_TIME, rest).await;
}
