//! What is kept, what is evicted, and what two streams share.

use super::*;

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
        total_bytes: 4_600,
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
            key: None,
            note: bytes::Bytes::new(),
        }]
    };
    for user in ["a", "b", "c", "d", "e", "f"] {
        let _delivery = store
            .append(&UserId::new(user), &record(user), None)
            .unwrap();
        clock.advance(10);
    }
    assert!(store.used_bytes() <= 4_600, "{}", store.used_bytes());
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

fn record(n_bytes: usize) -> Record {
    Record {
        channel: Channel::new(0),
        scope: None,
        name: None,
        json: format!("\"{}\"", "1".repeat(n_bytes)).into(),
        tag: 0,
        key: None,
        note: bytes::Bytes::new(),
    }
}

#[test]
fn a_large_batch_makes_its_own_room() {
    let limits = Limits {
        total_bytes: 100_000,
        event_bytes: 1_000,
        ..Limits::default()
    };
    let store = LogStore::new(limits);
    let batch = vec![record(100); 400];
    for number in 0..20 {
        let user = UserId::new(format!("u{number}"));
        let _delivery = store.append(&user, &batch, None).unwrap();
        assert!(store.used_bytes() <= 100_000, "{}", store.used_bytes());
    }
    assert!(store.stats().snapshot().evicted_total_bound > 400);
}

#[test]
fn what_a_slow_connection_holds_is_paid_for_until_it_lets_go() {
    let n_bytes = 2 * Batch::MAX_BYTES;
    let limits = Limits {
        total_bytes: 3 * n_bytes,
        event_bytes: n_bytes + 2,
        ..Limits::default()
    };
    let numbers = Numbers::with_limits(limits);
    let store = numbers.store();
    let mut held = Vec::new();
    for number in 0..10 {
        let user = UserId::new(format!("u{number}"));
        let mut reader = numbers.connect(&user, Attach::now()).unwrap();
        assert!(store.append(&user, &[record(n_bytes)], None).is_ok());
        let mut batch = Batch::default();
        let _polled = reader.poll_next(&mut Context::from_waker(Waker::noop()), &mut batch);
        held.push(batch);
        assert!(store.used_bytes() <= store.limits().total_bytes);
    }
    let n_held = held.iter().filter(|batch| !batch.events.is_empty()).count();
    assert_eq!(
        n_held, 2,
        "more would be too much, so later events had to go"
    );
    assert!(store.used_bytes() > 2 * n_bytes);
    held.clear();
    assert!(store.used_bytes() < n_bytes, "{}", store.used_bytes());
}

#[test]
fn when_nothing_can_be_evicted_an_append_is_refused() {
    let numbers = Numbers::new();
    let store = numbers.store();
    publish(&numbers, 0..1);
    store.inner.budget.charge(store.limits().total_bytes + 1);
    let refused = store.append(&ada(), &[record(1)], None);
    assert!(matches!(refused, Err(EventError::Overloaded(_))));
    assert_eq!(store.stats().snapshot().refused_full, 1);
    store.inner.budget.release(store.limits().total_bytes + 1);
    assert!(store.append(&ada(), &[record(1)], None).is_ok());
}

pub(super) fn aging_in_a_second() -> (Numbers, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(0));
    let limits = Limits {
        age: Duration::from_secs(1),
        ..Limits::default()
    };
    let store = LogStore::with_clock(limits, clock.clone());
    (Numbers::on(&store, View::alone("numbers")), clock)
}

#[test]
fn idle_users_are_forgotten_and_their_numbers_never_come_back() {
    let (numbers, clock) = aging_in_a_second();
    let store = numbers.store();
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
            key: None,
            note: bytes::Bytes::new(),
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
        key: None,
        note: bytes::Bytes::new(),
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

#[test]
fn a_log_that_has_gone_is_found_anew_whatever_the_hint_says() {
    let store = LogStore::new(Limits {
        users: 1,
        ..Limits::default()
    });
    let mut hint = LogHint::default();
    let append = |user: &UserId, hint: &mut LogHint| {
        let records = [record(1)].into_iter().collect();
        let delivery = store.append_with(user, 0, hint, |_| Ok::<_, EventError>(records));
        delivery.unwrap().ids[0]
    };
    let first = append(&ada(), &mut hint);
    assert_eq!(append(&ada(), &mut hint).seq, first.seq + 1);
    // There is room for one: Ada's log is retired, and somebody may have it in hand still.
    let _held = hint.0.upgrade();
    append(&UserId::new("bob"), &mut LogHint::default());
    let anew = append(&ada(), &mut hint);
    assert_eq!(store.last(&ada()), anew, "it is where readers look");
    assert!(anew.seq > first.seq + 1);
}

#[test]
fn many_who_only_listen_do_not_keep_a_full_log_from_making_room() {
    let numbers = Numbers::with_limits(Limits {
        users: 20_000,
        total_bytes: 64 << 10,
        ..Limits::default()
    });
    let listen = |number| numbers.connect(&UserId::new(format!("{number}")), Attach::now());
    let listeners: Vec<_> = (0..10_000).map(|number| listen(number).unwrap()).collect();
    for number in 0..2_000 {
        let published = numbers.publish(&ada(), &Number(number));
        assert!(published.is_ok(), "{number}: {published:?}");
    }
    assert!(numbers.store().used_bytes() <= 64 << 10);
    drop(listeners);
}

#[test]
fn many_who_only_listen_do_not_keep_newcomers_out() {
    let numbers = Numbers::with_limits(Limits {
        users: 1_000,
        ..Limits::default()
    });
    let named = |kind: &str, number: u32| UserId::new(format!("{kind} {number}"));
    let listen = |number| {
        let listener = named("listener", number);
        assert!(numbers.publish(&listener, &Number(number)).is_ok());
        numbers.connect(&listener, Attach::now()).unwrap()
    };
    // They have the oldest events of all.
    let mut listeners: Vec<_> = (0..999).map(listen).collect();
    for number in 0..3_000 {
        let published = numbers.publish(&named("newcomer", number), &Number(number));
        assert!(published.is_ok(), "{number}: {published:?}");
    }
    assert_eq!(numbers.store().users(), 1_000);
    assert_eq!(numbers.store().stats().snapshot().users_refused, 0);
    listeners.push(
        numbers
            .connect(&named("newcomer", 2_999), Attach::now())
            .unwrap(),
    );
    let refused = numbers.publish(&named("newcomer", 0), &Number(0));
    assert!(
        matches!(refused, Err(EventError::Overloaded(_))),
        "{refused:?}"
    );
}
