//! Checkpoints: for each part of a user's state one head, the last message of its subject. A state that is too large
//! for a message stands in pieces, which are written before the head and named by it: without the head they are
//! nothing, so a write that breaks off leaves the older state valid.

use async_nats::HeaderMap;
use bytes::{Buf as _, BufMut as _, Bytes};
use events_core::{Checkpoint, EventError, EventResult, UserId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;

use crate::{
    api::{ApiError, WRONG_LAST, WRONG_LAST_UNNAMED, read_answer},
    erase::purge,
    error::{Fault, unavailable},
    log::{Inner, check_user},
    streams::StreamInfo,
    subject::{hash, token},
};

/// The form that is written; another one is passed over, as if it were not there.
const VERSION: u8 = 1;
/// How many heads or pieces are asked for at once.
const AT_ONCE: usize = 16;
/// The largest state, in pieces; far beyond any fold.
const MAX_PIECES: usize = 256;
/// How often a save is tried against others that save the same part.
const MAX_TRIES: usize = 8;
const PART_MAX_BYTES: usize = 512;
/// The name under which the place of a user's last erasure stands. No part has an empty name.
const ERASED: &str = "";

/// What a head says.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Head {
    part: Box<str>,
    place: u64,
    body: Body,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Body {
    Whole(Bytes),
    Pieces {
        generation: String,
        n_pieces: usize,
        hash: [u8; 32],
    },
}

impl Head {
    fn write(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_u8(VERSION);
        out.put_u64(self.place);
        out.put_u16(u16::try_from(self.part.len()).unwrap_or(u16::MAX));
        out.put_slice(self.part.as_bytes());
        match &self.body {
            Body::Whole(state) => {
                out.put_u16(0);
                out.put_slice(state);
            }
            Body::Pieces {
                generation,
                n_pieces,
                hash,
            } => {
                out.put_u16(u16::try_from(*n_pieces).unwrap_or(u16::MAX));
                out.put_slice(hash);
                out.put_slice(generation.as_bytes());
            }
        }
        out.into()
    }

    fn read(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < 11 || bytes.get_u8() != VERSION {
            return None;
        }
        let place = bytes.get_u64();
        let part_len = usize::from(bytes.get_u16());
        if bytes.len() < part_len + 2 {
            return None;
        }
        let part = str::from_utf8(&bytes.split_to(part_len)).ok()?.into();
        let n_pieces = usize::from(bytes.get_u16());
        let body = if n_pieces == 0 {
            Body::Whole(bytes)
        } else {
            let hash = bytes.get(..32)?.try_into().ok()?;
            let generation = str::from_utf8(bytes.get(32..)?).ok()?.to_owned();
            Body::Pieces {
                generation,
                n_pieces,
                hash,
            }
        };
        Some(Self { part, place, body })
    }

    fn generation(&self) -> Option<&str> {
        match &self.body {
            Body::Whole(_) => None,
            Body::Pieces { generation, .. } => Some(generation),
        }
    }
}

/// Keeps parts; see the contract.
pub(crate) async fn save(inner: &Inner, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
    inner.check_life()?;
    check_user(user)?;
    if parts.is_empty() {
        return Ok(());
    }
    let erased = head(inner, user, ERASED)
        .await?
        .map_or(0, |(_, head)| head.place);
    for part in parts {
        if part.part.is_empty() || part.part.len() > PART_MAX_BYTES {
            let text = format!("a part's name has 1 to {PART_MAX_BYTES} bytes");
            return Err(EventError::Rejected(Box::new(Fault(text))));
        }
        if part.seq >= erased {
            save_one(inner, user, part).await?;
        }
    }
    Ok(())
}

async fn save_one(inner: &Inner, user: &UserId, part: &Checkpoint) -> EventResult<()> {
    let mut written: Option<Body> = None;
    for _ in 0..MAX_TRIES {
        let known = head(inner, user, &part.part).await?;
        let is_old = known
            .as_ref()
            .is_some_and(|(_, known)| known.place > part.seq);
        if is_old {
            break;
        }
        let body = match written.take() {
            Some(body) => body,
            None => write_body(inner, user, &part.state).await?,
        };
        let head = Head {
            part: part.part.clone(),
            place: part.seq,
            body,
        };
        let expected = known.as_ref().map_or(0, |(sequence, _)| *sequence);
        let subject = inner.names.head(user, &part.part);
        let stored = put(inner, subject, head.write(), Some(expected)).await?;
        if stored {
            // The pieces of the older state are nothing now. If this fails they go with time.
            let old = known.as_ref().and_then(|(_, known)| known.generation());
            if let Some(generation) = old {
                let pieces = inner.names.pieces(user, generation);
                let _gone = purge(inner, &inner.names.checkpoints, &pieces, None).await;
            }
            return Ok(());
        }
        written = Some(head.body);
    }
    if let Some(Body::Pieces { generation, .. }) = written {
        let pieces = inner.names.pieces(user, &generation);
        let _gone = purge(inner, &inner.names.checkpoints, &pieces, None).await;
    }
    Ok(())
}

/// Writes what does not fit into a head.
async fn write_body(inner: &Inner, user: &UserId, state: &Bytes) -> EventResult<Body> {
    let room = inner.max_body() - PART_MAX_BYTES;
    if state.len() <= room {
        return Ok(Body::Whole(state.clone()));
    }
    let n_pieces = state.len().div_ceil(room);
    if n_pieces > MAX_PIECES {
        return Err(EventError::TooLarge {
            size: state.len(),
            limit: room * MAX_PIECES,
        });
    }
    let generation = token(&[&fastrand::u128(..).to_be_bytes()]);
    for number in 0..n_pieces {
        let piece = state.slice(number * room..state.len().min((number + 1) * room));
        put(
            inner,
            inner.names.piece(user, &generation, number),
            piece,
            None,
        )
        .await?;
    }
    Ok(Body::Pieces {
        generation,
        n_pieces,
        hash: hash(&[state]),
    })
}

/// Stores a message. With an expected sequence it tells whether that was the last of the subject.
async fn put(
    inner: &Inner,
    subject: String,
    body: Bytes,
    expected: Option<u64>,
) -> EventResult<bool> {
    #[derive(Deserialize)]
    struct Ack {}
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Stream", inner.names.checkpoints.as_str());
    if let Some(expected) = expected {
        headers.insert("Nats-Expected-Last-Subject-Sequence", expected.to_string());
    }
    let limit = inner.config.append_timeout;
    let stored = match inner.api.ask(subject, Some(headers), body, limit).await {
        Ok(answer) => read_answer::<Ack>(&answer.payload),
        Err(error) => Err(error),
    };
    match stored {
        Ok(Ack {}) => Ok(true),
        Err(ApiError::Refused(refusal))
            if matches!(refusal.err_code, WRONG_LAST | WRONG_LAST_UNNAMED) =>
        {
            Ok(false)
        }
        Err(ApiError::NoAnswer) => Err(EventError::Timeout),
        Err(error) => Err(error.into_event_error()),
    }
}

/// The head of a part, from the leader, with its sequence in the stream.
async fn head(inner: &Inner, user: &UserId, part: &str) -> EventResult<Option<(u64, Head)>> {
    let subject = inner.names.head(user, part);
    head_at(inner, &subject).await
}

async fn head_at(inner: &Inner, subject: &str) -> EventResult<Option<(u64, Head)>> {
    let last = inner.api.last(&inner.names.checkpoints, subject).await?;
    // One that cannot be read is written over: its sequence is known.
    Ok(last.map(|last| {
        let unreadable = || Head {
            part: "".into(),
            place: 0,
            body: Body::Whole(Bytes::new()),
        };
        (
            last.sequence,
            Head::read(last.body).unwrap_or_else(unreadable),
        )
    }))
}

/// Returns the newest of each part; see the contract. All of it comes from the leader.
pub(crate) async fn load(inner: &Inner, user: &UserId) -> EventResult<Vec<Checkpoint>> {
    inner.check_life()?;
    check_user(user)?;
    let heads: Vec<Head> = stream::iter(subjects(inner, user).await?)
        .map(|subject| async move { head_at(inner, &subject).await })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(async |head| Ok(head.map(|(_, head)| head)))
        .try_collect()
        .await?;
    let erased = heads
        .iter()
        .find(|head| &*head.part == ERASED)
        .map_or(0, |head| head.place);
    let parts = heads
        .into_iter()
        .filter(|head| &*head.part != ERASED && head.place >= erased);
    stream::iter(parts)
        .map(|head| state_of(inner, user, head))
        .buffer_unordered(4)
        .try_filter_map(async |part| Ok(part))
        .try_collect()
        .await
}

/// The subjects of all heads of a user, as the leader has them.
async fn subjects(inner: &Inner, user: &UserId) -> EventResult<Vec<String>> {
    let stream = &inner.names.checkpoints;
    let mut subjects = Vec::new();
    loop {
        let question = json!({
            "subjects_filter": inner.names.all_heads(user),
            "offset": subjects.len(),
        });
        let info = inner
            .api
            .call::<StreamInfo>(&format!("STREAM.INFO.{stream}"), &question)
            .await;
        let page = info
            .map_err(ApiError::into_event_error)?
            .state
            .subjects
            .unwrap_or_default();
        // A server gives 100,000 at once.
        let is_last = page.len() < 100_000;
        subjects.extend(page.into_iter().map(|(subject, _)| subject));
        if is_last {
            return Ok(subjects);
        }
    }
}

/// Puts a part together. One that was written over meanwhile is read again.
async fn state_of(inner: &Inner, user: &UserId, head: Head) -> EventResult<Option<Checkpoint>> {
    let mut head = head;
    for _ in 0..MAX_TRIES {
        let state = match &head.body {
            Body::Whole(state) => Some(state.clone()),
            Body::Pieces {
                generation,
                n_pieces,
                hash,
            } => pieces(inner, user, generation, *n_pieces, hash).await?,
        };
        if let Some(state) = state {
            return Ok(Some(Checkpoint {
                part: head.part,
                seq: head.place,
                state,
            }));
        }
        match self::head(inner, user, &head.part).await? {
            None => return Ok(None),
            // Its pieces are gone, or not what was written; the part has to be made from the records again.
            Some((_, again)) if again == head => {
                tracing::warn!(part = %head.part, "nats: a checkpoint lacks pieces, it is passed over");
                return Ok(None);
            }
            Some((_, newer)) => head = newer,
        }
    }
    Err(unavailable(
        "a checkpoint changes faster than it can be read",
    ))
}

async fn pieces(
    inner: &Inner,
    user: &UserId,
    generation: &str,
    n_pieces: usize,
    expected: &[u8; 32],
) -> EventResult<Option<Bytes>> {
    let mut state = Vec::new();
    for number in 0..n_pieces.min(MAX_PIECES) {
        let subject = inner.names.piece(user, generation, number);
        match inner.api.last(&inner.names.checkpoints, &subject).await? {
            Some(piece) => state.extend_from_slice(&piece.body),
            None => return Ok(None),
        }
    }
    Ok((hash(&[&state]) == *expected).then(|| state.into()))
}

/// Erases a user's checkpoints, and hides from here on those from before this place.
pub(crate) async fn erase(inner: &Inner, user: &UserId, place: u64) -> EventResult<()> {
    let mark = Head {
        part: ERASED.into(),
        place,
        body: Body::Whole(Bytes::new()),
    };
    let subject = inner.names.head(user, ERASED);
    let names = &inner.names;
    put(inner, subject.clone(), mark.write(), None).await?;
    for filter in subjects(inner, user).await? {
        if filter != subject {
            purge(inner, &names.checkpoints, &filter, None).await?;
        }
    }
    purge(inner, &names.checkpoints, &names.all_pieces(user), None).await
}
