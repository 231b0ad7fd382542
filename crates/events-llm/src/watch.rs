//! A stream of all that happens to requests, which survives being slow.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use events_models::{StreamSummary, TuiStreamEvent};
use futures_util::Stream;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use crate::StreamEventBroadcaster;

/// What a [`StreamWatcher`] yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Watched {
    /// All requests as they are at this moment; what was known before is void. It comes first, and after each
    /// [`Watched::Lagged`].
    Snapshot(Vec<StreamSummary>),
    /// Something happened after the last snapshot.
    Event(TuiStreamEvent),
    /// This watcher was too slow, and so many events or more are lost to it.
    Lagged(u64),
}

/// Watches all requests of a [`StreamEventBroadcaster`]; a [`Stream`] that does not end by itself.
///
/// Snapshots and events fit together: an event is either in a snapshot or follows it, never both and never neither.
///
/// # Cancel safety
///
/// Nothing is lost when a wait for the next item is given up.
pub struct StreamWatcher {
    broadcaster: Arc<StreamEventBroadcaster>,
    events: BroadcastStream<TuiStreamEvent>,
    snapshot: Option<Vec<StreamSummary>>,
}

impl StreamWatcher {
    pub(crate) fn new(broadcaster: Arc<StreamEventBroadcaster>) -> Self {
        let (snapshot, receiver) = broadcaster.attach();
        Self {
            broadcaster,
            events: BroadcastStream::new(receiver),
            snapshot: Some(snapshot),
        }
    }

    fn attach_again(&mut self) {
        let (snapshot, receiver) = self.broadcaster.attach();
        self.events = BroadcastStream::new(receiver);
        self.snapshot = Some(snapshot);
    }
}

impl Stream for StreamWatcher {
    type Item = Watched;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Watched>> {
        if let Some(snapshot) = self.snapshot.take() {
            return Poll::Ready(Some(Watched::Snapshot(snapshot)));
        }
        let next = std::task::ready!(Pin::new(&mut self.events).poll_next(context));
        Poll::Ready(next.map(|next| match next {
            Ok(event) => Watched::Event(event),
            Err(BroadcastStreamRecvError::Lagged(n_lost)) => {
                self.broadcaster.count_lag(n_lost);
                self.attach_again();
                Watched::Lagged(n_lost)
            }
        }))
    }
}

impl fmt::Debug for StreamWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamWatcher").finish_non_exhaustive()
    }
}
