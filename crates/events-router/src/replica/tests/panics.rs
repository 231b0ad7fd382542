//! What fails by a panic between a router and its log harms one record, or is begun anew.

use events_core::Record;

use super::*;
use crate::{LogHealth, poison::POISONED_RECORD, routes::AGUI};

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_applied_is_passed_over_by_every_replica() {
    let log = MemoryLog::new(1_000);
    let mut replicas = Replicas::new();
    let one = replicas.add(log.clone());
    begin(&one, "t", "r").await;
    let mut screen = follow(&one, None).await;
    // A replica of another version may write what makes this one fail.
    let poison = Record {
        channel: AGUI,
        scope: Some("t".into()),
        name: None,
        json: format!(r#"{{"type":"RAW","event":"{POISONED_RECORD}"}}"#).into(),
        tag: 7,
        key: None,
        note: bytes::Bytes::new(),
    };
    log.append(&ada(), &[poison], 1, None).await.unwrap();
    let published = publish(&one, in_thread("t", delta("r", "after"))).await;
    assert_eq!(published.ids.len(), 1);
    let told = read(&mut screen, 1).await;
    assert!(told[0].1.contains("after"), "{told:?}");
    // Also for one that reads it later, among all else.
    let late = replicas.add(log);
    assert!(prelude(&late, "t").await.concat().contains("after"));
    for router in [&one, &late] {
        let stats = router.replica_stats().unwrap();
        assert_eq!((stats.panics, stats.refused), (1, 1), "{stats:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_panics_is_begun_anew_and_health_tells() {
    let log = MemoryLog::new(1_000);
    let faulty = FaultyLog::new(log.clone());
    let mut replicas = Replicas::new();
    let (one, struck) = (replicas.add(log), replicas.add(faulty.clone()));
    begin(&one, "t", "r").await;
    let mut screen = follow(&struck, None).await;
    for n_failures in 1..=2 {
        faulty.set(Fault::TailPanics);
        replicas.pass(Duration::ZERO, &[]).await;
        assert!(matches!(struck.log_health(), LogHealth::Down { .. }));
        // Nobody hears of this one.
        publish(&one, in_thread("t", delta("r", "meanwhile"))).await;
        assert!(read(&mut screen, 1).await[0].1.contains("meanwhile"));
        publish(&one, in_thread("t", delta("r", "then"))).await;
        assert!(read(&mut screen, 1).await[0].1.contains("then"));
        let told = struck.log_health();
        let wanted = match n_failures {
            1 => LogHealth::Up,
            _ => LogHealth::Failing { n_failures },
        };
        assert_eq!(told, wanted);
        let stats = struck.replica_stats().unwrap();
        assert_eq!(stats.tail_failures, n_failures as u64);
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(struck.log_health(), LogHealth::Up);
}
