//! Names of users: any string, told apart byte by byte.

use std::collections::HashMap;

use events_core::UserId;
use tokio::task::JoinSet;

use super::follower::Follower;
use super::samples::{append_each, numbers, places, read_all};
use super::{Engine, Kept, Miss, ensure};

/// Names that an engine might mix up, or not take.
pub(super) fn odd_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        ".",
        "..",
        "*",
        ">",
        "a",
        "A",
        "a.b",
        "a.*",
        "a.>",
        "a b",
        " a",
        "a ",
        "a/b",
        "/a",
        "a\\b",
        "a:b",
        "a\0",
        "a\0b",
        "a\n",
        "a\r\nb",
        "a%2eb",
        "a'b",
        "a\"b",
        "a;--",
        "$1",
        "{}",
        "\u{e4}",
        "a\u{308}",
        "\u{c4}",
        "\u{65e5}\u{672c}",
        "\u{1f469}\u{200d}\u{1f680}",
        "\u{ffff}",
        "\u{10ffff}",
        "straße",
        "strasse",
        "ﬁ",
        "fi",
        "İ",
        "i",
        "I",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(256));
    names.push(format!("{}y", "x".repeat(255)));
    names.push("é".repeat(128));
    names
}

pub(super) async fn apart(engine: &dyn Engine) -> Kept {
    let (one, other) = (engine.open().await, engine.open().await);
    // The names themselves, not with something behind them: so what was appended before is passed over.
    let users: Vec<UserId> = odd_names().into_iter().map(UserId::from).collect();
    let mut before = HashMap::new();
    for user in &users {
        before.insert(user.clone(), one.read(user, 0, 1).await?.last);
    }
    let all: Vec<&UserId> = users.iter().collect();
    let mut follower = Follower::start(other.clone(), &all).await?;
    let mut tasks = JoinSet::new();
    for (user, n) in users.iter().cloned().zip(0_u64..) {
        let log = if n % 2 == 0 {
            one.clone()
        } else {
            other.clone()
        };
        tasks.spawn(async move {
            let places = append_each(&log, &user, 10 * n..10 * n + 3).await;
            (user, n, places)
        });
    }
    let mut appended = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (user, n, places) = done.map_err(|error| Miss::Broken(error.to_string()))?;
        appended.push((user, n, places?));
    }
    for (user, n, places_of_user) in appended {
        let want: Vec<u64> = (10 * n..10 * n + 3).collect();
        let page = read_all(&one, &user, before[&user]).await?;
        ensure!(
            numbers(&page.records) == want && places(&page.records) == places_of_user,
            "{user:?} has the records {:?}, not {want:?}",
            numbers(&page.records)
        );
        follower.until_at(&user, places_of_user[2]).await?;
        let heard = numbers(follower.records(&user));
        ensure!(
            heard.ends_with(&want),
            "a replica has heard of {user:?} {heard:?}, which does not end with {want:?}"
        );
    }
    Ok(())
}
