//! The tail: everything that is appended, and live events of other replicas.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_nats::Subscriber;
use events_core::{Tail, Tailed};
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

use crate::{
    api::ApiError,
    counters::add,
    feed::{Fed, Feed},
    link::Link,
    live,
    log::Inner,
    packet::{self, Assembly},
    streams,
};

/// Between attempts to begin again, unless the connection changes before.
const PAUSE: Duration = Duration::from_millis(250);

/// One listener. All its work is done while it is polled.
struct Listener {
    inner: Arc<Inner>,
    link: watch::Receiver<Link>,
    /// The connection on which the feed was begun.
    n_connects: u64,
    /// What is to be said, each with the sequence up to which everything has been said with it.
    ready: VecDeque<(u64, Tailed)>,
    feed: Option<Feed>,
    live: Option<Subscriber>,
    /// The sequence of the last message that was heard; none before the first beginning.
    seen: Option<u64>,
    assembly: Assembly,
    /// Whether it was said last that the engine is there; none before anything was said.
    is_up: Option<bool>,
    /// Which of the log's tails it is.
    turn: u64,
    is_over: bool,
}

/// Begins to listen.
pub(crate) fn tail(inner: &Arc<Inner>) -> Tail {
    let turn = inner.tail_turn.fetch_add(1, Relaxed) + 1;
    inner.handed.store(0, Relaxed);
    let listener = Listener {
        link: inner.listener.watch(),
        inner: Arc::clone(inner),
        n_connects: 0,
        ready: VecDeque::new(),
        feed: None,
        live: None,
        seen: None,
        assembly: Assembly::default(),
        is_up: None,
        turn,
        is_over: false,
    };
    Box::pin(stream::unfold(listener, async |mut listener| {
        let said = listener.next().await;
        Some((said, listener))
    }))
}

impl Listener {
    async fn next(&mut self) -> Tailed {
        loop {
            if let Some((sequence, tailed)) = self.ready.pop_front() {
                if self.inner.tail_turn.load(Relaxed) == self.turn {
                    self.inner.handed.fetch_max(sequence, Relaxed);
                }
                return tailed;
            }
            if self.is_over {
                std::future::pending::<()>().await;
            }
            if self.feed.is_none() {
                self.attach().await;
            } else {
                self.listen().await;
            }
        }
    }

    /// Begins the feed, or says that it cannot be and waits a moment.
    async fn attach(&mut self) {
        let link = *self.link.borrow_and_update();
        let attached = self.begin().await;
        let Err(error) = attached else {
            self.n_connects = link.n_connects;
            return;
        };
        // What did not even reach the server may be no news: the client is on its way to another.
        if self.is_up != Some(false) {
            self.is_up = Some(false);
            tracing::warn!(%error, "nats: the tail is down");
            self.say(Tailed::Down(error.to_string()));
            return;
        }
        let _elapsed = tokio::time::timeout(PAUSE, self.link.changed()).await;
    }

    async fn begin(&mut self) -> Result<(), ApiError> {
        let inner = Arc::clone(&self.inner);
        if !inner.api.is_connected() {
            return Err(ApiError::NotConnected);
        }
        let stream = &inner.names.stream;
        let info = streams::info(&inner.api, stream).await?;
        if info.created != inner.created {
            inner.is_replaced.store(true, Relaxed);
            self.is_over = true;
            self.say(Tailed::Replaced);
            return Ok(());
        }
        if self.live.is_none() {
            let live = inner.api.client.subscribe(inner.names.all_live()).await;
            self.live = Some(live.map_err(|error| ApiError::Strange(error.to_string()))?);
        }
        let state = info.state;
        // What comes from the place of an earlier beginning is without a hole as long as the stream still has it.
        let seen = self.seen.filter(|seen| {
            let has_gone_back = state.last_seq < *seen;
            inner
                .counters
                .went_back
                .fetch_add(u64::from(has_gone_back), Relaxed);
            !has_gone_back && state.first_seq <= *seen + 1
        });
        let from = seen.unwrap_or(state.last_seq);
        self.feed = Some(Feed::begin(&inner.api, stream, from + 1).await?);
        add(&inner.counters.tail_attaches, 1);
        if self.is_up != Some(true) {
            self.is_up = Some(true);
            self.ready.push_back((0, Tailed::Up));
        }
        if seen.is_none() {
            self.assembly = Assembly::default();
            self.seen = Some(from);
            self.ready.push_back((from, Tailed::Started));
        }
        Ok(())
    }

    /// Waits for what comes next: a message, a live event, or a change of the connection.
    async fn listen(&mut self) {
        let (Some(feed), Some(live)) = (&mut self.feed, &mut self.live) else {
            self.feed = None;
            return;
        };
        tokio::select! {
            fed = feed.next() => match fed {
                Ok(fed) => self.hear(fed),
                Err(broken) => {
                    tracing::debug!(why = broken.0, "nats: the tail is taken up again");
                    self.end_feed().await;
                }
            },
            message = live.next() => match message {
                Some(message) => {
                    let heard = live::heard(&self.inner, message);
                    self.ready.extend(heard.map(|tailed| (0, tailed)));
                }
                None => self.live = None,
            },
            // The log holds the sender, so it does not end.
            _changed = self.link.changed() => {
                let link = *self.link.borrow_and_update();
                if !link.is_up || link.n_connects != self.n_connects {
                    // The consumer may be gone with its server; it is not waited for its silence.
                    self.end_feed().await;
                }
            }
        }
    }

    async fn end_feed(&mut self) {
        if let Some(feed) = self.feed.take()
            && self.inner.api.is_connected()
        {
            feed.end().await;
        }
    }

    fn hear(&mut self, fed: Fed) {
        let counters = &self.inner.counters;
        counters.tail_lag.store(fed.n_pending, Relaxed);
        add(&counters.bytes_tailed, fed.body.len() as u64);
        // Heard before, on an earlier feed.
        if self.seen.is_some_and(|seen| fed.sequence <= seen) {
            return;
        }
        self.seen = Some(fed.sequence);
        match packet::read(fed.sequence, fed.body) {
            Ok(packet) => {
                if let Some(whole) = self.assembly.push(packet) {
                    let appended = Tailed::Appended {
                        user: whole.user,
                        previous: whole.entry.previous,
                        records: whole.entry.records,
                    };
                    self.ready.push_back((fed.sequence, appended));
                }
            }
            Err(error) => {
                // Who reads the user's log is told that there was something.
                add(&counters.unreadable, 1);
                tracing::warn!(%error, sequence = fed.sequence, "nats: a message cannot be read");
            }
        }
    }

    fn say(&mut self, tailed: Tailed) {
        self.ready.push_back((0, tailed));
    }
}
