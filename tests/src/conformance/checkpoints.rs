//! Checkpoints: the newest of each part.

use std::sync::Arc;

use bytes::Bytes;
use events_core::{Checkpoint, EventLog, UserId};

use super::keys::odd_names;
use super::samples::{append_each, user};
use super::{Engine, Kept, Miss, ensure};

/// A checkpoint of a part at a place.
pub(super) fn part(part: &str, seq: u64, state: impl Into<Bytes>) -> Checkpoint {
    Checkpoint {
        part: part.into(),
        seq,
        state: state.into(),
    }
}

/// What is kept of a user, by the parts' names. One with an empty state is gone, whether it is returned or not.
pub(super) async fn kept(log: &Arc<dyn EventLog>, user: &UserId) -> Result<Vec<Checkpoint>, Miss> {
    let mut parts = log.load(user).await?;
    parts.retain(|part| !part.state.is_empty());
    parts.sort_by(|one, other| one.part.cmp(&other.part));
    Ok(parts)
}

async fn has(log: &Arc<dyn EventLog>, user: &UserId, mut want: Vec<Checkpoint>) -> Kept {
    want.sort_by(|one, other| one.part.cmp(&other.part));
    let parts = kept(log, user).await?;
    let brief = |parts: &[Checkpoint]| -> Vec<String> {
        let brief = |part: &Checkpoint| {
            format!(
                "{:?} at {}, {} bytes",
                part.part,
                part.seq,
                part.state.len()
            )
        };
        parts.iter().map(brief).collect()
    };
    ensure!(
        parts == want,
        "the checkpoints are {:?} instead of {:?}",
        brief(&parts),
        brief(&want)
    );
    Ok(())
}

pub(super) async fn newest(engine: &dyn Engine) -> Kept {
    let (one, other, ada) = (engine.open().await, engine.open().await, user("newest"));
    let at = append_each(&one, &ada, 0..4).await?;
    one.save(&ada, &[part("p", at[1], "second"), part("q", at[0], "q")])
        .await?;
    has(
        &other,
        &ada,
        vec![part("p", at[1], "second"), part("q", at[0], "q")],
    )
    .await?;
    other.save(&ada, &[part("p", at[0], "first")]).await?;
    has(
        &one,
        &ada,
        vec![part("p", at[1], "second"), part("q", at[0], "q")],
    )
    .await?;
    let newest = [
        part("p", at[2], "third"),
        part("r", at[3], vec![0, 255, 10]),
    ];
    other.save(&ada, &newest).await?;
    let want = vec![newest[0].clone(), part("q", at[0], "q"), newest[1].clone()];
    has(&one, &ada, want.clone()).await?;
    one.save(&ada, &[]).await?;
    // What comes later in one call is not better for it.
    other
        .save(
            &ada,
            &[part("q", at[3], "new q"), part("q", at[2], "old q")],
        )
        .await?;
    let want = vec![want[0].clone(), part("q", at[3], "new q"), want[2].clone()];
    has(&one, &ada, want).await
}

pub(super) async fn gone(engine: &dyn Engine) -> Kept {
    let (one, other, ada) = (engine.open().await, engine.open().await, user("gone"));
    let at = append_each(&one, &ada, 0..4).await?;
    one.save(&ada, &[part("p", at[0], "p"), part("q", at[1], "q")])
        .await?;
    other.save(&ada, &[part("p", at[1], "")]).await?;
    has(&one, &ada, vec![part("q", at[1], "q")]).await?;
    // An older end changes nothing either.
    one.save(&ada, &[part("q", at[0], "")]).await?;
    has(&other, &ada, vec![part("q", at[1], "q")]).await?;
    // A part can begin again.
    one.save(&ada, &[part("p", at[3], "again")]).await?;
    has(
        &other,
        &ada,
        vec![part("p", at[3], "again"), part("q", at[1], "q")],
    )
    .await
}

pub(super) async fn names(engine: &dyn Engine) -> Kept {
    let (one, other) = (engine.open().await, engine.open().await);
    let users = [user("names"), user("names."), user("Names")];
    let mut names: Vec<String> = odd_names()
        .into_iter()
        .filter(|name| !name.is_empty())
        .collect();
    names.push("p".repeat(512));
    names.push(format!("{}q", "p".repeat(511)));
    let parts = |user: &UserId, seq| -> Vec<Checkpoint> {
        let state = |name: &str| format!("{name} of {user}");
        names
            .iter()
            .map(|name| part(name, seq, state(name)))
            .collect()
    };
    for user in &users {
        let at = append_each(&one, user, 0..1).await?[0];
        one.save(user, &parts(user, at)).await?;
    }
    for user in &users {
        let at = other.read(user, 0, 1).await?.last;
        has(&other, user, parts(user, at)).await?;
    }
    Ok(())
}

pub(super) async fn large(engine: &dyn Engine) -> Kept {
    let (one, other, ada) = (engine.open().await, engine.open().await, user("large"));
    let at = append_each(&one, &ada, 0..2).await?;
    let state = |len: usize, seed: u8| -> Vec<u8> {
        // Not all the same, so that a piece that is missing or twice is seen.
        (0..len)
            .map(|index| (index / 997) as u8 ^ (index % 251) as u8 ^ seed)
            .collect()
    };
    let mut want = vec![part("large", at[0], state(3 * 1024 * 1024, 1))];
    one.save(&ada, &want).await?;
    has(&other, &ada, want.clone()).await?;
    for n in 0..17_u8 {
        let next = part(&format!("part {n:02}"), at[1], state(1024 * 1024, n));
        other.save(&ada, std::slice::from_ref(&next)).await?;
        want.push(next);
    }
    has(&one, &ada, want.clone()).await?;
    // A shorter one leaves nothing of the longer behind.
    want[0] = part("large", at[1], "short");
    one.save(&ada, &want[..1]).await?;
    has(&other, &ada, want).await
}
