//! What a reader is handed, from which cursor.

use super::*;

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
