//! The runs whose events the hub makes itself.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use events_core::{ThreadId, UserId};
use events_models::{AgUiEvent, AgUiEventBuilder, MessageRole};
use events_router::{BusEvent, EventRouter, Item, PublishError};

use crate::order::{Order, write_delta};

/// Events of a run: then it is finished and a new thread begun, so that no thread grows beyond what is folded.
const RUN: u32 = 2_048;

/// The message that every event belongs to.
const MESSAGE: &str = "m";

/// One run of each user, opened when the first event is made.
pub(crate) struct Runs {
    router: EventRouter,
    joins_events: bool,
    /// By the prefix of the names, then by number. A run is taken out while events are made for it.
    users: Mutex<HashMap<String, Vec<Place>>>,
}

enum Place {
    New,
    Taken,
    Open(Box<OpenRun>),
}

/// A run that has begun, with a message that has begun.
struct OpenRun {
    user: UserId,
    thread: ThreadId,
    n_threads: u32,
    n_events: u32,
}

impl Runs {
    pub(crate) fn new(router: EventRouter, joins_events: bool) -> Self {
        Self {
            router,
            joins_events,
            users: Mutex::default(),
        }
    }

    /// Publishes what is asked for; with no events it only opens the runs.
    ///
    /// # Errors
    ///
    /// Why an event was refused, or that another order for the user is being carried out.
    pub(crate) async fn fill(&self, order: &Order) -> Result<(), String> {
        for number in order.users() {
            let mut run = match self.replace(order, number, Place::Taken) {
                Place::Open(run) => run,
                Place::New => {
                    let user = UserId::new(format!("{}{number}", order.prefix));
                    self.open(user, 0)
                        .await
                        .map_err(|error| error.to_string())?
                }
                Place::Taken => {
                    return Err("events are being made for this user already".to_owned());
                }
            };
            let filled = self.publish(&mut run, order).await;
            self.replace(order, number, Place::Open(run));
            filled.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn replace(&self, order: &Order, number: u32, place: Place) -> Place {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if !users.contains_key(&order.prefix) {
            users.insert(order.prefix.clone(), Vec::new());
        }
        let Some(places) = users.get_mut(&order.prefix) else {
            return Place::New;
        };
        while places.len() <= number as usize {
            places.push(Place::New);
        }
        std::mem::replace(&mut places[number as usize], place)
    }

    async fn open(&self, user: UserId, n_threads: u32) -> Result<Box<OpenRun>, PublishError> {
        let thread = ThreadId::from(format!("t{n_threads}"));
        let begin = [
            AgUiEventBuilder::run_started(thread.clone(), "r", None),
            AgUiEventBuilder::text_message_start(MESSAGE, MessageRole::Assistant),
        ];
        let items = begin.map(|event| item(&thread, event)).into();
        self.router.publish_batch(&user, items).await?;
        Ok(Box::new(OpenRun {
            user,
            thread,
            n_threads,
            n_events: 0,
        }))
    }

    async fn publish(&self, run: &mut Box<OpenRun>, order: &Order) -> Result<(), PublishError> {
        if run.n_events + order.n > RUN {
            let end = [
                AgUiEventBuilder::text_message_end(MESSAGE),
                AgUiEventBuilder::run_finished(run.thread.clone(), "r", None),
            ];
            let items = end.map(|event| item(&run.thread, event)).into();
            self.router.publish_batch(&run.user, items).await?;
            *run = self.open(run.user.clone(), run.n_threads + 1).await?;
        }
        run.n_events += order.n;
        let events = order.numbers().map(|number| {
            let mut delta = String::with_capacity(order.size);
            write_delta(number, order.size, &mut delta);
            AgUiEventBuilder::text_message_content(MESSAGE, delta)
        });
        if self.joins_events {
            let items = events.map(|event| item(&run.thread, event)).collect();
            self.router.publish_batch(&run.user, items).await?;
            return Ok(());
        }
        for event in events {
            let event = BusEvent::AgUi {
                thread: Some(run.thread.clone()),
                event,
            };
            self.router.publish(&run.user, event).await?;
        }
        Ok(())
    }
}

fn item(thread: &ThreadId, event: AgUiEvent) -> Item {
    Item::new(BusEvent::AgUi {
        thread: Some(thread.clone()),
        event,
    })
}
