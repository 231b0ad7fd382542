//! Users with many connections: the publish call counts them, a flusher wakes them.

use std::{
    future::Future as _,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Wake,
};

use tokio::sync::mpsc;

use super::*;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn crowd(numbers: &Numbers, n: usize, attach: impl Fn(usize) -> Attach) -> Vec<Subscription> {
    (0..n)
        .map(|at| numbers.connect(&ada(), attach(at)).unwrap())
        .collect()
}

fn park(readers: &mut [Subscription], wakes: &Arc<Wakes>) {
    let waker = Waker::from(Arc::clone(wakes));
    let mut batch = Batch::default();
    for reader in readers {
        while reader
            .poll_next(&mut Context::from_waker(&waker), &mut batch)
            .is_ready()
        {}
    }
}

fn numbers() -> Numbers {
    Numbers::with_limits(Limits {
        events: 8,
        connections_per_user: 1_000,
        ..Limits::default()
    })
}

fn record(scope: &'static str) -> Record {
    Record {
        channel: Channel::new(0),
        scope: Some(Arc::from(scope)),
        name: None,
        json: "1".into(),
        tag: 0,
        key: None,
        note: bytes::Bytes::new(),
    }
}

#[test]
fn a_flusher_wakes_a_crowd_in_slices_and_its_end_wakes_the_rest() {
    let numbers = numbers();
    let wakes = Arc::new(Wakes::default());
    let mut readers = crowd(&numbers, 200, |_| Attach::now());
    park(&mut readers, &wakes);
    publish(&numbers, 0..1);
    assert_eq!(wakes.take(), 200, "nobody else would do it");

    park(&mut readers, &wakes);
    let mut flush = Box::pin(numbers.store().flush());
    let turns = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&turns));
    let mut context = Context::from_waker(&waker);
    assert!(flush.as_mut().poll(&mut context).is_pending());
    assert_eq!(turns.take(), 0);
    let delivery = numbers.publish(&ada(), &Number(1)).unwrap();
    assert_eq!(delivery.reached(&numbers).woken, 200);
    publish(&numbers, 2..4);
    assert_eq!((wakes.take(), turns.take()), (0, 1));
    assert!(flush.as_mut().poll(&mut context).is_pending());
    assert_eq!((wakes.take(), turns.take()), (64, 1));
    drop(flush);
    assert_eq!(wakes.take(), 136);
    for reader in &mut readers {
        assert_eq!(read(reader), ["1", "2", "3"]);
    }
}

#[test]
fn another_flusher_goes_on_where_one_was_dropped() {
    let numbers = numbers();
    let wakes = Arc::new(Wakes::default());
    let mut readers = crowd(&numbers, 20, |_| Attach::now());
    park(&mut readers, &wakes);
    let turns = [(); 2].map(|()| Arc::new(Wakes::default()));
    let mut flushes = turns.each_ref().map(|turns| {
        let mut flush = Box::pin(numbers.store().flush());
        let waker = Waker::from(Arc::clone(turns));
        assert!(
            flush
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        Some(flush)
    });
    publish(&numbers, 0..1);
    let called = usize::from(turns[1].take() > 0);
    flushes[called] = None;
    let other = 1 - called;
    assert_eq!(turns[other].take(), 1, "it has been told in its stead");
    let flush = flushes[other].as_mut().unwrap();
    let _never = flush.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(wakes.take(), 20);
}

#[test]
fn a_crowd_is_counted_as_few_connections_are() {
    let numbers = numbers();
    let store = numbers.store();
    let scopes = ["a", "b", "c"];
    let attach = |at: usize| match at % 4 {
        3 => Attach::now(),
        scope => Attach::now().scoped(scopes[scope]),
    };
    let mut readers = crowd(&numbers, 41, attach);
    let mut receivers = Vec::new();
    for _ in 0..3 {
        let (sender, receiver) = mpsc::channel(4);
        numbers
            .add_sender(&ada(), &ConnectionId::generate(), sender)
            .unwrap();
        receivers.push(receiver);
    }
    let mut flush = pin!(numbers.store().flush());
    let mut context = Context::from_waker(Waker::noop());
    for scope in ["a", "b", "c", "d"] {
        let n_inline = store.append(&ada(), &[record(scope)], None).unwrap();
        let _never = flush.as_mut().poll(&mut context);
        let n_counted = store.append(&ada(), &[record(scope)], None).unwrap();
        let expected = if scope == "d" {
            10
        } else {
            20 + usize::from(scope == "a")
        };
        let reached = n_counted.reached(&numbers);
        assert_eq!((reached.woken, reached.sent), (expected, 3), "{scope}");
        assert_eq!(n_inline.reached(&numbers), reached);
        for receiver in &mut receivers {
            while receiver.try_recv().is_ok() {}
        }
    }
    receivers.clear();
    let closed = store.append(&ada(), &[record("a")], None).unwrap();
    assert_eq!(closed.reached(&numbers).closed, 3);
    readers.truncate(5);
    for reader in &mut readers {
        while poll(reader).is_some() {}
    }
    let reached = store.append(&ada(), &[record("a")], None).unwrap();
    let expected = readers.iter_mut().filter_map(poll).count();
    assert_eq!(reached.reached(&numbers).woken, expected);
}

#[test]
fn what_leaves_the_ring_before_the_flusher_comes_is_no_gap_for_whom_it_is_not() {
    let numbers = numbers();
    let wakes = Arc::new(Wakes::default());
    let mut readers = crowd(&numbers, 20, |_| Attach::now().scoped("mine"));
    park(&mut readers, &wakes);
    let mut flush = pin!(numbers.store().flush());
    let mut context = Context::from_waker(Waker::noop());
    let _never = flush.as_mut().poll(&mut context);
    let append = |scope| {
        let _delivery = numbers
            .store()
            .append(&ada(), &[record(scope)], None)
            .unwrap();
    };
    (0..50).for_each(|_| append("other"));
    append("mine");
    for reader in &mut readers[..10] {
        assert_eq!(read(reader), ["1"]);
    }
    let _never = flush.as_mut().poll(&mut context);
    assert_eq!(wakes.take(), 10, "the others have read without being woken");
    for reader in &mut readers[10..] {
        assert_eq!(read(reader), ["1"]);
    }
}
