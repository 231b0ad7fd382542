//! The agreement by which a connection is taken from hyper once the head of an endless answer is on the wire.
//!
//! hyper keeps 11 KB for a connection whose answer goes on for hours. So once it has written the head and exactly the
//! first chunk, and holds nothing back, its part is done: it is dropped, and the *same* body, with every layer of the
//! application around it, is written to the socket by [`Direct`](super::direct::Direct). If anything is not as expected,
//! hyper just goes on with the body.

use std::{
    io::IoSlice,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, Response, StatusCode, Version, header},
};
use bytes::Bytes;
use events_broadcast::Transport;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{head::TakeOver, transport::polling};

/// How much of what hyper writes is kept for comparison, in bytes: a head and a first chunk. Longer ones stay with hyper.
const MOST_COMPARED: usize = 16 << 10;

/// What hyper's side and the taker know of one connection.
#[derive(Debug, Default)]
pub(super) struct Handover(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    heads: Heads,
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    /// Nothing is offered: hyper has the connection to itself.
    #[default]
    Kept,
    /// An answer may be taken over.
    Offered {
        /// Everything that hyper has written since.
        written: Vec<u8>,
        /// The first chunk with its framing, which has to be the end of it; empty until the body has said something.
        chunk: Vec<u8>,
        /// The body that waits for the outcome.
        waker: Option<Waker>,
    },
    /// hyper has nothing left to do.
    Agreed,
    /// hyper has been dropped; here is the body.
    Taken(Body),
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what hyper has read from the client.
    pub(super) fn has_read(&self, bytes: &[u8]) {
        self.lock().heads.read(bytes);
    }

    /// Notes what hyper has written: the first `n_written` bytes of the slices.
    pub(super) fn has_written(&self, slices: &[IoSlice<'_>], n_written: usize) {
        let mut state = self.lock();
        // What comes from now on is a later request.
        state.heads = Heads::default();
        if let Phase::Offered { written, .. } = &mut state.phase {
            let mut n_left = n_written.min((MOST_COMPARED + 1).saturating_sub(written.len()));
            for slice in slices {
                let n = slice.len().min(n_left);
                written.extend_from_slice(&slice[..n]);
                n_left -= n;
            }
        }
    }

    /// Decides: hyper holds nothing back at this moment.
    pub(super) fn has_flushed(&self) {
        let mut state = self.lock();
        let Phase::Offered { written, chunk, .. } = &state.phase else {
            return;
        };
        if written.is_empty() {
            return;
        }
        let next = if is_head_and(written, chunk) {
            Phase::Agreed
        } else {
            Phase::Kept
        };
        if let Phase::Offered {
            waker: Some(waker), ..
        } = mem::replace(&mut state.phase, next)
        {
            waker.wake();
        }
    }

    /// Whether hyper's part is done.
    pub(super) fn is_agreed(&self) -> bool {
        matches!(self.lock().phase, Phase::Agreed)
    }

    /// Takes the body, after hyper has been dropped.
    pub(super) fn take(&self) -> Option<Body> {
        match mem::take(&mut self.lock().phase) {
            Phase::Taken(body) => Some(body),
            Phase::Kept | Phase::Offered { .. } | Phase::Agreed => None,
        }
    }

    /// Whether a request is one whose answer could be taken over: it asks for one thing, and nothing else has come.
    pub(super) fn could_take<B: HttpBody>(&self, request: &Request<B>) -> bool {
        let names = [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
            header::EXPECT,
        ];
        request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && request.body().is_end_stream()
            && has_none_of(request.headers(), &names)
            && self.lock().heads.is_one()
    }

    /// Offers an answer, if it is of the kind. The client is told that the connection ends with it.
    pub(super) fn offer(self: Arc<Self>, response: Response<Body>) -> Response<Outgoing> {
        let names = [
            header::CONTENT_LENGTH,
            header::CONTENT_ENCODING,
            header::TRANSFER_ENCODING,
            header::TRAILER,
            header::UPGRADE,
            header::CONNECTION,
        ];
        let is_long = response.status() == StatusCode::OK
            && response.extensions().get::<TakeOver>().is_some()
            && has_none_of(response.headers(), &names)
            && response.body().size_hint().exact().is_none()
            && !response.body().is_end_stream();
        if !is_long {
            return response.map(|body| Outgoing::kept(body, Transport::Http1));
        }
        self.lock().phase = Phase::Offered {
            written: Vec::with_capacity(512),
            chunk: Vec::new(),
            waker: None,
        };
        let mut response = response.map(|body| Outgoing {
            body,
            transport: Transport::Http1,
            offered: Some(self),
        });
        let close = header::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    }
}

fn has_none_of(headers: &HeaderMap, names: &[header::HeaderName]) -> bool {
    names.iter().all(|name| !headers.contains_key(name))
}

/// Whether hyper has written one head that we rely on, and the chunk, and nothing else.
fn is_head_and(written: &[u8], chunk: &[u8]) -> bool {
    let end = written
        .windows(END_OF_HEAD.len())
        .position(|window| window == END_OF_HEAD);
    let Some(end) = end else {
        return false;
    };
    let (head, rest) = written.split_at(end + END_OF_HEAD.len());
    let has_line = |line: &[u8]| {
        head.windows(line.len())
            .any(|window| window.eq_ignore_ascii_case(line))
    };
    written.len() <= MOST_COMPARED
        && head.starts_with(b"HTTP/1.1 200 ")
        && has_line(b"\r\ntransfer-encoding: chunked\r\n")
        && has_line(b"\r\nconnection: close\r\n")
        && rest == chunk
}

const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const END_LEN: usize = END_OF_HEAD.len();

/// Counts the ends of heads that a client has sent since something was written to it.
#[derive(Debug, Default)]
struct Heads {
    n_ends: u32,
    /// How much of an end the last bytes are.
    n_matched: usize,
}

impl Heads {
    fn read(&mut self, mut bytes: &[u8]) {
        // A head comes in one piece nearly always. Its end is searched for, which is many times as fast as a step for
        // each byte; only the end's own bytes, and what begins in the middle of one, are gone through.
        while matches!(self.n_matched, 0 | END_LEN) {
            let Some(at) = memchr::memmem::find(bytes, END_OF_HEAD) else {
                // What may be the beginning of an end.
                bytes = &bytes[bytes.len().saturating_sub(END_LEN - 1)..];
                break;
            };
            self.n_ends = self.n_ends.saturating_add(1);
            self.n_matched = END_LEN;
            bytes = &bytes[at + END_LEN..];
            if bytes.is_empty() {
                return;
            }
        }
        for byte in bytes {
            if self.n_matched == END_OF_HEAD.len() {
                self.n_matched = 0;
            }
            if *byte == END_OF_HEAD[self.n_matched] {
                self.n_matched += 1;
            } else {
                self.n_matched = usize::from(*byte == END_OF_HEAD[0]);
            }
            if self.n_matched == END_OF_HEAD.len() {
                self.n_ends = self.n_ends.saturating_add(1);
            }
        }
    }

    /// Whether one head has come, and nothing after it.
    const fn is_one(&self) -> bool {
        self.n_ends == 1 && self.n_matched == END_OF_HEAD.len()
    }
}

/// The body of an answer on its way through hyper.
#[derive(Debug)]
pub(super) struct Outgoing {
    body: Body,
    transport: Transport,
    /// Whom it was offered to. It says one thing then, and waits for the outcome.
    offered: Option<Arc<Handover>>,
}

impl Outgoing {
    /// A body that hyper keeps.
    pub(super) const fn kept(body: Body, transport: Transport) -> Self {
        Self {
            body,
            transport,
            offered: None,
        }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self {
            body,
            transport,
            offered,
        } = &mut *self;
        let poll_body = || polling(*transport, || Pin::new(body).poll_frame(context));
        let Some(handover) = offered else {
            return poll_body();
        };
        let is_kept = match &mut handover.lock().phase {
            Phase::Offered { chunk, waker, .. } if !chunk.is_empty() => {
                *waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            Phase::Agreed | Phase::Taken(_) => return Poll::Pending,
            Phase::Offered { .. } => false,
            Phase::Kept => true,
        };
        if is_kept {
            *offered = None;
            return poll_body();
        }
        let polled = poll_body();
        let Poll::Ready(said) = &polled else {
            return polled;
        };
        let phase = &mut handover.lock().phase;
        match (
            said.as_ref().map(|said| said.as_ref().map(Frame::data_ref)),
            &mut *phase,
        ) {
            (Some(Ok(Some(data))), Phase::Offered { chunk, .. }) => {
                if data.len() < MOST_COMPARED {
                    push_chunk(data, chunk);
                } else {
                    *phase = Phase::Kept;
                }
            }
            // It has ended, or says what is no part of a chunk.
            _ => *phase = Phase::Kept,
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if let Some(handover) = &self.offered {
            let mut state = handover.lock();
            if matches!(state.phase, Phase::Agreed) {
                state.phase = Phase::Taken(mem::take(&mut self.body));
            }
        }
    }
}

/// Appends bytes as one chunk (RFC 9112, 7.1); nothing for no bytes, which would be the last chunk.
pub(super) fn push_chunk(data: &[u8], out: &mut Vec<u8>) {
    if !data.is_empty() {
        push_size(data.len(), out);
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the line that begins a chunk of so many bytes.
pub(super) fn push_size(n_bytes: usize, out: &mut Vec<u8>) {
    let n_digits = (usize::BITS - n_bytes.leading_zeros()).div_ceil(4).max(1);
    for at in (0..n_digits).rev() {
        out.push(b"0123456789ABCDEF"[n_bytes >> (4 * at) & 0xF]);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
