//! A hub with its log on disk, killed at any moment while it is published to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events_tests::client_log::seq_of;
use events_tests::deadline::{PATIENCE, within};
use events_tests::raw_client::RawSse;
use events_tests::resume::client::Client;
use events_tests::resume::hubs::Hubs;
use events_tests::resume::publisher::{Ledger, Publisher};
use events_tests::resume::{Kind, PublisherRecord, check};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;

use super::{is_soak, rest, seed};

const USERS: usize = 4;

/// Returns the cursor before everything that a user will have.
async fn primed(hubs: &Hubs, user: &str) -> io::Result<String> {
    let address = hubs.board().address(0);
    let mut stream = RawSse::connect(address, &format!("/agui?user={user}"), &[]).await?;
    let frames = stream
        .read_until(PATIENCE, |frame| frame.id.is_some())
        .await?;
    let id = frames.last().and_then(|frame| frame.id.clone());
    id.ok_or_else(|| io::Error::other("no cursor"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hub_acknowledged_is_there_whenever_it_is_killed() -> io::Result<()> {
    let n_kills = if is_soak() { 100 } else { 20 };
    let mut random = fastrand::Rng::with_seed(seed());
    let folder = tempfile::tempdir()?;
    let log = format!("disk:{}", folder.path().join("log").display());
    let mut hubs = Hubs::start(vec![vec!["--log".to_owned(), log]]).await?;
    let (mut publishers, over) = (JoinSet::new(), watch::Sender::new(false));
    let no_probes = watch::Sender::new(0);
    let mut users = Vec::new();
    for at in 0..USERS {
        let (user, name) = (format!("u{at}"), format!("u{at}p0"));
        let kind = [Kind::AgUi, Kind::System, Kind::A2A, Kind::AgUi][at % 4];
        let cursor = primed(&hubs, &user).await?;
        assert_eq!(seq_of(&cursor), Ok(0), "{cursor}");
        let (period, seed) = (Duration::from_millis(5), random.u64(..));
        let (publisher, ledger) =
            Publisher::new(name, user.clone(), kind, period, hubs.board(), seed);
        publishers.spawn(publisher.run(over.subscribe(), no_probes.subscribe()));
        users.push((user, kind, cursor, ledger));
    }
    for _ in 0..n_kills {
        let n_acked = || users.iter().map(|user| user.3.n_acked()).sum::<usize>();
        let before = n_acked();
        let mut ticks = interval(Duration::from_millis(5));
        within("an acknowledgement", PATIENCE, async {
            while n_acked() == before {
                ticks.tick().await;
            }
            Ok(())
        })
        .await?;
        rest(Duration::from_millis(random.u64(0..150))).await;
        hubs.kill(0).await?;
        hubs.restart(0).await?;
    }
    over.send_replace(true);
    while publishers.join_next().await.is_some() {}
    // The last process has only what is on the disk.
    hubs.kill(0).await?;
    hubs.restart(0).await?;
    let (mut n_acked, mut n_retries) = (0, 0);
    for (user, kind, cursor, ledger) in users {
        let record = compare(&hubs, &user, kind, &cursor, &ledger).await?;
        n_acked += record.acked.len();
        n_retries += record.n_retries;
    }
    super::say(format_args!(
        "seed {}, {n_kills} kills, {n_acked} acknowledged, none lost",
        seed()
    ));
    println!("{n_kills} kills, {n_acked} events acknowledged, {n_retries} tries more");
    assert!(n_acked > 5 * n_kills, "{n_acked}");
    Ok(())
}

/// Reads a user's log from its beginning, and compares it with what his publisher was told.
async fn compare(
    hubs: &Hubs,
    user: &str,
    kind: Kind,
    cursor: &str,
    ledger: &Ledger,
) -> io::Result<PublisherRecord> {
    let (reached, over) = (Arc::new(AtomicU64::new(0)), watch::Sender::new(false));
    let client = Client::new(
        format!("reader of {user}"),
        user.to_owned(),
        kind,
        hubs.board(),
        Arc::clone(&reached),
        1,
    );
    let client = client.from_cursor(cursor).map_err(io::Error::other)?;
    let last = ledger.last().map_or(Ok(0), |id| seq_of(&id));
    let last = last.map_err(io::Error::other)?;
    let mut ticks = interval(Duration::from_millis(10));
    let whole = async {
        while reached.load(Ordering::Relaxed) < last {
            ticks.tick().await;
        }
        over.send_replace(true);
        Ok(())
    };
    let reading = async { Ok(client.run(over.subscribe()).await) };
    let ((), read) = within("all that was acknowledged", PATIENCE, async {
        tokio::try_join!(whole, reading)
    })
    .await?;
    let record = ledger.record();
    let findings = check(std::slice::from_ref(&record), &[read]);
    assert!(findings.is_empty(), "{user}: {findings:?}");
    Ok(record)
}
