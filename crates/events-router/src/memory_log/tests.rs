//! What is special about the log in this process; what every log must do is tested in the test crate.

use std::time::Duration;

use bytes::Bytes;
use events_core::Channel;
use futures_util::StreamExt as _;

use super::*;

fn record() -> Record {
    Record {
        channel: Channel::new(0),
        scope: None,
        name: None,
        json: Bytes::from_static(b"{}"),
        tag: 0,
        key: None,
        note: Bytes::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_too_slow_is_told_to_read_again() {
    let (log, ada) = (MemoryLog::new(10), UserId::new("ada"));
    let mut tail = log.tail();
    assert!(matches!(tail.next().await, Some(Tailed::Up)));
    assert!(matches!(tail.next().await, Some(Tailed::Started)));
    for _ in 0..=TAIL_CAPACITY {
        log.append(&ada, &[record()], 0, None).await.unwrap();
    }
    assert!(matches!(tail.next().await, Some(Tailed::Started)));
    assert!(matches!(tail.next().await, Some(Tailed::Appended { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_tail_does_not_end() {
    let mut tail = MemoryLog::new(10).tail();
    let two = (tail.next().await, tail.next().await);
    assert!(matches!(two, (Some(Tailed::Up), Some(Tailed::Started))));
    let third = tokio::time::timeout(Duration::from_secs(60), tail.next());
    assert!(third.await.is_err(), "the log is gone, its tail is not");
}

#[tokio::test]
async fn the_oldest_records_go_first() {
    let (log, ada) = (MemoryLog::new(2), UserId::new("ada"));
    for _ in 0..5 {
        log.append(&ada, &[record()], 0, None).await.unwrap();
    }
    let page = log.read(&ada, 0, 1_000).await.unwrap();
    let seqs: Vec<u64> = page.records.iter().map(|logged| logged.seq).collect();
    assert_eq!((page.previous, seqs, page.last), (3, vec![4, 5], 5));
}
