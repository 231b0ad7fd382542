//! What goes out is what frames are encoded to, and is made once for all.

use events_sse::encode_frame;
use proptest::prelude::*;

use super::*;
use crate::{NextWire, Wire};

const PLAIN: Channel = Channel::new(0);
const WRAPPED: Channel = Channel::new(1);
const BARE: Channel = Channel::new(2);

fn view(has_envelopes: bool, ephemeral: bool) -> View {
    const RULES: &[EnvelopeRule] = &[
        EnvelopeRule {
            channel: WRAPPED,
            protocol: "agui",
            with_thread: true,
        },
        EnvelopeRule {
            channel: BARE,
            protocol: "a2a",
            with_thread: false,
        },
    ];
    View {
        follows: Channels::of(&[PLAIN, WRAPPED, BARE]),
        envelopes: if has_envelopes { RULES } else { &[] },
        ephemeral,
        ..View::alone("wires")
    }
}

fn record(channel: Channel, scope: Option<&str>, json: impl Into<bytes::Bytes>) -> Record {
    Record {
        channel,
        scope: scope.map(Arc::from),
        name: None,
        json: json.into(),
        tag: 0,
        key: None,
        note: bytes::Bytes::new(),
    }
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let json = prop_oneof![
        6 => "[a-z\"\\\\\n\r]{0,60}".prop_map(String::into_bytes),
        1 => (1_usize..12_000).prop_map(|n| vec![b'x'; n]),
        1 => (0_usize..3).prop_map(|n| vec![b'y'; Batch::MAX_BYTES + n]),
        1 => Just([vec![b'z'; Batch::MAX_BYTES], b"\nz".to_vec()].concat()),
    ];
    let record = (
        0_u8..4,
        prop_oneof![Just(None), Just(Some("t")), Just(Some("\"\n"))],
        prop_oneof![9 => Just(None), 1 => Just(Some("name"))],
        json,
    )
        .prop_map(|(channel, scope, name, json)| Record {
            name,
            ..record(Channel::new(channel), scope, json)
        });
    proptest::collection::vec(record, 0..40)
}

fn poll_wire(subscription: &mut Subscription) -> Option<Wire> {
    match subscription.poll_wire(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => None,
        Poll::Ready(NextWire::Events(wire)) => Some(wire),
        Poll::Ready(other) => panic!("expected events, got {other:?}"),
    }
}

/// Polls as frames, and encodes each as a stream that copies them does.
fn poll_encoded(subscription: &mut Subscription) -> Option<(Vec<u8>, usize)> {
    let mut batch = Batch::default();
    match subscription.poll_next(&mut Context::from_waker(Waker::noop()), &mut batch) {
        Poll::Pending => None,
        Poll::Ready(Next::Events) => {
            let mut out = Vec::new();
            for (id, frame) in &batch.events {
                encode_frame(*id, frame, &mut out);
            }
            Some((
                out,
                batch.events.iter().map(|(_, frame)| frame.data.len()).sum(),
            ))
        }
        Poll::Ready(other) => panic!("expected events, got {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_wire_has_the_bytes_of_the_frames(
        bursts in proptest::collection::vec(records(), 1..4),
        has_envelopes: bool,
        ephemeral: bool,
        is_scoped: bool,
        n_readers in 1_usize..4,
    ) {
        let store = LogStore::new(Limits::default());
        let stream = GenericBroadcaster::<()>::on(&store, view(has_envelopes, ephemeral));
        let connect = || {
            let attach = if is_scoped { Attach::now().scoped("t") } else { Attach::now() };
            stream.connect(&ada(), attach).unwrap()
        };
        let mut frames = connect();
        let mut readers: Vec<_> = std::iter::repeat_with(connect).take(n_readers).collect();
        for burst in bursts {
            let _delivery = store.append(&ada(), &burst, None).unwrap();
            while let Some((blocks, n_bytes)) = poll_encoded(&mut frames) {
                for reader in &mut readers {
                    let wire = poll_wire(reader).expect("as many batches");
                    let n_pieces = wire.clone().into_blocks().len();
                    prop_assert!(n_pieces == 1 || n_bytes > Batch::MAX_BYTES);
                    prop_assert_eq!(wire.into_blocks().concat(), &blocks[..]);
                }
            }
            for reader in &mut readers {
                prop_assert!(poll_wire(reader).is_none());
            }
        }
    }
}

#[test]
fn connections_at_one_position_share_one_wire() {
    let numbers = Numbers::new();
    let connect = |_| numbers.connect(&ada(), Attach::now()).unwrap();
    let mut readers: Vec<_> = (0..5).map(connect).collect();
    publish(&numbers, 0..3);
    let used = numbers.store().used_bytes();
    let places: Vec<_> = readers
        .iter_mut()
        .map(|reader| poll_wire(reader).unwrap().into_blocks()[0].as_ptr())
        .collect();
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]));
    let log = numbers.store().find(&ada()).unwrap();
    assert_eq!(log.lock().wires.len(), 0, "the last reader has taken it");
    assert_eq!(numbers.store().used_bytes(), used);
}

#[test]
fn a_wire_that_is_kept_is_paid_for_and_goes_with_its_events() {
    let numbers = Numbers::with_limits(Limits {
        events: 4,
        ..Limits::default()
    });
    let mut reader = numbers.connect(&ada(), Attach::now()).unwrap();
    let slow = numbers.connect(&ada(), Attach::now()).unwrap();
    publish(&numbers, 0..1);
    let used = numbers.store().used_bytes();
    poll_wire(&mut reader).expect("an event");
    let log = numbers.store().find(&ada()).unwrap();
    assert_eq!(log.lock().wires.len(), 1);
    assert!(numbers.store().used_bytes() > used);
    publish(&numbers, 1..5);
    assert_eq!(log.lock().wires.len(), 0);
    poll_wire(&mut reader).expect("events");
    drop(slow);
    assert_eq!(log.lock().wires.len(), 0);
    let entries = 5 * numbers.store().limits().events * 1_000;
    assert!(numbers.store().used_bytes() < entries);
}

#[test]
fn a_wire_of_a_large_event_holds_the_logs_own_bytes() {
    let store = LogStore::new(Limits::default());
    let stream = GenericBroadcaster::<()>::on(&store, view(true, false));
    let mut reader = stream.connect(&ada(), Attach::now()).unwrap();
    let json = vec![b'1'; 2 * Batch::MAX_BYTES];
    let record = record(WRAPPED, Some("t"), json);
    let place = record.json.as_ptr();
    let _delivery = store.append(&ada(), &[record], None).unwrap();
    let pieces = poll_wire(&mut reader).unwrap().into_blocks();
    assert_eq!(pieces[1].as_ptr(), place);
    store.clear(&ada());
    assert_eq!(store.used_bytes(), 2 * Batch::MAX_BYTES);
    drop(pieces);
    assert_eq!(store.used_bytes(), 0);
}
