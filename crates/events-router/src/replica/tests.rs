//! Several routers on one log.

mod crowded;
mod faulty;
mod outages;
mod panics;
mod stampede;
mod together;
mod whole;

use std::{sync::Arc, time::Duration};

use events_broadcast::{Attach, Batch, Next};
use events_core::{EventLog, ManualClock, ThreadId, UserId};
use events_models::{AgUiEvent, AgUiEventBuilder as Make, MessageRole};
use tokio::{task::JoinSet, time::timeout};

use crate::{BusEvent, EventRouter, Item, MemoryLog, MsgId, PublishError, Published, RouterConfig};

use faulty::{Fault, FaultyLog};

/// Routers on one log, and the work behind them.
struct Replicas {
    clock: Arc<ManualClock>,
    work: JoinSet<()>,
}

impl Replicas {
    fn new() -> Self {
        Self {
            clock: Arc::new(ManualClock::new(1_782_302_400_000)),
            work: JoinSet::new(),
        }
    }

    fn add(&mut self, log: impl EventLog) -> EventRouter {
        self.add_with(log, RouterConfig::default())
    }

    fn add_with(&mut self, log: impl EventLog, config: RouterConfig) -> EventRouter {
        let config = RouterConfig {
            clock: self.clock.clone(),
            ..config
        };
        let (router, replica) = EventRouter::on_log(config, Arc::new(log));
        self.work.spawn(replica.run());
        router
    }

    /// Lets time pass, and every router do what it does from time to time.
    async fn pass(&self, time: Duration, routers: &[&EventRouter]) {
        self.clock.advance(i64::try_from(time.as_millis()).unwrap());
        routers.iter().for_each(|router| router.sweep());
        // The work is done by tasks of this thread, which wait for nothing but each other.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    }
}

fn ada() -> UserId {
    UserId::new("ada")
}

fn in_thread(thread: &str, event: AgUiEvent) -> Item {
    Item::new(BusEvent::AgUi {
        thread: Some(ThreadId::from(thread)),
        event,
    })
}

fn named(item: Item, msg_id: &str) -> Item {
    item.with_msg_id(MsgId::new(msg_id).unwrap())
}

async fn publish(router: &EventRouter, item: Item) -> Published {
    try_publish(router, vec![item]).await.expect("legal")
}

async fn try_publish(router: &EventRouter, items: Vec<Item>) -> Result<Published, PublishError> {
    within(router.publish_batch(&ada(), items)).await
}

/// Every wait has an end.
async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), work)
        .await
        .expect("it ends in time")
}

/// Begins a run with an open message.
async fn begin(router: &EventRouter, thread: &str, run: &str) {
    publish(
        router,
        in_thread(thread, Make::run_started(thread, run, None)),
    )
    .await;
    let start = Make::text_message_start(format!("{run}-m"), MessageRole::Assistant);
    publish(router, in_thread(thread, start)).await;
}

fn delta(run: &str, text: &str) -> AgUiEvent {
    Make::text_message_content(format!("{run}-m"), text)
}

/// Reads what a fresh reader of a thread is told, until its text ends so.
async fn prelude(router: &EventRouter, thread: &str) -> Vec<String> {
    let _open = within(router.open_user(&ada(), None)).await.unwrap();
    let thread = ThreadId::from(thread);
    let retold = router.retell_thread(&ada(), &thread);
    let events = retold.map(|retold| retold.events).unwrap_or_default();
    events
        .iter()
        .map(|json| String::from_utf8(json.to_vec()).unwrap())
        .collect()
}

/// Reads as many events of the user's stream as are asked for: their ids and JSON.
async fn read(stream: &mut events_broadcast::Subscription, n: usize) -> Vec<(String, String)> {
    let (mut events, mut batch) = (Vec::new(), Batch::default());
    while events.len() < n {
        let next = within(stream.next(&mut batch)).await;
        assert_eq!(next, Next::Events, "after {} events", events.len());
        events.extend(batch.events.iter().map(|(id, frame)| {
            let json = String::from_utf8(frame.data.to_vec()).unwrap();
            (id.unwrap().to_string(), json)
        }));
    }
    events
}

async fn follow(router: &EventRouter, cursor: Option<&str>) -> events_broadcast::Subscription {
    let _open = within(router.open_user(&ada(), cursor)).await.unwrap();
    router
        .agui()
        .connect(&ada(), Attach::from_cursor(cursor))
        .unwrap()
}
