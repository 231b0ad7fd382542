//! Slots, bounds and bookkeeping of a store.
//!
//! Over 400 lines because the tests are many and small and share their few helpers.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use events_core::{
    Broadcaster, Channel, Channels, ConnectionId, EventError, EventResult, Frame, ManualClock,
    Record, UserId,
};
use events_sse::{ClosingReason, GapReason, ToSse};

use crate::{
    Attach, Batch, CapPolicy, ConnectError, ConnectionGuard, EnvelopeRule, GenericBroadcaster,
    Limits, LogStore, Missed, Next, Start, Subscription, View,
};

struct Number(u32);

impl ToSse for Number {
    fn to_frame(&self) -> EventResult<Frame> {
        Ok(Frame::json(self.0.to_string()))
    }
}

struct Unencodable;

impl ToSse for Unencodable {
    fn to_frame(&self) -> EventResult<Frame> {
        Err(EventError::Encode("no".into()))
    }
}

type Numbers = GenericBroadcaster<Number>;

fn ada() -> UserId {
    UserId::new("ada")
}

fn poll(subscription: &mut Subscription) -> Option<(Next, Vec<String>)> {
    let mut batch = Batch::default();
    match subscription.poll_next(&mut Context::from_waker(Waker::noop()), &mut batch) {
        Poll::Pending => None,
        Poll::Ready(next) => {
            let text = |frame: &Frame| String::from_utf8_lossy(&frame.data).into_owned();
            Some((
                next,
                batch.events.iter().map(|(_, frame)| text(frame)).collect(),
            ))
        }
    }
}

fn read(subscription: &mut Subscription) -> Vec<String> {
    match poll(subscription) {
        None => Vec::new(),
        Some((Next::Events, events)) => events,
        Some((other, _)) => panic!("expected events, got {other:?}"),
    }
}

fn publish(numbers: &Numbers, range: std::ops::Range<u32>) {
    for number in range {
        let _delivery = numbers
            .publish(&ada(), &Number(number))
            .expect("a number is JSON");
    }
}

#[test]
fn a_reader_gets_what_is_published_after_it_came() {
    let numbers = Numbers::new();
    publish(&numbers, 0..2);
    let mut reader = numbers.connect(&ada(), Attach::now()).unwrap();
    publish(&numbers, 2..4);
    assert_eq!(read(&mut reader), ["2", "3"]);
    assert_eq!(poll(&mut reader), None);
}

#[test]
fn a_cursor_is_valid_after_the_connection_is_gone() {
    let numbers = Numbers::new();
    let primed = numbers.connect(&ada(), Attach::now()).unwrap().primed();
    assert!(primed.to_string().ends_with(".0.0"));
    publish(&numbers, 0..3);
    let mut reader = numbers
        .connect(&ada(), Attach::from_cursor(Some(&primed.to_string())))
        .unwrap();
    assert_eq!(read(&mut reader), ["0", "1", "2"]);
}

#[test]
fn strange_cursors_get_a_gap_and_then_live_events() {
    let numbers = Numbers::new();
    publish(&numbers, 0..3);
    let last = numbers.store().last(&ada());
    let future = events_core::EventId { seq: 99, ..last };
    let forged = events_core::EventId {
        tag: last.tag ^ 1,
        ..last
    };
    let foreign = Numbers::new().store().last(&ada());
    for (cursor, reason) in [
        ("nonsense".to_owned(), GapReason::Unknown),
        (future.to_string(), GapReason::Unknown),
        (forged.to_string(), GapReason::Unknown),
        (foreign.to_string(), GapReason::Epoch),
    ] {
        let mut reader = numbers
            .connect(&ada(), Attach::from_cursor(Some(&cursor)))
            .unwrap();
        let (next, _) = poll(&mut reader).expect("a gap at once");
        assert_eq!(
            next,
            Next::Missed(Missed {
                reason,
                from: Some(cursor),
                to: last,
                lost: None
            })
        );
        assert_eq!(poll(&mut reader), None);
    }
    let mut reader = numbers
        .connect(&ada(), Attach::from_cursor(Some("nonsense")))
        .unwrap();
    publish(&numbers, 3..4);
    assert!(matches!(poll(&mut reader), Some((Next::Missed(_), _))));
    assert_eq!(read(&mut reader), ["3"]);
}

#[test]
fn an_evicted_cursor_is_told_how_much_is_lost() {
    let limits = Limits {
        events: 4,
        ..Limits::default()
    };
    let numbers = Numbers::with_limits(limits);
    publish(&numbers, 0..1);
    let cursor = numbers.store().last(&ada());
    publish(&numbers, 1..10);
    let mut reader = numbers
        .connect(
            &ada(),
            Attach {
                start: Start::After(cursor),
                ..Attach::now()
            },
        )
        .unwrap();
    let Some((Next::Missed(missed), _)) = poll(&mut reader) else {
        panic!("a gap at once")
    };
    assert_eq!((missed.reason, missed.lost), (GapReason::Trimmed, Some(5)));
    assert_eq!(read(&mut reader), ["6", "7", "8", "9"]);
}

#[test]
fn a_reader_that_is_too_slow_is_told_and_goes_on() {
    let numbers = Numbers::with_limits(Limits {
        events: 4,
        ..Limits::default()
    });
    let mut reader = numbers.connect(&ada(), Attach::now()).unwrap();
    publish(&numbers, 0..10);
    let Some((Next::Missed(missed), _)) = poll(&mut reader) else {
        panic!("a gap at once")
    };
    assert_eq!((missed.reason, missed.lost), (GapReason::Overflow, Some(6)));
    assert_eq!(read(&mut reader), ["6", "7", "8", "9"]);
    assert_eq!(numbers.store().stats().snapshot().gaps_overflow, 1);
}

#[test]
fn a_batch_ends_at_its_bound_and_the_next_goes_on() {
    let numbers = Numbers::new();
    let mut reader = numbers.connect(&ada(), Attach::now()).unwrap();
    publish(&numbers, 0..600);
    let sizes: Vec<_> = std::iter::repeat_with(|| read(&mut reader).len())
        .take_while(|n| *n > 0)
        .collect();
    assert_eq!(sizes, [256, 256, 88]);
}

#[test]
fn the_cap_refuses_or_replaces() {
    let numbers = Numbers::new();
    let readers: Vec<_> = (0..Numbers::MAX_CONNECTIONS_PER_USER)
        .map(|_| numbers.connect(&ada(), Attach::now()).unwrap())
        .collect();
    let refused = numbers.connect(&ada(), Attach::now()).unwrap_err();
    assert!(matches!(refused, ConnectError::TooMany { cap: 10 }));
    drop(readers);
    assert_eq!(numbers.count(&ada()), 0);

    let limits = Limits {
        connections_per_user: 1,
        cap_policy: CapPolicy::Replace,
        ..Limits::default()
    };
    let numbers = Numbers::with_limits(limits);
    let mut first = numbers.connect(&ada(), Attach::now()).unwrap();
    let second = numbers.connect(&ada(), Attach::now()).unwrap();
    assert_eq!(
        poll(&mut first),
        Some((Next::Closed(ClosingReason::Replaced), vec![]))
    );
    assert_eq!(numbers.count(&ada()), 1);
    drop(first);
    assert_eq!((numbers.count(&ada()), numbers.total()), (1, 1));
    drop(second);
    assert_eq!(numbers.total(), 0);
}

#[test]
fn a_stalled_connection_makes_room_for_a_new_one() {
    let clock = Arc::new(ManualClock::new(0));
    let limits = Limits {
        connections_per_user: 1,
        ..Limits::default()
    };
    let store = LogStore::with_clock(limits, clock.clone());
    let numbers = Numbers::on(&store, View::alone("numbers"));
    let mut stalled = numbers.connect(&ada(), Attach::now()).unwrap();
    assert_eq!(poll(&mut stalled), None);
    clock.advance(60_000);
    // It waits for events, so it is not stalled however long that takes.
    assert!(numbers.connect(&ada(), Attach::now()).is_err());
    publish(&numbers, 0..1);
    clock.advance(19_000);
    assert!(numbers.connect(&ada(), Attach::now()).is_err());
    clock.advance(1_000);
    let _reader = numbers.connect(&ada(), Attach::now()).unwrap();
    assert_eq!(
        poll(&mut stalled),
        Some((Next::Closed(ClosingReason::Slow), vec![]))
    );
}

#[test]
fn slots_are_freed_on_a_plain_thread_at_once() {
    let numbers = Numbers::new();
    let reader = numbers.connect(&ada(), Attach::now()).unwrap();
    std::thread::spawn(move || drop(reader)).join().unwrap();
    assert_eq!((numbers.count(&ada()), numbers.total()), (0, 0));
}

#[tokio::test]
async fn a_guard_frees_only_the_registration_that_it_was_made_for() {
    let numbers = Numbers::new();
    let tab = ConnectionId::new("tab");
    let (first, _first) = tokio::sync::mpsc::channel(8);
    assert!(numbers.register(&ada(), &tab, first).await);
    let guard = ConnectionGuard::new(&numbers, ada(), tab.clone());
    let (second, mut second_events) = tokio::sync::mpsc::channel(8);
    assert!(numbers.register(&ada(), &tab, second).await);
    drop(guard);
    assert_eq!(numbers.connection_count(&ada()).await, 1);
    assert_eq!(numbers.broadcast(&ada(), Number(1)).await, 1);
    assert!(second_events.recv().await.is_some());
    drop(ConnectionGuard::new(&numbers, ada(), tab));
    assert_eq!(numbers.connection_count(&ada()).await, 0);
}

#[tokio::test]
async fn full_and_closed_channels_are_different_facts() {
    let numbers = Numbers::new();
    let (full, _kept) = tokio::sync::mpsc::channel(1);
    let (closed, _) = tokio::sync::mpsc::channel(1);
    numbers
        .register(&ada(), &ConnectionId::new("full"), full)
        .await;
    numbers
        .register(&ada(), &ConnectionId::new("closed"), closed)
        .await;
    let reached = numbers
        .publish(&ada(), &Number(1))
        .unwrap()
        .reached(&numbers);
    assert_eq!((reached.sent, reached.closed, reached.evicted), (1, 1, 0));
    let reached = numbers
        .publish(&ada(), &Number(2))
        .unwrap()
        .reached(&numbers);
    assert_eq!((reached.sent, reached.closed, reached.evicted), (0, 0, 1));
    assert_eq!(numbers.connection_info().await, (0, 0));
}

#[test]
fn without_history_and_readers_nothing_is_encoded_or_kept() {
    let limits = || Limits {
        events: 0,
        ..Limits::default()
    };
    let silent = GenericBroadcaster::<Unencodable>::with_limits(limits());
    assert!(silent.publish(&ada(), &Unencodable).unwrap().ids.is_empty());
    assert_eq!(silent.store().users(), 0);

    let numbers = Numbers::with_limits(limits());
    let mut reader = numbers.connect(&ada(), Attach::now()).unwrap();
    publish(&numbers, 0..2);
    assert_eq!(read(&mut reader), ["0", "1"]);
    drop(reader);
    assert_eq!(numbers.store().used_bytes(), 0);
}

#[test]
fn an_event_that_cannot_be_encoded_is_an_error() {
    let broken = GenericBroadcaster::<Unencodable>::new();
    assert!(matches!(
        broken.publish(&ada(), &Unencodable),
        Err(EventError::Encode(_))
    ));
    assert_eq!(broken.store().used_bytes(), 0);
}

#[test]
fn the_oldest_events_of_all_users_go_first() {
    let clock = Arc::new(ManualClock::new(0));
    let limits = Limits {
        total_bytes: 4_000,
        ..Limits::default()
    };
    let store = LogStore::with_clock(limits, clock.clone());
    let record = |text: &str| {
        let json = format!("\"{text:>0$}\"", 900).into();
        [Record {
            channel: Channel::new(0),
            scope: None,
            name: None,
            json,
            tag: 0,
        }]
    };
    for user in ["a", "b", "c", "d", "e", "f"] {
        let _delivery = store
            .append(&UserId::new(user), &record(user), None)
            .unwrap();
        clock.advance(10);
    }
    assert!(store.used_bytes() <= 4_000, "{}", store.used_bytes());
    let kept: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .into_iter()
        .filter(|user| {
            !store
                .find(&UserId::new(*user))
                .unwrap()
                .lock()
                .ring
                .is_empty()
        })
        .collect();
    assert_eq!(kept, ["d", "e", "f"]);
}

#[test]
fn idle_users_are_forgotten_and_their_numbers_never_come_back() {
    let clock = Arc::new(ManualClock::new(0));
    let limits = Limits {
        age: Duration::from_secs(1),
        ..Limits::default()
    };
    let store = LogStore::with_clock(limits, clock.clone());
    let numbers = Numbers::on(&store, View::alone("numbers"));
    publish(&numbers, 0..5);
    let old = store.last(&ada());
    for _ in 0..4 {
        clock.advance(1_500);
        store.trim(100);
    }
    assert_eq!((store.users(), store.used_bytes()), (0, 0));
    publish(&numbers, 5..6);
    assert_eq!(store.last(&ada()).seq, 6);
    let mut reader = numbers
        .connect(
            &ada(),
            Attach {
                start: Start::After(old),
                ..Attach::now()
            },
        )
        .unwrap();
    assert_eq!(read(&mut reader), ["5"]);
}

#[test]
fn too_many_users_retire_the_one_that_nobody_reads() {
    let limits = Limits {
        users: 2,
        ..Limits::default()
    };
    let numbers = Numbers::with_limits(limits);
    let bob = UserId::new("bob");
    let _ada = numbers.connect(&ada(), Attach::now()).unwrap();
    assert!(numbers.publish(&bob, &Number(1)).is_ok());
    let _carl = numbers
        .connect(&UserId::new("carl"), Attach::now())
        .unwrap();
    assert_eq!(numbers.store().users(), 2);
    assert!(matches!(
        numbers.publish(&bob, &Number(2)),
        Err(EventError::Overloaded(_))
    ));
}

#[test]
fn two_streams_of_one_store_share_ids_and_keep_an_event_once() {
    const NOTES: Channel = Channel::new(0);
    const ALL: Channel = Channel::new(1);
    const RULES: &[EnvelopeRule] = &[EnvelopeRule {
        channel: NOTES,
        protocol: "note",
        with_thread: true,
    }];
    let store = LogStore::new(Limits::default());
    let view = |own, follows: &[Channel], envelopes| View {
        name: "test",
        own,
        follows: Channels::of(follows),
        envelopes,
        ephemeral: false,
    };
    let notes = Numbers::on(&store, view(NOTES, &[NOTES], &[]));
    let all = Numbers::on(&store, view(ALL, &[NOTES, ALL], RULES));
    let mut of_thread = notes.connect(&ada(), Attach::now().scoped("t")).unwrap();
    let mut of_all = all.connect(&ada(), Attach::now()).unwrap();
    for scope in ["t", "u"] {
        let json = format!("\"{scope}\"").into();
        let record = Record {
            channel: NOTES,
            scope: Some(scope.into()),
            name: None,
            json,
            tag: 0,
        };
        let delivery = store.append(&ada(), &[record], None).unwrap();
        assert_eq!(delivery.reached(&all).woken, 1);
        assert_eq!(delivery.reached(&notes).woken, usize::from(scope == "t"));
    }
    assert_eq!(read(&mut of_thread), ["\"t\""]);
    assert_eq!(poll(&mut of_thread), None);
    let mut batch = Batch::default();
    let polled = of_all.poll_next(&mut Context::from_waker(Waker::noop()), &mut batch);
    assert_eq!(polled, Poll::Ready(Next::Events));
    let threads: Vec<_> = batch
        .events
        .iter()
        .map(|(_, frame)| frame.envelope.clone().unwrap().thread)
        .collect();
    assert_eq!(threads, [Some("t".into()), Some("u".into())]);
    assert_eq!(batch.events[0].0.unwrap().seq, 1);
}

#[test]
fn an_expected_last_sequence_is_compared_under_the_lock() {
    let store = LogStore::new(Limits::default());
    let record = [Record {
        channel: Channel::new(0),
        scope: None,
        name: None,
        json: "1".into(),
        tag: 7,
    }];
    let first = store.append(&ada(), &record, Some(0)).unwrap();
    assert_eq!((first.ids[0].seq, first.ids[0].tag), (1, 7));
    assert!(matches!(
        store.append(&ada(), &record, Some(0)),
        Err(EventError::Conflict { last: 1 })
    ));
}

#[test]
fn closing_ends_every_stream_and_refuses_new_ones() {
    let numbers = Numbers::new();
    let mut reader = numbers.connect(&ada(), Attach::now()).unwrap();
    numbers.close(ClosingReason::Draining);
    assert_eq!(
        poll(&mut reader),
        Some((Next::Closed(ClosingReason::Draining), vec![]))
    );
    assert!(matches!(
        numbers.connect(&ada(), Attach::now()),
        Err(ConnectError::Closed)
    ));
    assert_eq!(numbers.total(), 0);
}

#[test]
fn an_operator_sees_cursors_and_lag() {
    let numbers = Numbers::new();
    let mut reader = numbers.connect(&ada(), Attach::now()).unwrap();
    publish(&numbers, 0..3);
    let lag = || numbers.connections(Some(&ada()))[0].lag;
    assert_eq!(lag(), 3);
    read(&mut reader);
    assert_eq!(poll(&mut reader), None);
    assert_eq!(lag(), 0);
}
