//! A store that mirrors a log: what is read from there reaches readers as if it had been appended here.

use std::sync::Arc;

use bytes::Bytes;
use events_core::{Channel, Epoch, EventError, EventId, Logged, Record, SystemClock};
use events_sse::{ClosingReason, GapReason};

use super::*;
use crate::{Attach, ConnectError, Limits, Missed, Next, View};

fn logged(seq: u64) -> Logged {
    Logged {
        seq,
        at_ms: 1 << 60,
        record: Record {
            channel: Channel::new(0),
            scope: None,
            name: None,
            json: seq.to_string().into(),
            tag: 7,
            key: None,
            note: Bytes::new(),
        },
    }
}

fn mirror(is_dense: bool) -> (LogStore, Numbers, Epoch) {
    let epoch = Epoch::generate();
    let clock = Arc::new(SystemClock);
    let store = LogStore::mirror(Limits::default(), clock, epoch, is_dense);
    let broadcaster = GenericBroadcaster::on(&store, View::alone("notes"));
    (store, broadcaster, epoch)
}

async fn texts(subscription: &mut Subscription) -> Vec<(u64, String)> {
    let mut batch = Batch::default();
    assert_eq!(subscription.next(&mut batch).await, Next::Events);
    let text = |(id, frame): &(Option<EventId>, events_core::Frame)| {
        let json = String::from_utf8(frame.data.to_vec()).unwrap();
        (id.unwrap().seq, json)
    };
    batch.events.iter().map(text).collect()
}

#[tokio::test]
async fn a_reader_of_a_mirror_gets_what_was_read_and_what_comes_then() {
    let (store, notes, epoch) = mirror(false);
    store
        .open(&ada(), 10, vec![logged(20), logged(30)], 30)
        .unwrap();
    let from = |seq| Attach::from_cursor(Some(&EventId::new(epoch, seq, 7).to_string()));
    let mut reader = notes.connect(&ada(), from(20)).unwrap();
    assert_eq!(texts(&mut reader).await, [(30, "30".to_owned())]);
    let mut now = notes.connect(&ada(), Attach::now()).unwrap();
    // The second of these has been read before.
    let delivery = store.extend(&ada(), vec![logged(30), logged(40), logged(50)], 60);
    assert_eq!(
        delivery.ids.iter().map(|id| id.seq).collect::<Vec<_>>(),
        [40, 50]
    );
    assert_eq!(delivery.reached(&notes).woken, 2);
    for reader in [&mut reader, &mut now] {
        let expected = [(40, "40".to_owned()), (50, "50".to_owned())];
        assert_eq!(texts(reader).await, expected);
    }
    assert_eq!(store.last(&ada()).seq, 60);
}

#[tokio::test]
async fn a_cursor_from_before_what_is_kept_is_told_of_a_gap_and_one_at_its_edge_is_not() {
    for (is_dense, lost) in [(true, Some(10)), (false, None)] {
        let (store, notes, epoch) = mirror(is_dense);
        store.open(&ada(), 20, vec![logged(21)], 21).unwrap();
        let from = |seq| Attach::from_cursor(Some(&EventId::new(epoch, seq, 7).to_string()));
        let edge = notes.connect(&ada(), from(20)).unwrap();
        assert_eq!(edge.missed(), None);
        let old = notes.connect(&ada(), from(19)).unwrap();
        let missed = old.missed().unwrap();
        assert_eq!((missed.reason, missed.to.seq), (GapReason::Expired, 20));
        // What came before the mirror was opened was not seen, so nobody knows of which channel it was.
        assert_eq!(missed.lost, None);
        let mut slow = notes.connect(&ada(), from(20)).unwrap();
        let _delivery = store.extend(&ada(), (22..=30).map(logged).collect(), 30);
        store.clear(&ada());
        let next = slow.next(&mut Batch::default()).await;
        assert!(
            matches!(next, Next::Missed(Missed { lost: n, .. }) if n == lost),
            "{next:?}"
        );
    }
}

#[test]
fn a_mirror_takes_nobody_and_nothing_by_itself() {
    let (store, notes, _) = mirror(true);
    let refused = notes.connect(&ada(), Attach::now());
    assert!(matches!(
        refused,
        Err(ConnectError::NoLog(EventError::Unavailable(_)))
    ));
    let refused = store.append(&ada(), &[logged(1).record], None);
    assert!(matches!(refused, Err(EventError::Rejected(_))));
    assert!(store.extend(&ada(), vec![logged(1)], 1).ids.is_empty());
    assert_eq!(store.users(), 0);
}

#[test]
fn a_mirror_is_shut_when_nobody_is_connected_and_gives_everything_back() {
    let (store, notes, _) = mirror(true);
    store
        .open(&ada(), 0, (1..=100).map(logged).collect(), 100)
        .unwrap();
    assert!(store.used_bytes() > 0);
    let reader = notes.connect(&ada(), Attach::now()).unwrap();
    assert!(store.is_watched(&ada()));
    assert!(!store.shut(&ada()));
    drop(reader);
    assert!(store.shut(&ada()));
    assert_eq!((store.users(), store.used_bytes()), (0, 0));
    // It begins where the log says, not above what was here.
    store.open(&ada(), 3, vec![], 3).unwrap();
    assert_eq!(store.last(&ada()).seq, 3);
}

#[test]
fn logs_that_were_shut_are_not_kept_for_the_day_their_events_would_age() {
    let (store, _, _) = mirror(true);
    store
        .open(&UserId::new("stays"), 0, vec![logged(1)], 1)
        .unwrap();
    for seq in 1..=10_000 {
        store.open(&ada(), 0, vec![logged(seq)], seq).unwrap();
        assert!(store.shut(&ada()));
    }
    let n_entries = store.inner.budget.with_events.len();
    assert!((1..=1_024).contains(&n_entries), "{n_entries}");
    assert_eq!(store.users(), 1);
}

#[tokio::test]
async fn a_log_that_is_opened_again_tells_its_readers_of_the_hole() {
    let (store, notes, _) = mirror(true);
    store.open(&ada(), 0, vec![logged(1)], 1).unwrap();
    let mut reader = notes.connect(&ada(), Attach::now()).unwrap();
    assert!(poll(&mut reader).is_none());
    store.open(&ada(), 10, vec![], 10).unwrap();
    store.open(&ada(), 20, vec![logged(21)], 21).unwrap();
    let next = reader.next(&mut Batch::default()).await;
    assert!(
        matches!(&next, Next::Missed(missed) if missed.to.seq == 20),
        "{next:?}"
    );
    assert_eq!(texts(&mut reader).await, [(21, "21".to_owned())]);
}

#[tokio::test]
async fn who_has_seen_what_the_log_has_lost_is_sent_away() {
    let (store, notes, epoch) = mirror(true);
    store
        .open(&ada(), 0, vec![logged(1), logged(2)], 2)
        .unwrap();
    let mut reader = notes.connect(&ada(), Attach::now()).unwrap();
    assert!(poll(&mut reader).is_none());
    store.open(&ada(), 0, vec![logged(1)], 1).unwrap();
    let next = reader.next(&mut Batch::default()).await;
    assert_eq!(next, Next::Closed(ClosingReason::Draining));
    let cursor = EventId::new(epoch, 2, 7).to_string();
    let again = notes
        .connect(&ada(), Attach::from_cursor(Some(&cursor)))
        .unwrap();
    assert_eq!(again.missed().unwrap().reason, GapReason::Unknown);
}
