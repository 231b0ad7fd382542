//! The connection that listens.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_postgres::{AsyncMessage, Client};

use crate::{address::Address, counts::Counts, error::chain};

/// How many notifications may wait. With more, the tail looks at the last places instead; the connection itself is read
/// all the time, because a listener that does not read keeps the server's queue from being emptied.
const CAPACITY: usize = 1_024;
const LIMIT: Duration = Duration::from_secs(2);

/// A session that listens; dropping it ends the session.
pub(crate) struct Listener {
    payloads: mpsc::Receiver<String>,
    has_missed: Arc<AtomicBool>,
    /// The session ends when its client is dropped.
    _client: Client,
    _driver: JoinSet<()>,
    counts: Arc<Counts>,
}

/// What a listener hears.
pub(crate) enum Heard {
    Payload(String),
    /// There was more than fits.
    Missed,
    /// The connection has ended.
    Ended,
}

impl Listener {
    /// Connects and listens; the text says why it cannot.
    pub(crate) async fn connect(
        address: &Address,
        channel: &str,
        counts: Arc<Counts>,
    ) -> Result<Self, String> {
        let failed = |error: &tokio_postgres::Error| {
            format!("cannot listen at {}: {}", address.place, chain(error))
        };
        let listen = async {
            let (client, mut connection) = address
                .config
                .connect(address.tls.clone())
                .await
                .map_err(|error| failed(&error))?;
            let (sender, payloads) = mpsc::channel(CAPACITY);
            let has_missed = Arc::new(AtomicBool::new(false));
            let missed = Arc::clone(&has_missed);
            let mut driver = JoinSet::new();
            driver.spawn(async move {
                while let Some(message) = future::poll_fn(|cx| connection.poll_message(cx)).await {
                    match message {
                        Ok(AsyncMessage::Notification(notification)) => {
                            let payload = notification.payload().to_owned();
                            if sender.try_send(payload).is_err() {
                                missed.store(true, Ordering::Release);
                            }
                        }
                        Ok(_) => {}
                        Err(error) => {
                            tracing::debug!(
                                error = chain(&error),
                                "the listening connection ended"
                            );
                            return;
                        }
                    }
                }
            });
            // The name has been checked and needs no quotes.
            let text = format!("set application_name = 'events tail'; listen {channel}");
            client
                .batch_execute(&text)
                .await
                .map_err(|error| failed(&error))?;
            counts.listening.add(1);
            Ok(Self {
                payloads,
                has_missed,
                _client: client,
                _driver: driver,
                counts,
            })
        };
        timeout(LIMIT, listen)
            .await
            .unwrap_or_else(|_| Err(format!("cannot listen at {}: no answer", address.place)))
    }

    /// Waits for the next notification.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn hear(&mut self) -> Heard {
        match self.payloads.recv().await {
            // The mark is left by the driver after the queue was full, so what comes out of it next is older.
            Some(payload) if !self.has_missed.load(Ordering::Acquire) => Heard::Payload(payload),
            Some(_) => {
                let mut n_dropped = 1;
                self.has_missed.store(false, Ordering::Release);
                while self.payloads.try_recv().is_ok() {
                    n_dropped += 1;
                }
                self.counts.unheard.add(n_dropped);
                Heard::Missed
            }
            None => Heard::Ended,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.counts.listening.sub(1);
    }
}
