//! What is kept of revocations beside the log, which keeps an event for a shorter time than a token may live.
//!
//! Every replica saves what it knows, some seconds after it has heard of something new. Users are in groups, so that
//! one revocation does not write all of them; a group is a checkpoint, with the place up to which it is whole, and one
//! more says that place for all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use events_core::{Checkpoint, EventLog, EventResult, UserId};
use serde::{Deserialize, Serialize};

use crate::{StreamState, revocations::Revocations};

/// Under whose name it is kept: nobody has records there, and no request can have the name.
const KEPT: &str = "\u{1}revoked";

/// The part that says up to which place all groups are whole.
const HEAD: &str = "head";

const N_GROUPS: usize = 64;

#[derive(Serialize, Deserialize)]
struct Head {
    /// Up to when everybody is refused, in milliseconds since the Unix epoch.
    everybody: Option<i64>,
}

/// Until when the tokens of each user are refused, in milliseconds since the Unix epoch.
#[derive(Default, Serialize, Deserialize)]
struct Group {
    users: BTreeMap<String, i64>,
}

/// Returns the group that a user is in; the same on every machine.
pub(super) fn group(user: &UserId) -> usize {
    // FNV-1a, whose low bits are spread well enough.
    let hash = user.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash as usize % N_GROUPS
}

/// Returns how long it is waited before what is new is saved; drawn, so that replicas do not save at once.
pub(super) fn pause() -> Duration {
    Duration::from_millis(fastrand::u64(1_000..5_000))
}

/// Reads what was saved and does it. Returns the place up to which it is whole.
pub(super) async fn load(state: &StreamState, log: &dyn EventLog) -> EventResult<u64> {
    let parts = log.load(&UserId::new(KEPT)).await?;
    let mut place = 0;
    let mut revoked = Vec::new();
    for part in parts.iter().filter(|part| !part.state.is_empty()) {
        let read = if &*part.part == HEAD {
            place = part.seq;
            serde_json::from_slice::<Head>(&part.state).map(|head| {
                if let Some(at_ms) = head.everybody {
                    state.inner.revocations.revoke_everybody(at_ms);
                }
            })
        } else {
            serde_json::from_slice::<Group>(&part.state).map(|group| {
                let users = group.users.into_iter();
                revoked.extend(users.map(|(user, at_ms)| (at_ms, user)));
            })
        };
        if let Err(error) = read {
            // What was saved is not whole then.
            tracing::warn!(%error, "saved revocations not read");
            return Ok(0);
        }
    }
    // They are forgotten in the order in which they come.
    revoked.sort_unstable();
    for (at_ms, user) in revoked {
        let user = UserId::new(user);
        if !state.inner.revocations.covers(&user, at_ms) {
            state.revoke_here(&user, at_ms);
        }
    }
    Ok(place)
}

/// Saves groups as they are known at this place.
pub(super) async fn save(
    state: StreamState,
    log: Arc<dyn EventLog>,
    groups: BTreeSet<usize>,
    seq: u64,
) -> EventResult<()> {
    let ttl_ms = i64::try_from(Revocations::MAX_TTL.as_millis()).unwrap_or(i64::MAX);
    let oldest_ms = state.router().clock().now_ms().saturating_sub(ttl_ms);
    let (users, everybody) = state
        .inner
        .revocations
        .list(|user| groups.contains(&group(user)));
    let mut states: BTreeMap<usize, Group> = BTreeMap::new();
    for (user, at_ms) in users {
        if at_ms >= oldest_ms {
            let of_group = &mut states.entry(group(&user)).or_default().users;
            of_group.insert(user.to_string(), at_ms);
        }
    }
    let part = |name: String, state: Vec<u8>| Checkpoint {
        part: name.into(),
        seq,
        state: Bytes::from(state),
    };
    // Maps of names and numbers have a JSON form.
    let json = |group| serde_json::to_vec(group).unwrap_or_default();
    let groups = states.iter();
    let mut parts: Vec<Checkpoint> = groups
        .map(|(at, group)| part(format!("group-{at}"), json(group)))
        .collect();
    // The last, so that it never says more than the groups.
    let head = serde_json::to_vec(&Head { everybody }).unwrap_or_default();
    parts.push(part(HEAD.to_owned(), head));
    let kept = UserId::new(KEPT);
    for part in parts {
        log.save(&kept, &[part]).await?;
    }
    Ok(())
}
