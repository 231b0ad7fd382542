//! A body whose frames a test chooses, and a tap on it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use events_llm::{
    AnswerHead, Exchange, NoPrices, RequestInfo, StreamEventBroadcaster, Tap, TuiStreamEvent,
};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::broadcast::Receiver;

use crate::fixtures::Fixture;

/// What the body does next.
pub(crate) enum Next {
    Data(Bytes),
    Trailers(http::HeaderMap),
    /// Nothing comes for now.
    Waiting,
    Broken,
}

/// A body that gives what it is told to.
pub(crate) struct Script {
    pub(crate) next: VecDeque<Next>,
    /// Whether the body knows its length.
    pub(crate) is_sized: bool,
}

impl Script {
    pub(crate) fn of<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let next = pieces
            .into_iter()
            .map(|piece| Next::Data(Bytes::copy_from_slice(piece)));
        Self {
            next: next.collect(),
            is_sized: false,
        }
    }

    pub(crate) fn then(mut self, next: Next) -> Self {
        self.next.push_back(next);
        self
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Broken;

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.next.pop_front() {
            Some(Next::Data(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Next::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Next::Waiting) => Poll::Pending,
            Some(Next::Broken) => Poll::Ready(Some(Err(Broken))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_sized && self.next.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if !self.is_sized {
            return SizeHint::default();
        }
        let lengths = self.next.iter().map(|next| match next {
            Next::Data(bytes) => bytes.len() as u64,
            _ => 0,
        });
        SizeHint::with_exact(lengths.sum())
    }
}

/// A tap, and somebody who listens.
pub(crate) struct Watched {
    pub(crate) tap: Tap,
    pub(crate) receiver: Receiver<TuiStreamEvent>,
}

impl Watched {
    pub(crate) fn new() -> Self {
        let broadcaster = Arc::new(StreamEventBroadcaster::new(1 << 11));
        Self {
            receiver: broadcaster.subscribe(),
            tap: Tap::new(broadcaster, Arc::new(NoPrices)),
        }
    }

    pub(crate) fn begin(&self, fixture: &Fixture) -> Exchange {
        self.tap.begin(
            RequestInfo::new("r")
                .with_provider(Some(fixture.provider))
                .with_model(Some("asked".to_owned())),
        )
    }

    /// All events so far.
    pub(crate) fn events(&mut self) -> Vec<TuiStreamEvent> {
        std::iter::from_fn(|| self.receiver.try_recv().ok()).collect()
    }
}

pub(crate) fn head(fixture: &Fixture) -> AnswerHead<'static> {
    AnswerHead {
        status: if fixture.is_stream() { 200 } else { 400 },
        content_type: Some(fixture.content_type()),
        content_encoding: None,
    }
}

/// Polls a body until it ends, waits or breaks; returns its frames.
pub(crate) fn drain<B>(body: &mut B) -> Vec<Result<Frame<B::Data>, B::Error>>
where
    B: Body + Unpin,
{
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut frames = Vec::new();
    while let Poll::Ready(Some(frame)) = Pin::new(&mut *body).poll_frame(&mut context) {
        let is_broken = frame.is_err();
        frames.push(frame);
        if is_broken {
            break;
        }
    }
    frames
}

/// The text that watchers were told.
pub(crate) fn text_of(events: &[TuiStreamEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        TuiStreamEvent::TextDelta { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// The one terminal event; panics if there is another number of them, or anything after it.
pub(crate) fn terminal(events: &[TuiStreamEvent]) -> &TuiStreamEvent {
    let n_terminal = events.iter().filter(|event| event.is_terminal()).count();
    assert_eq!(n_terminal, 1, "{events:?}");
    assert_eq!(
        events
            .iter()
            .filter(|event| event.event_type() == "started")
            .count(),
        1
    );
    assert_eq!(events[0].event_type(), "started");
    let last = events.last().unwrap();
    assert!(last.is_terminal(), "{events:?}");
    last
}

/// For streams that never fail.
pub(crate) fn infallible(bytes: &[u8]) -> Result<Bytes, Infallible> {
    Ok(Bytes::copy_from_slice(bytes))
}
