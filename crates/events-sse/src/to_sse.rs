//! The one trait that makes a type an event of a stream.

use std::borrow::Cow;

use axum::response::sse::Event;
use events_core::{EventResult, Frame};
use memchr::memchr;

use crate::encode::{write_one_line, write_payload};

/// An event that can be put on a stream.
///
/// ```
/// use events_core::{EventError, EventResult, Frame};
/// use events_sse::ToSse;
///
/// struct Greeting(&'static str);
///
/// impl ToSse for Greeting {
///     fn to_frame(&self) -> EventResult<Frame> {
///         let json = serde_json::to_vec(self.0).map_err(|error| EventError::Encode(error.into()))?;
///         Ok(Frame::json(json).named("greeting"))
///     }
/// }
///
/// # fn main() -> EventResult<()> {
/// let _event: axum::response::sse::Event = Greeting("hello").to_sse()?;
/// # Ok(())
/// # }
/// ```
pub trait ToSse {
    /// Makes the frame that streams share: one JSON value, its name and its envelope.
    ///
    /// # Errors
    ///
    /// [`events_core::EventError::Encode`] if the event has no JSON form.
    fn to_frame(&self) -> EventResult<Frame>;

    /// Makes an axum event of the frame: its name, and its payload within its envelope.
    ///
    /// It has no id, since a frame has none. axum's builder panics on some input and counts CRLF twice, so a name
    /// and a payload are made harmless first: CR and LF of a name become spaces, each CR, LF or CRLF of a payload
    /// becomes one line break, and invalid UTF-8 becomes U+FFFD. axum writes no `data:` line for an empty payload
    /// (which is no JSON value), so readers do not see such an event.
    ///
    /// # Errors
    ///
    /// Those of [`ToSse::to_frame`].
    fn to_sse(&self) -> EventResult<Event> {
        self.to_frame().map(|frame| axum_event(&frame))
    }
}

impl ToSse for Frame {
    /// Returns a clone, which shares the payload.
    fn to_frame(&self) -> EventResult<Frame> {
        Ok(self.clone())
    }
}

fn axum_event(frame: &Frame) -> Event {
    let mut event = Event::default();
    if let Some(name) = frame.event.filter(|name| !name.is_empty()) {
        let mut one_line = Vec::with_capacity(name.len());
        write_one_line(name, &mut one_line);
        event = event.event(String::from_utf8_lossy(&one_line));
    }
    let payload = if frame.envelope.is_none() && memchr(b'\r', &frame.data).is_none() {
        Cow::Borrowed(&frame.data[..])
    } else {
        let mut payload = Vec::with_capacity(frame.data.len() + 64);
        write_payload(frame, &mut payload, b"\n");
        Cow::Owned(payload)
    };
    event.data(String::from_utf8_lossy(&payload))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{
        body::HttpBody,
        response::{IntoResponse, Sse},
    };
    use bytes::Bytes;
    use events_core::Envelope;
    use futures_util::{FutureExt, future, stream};
    use proptest::prelude::*;

    use super::*;
    use crate::{Decoder, DecoderOptions, Item, encode_frame};

    /// Returns the bytes that axum sends for the event.
    fn wire_of(event: Event) -> Vec<u8> {
        let response =
            Sse::new(stream::iter([Ok::<_, std::convert::Infallible>(event)])).into_response();
        let mut body = Box::pin(response.into_body());
        let mut wire = Vec::new();
        while let Some(Some(Ok(frame))) =
            future::poll_fn(|context| body.as_mut().poll_frame(context)).now_or_never()
        {
            wire.extend_from_slice(&frame.into_data().unwrap());
        }
        wire
    }

    fn events_of(wire: &[u8]) -> Vec<Item> {
        Decoder::new(DecoderOptions::default()).feed(wire).collect()
    }

    proptest! {
        #[test]
        fn axum_events_say_the_same_as_our_own_frames(
            name in prop::option::of(".{0,10}|[\r\n\0a ]{0,6}"),
            data in prop::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(b' '), Just(b':'), any::<u8>()],
                1..40,
            ),
            thread in prop::option::of(".{0,10}"),
            is_wrapped: bool,
        ) {
            let mut frame = Frame::json(data);
            frame.event = name.map(|name: String| &*name.leak());
            if is_wrapped {
                let thread = thread.map(Arc::from);
                frame = frame.wrapped(Envelope { protocol: "agui", thread });
            }
            let mut ours = Vec::new();
            encode_frame(None, &frame, &mut ours);
            let theirs = wire_of(frame.to_sse().unwrap());
            prop_assert!(!theirs.contains(&b'\r'));
            prop_assert_eq!(events_of(&theirs), events_of(&ours));
        }
    }

    #[test]
    fn a_plain_event_is_one_data_line() {
        let frame = Frame::json(Bytes::from_static(b"{}"));
        assert_eq!(wire_of(frame.to_sse().unwrap()), b"data: {}\n\n");
    }
}
