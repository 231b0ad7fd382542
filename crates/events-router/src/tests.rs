//! Threads, batches, retries and runs on the memory log.

mod batches;
mod bounds;
mod clocks;
mod panics;
mod rejoin;
mod retries;
mod tasks;
mod threads;
mod timeouts;

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use events_broadcast::{Attach, Batch, Limits, Next, Subscription};
use events_core::{Broadcaster, EventBus, EventError, ManualClock, ThreadId, UserId};
use events_models::{
    A2AEventBuilder, AgUiEvent, AgUiEventBuilder, AnalyticsEventBuilder, MessageRole,
    SystemEventBuilder,
};

use crate::{BusEvent, EventRouter, Item, MsgId, PublishError, Refusal, RouterConfig};

fn ada() -> UserId {
    UserId::new("ada")
}

fn in_thread(thread: &str, event: AgUiEvent) -> Item {
    Item::new(BusEvent::AgUi {
        thread: Some(ThreadId::new(thread)),
        event,
    })
}

fn chunk(delta: &str) -> AgUiEvent {
    let json = format!(r#"{{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"{delta}"}}"#);
    AgUiEvent::from_json(json.as_bytes()).expect("a legal chunk")
}

fn read(subscription: &mut Subscription) -> Vec<String> {
    let mut batch = Batch::default();
    match subscription.poll_next(&mut Context::from_waker(Waker::noop()), &mut batch) {
        Poll::Pending => Vec::new(),
        Poll::Ready(Next::Events) => batch
            .events
            .iter()
            .map(|(_, frame)| String::from_utf8_lossy(&frame.data).into_owned())
            .collect(),
        Poll::Ready(other) => panic!("expected events, got {other:?}"),
    }
}

fn types(subscription: &mut Subscription) -> Vec<&'static str> {
    let of = |json: &String| {
        AgUiEvent::from_json(json.as_bytes())
            .expect("legal")
            .event_type()
            .as_str()
    };
    read(subscription).iter().map(of).collect()
}

fn refusal(result: Result<crate::Published, PublishError>) -> (usize, Refusal) {
    match result {
        Err(PublishError::Refused { index, refusal }) => (index, refusal),
        other => panic!("expected a refusal, got {other:?}"),
    }
}
