//! What the client says about its connection.

use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Event, ServerError};
use tokio::sync::watch;

use crate::counters::{Counters, add};

/// How the connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Link {
    pub(crate) is_up: bool,
    /// Counts connections, so that one that was lost and is there again is seen as another.
    pub(crate) n_connects: u64,
}

/// Hears the client's events.
#[derive(Debug)]
pub(crate) struct LinkListener {
    link: watch::Sender<Link>,
    complaint: Mutex<Option<String>>,
    counters: Arc<Counters>,
}

impl LinkListener {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            link: watch::Sender::default(),
            complaint: Mutex::default(),
            counters,
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// What the server last complained of, such as a missing permission; it is asked once.
    pub(crate) fn take_complaint(&self) -> Option<String> {
        self.complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(crate) fn hear(&self, event: &Event) {
        match event {
            Event::Connected => {
                add(&self.counters.connects, 1);
                self.link.send_modify(|link| {
                    link.is_up = true;
                    link.n_connects += 1;
                });
            }
            Event::Disconnected | Event::Closed => self.link.send_modify(|link| link.is_up = false),
            Event::ServerError(error) => {
                let text = match error {
                    ServerError::AuthorizationViolation => "authorization violation".to_owned(),
                    ServerError::SlowConsumer(_) => return,
                    ServerError::Other(text) => text.clone(),
                };
                tracing::warn!(error = %text, "nats: the server complains");
                let mut complaint = self
                    .complaint
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *complaint = Some(text);
            }
            Event::LameDuckMode
            | Event::Draining
            | Event::SlowConsumer(_)
            | Event::ClientError(_) => {
                tracing::debug!(%event, "nats");
            }
        }
    }
}
