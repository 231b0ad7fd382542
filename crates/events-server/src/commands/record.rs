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
    contact::Contact,
    counted,
    recording::{self, Entry, Header},
    tail::is_read,
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

/// Records until `stop` is done, or for the length that was asked for. Nothing is written before the hub has answered.
pub(super) async fn record(
    client: &Client,
    args: &RecordArgs,
    mut file: impl Write,
    stop: impl Future<Output = ()>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let kind = match args.stream {
        // Only there each event comes with its thread.
        RecordStream::AgUi | RecordStream::Contexts => StreamKind::Contexts,
        RecordStream::A2a => StreamKind::A2a,
        RecordStream::Analytics => StreamKind::Analytics,
    };
    let mut contact = Contact::new(client, &args.hub);
    let mut stream = client.subscribe(Subscribe::to(kind).user(&args.user))?;
    let mut stop = pin!(stop);
    let mut end = pin!(over_after(None));
    let mut start = None;
    let mut write = |line: Line<'_>| {
        let written = match line {
            Line::Header(header) => recording::write(&mut file, header),
            Line::Entry(entry) => recording::write(&mut file, entry),
        };
        is_read(written, &args.output)
    };
    let (mut n_events, mut n_gaps) = (0_u64, 0_u64);
    let mut reason = None;
    let result = loop {
        let item = tokio::select! {
            biased;
            () = &mut stop => break Ok(()),
            () = &mut end => break Ok(()),
            item = stream.next() => item,
        };
        let item = match item.map(|item| contact.check(item?)) {
            Some(Ok(item)) => item,
            Some(Err(failure)) => break Err(failure),
            None => break reason.map_or(Ok(()), |reason| Err(Failure::Ended(reason))),
        };
        console.note_item(&item);
        match item {
            Item::Closing(closing) => reason = Some(closing.reason),
            Item::Gap(_) | Item::Skipped { .. } => n_gaps += 1,
            Item::Connected { .. } if start.is_none() => {
                start = Some(Instant::now());
                end.set(over_after(args.length));
                let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
                let header = Header::new(args.stream, &args.user, at);
                match write(Line::Header(&header)) {
                    Ok(true) => {}
                    Ok(false) => break Ok(()),
                    Err(failure) => break Err(failure),
                }
            }
            Item::Event { data, .. } => {
                let elapsed = start.map_or(Duration::ZERO, |start| start.elapsed());
                let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
                let Ok(entry) = entry(args.stream, ms, data) else {
                    console.note("an event that is not as expected is left out");
                    continue;
                };
                let Some(entry) = entry else { continue };
                match write(Line::Entry(&entry)) {
                    Ok(true) => n_events += 1,
                    Ok(false) => break Ok(()),
                    Err(failure) => break Err(failure),
                }
            }
            _ => {}
        }
    };
    if start.is_some() {
        let gaps = match n_gaps {
            0 => String::new(),
            _ => format!("; events are missing at {}", counted(n_gaps, "place")),
        };
        console.note(&format!("recorded {}{gaps}", counted(n_events, "event")));
    }
    result
}

enum Line<'a> {
    Header(&'a Header),
    Entry(&'a Entry),
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
