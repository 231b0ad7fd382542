//! Publishing line by line on one connection, with a receipt for each line.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use events_sse::{HEARTBEAT_INTERVAL, NdjsonDecoder, NdjsonItem};
use futures_util::{Stream, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use reqwest::{Body, Response, header::CONTENT_TYPE};
use serde::Deserialize;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    client::Client,
    error::{Cause, Error, Problem},
    http::Failed,
    line::{self, EventLine},
    publish::Publish,
};

/// Lines that wait to be written before [`LivePublisher::send`] waits too.
const WAITING_LINES: usize = 64;

/// A receipt's cap, in bytes: ids, or one problem.
const RECEIPT_BYTES: usize = 256 << 10;

/// The hub's answer to one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The line's number among those that were sent, from 1. Receipts come in order.
    pub line: u64,
    /// The ids of the line's records, or why it was refused.
    pub result: Result<Vec<String>, Box<Problem>>,
}

/// A receipt as it is on the wire.
#[derive(Deserialize)]
struct WireReceipt {
    /// The line by the hub's count, which has keep-alives in it; 0 when the hub ends the request.
    line: Option<u64>,
    #[serde(default)]
    ids: Vec<String>,
    error: Option<Box<Problem>>,
}

impl Client {
    /// Begins a publish whose lines are appended to the log as they arrive, for producers that stream tokens.
    ///
    /// Nothing is sent before the first line or the first poll for a receipt. While no line is sent, keep-alives
    /// are, every 15 seconds. A retry is not made: a cut leaves the lines without a receipt unknown, so for those
    /// that must not be lost there is [`Client::publish`]. The request's message id and deadline do not count.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a user id that no path can carry.
    pub fn publish_live(&self, request: &Publish) -> Result<LivePublisher, Error> {
        let mut url = request.url(self)?;
        url.set_path(&format!("{}/live", url.path()));
        let (lines, waiting) = mpsc::channel(WAITING_LINES);
        let request = self
            .authorized(self.http.post(url))
            .header(CONTENT_TYPE, events_sse::NDJSON_CONTENT_TYPE)
            .body(Body::wrap_stream(body(waiting)));
        // No time limit on the answer's head: a hub may send it with the first receipt.
        let no_limit = std::time::Duration::MAX;
        Ok(LivePublisher {
            lines: Some(lines),
            answer: Answer::Awaited(Box::pin(crate::http::send(request, no_limit))),
            receipts: VecDeque::new(),
            n_sent: 0,
            n_receipts: 0,
        })
    }
}

/// The request's body: lines as they come, and keep-alives while none comes. Ends when the sender is dropped.
fn body(mut lines: mpsc::Receiver<Bytes>) -> impl Stream<Item = reqwest::Result<Bytes>> + Send {
    let mut silence = None;
    stream::poll_fn(move |context| {
        let silence = silence.get_or_insert_with(|| Box::pin(sleep(HEARTBEAT_INTERVAL)));
        let next = match lines.poll_recv(context) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(line)) => line,
            Poll::Pending => {
                ready!(silence.as_mut().poll(context));
                Bytes::from_static(b":\n")
            }
        };
        silence.as_mut().reset(Instant::now() + HEARTBEAT_INTERVAL);
        Poll::Ready(Some(Ok(next)))
    })
}

enum Answer {
    Awaited(BoxFuture<'static, Result<Response, Failed>>),
    Read {
        body: BoxStream<'static, reqwest::Result<Bytes>>,
        chunk: Bytes,
        decoder: NdjsonDecoder,
    },
    Over,
}

/// A live publish: lines in, and, as a [`Stream`], receipts out.
///
/// Receipts that arrive while lines are sent are kept, so a caller may send first and look later; it should look
/// now and then, as they are kept until then. After [`LivePublisher::close`] the stream ends with the last receipt.
/// Dropping it cuts the connection: lines without a receipt may or may not be in the log.
#[must_use = "a live publish does nothing unless lines are sent"]
pub struct LivePublisher {
    lines: Option<mpsc::Sender<Bytes>>,
    answer: Answer,
    receipts: VecDeque<Receipt>,
    n_sent: u64,
    n_receipts: u64,
}

impl fmt::Debug for LivePublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LivePublisher")
            .field("n_sent", &self.n_sent)
            .field("n_receipts", &self.n_receipts)
            .finish_non_exhaustive()
    }
}

impl LivePublisher {
    /// Sends one event and returns its line number, from 1. Waits while 64 lines have not been written.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after [`Self::close`] or the end of the answer, [`Error::Encode`] or [`Error::Invalid`] if the
    /// event is no line of JSON, and what polling for a receipt can give.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the line is not sent.
    pub async fn send(&mut self, event: impl EventLine) -> Result<u64, Error> {
        let mut line = Vec::new();
        line::append(&event, &mut line)?;
        let lines = self.lines.clone().ok_or(Error::Closed)?;
        let mut place = pin!(lines.reserve());
        let permit = poll_fn(|context| {
            // The answer must move, or the hub would stop reading in the end.
            while let Poll::Ready(receipt) = self.poll_answer(context) {
                match receipt {
                    Some(Ok(receipt)) => self.receipts.push_back(receipt),
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => return Poll::Ready(Err(Error::Closed)),
                }
            }
            let permit = ready!(place.as_mut().poll(context));
            Poll::Ready(permit.map_err(|_closed| Error::Closed))
        })
        .await?;
        permit.send(Bytes::from(line));
        self.n_sent += 1;
        Ok(self.n_sent)
    }

    /// Ends the body after the lines sent so far. Their receipts still come.
    pub fn close(&mut self) {
        self.lines = None;
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Receipt, Error>>> {
        if matches!(self.answer, Answer::Over) {
            return Poll::Ready(None);
        }
        let item = match ready!(self.poll_wire(context)) {
            Some(Ok(WireReceipt {
                line: Some(0),
                error,
                ..
            })) => {
                let problem = error.unwrap_or_default();
                let status = problem.status.unwrap_or(503);
                Some(Err(Error::Live(Cause::Status { status, problem })))
            }
            Some(Ok(receipt)) => {
                self.n_receipts += 1;
                return Poll::Ready(Some(Ok(Receipt {
                    line: self.n_receipts,
                    result: match receipt.error {
                        Some(problem) => Err(problem),
                        None => Ok(receipt.ids),
                    },
                })));
            }
            Some(Err(error)) => Some(Err(error)),
            None if self.n_receipts < self.n_sent => Some(Err(Error::Live(Cause::Ended))),
            None => None,
        };
        self.answer = Answer::Over;
        self.lines = None;
        Poll::Ready(item)
    }

    fn poll_wire(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<WireReceipt, Error>>> {
        loop {
            match &mut self.answer {
                Answer::Over => return Poll::Ready(None),
                Answer::Awaited(answer) => match ready!(answer.as_mut().poll(context)) {
                    Ok(response) => {
                        self.answer = Answer::Read {
                            body: response.bytes_stream().boxed(),
                            chunk: Bytes::new(),
                            decoder: NdjsonDecoder::new(RECEIPT_BYTES),
                        };
                    }
                    Err(Failed::Passing { cause, .. }) => {
                        return Poll::Ready(Some(Err(Error::Live(cause))));
                    }
                    Err(Failed::Fatal { status, problem }) => {
                        return Poll::Ready(Some(Err(Error::Status { status, problem })));
                    }
                },
                Answer::Read {
                    body,
                    chunk,
                    decoder,
                } => {
                    let mut rest = &chunk[..];
                    let item = decoder.decode(&mut rest).map(read);
                    let n_read = chunk.len() - rest.len();
                    chunk.advance(n_read);
                    match item {
                        Some(None) => continue,
                        Some(Some(receipt)) => return Poll::Ready(Some(receipt)),
                        None => {}
                    }
                    match ready!(body.as_mut().poll_next(context)) {
                        Some(Ok(next)) => *chunk = next,
                        Some(Err(error)) => {
                            let cause = Cause::Transport(error.without_url());
                            return Poll::Ready(Some(Err(Error::Live(cause))));
                        }
                        // A second call finds neither a last line nor more of the body.
                        None => return Poll::Ready(decoder.finish().and_then(read)),
                    }
                }
            }
        }
    }
}

/// Reads a line of the answer; `None` for one that says nothing.
fn read(item: NdjsonItem<'_>) -> Option<Result<WireReceipt, Error>> {
    match item {
        NdjsonItem::Line { bytes, .. } => {
            Some(serde_json::from_slice(bytes).map_err(Error::Answer))
        }
        NdjsonItem::TooLong { .. } => {
            let error = <serde_json::Error as serde::de::Error>::custom("receipt is too long");
            Some(Err(Error::Answer(error)))
        }
        _ => None,
    }
}

impl Stream for LivePublisher {
    type Item = Result<Receipt, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(receipt) = this.receipts.pop_front() {
            return Poll::Ready(Some(Ok(receipt)));
        }
        this.poll_answer(context)
    }
}
