//! Publishing to a user's connections, and making connections: time and allocations of each operation.
//!
//! The ring is full, so every publish evicts an event too. The events share one payload: encoding is measured
//! where the models and the router are. A reader that is "parked" has read everything and waits.
//!
//! Reference on the same class of machine, an `mpsc` channel per connection: connect and disconnect 0.96 us with
//! 7 allocations; publish to 1 connection 1.2 us with 8 allocations, to 10 connections 2.07 us with 26.
//! Aim: a fifth of that, so 0.19 us for connect and disconnect.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use divan::{AllocProfiler, Bencher, black_box};
use events_broadcast::{Attach, Batch, GenericBroadcaster, Limits, Next, Subscription};
use events_core::{ConnectionId, Frame, UserId};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

type Frames = GenericBroadcaster<Frame>;

fn main() {
    // Many samples of many runs: the minimum and the median then hold on a machine with neighbours.
    divan::Divan::default()
        .sample_count(500)
        .sample_size(64)
        .max_time(Duration::from_millis(1_500))
        .config_with_args()
        .main();
}

fn frame() -> Frame {
    let json = format!(
        r#"{{"type":"TEXT_MESSAGE_CONTENT","delta":"{}"}}"#,
        "x".repeat(155)
    );
    Frame::json(json)
}

fn ada() -> UserId {
    UserId::new("ada")
}

/// Makes a broadcaster whose log of the user is full.
fn full_ring(connections_per_user: usize) -> Frames {
    let frames = Frames::with_limits(Limits {
        connections_per_user,
        ..Limits::default()
    });
    for _ in 0..=frames.store().limits().events {
        publish(&frames, &ada(), &frame());
    }
    frames
}

fn publish(frames: &Frames, user: &UserId, frame: &Frame) -> usize {
    let delivery = frames.publish(user, frame).expect("a frame is taken");
    delivery.reached(frames).connections()
}

fn connect(frames: &Frames, n_connections: usize) -> Vec<Subscription> {
    let connect = |_| {
        frames
            .connect(&ada(), Attach::now())
            .expect("there is room")
    };
    (0..n_connections).map(connect).collect()
}

/// Reads until the subscription is parked, and returns how many events there were.
fn read(subscription: &mut Subscription, batch: &mut Batch) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut n_events = 0;
    while let Poll::Ready(next) = subscription.poll_next(&mut context, batch) {
        assert_eq!(next, Next::Events, "nothing is missed or closed");
        n_events += batch.events.len();
    }
    n_events
}

/// Readers are behind: the first publish has woken them, and nobody reads.
#[divan::bench(args = [0, 1, 10, 1000])]
fn publish_unread(bencher: Bencher<'_, '_>, n_connections: usize) {
    let (frames, frame, user) = (full_ring(n_connections), frame(), ada());
    let _subscriptions = connect(&frames, n_connections);
    bencher.bench_local(|| publish(&frames, black_box(&user), &frame));
}

/// Every reader is parked, is woken, reads the event and is parked again.
#[divan::bench(args = [1, 10, 1000])]
fn publish_and_read(bencher: Bencher<'_, '_>, n_connections: usize) {
    let (frames, frame, user) = (full_ring(n_connections), frame(), ada());
    let mut subscriptions = connect(&frames, n_connections);
    let mut batch = Batch::default();
    for subscription in &mut subscriptions {
        read(subscription, &mut batch);
    }
    bencher.bench_local(|| {
        let n_reached = publish(&frames, black_box(&user), &frame);
        for subscription in &mut subscriptions {
            assert_eq!(read(subscription, &mut batch), 1);
        }
        n_reached
    });
}

/// Hand-made axum streams: the event is copied for each of them, and taken out of the channel again.
#[divan::bench(args = [1, 10])]
fn publish_to_senders(bencher: Bencher<'_, '_>, n_connections: usize) {
    let (frames, frame, user) = (full_ring(n_connections), frame(), ada());
    let mut receivers: Vec<_> = (0..n_connections)
        .map(|_| {
            let (sender, receiver) = mpsc::channel(events_core::SSE_BUFFER);
            frames
                .add_sender(&user, &ConnectionId::generate(), sender)
                .expect("there is room");
            receiver
        })
        .collect();
    bencher.bench_local(|| {
        let n_reached = publish(&frames, black_box(&user), &frame);
        for receiver in &mut receivers {
            receiver.try_recv().is_ok().then_some(()).expect("an event");
        }
        n_reached
    });
}

/// The number is that of the user's other connections.
#[divan::bench(args = [0, 1, 9])]
fn connect_and_disconnect(bencher: Bencher<'_, '_>, n_connections: usize) {
    let (frames, user) = (full_ring(n_connections + 1), ada());
    let _subscriptions = connect(&frames, n_connections);
    bencher.bench_local(|| drop(frames.connect(black_box(&user), Attach::now())));
}

/// Nobody watches and no history is kept.
#[divan::bench]
fn publish_to_nobody(bencher: Bencher<'_, '_>) {
    let frames = Frames::with_limits(Limits {
        events: 0,
        ..Limits::default()
    });
    let (frame, user) = (frame(), ada());
    bencher.bench_local(|| publish(&frames, black_box(&user), &frame));
}
