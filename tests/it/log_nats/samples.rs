//! Users, records and reads for the tests of the log in NATS.

use std::time::Duration;

use bytes::Bytes;
use events_core::{Channel, EventLog, Logged, MsgKey, Page, Record, Tail, Tailed, UserId};
use events_log_nats::NatsLog;
use futures_util::StreamExt as _;
use tokio::time::timeout;

/// How long a tail may take to say something.
pub(super) const SOON: Duration = Duration::from_secs(20);

pub(super) fn record(n: u64) -> Record {
    Record {
        channel: Channel::new(1),
        scope: Some("thread".into()),
        name: None,
        json: Bytes::from(format!("{n}")),
        tag: 1,
        key: Some(MsgKey::from_bits(u128::from(n) + 1)),
        note: Bytes::new(),
    }
}

pub(super) fn sized(len: usize) -> Record {
    Record {
        json: Bytes::from(vec![b'1'; len]),
        ..record(0)
    }
}

pub(super) fn user(name: &str) -> UserId {
    UserId::from(name)
}

pub(super) fn numbers(records: &[Logged]) -> Vec<u64> {
    let number = |logged: &Logged| {
        str::from_utf8(&logged.record.json)
            .unwrap()
            .parse()
            .unwrap()
    };
    records.iter().map(number).collect()
}

/// Reads to the end, and checks that pages are without holes.
pub(super) async fn read_all(log: &NatsLog, user: &UserId) -> Page {
    let mut all = log.read(user, 0, 64 * 1024).await.unwrap();
    loop {
        let at = all.records.last().map_or(all.previous, |logged| logged.seq);
        if at >= all.last {
            return all;
        }
        let page = log.read(user, at, 64 * 1024).await.unwrap();
        assert_eq!(page.previous, at, "a hole in {user}");
        assert!(
            !page.records.is_empty(),
            "{user} has nothing after {at} of {}",
            page.last
        );
        all.records.extend(page.records);
        all.last = page.last;
    }
}

/// Listens until something is said that is wanted.
pub(super) async fn until<T>(
    tail: &mut Tail,
    what: &str,
    mut wanted: impl FnMut(Tailed) -> Option<T>,
) -> T {
    let listening = async {
        loop {
            let tailed = tail.next().await.expect("a tail does not end");
            if let Some(found) = wanted(tailed) {
                return found;
            }
        }
    };
    timeout(SOON, listening)
        .await
        .unwrap_or_else(|_| panic!("waited {SOON:?} for {what}"))
}

pub(super) async fn started(log: &NatsLog) -> Tail {
    let mut tail = log.tail();
    until(&mut tail, "Started", |tailed| {
        matches!(tailed, Tailed::Started).then_some(())
    })
    .await;
    tail
}

/// The value of one of a log's counters.
pub(super) fn counter(log: &NatsLog, name: &str) -> u64 {
    let counters = log.counters();
    let found = counters.iter().find(|counter| counter.name == name);
    found.unwrap_or_else(|| panic!("no counter {name}")).value as u64
}
