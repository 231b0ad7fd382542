//! In which order logs are looked at when room is to be made.

use super::{bounds::aging_in_a_second, *};

#[test]
fn who_only_listens_is_not_looked_at_when_nothing_can_be_evicted() {
    let numbers = Numbers::with_limits(Limits {
        total_bytes: 64 << 10,
        ..Limits::default()
    });
    let listen = |number| numbers.connect(&UserId::new(format!("{number}")), Attach::now());
    let listeners: Vec<_> = (0..100).map(|number| listen(number).unwrap()).collect();
    publish(&numbers, 0..1);
    let store = numbers.store();
    // As by what connections hold.
    store.inner.budget.charge(65 << 10);
    assert_eq!(store.trim(1_000), 1, "the log that has an event");
    assert_eq!(store.trim(1_000), 0);
    store.inner.budget.release(65 << 10);
    drop(listeners);
}

#[test]
fn a_log_has_one_entry_in_a_queue_however_often_it_is_filled_and_emptied() {
    let (numbers, clock) = aging_in_a_second();
    let store = numbers.store();
    let reader = numbers.connect(&ada(), Attach::now()).unwrap();
    for number in 0..100 {
        publish(&numbers, number..number + 1);
        clock.advance(1_001);
        store.trim(10);
        let budget = &store.inner.budget;
        assert_eq!((budget.with_events.len(), budget.silent.len()), (0, 1));
    }
    drop(reader);
    clock.advance(2_002);
    store.trim(10);
    assert_eq!(store.users(), 0);
    assert_eq!(store.inner.budget.silent.len(), 0);
}
