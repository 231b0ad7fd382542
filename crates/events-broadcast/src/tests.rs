//! Slots, bounds and bookkeeping of a store.

mod bounds;
mod crowds;
mod mirror;
mod panics;
mod queues;
mod reading;
mod slots;
mod turns;
mod wires;

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
    Limits, LogHint, LogStore, Missed, Next, Start, Subscription, View,
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
