//! The promise of resume on real threads.

use std::{collections::BTreeMap, time::Duration};

use events_core::UserId;

use super::{ClientLog, record};
use crate::{Attach, Batch, GenericBroadcaster, Limits};

/// One publisher and many readers that cut and resume, on real threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_publishes_race_fifty_connects_cuts_and_resumes() {
    const PUBLISHES: usize = 1_000;
    for seed in 0..8 {
        let limits = Limits {
            connections_per_user: 50,
            ..Limits::default()
        };
        let broadcaster = GenericBroadcaster::<()>::with_limits(limits);
        let user = UserId::new("ada");
        // None, one or two flushers: without one the publisher wakes them all.
        let mut flushers = tokio::task::JoinSet::new();
        for _ in 0..seed % 3 {
            flushers.spawn(broadcaster.store().flush());
        }
        let mut readers = tokio::task::JoinSet::new();
        for reader in 0..50 {
            let (broadcaster, user) = (broadcaster.clone(), user.clone());
            let mut random = fastrand::Rng::with_seed(seed * 100 + reader);
            readers.spawn(async move {
                let mut log = ClientLog::default();
                let mut batch = Batch::default();
                let mut last_payload = None;
                while last_payload.as_deref() != Some(b"999".as_slice()) {
                    let attach = Attach::from_cursor(log.cursor.as_deref());
                    let mut subscription =
                        broadcaster.connect(&user, attach).expect("below the cap");
                    log.attached(&subscription);
                    for _ in 0..random.u32(1..20) {
                        let next = subscription.next(&mut batch).await;
                        log.take(&next, &batch).expect("strictly increasing");
                        last_payload = batch.events.last().map(|(_, frame)| frame.data.to_vec());
                        if last_payload.as_deref() == Some(b"999") {
                            break;
                        }
                        if random.u32(..4) == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                log
            });
        }
        let mut published = BTreeMap::new();
        while broadcaster.total() < 50 {
            tokio::task::yield_now().await;
        }
        for payload in 0..PUBLISHES {
            let delivery = broadcaster
                .store()
                .append(&user, &[record(payload)], None)
                .expect("appended");
            published.insert(delivery.ids[0].seq, payload.to_string().into_bytes());
            if payload % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let logs = tokio::time::timeout(Duration::from_secs(30), readers.join_all())
            .await
            .expect("all readers end");
        for log in logs {
            log.check(&published).expect("nothing is missing");
        }
        assert_eq!(broadcaster.total(), 0);
    }
}
