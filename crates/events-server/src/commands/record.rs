//! `events record`: a stream to a file, with its timing.

use std::{
    future::{Future, pending},
    io::Write,
    pin::pin,
    time::{Duration, SystemTime},
};

use events_client::{Client, Item, StreamKind, Subscribe};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    Console,
    recording::{self, Entry, Header},
    write_failure,
};
use crate::{
    Failure,
    cli::{RecordArgs, RecordStream},
};

/// An event of the contexts' stream.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) protocol: String,
    pub(super) thread: Option<String>,
    pub(super) event: Box<RawValue>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

impl Envelope {
    /// Whether it was made for this one connection, as its beginning, and is no event of the user's.
    pub(super) fn is_of_connection(&self) -> bool {
        let kind = serde_json::from_str::<Kind>(self.event.get());
        self.protocol == "system"
            && kind.is_ok_and(|Kind { kind }| {
                matches!(kind.as_str(), "CONNECTED" | "CONTEXTS_SNAPSHOT")
            })
    }
}

/// Records until `stop` is done, or for the length that was asked for.
pub(super) async fn record(
    client: &Client,
    args: &RecordArgs,
    mut file: impl Write,
    stop: impl Future<Output = ()>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let start = Instant::now();
    let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let header = Header::new(args.stream, &args.user, at);
    recording::write(&mut file, &header).map_err(|error| write_failure(&args.output, error))?;
    let kind = match args.stream {
        // Only there each event comes with its thread.
        RecordStream::AgUi | RecordStream::Contexts => StreamKind::Contexts,
        RecordStream::A2a => StreamKind::A2a,
        RecordStream::Analytics => StreamKind::Analytics,
    };
    let mut stream = client.subscribe(Subscribe::to(kind).user(&args.user))?;
    let mut stop = pin!(stop);
    let mut end = pin!(over_after(args.length));
    let mut n_events = 0_u64;
    let mut reason = None;
    let result = loop {
        let item = tokio::select! {
            biased;
            () = &mut stop => break Ok(()),
            () = &mut end => break Ok(()),
            item = stream.next() => item,
        };
        let item = match item {
            Some(Ok(item)) => item,
            Some(Err(error)) => break Err(error.into()),
            None => break reason.map_or(Ok(()), |reason| Err(Failure::Ended(reason))),
        };
        console.note_item(&item);
        match item {
            Item::Closing(closing) => reason = Some(closing.reason),
            Item::Event { data, .. } => {
                let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                let Ok(entry) = entry(args.stream, ms, data) else {
                    console.note("an event that is not as expected is left out");
                    continue;
                };
                if let Some(entry) = entry {
                    recording::write(&mut file, &entry)
                        .map_err(|error| write_failure(&args.output, error))?;
                    n_events += 1;
                }
            }
            _ => {}
        }
    };
    console.note(&format!("recorded {n_events} events"));
    result
}

async fn over_after(length: Option<Duration>) {
    match length {
        Some(length) => tokio::time::sleep(length).await,
        None => pending().await,
    }
}

/// Makes the line of an event; `None` for what is not of the recorded stream.
fn entry(stream: RecordStream, ms: u64, data: String) -> serde_json::Result<Option<Entry>> {
    // A line break can only be white space of the JSON.
    let data = if data.contains(['\r', '\n']) {
        data.replace(['\r', '\n'], " ")
    } else {
        data
    };
    let (thread, data) = match stream {
        RecordStream::A2a | RecordStream::Analytics => (None, RawValue::from_string(data)?),
        RecordStream::AgUi | RecordStream::Contexts => {
            let envelope: Envelope = serde_json::from_str(&data)?;
            if envelope.is_of_connection() {
                return Ok(None);
            }
            if stream == RecordStream::Contexts {
                (None, RawValue::from_string(data)?)
            } else if envelope.protocol == "agui" {
                (envelope.thread, envelope.event)
            } else {
                return Ok(None);
            }
        }
    };
    Ok(Some(Entry { ms, thread, data }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_taken_off_where_one_protocol_is_recorded() {
        let event = r#"{"type":"STEP_STARTED" , "stepName":"plan"}"#;
        let agui = format!(r#"{{"protocol":"agui","thread":"t","event":{event}}}"#);
        let of = |stream, data: &str| {
            let entry = entry(stream, 0, data.to_owned()).unwrap();
            entry.map(|entry| (entry.thread, entry.data.get().to_owned()))
        };
        let taken = Some((Some("t".to_owned()), event.to_owned()));
        assert_eq!(of(RecordStream::AgUi, &agui), taken);
        assert_eq!(
            of(RecordStream::Contexts, &agui),
            Some((None, agui.clone()))
        );
        for made in [
            r#"{"protocol":"system","event":{"type":"CONNECTED"}}"#,
            r#"{"protocol":"system","event":{"type":"CONTEXTS_SNAPSHOT"}}"#,
        ] {
            assert_eq!(of(RecordStream::Contexts, made), None);
        }
        let a2a = r#"{"protocol":"a2a","event":{"task":{}}}"#;
        assert_eq!(of(RecordStream::AgUi, a2a), None);
        assert!(entry(RecordStream::A2a, 0, "no json".to_owned()).is_err());
    }
}
