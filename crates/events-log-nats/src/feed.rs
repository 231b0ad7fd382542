//! One ephemeral consumer of the stream of records: it pushes messages in order, and is made anew when one is missing.
//!
//! Its own, and not the client's ordered consumer: that one learns of a server that is gone by missed heartbeats only.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::api::{Api, ApiError, number, status};

/// How often the server says that it has nothing to say.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// So long without a word, and the consumer is taken for dead.
const SILENCE: Duration = Duration::from_millis(2_600);
/// The server forgets the consumer when nobody has listened for so long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// What the server says beside messages: heartbeats and flow control.
const CONTROL: u16 = 100;

/// A consumer, and what it has pushed.
#[derive(Debug)]
pub(crate) struct Feed {
    api: Api,
    stream: String,
    consumer: String,
    messages: Subscriber,
    /// Messages that it has pushed to us.
    n_delivered: u64,
}

/// A message, with its sequence in the stream and the number of those that wait behind it.
#[derive(Debug)]
pub(crate) struct Fed {
    pub(crate) sequence: u64,
    pub(crate) n_pending: u64,
    pub(crate) body: Bytes,
}

/// The consumer has to be made anew; nothing is lost by that.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) &'static str);

impl Feed {
    /// Begins with the message of this sequence.
    pub(crate) async fn begin(api: &Api, stream: &str, sequence: u64) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Made {
            name: String,
        }
        let inbox = api.client.new_inbox();
        let messages = api.client.subscribe(inbox.clone()).await;
        let messages = messages.map_err(|error| ApiError::Strange(error.to_string()))?;
        let nanoseconds =
            |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let settings = json!({
            "stream_name": stream,
            "config": {
                "deliver_subject": inbox,
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": sequence,
                "ack_policy": "none",
                "max_deliver": 1,
                "replay_policy": "instant",
                // It stops pushing while we have not said that we are through with what was pushed.
                "flow_control": true,
                "idle_heartbeat": nanoseconds(HEARTBEAT),
                "inactive_threshold": nanoseconds(FORGOTTEN_AFTER),
                "mem_storage": true,
                "num_replicas": 1,
            },
        });
        let limit = Duration::from_secs(2);
        let subject = format!("CONSUMER.CREATE.{stream}");
        let made: Made = api.call_once(&subject, &settings, limit).await?;
        Ok(Self {
            api: api.clone(),
            stream: stream.to_owned(),
            consumer: made.name,
            messages,
            n_delivered: 0,
        })
    }

    /// Waits for the next message.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost, but an answer to the server's flow control may be sent later: by the next heartbeat.
    pub(crate) async fn next(&mut self) -> Result<Fed, Broken> {
        loop {
            let message = match timeout(SILENCE, self.messages.next()).await {
                Err(_elapsed) => return Err(Broken("its heartbeats are missing")),
                Ok(None) => return Err(Broken("its subscription has ended")),
                Ok(Some(message)) => message,
            };
            match status(&message) {
                None => return self.read(message),
                Some(CONTROL) => self.control(&message).await?,
                Some(_) => return Err(Broken("the server has ended it")),
            }
        }
    }

    fn read(&mut self, message: Message) -> Result<Fed, Broken> {
        let reply = message.reply.as_deref().and_then(delivery);
        let Some((delivered, sequence, n_pending)) = reply else {
            return Err(Broken("a message does not say where it comes from"));
        };
        if delivered != self.n_delivered + 1 {
            return Err(Broken("a message is missing"));
        }
        self.n_delivered = delivered;
        Ok(Fed {
            sequence,
            n_pending,
            body: message.payload,
        })
    }

    async fn control(&self, message: &Message) -> Result<(), Broken> {
        if number(message, "Nats-Last-Consumer").is_some_and(|last| last != self.n_delivered) {
            return Err(Broken("a message is missing before a heartbeat"));
        }
        let stalled = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Consumer-Stalled"));
        let asked = message.reply.as_ref().map(|reply| reply.as_str());
        let Some(reply) = asked.or(stalled.map(|stalled| stalled.as_str())) else {
            return Ok(());
        };
        let answered = self.api.client.publish(reply.to_owned(), Bytes::new());
        answered
            .await
            .map_err(|_closed| Broken("the client is closed"))
    }

    /// Takes the consumer away, so that the server need not wait until it forgets it.
    pub(crate) async fn end(self) {
        let (stream, consumer) = (&self.stream, &self.consumer);
        let subject = format!("$JS.API.CONSUMER.DELETE.{stream}.{consumer}");
        // It is forgotten anyway.
        let _sent = timeout(HEARTBEAT, self.api.client.publish(subject, Bytes::new())).await;
    }
}

/// Reads a message's reply subject: its number in the consumer, its sequence in the stream, and how many wait.
///
/// Source: ADR-15 of NATS; the form with domain and account has two tokens more before the stream, and may have one
/// at the end.
fn delivery(reply: &str) -> Option<(u64, u64, u64)> {
    let tokens: Vec<&str> = reply.split('.').collect();
    let base = match tokens.len() {
        9 => 4,
        11.. => 6,
        _ => return None,
    };
    if tokens[..2] != ["$JS", "ACK"] {
        return None;
    }
    let number = |at: usize| tokens.get(base + at)?.parse().ok();
    Some((number(2)?, number(1)?, number(4)?))
}
