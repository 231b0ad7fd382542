//! From the bytes of an answer to its session, whatever happens on the way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    AnswerHead, Extraction, Framing, GiveUp, Provider, StreamReader, TapLimits,
    encoding::{ContentDecoder, Encoding},
    formats::failure_of,
    json::Json,
    session::Session,
};

/// How an answer is read.
#[derive(Debug)]
pub(crate) enum Reading {
    /// It is not, or no more.
    Nothing,
    /// As a stream of events, or as one body.
    Events {
        decoder: Box<ContentDecoder>,
        reader: Box<StreamReader>,
        /// Something was to come, so that nothing at all is a cut.
        is_stream: bool,
    },
    /// As the body of an error, of which so much is kept.
    Error {
        decoder: Box<ContentDecoder>,
        body: Vec<u8>,
        limit: usize,
        provider: Option<Provider>,
    },
}

impl Reading {
    /// Chooses how to read an answer by its head.
    pub(crate) fn of(head: &AnswerHead<'_>, limits: &TapLimits, session: &mut Session) -> Self {
        session.set_http_status(head.status);
        let provider = session.request().provider;
        let content_type = head.content_type.unwrap_or_default();
        let framing = Framing::of_content_type(content_type);
        let is_media = ["image/", "audio/", "video/"].iter().any(|media| {
            content_type
                .trim_start()
                .to_ascii_lowercase()
                .starts_with(media)
        });
        let is_error = head.status >= 400;
        let is_stream =
            provider.is_some() && matches!(framing, Some(Framing::Sse | Framing::Ndjson));
        let framing = match (provider, framing) {
            _ if is_media => None,
            // Nobody asked for it to be read, and a whole body would have to be held.
            (None, Some(Framing::Json)) => None,
            // Servers name streams in many ways; what it is shows in its first bytes.
            (Some(_), None) => Some(Framing::Sse),
            (_, framing) => framing,
        };
        let encoding = head.content_encoding.unwrap_or_default();
        let decoder = Encoding::of_header(encoding)
            .ok_or(GiveUp::UnknownEncoding)
            .and_then(|encoding| ContentDecoder::new(encoding, limits.max_decoded_bytes))
            .map(Box::new);
        match (decoder, framing) {
            (_, None) if !is_error => Self::Nothing,
            (Err(give_up), _) => {
                session.take(Extraction::GaveUp(give_up));
                Self::Nothing
            }
            (Ok(decoder), _) if is_error => Self::Error {
                decoder,
                body: Vec::new(),
                limit: limits.max_error_bytes,
                provider,
            },
            (Ok(decoder), framing) => {
                let framing = framing.unwrap_or(Framing::Sse);
                if framing != Framing::Json {
                    session.set_stream();
                }
                Self::Events {
                    decoder,
                    reader: Box::new(StreamReader::new(provider, framing, limits.reader)),
                    is_stream,
                }
            }
        }
    }

    /// Reads the next bytes. Neither an error nor a panic leaves this function.
    pub(crate) fn feed(&mut self, bytes: &[u8], session: &mut Session) {
        let outcome = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Nothing => Ok(()),
            Self::Events {
                decoder, reader, ..
            } => decoder.decode(bytes, &mut |plain| {
                reader.feed(plain, &mut |extraction| session.take(extraction));
            }),
            Self::Error {
                decoder,
                body,
                limit,
                ..
            } => decoder.decode(bytes, &mut |plain| {
                let n_free = limit.saturating_sub(body.len()).min(plain.len());
                body.extend_from_slice(plain.get(..n_free).unwrap_or_default());
            }),
        }));
        self.settle(outcome.unwrap_or(Err(GiveUp::Panicked)), session);
    }

    /// Reads what the end of the body makes clear.
    pub(crate) fn finish(&mut self, session: &mut Session) {
        let reading = std::mem::replace(self, Self::Nothing);
        let outcome = catch_unwind(AssertUnwindSafe(|| match reading {
            Self::Nothing => {}
            Self::Events {
                mut reader,
                is_stream,
                ..
            } => {
                reader.finish(&mut |extraction| session.take(extraction));
                if is_stream || reader.counts().bad_json > 0 {
                    session.expect_more();
                }
            }
            Self::Error { body, provider, .. } => read_error(&body, provider, session),
        }));
        self.settle(outcome.map_err(|_| GiveUp::Panicked), session);
    }

    fn settle(&mut self, outcome: Result<(), GiveUp>, session: &mut Session) {
        if let Err(give_up) = outcome {
            *self = Self::Nothing;
            session.take(Extraction::GaveUp(give_up));
        }
    }
}

/// Finds the error in the body of an answer that is one.
fn read_error(body: &[u8], provider: Option<Provider>, session: &mut Session) {
    let limits = crate::ReaderLimits::default();
    // Some servers answer with an error event under an error status.
    let mut reader = StreamReader::new(provider, Framing::Json, limits);
    let mut take = |extraction| {
        if matches!(extraction, Extraction::Failed(_)) {
            session.take(extraction);
        }
    };
    reader.feed(body, &mut take);
    reader.finish(&mut take);
    if session.has_failure() {
        return;
    }
    let text = String::from_utf8_lossy(body);
    if let Some(json) = Json::parse(&text).filter(Json::is_truthy) {
        let error = json.get("error");
        let error = if error.is_truthy() { error } else { &json };
        session.take(Extraction::Failed(failure_of(error)));
    }
}
