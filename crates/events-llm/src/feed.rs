//! Everything a screen of running requests is told, as frames.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use events_models::{ActiveStreams, StreamAlert, StreamFeedFrame, TuiStreamEvent};
use futures_util::Stream;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use crate::StreamEventBroadcaster;

/// The frames of `/llm/streams`: a [`Stream`] that does not end by itself.
///
/// **First** comes [`Active`](StreamFeedFrame::Active), everything as it is; then what happens after it, each event
/// and each alert once and in its order. Between an event and an alert the order is not kept.
///
/// **A slow reader** gets a new `Active` instead of what it has missed, and in it how much that was. Nothing is queued
/// for it but that.
///
/// # Cancel safety
///
/// Nothing is lost when a wait for the next frame is given up.
pub struct StreamFeed {
    broadcaster: Arc<StreamEventBroadcaster>,
    events: BroadcastStream<TuiStreamEvent>,
    alerts: BroadcastStream<StreamAlert>,
    active: Option<Box<ActiveStreams>>,
}

impl StreamFeed {
    pub(crate) fn new(broadcaster: Arc<StreamEventBroadcaster>) -> Self {
        let (active, events, alerts) = broadcaster.attach_feed();
        Self {
            broadcaster,
            events: BroadcastStream::new(events),
            alerts: BroadcastStream::new(alerts),
            active: Some(Box::new(active)),
        }
    }

    /// Gives up what is still to be read and asks for everything as it is now.
    fn attach_again(&mut self, n_lost: u64) {
        self.broadcaster.count_lag(n_lost);
        let (mut active, events, alerts) = self.broadcaster.attach_feed();
        self.events = BroadcastStream::new(events);
        self.alerts = BroadcastStream::new(alerts);
        active.lost = n_lost;
        self.active = Some(Box::new(active));
    }
}

impl Stream for StreamFeed {
    type Item = StreamFeedFrame;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<StreamFeedFrame>> {
        loop {
            if let Some(active) = self.active.take() {
                return Poll::Ready(Some(StreamFeedFrame::Active(*active)));
            }
            match Pin::new(&mut self.alerts).poll_next(context) {
                Poll::Ready(Some(Ok(alert))) => {
                    return Poll::Ready(Some(StreamFeedFrame::Alert(alert)));
                }
                Poll::Ready(Some(Err(BroadcastStreamRecvError::Lagged(n_lost)))) => {
                    self.attach_again(n_lost);
                    continue;
                }
                // The broadcaster is held here, so its channels do not close.
                Poll::Ready(None) | Poll::Pending => {}
            }
            match std::task::ready!(Pin::new(&mut self.events).poll_next(context)) {
                Some(Ok(event)) => return Poll::Ready(Some(StreamFeedFrame::Event(event))),
                Some(Err(BroadcastStreamRecvError::Lagged(n_lost))) => self.attach_again(n_lost),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for StreamFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamFeed").finish_non_exhaustive()
    }
}
