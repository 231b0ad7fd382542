//! Caps, guards and channels.

use super::*;

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
