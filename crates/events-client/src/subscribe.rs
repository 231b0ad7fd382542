//! Following a stream across any number of connections.

mod request;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use events_sse::{Closing, Control, Decoder, DecoderOptions};
use futures_util::{Stream, StreamExt, future::BoxFuture, stream::BoxStream};
use reqwest::{
    Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
};
use tokio::time::{Instant, Sleep, sleep};

use crate::{
    backoff::Backoff,
    client::{Client, StreamKind},
    error::{Cause, Error},
    http::{self, Failed},
};

pub use request::{Item, Subscribe};

/// The header that carries the cursor.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A connection that has held this long was a good one, even if it brought no event.
const GOOD_CONNECTION: Duration = Duration::from_secs(30);

impl Client {
    /// Follows a stream for as long as it is polled. Nothing is sent before the first poll.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the request contradicts itself: a thread where there are no threads, or a task where
    /// there are no tasks.
    pub fn subscribe(&self, request: Subscribe) -> Result<EventStream, Error> {
        if request.thread.is_some() && request.kind != StreamKind::AgUi {
            return Err(Error::Invalid("only the AG-UI stream has threads"));
        }
        if request.task.is_some() && request.kind != StreamKind::A2a {
            return Err(Error::Invalid("only the A2A stream has tasks"));
        }
        let settings = &self.settings;
        let mut decoder = Decoder::new(DecoderOptions {
            max_event_bytes: settings.max_event_bytes,
            ..DecoderOptions::default()
        });
        decoder.set_last_event_id(request.from.as_deref().unwrap_or_default());
        Ok(EventStream {
            backoff: Backoff::new(settings.backoff_base, settings.backoff_cap),
            client: self.clone(),
            request,
            decoder,
            state: State::Disconnected,
        })
    }
}

enum State {
    /// The next poll connects.
    Disconnected,
    Connecting(BoxFuture<'static, Result<Response, Failed>>),
    Reading(Connection),
    Waiting(Pin<Box<Sleep>>),
    /// Over for good.
    Done,
}

struct Connection {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    /// What has been received and not been decoded.
    chunk: Bytes,
    silence: Pin<Box<Sleep>>,
    since: Instant,
    closing: Option<Closing>,
}

/// A stream that is followed: reconnects with its cursor until it is dropped or the hub does not want it back.
///
/// After an error it is over. Dropping it closes the connection; [`EventStream::cursor`] then says where another
/// stream can go on. Must be polled within a tokio runtime.
///
/// # Cancel safety
///
/// Waiting for the next item can be given up at any time; nothing is lost.
#[must_use = "streams do nothing unless polled"]
pub struct EventStream {
    client: Client,
    request: Subscribe,
    decoder: Decoder,
    backoff: Backoff,
    state: State,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("request", &self.request)
            .field("cursor", &self.cursor())
            .finish_non_exhaustive()
    }
}

impl EventStream {
    /// Returns the cursor after the items given so far.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.decoder.last_event_id()
    }

    fn connect(&self) -> BoxFuture<'static, Result<Response, Failed>> {
        let mut url = self.client.stream_url(self.request.kind);
        let user = self.request.user.as_ref();
        let user = user.or(self.client.settings.user.as_ref());
        let header = self
            .cursor()
            .and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok());
        // A cursor that no header can carry goes into the address.
        let query_cursor = self.cursor().filter(|_id| header.is_none());
        let parameters = [
            ("user", user.map(String::as_str)),
            ("thread", self.request.thread.as_deref()),
            ("task", self.request.task.as_deref()),
            ("last_event_id", query_cursor),
        ];
        for (name, value) in parameters {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let mut request = self
            .client
            .authorized(self.client.http.get(url))
            .header(ACCEPT, events_sse::CONTENT_TYPE);
        if let Some(header) = header {
            request = request.header(LAST_EVENT_ID, header);
        }
        Box::pin(http::send(request, self.client.settings.head_timeout))
    }

    fn connected(&mut self, response: Response) -> Result<Item, Error> {
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
        if !is_event_stream(content_type) {
            self.state = State::Done;
            let content_type = String::from_utf8_lossy(content_type).into_owned();
            return Err(Error::NotAStream(content_type));
        }
        self.state = State::Reading(Connection {
            body: response.bytes_stream().boxed(),
            chunk: Bytes::new(),
            silence: Box::pin(sleep(self.client.settings.silence_timeout)),
            since: Instant::now(),
            closing: None,
        });
        let cursor = self.cursor().map(str::to_owned);
        Ok(Item::Connected { cursor })
    }

    /// Ends the connection, or the attempt to make one, and plans the next.
    fn disconnected(
        &mut self,
        cause: Cause,
        retry_after: Option<Duration>,
    ) -> Option<Result<Item, Error>> {
        // What is left of an unfinished event is dropped, and the cursor stays before it.
        let _unterminated = self.decoder.finish();
        let mut cause = cause;
        if let State::Reading(connection) = &self.state {
            if connection.since.elapsed() >= GOOD_CONNECTION {
                self.backoff.reset();
            }
            if let Some(closing) = connection.closing {
                if !closing.reason.is_reconnect_welcome() {
                    self.state = State::Done;
                    return None;
                }
                cause = Cause::Closing(closing.reason);
            }
        }
        let attempts = self.backoff.n_failures();
        if self
            .client
            .settings
            .max_reconnects
            .is_some_and(|max_reconnects| attempts >= max_reconnects)
        {
            self.state = State::Done;
            let attempts = attempts.saturating_add(1);
            return Some(Err(Error::GaveUp { attempts, cause }));
        }
        let after = self.backoff.next_wait(retry_after);
        tracing::debug!(%cause, ?after, "stream is reconnected");
        self.state = State::Waiting(Box::pin(sleep(after)));
        Some(Ok(Item::Reconnecting { after, cause }))
    }

    /// Makes what was decoded an item for the caller; `None` for what only the stream itself needs to know.
    fn item_of(&mut self, decoded: events_sse::Item) -> Option<Item> {
        let event = match decoded {
            events_sse::Item::Event(event) => event,
            events_sse::Item::Retry(base) => {
                self.backoff.set_base(base);
                return None;
            }
            events_sse::Item::Oversized { bytes } => return Some(Item::Skipped { bytes }),
            _ => return None,
        };
        match Control::decode(&event.event, &event.data) {
            Ok(Some(Control::Heartbeat)) => return None,
            Ok(Some(Control::Gap(gap))) => return Some(Item::Gap(gap)),
            Ok(Some(Control::Closing(closing))) => {
                if let State::Reading(connection) = &mut self.state {
                    connection.closing = Some(closing);
                }
                return Some(Item::Closing(closing));
            }
            // The caller sees what it is, at least.
            Err(error) => tracing::debug!(%error, event = %event.event, "unreadable control frame"),
            Ok(_) => {}
        }
        self.backoff.reset();
        Some(Item::Event {
            id: event.id.as_deref().map(str::to_owned),
            event: event.event.into_owned(),
            data: event.data,
        })
    }

    fn poll_reading(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Item, Error>>> {
        loop {
            let State::Reading(connection) = &mut self.state else {
                return Poll::Ready(None);
            };
            let is_over = connection
                .closing
                .is_some_and(|closing| !closing.reason.is_reconnect_welcome());
            if is_over {
                return Poll::Ready(self.disconnected(Cause::Ended, None));
            }
            let mut rest = &connection.chunk[..];
            let decoded = self.decoder.decode(&mut rest);
            let n_read = connection.chunk.len() - rest.len();
            connection.chunk.advance(n_read);
            if let Some(decoded) = decoded {
                if let Some(item) = self.item_of(decoded) {
                    return Poll::Ready(Some(Ok(item)));
                }
                continue;
            }
            let cause = match connection.body.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(chunk))) => {
                    let until = Instant::now() + self.client.settings.silence_timeout;
                    connection.silence.as_mut().reset(until);
                    connection.chunk = chunk;
                    continue;
                }
                Poll::Ready(Some(Err(error))) => Cause::Transport(error.without_url()),
                Poll::Ready(None) => Cause::Ended,
                Poll::Pending => {
                    ready!(connection.silence.as_mut().poll(context));
                    Cause::Silent(self.client.settings.silence_timeout)
                }
            };
            return Poll::Ready(self.disconnected(cause, None));
        }
    }
}

impl Stream for EventStream {
    type Item = Result<Item, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Disconnected => this.state = State::Connecting(this.connect()),
                State::Connecting(attempt) => {
                    let item = match ready!(attempt.as_mut().poll(context)) {
                        Ok(response) => Some(this.connected(response)),
                        Err(Failed::Passing { cause, retry_after }) => {
                            this.disconnected(cause, retry_after)
                        }
                        Err(Failed::Fatal { status, problem }) => {
                            this.state = State::Done;
                            Some(Err(Error::Status { status, problem }))
                        }
                    };
                    return Poll::Ready(item);
                }
                State::Reading(_) => return this.poll_reading(context),
                State::Waiting(wait) => {
                    ready!(wait.as_mut().poll(context));
                    this.state = State::Disconnected;
                }
                State::Done => return Poll::Ready(None),
            }
        }
    }
}

/// Compares the media type and leaves out its parameters.
fn is_event_stream(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next();
    essence
        .unwrap_or_default()
        .trim_ascii()
        .eq_ignore_ascii_case(events_sse::CONTENT_TYPE.as_bytes())
}
