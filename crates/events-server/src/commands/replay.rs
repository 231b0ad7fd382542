//! `events replay`: publishes what was recorded, with its timing.

use std::{fs::File, io::BufReader, time::Duration};

use events_client::{Client, Error, Publish, PublishKind};
use tokio::time::{Instant, sleep_until};

use super::{
    Console,
    publish::{BATCH_BYTES, BATCH_LINES},
    read_failure,
    record::Envelope,
    recording::{Entry, Reader, Unreadable},
    refusal,
};
use crate::{
    Failure,
    cli::{RecordStream, ReplayArgs},
};

/// An event on its way back.
struct Event {
    /// The line of the file.
    line: u64,
    /// Milliseconds since the recording began.
    ms: u64,
    kind: PublishKind,
    thread: Option<String>,
    json: String,
}

impl Event {
    fn goes_with(&self, other: &Self) -> bool {
        self.kind == other.kind && self.thread == other.thread
    }
}

/// The recording, as events to publish.
struct Source<'a> {
    args: &'a ReplayArgs,
    stream: RecordStream,
    reader: Reader<BufReader<File>>,
}

impl Source<'_> {
    fn failure(&self, unreadable: Unreadable) -> Failure {
        unreadable_failure(self.args, unreadable)
    }

    /// Reads the next event; `None` at the end.
    fn next(&mut self) -> Result<Option<Event>, Failure> {
        while let Some(entry) = self.reader.next().map_err(|error| self.failure(error))? {
            let line = self.reader.n_lines();
            let event = event(self.stream, line, entry)
                .map_err(|reason| self.failure(Unreadable::Line(line, reason)))?;
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }
}

fn unreadable_failure(args: &ReplayArgs, unreadable: Unreadable) -> Failure {
    match unreadable {
        Unreadable::Io(error) => read_failure(&args.file, error),
        Unreadable::Line(line, reason) => Failure::Recording {
            path: args.file.clone(),
            line,
            reason,
        },
    }
}

/// Finds where an event is published; `None` for what a hub makes itself.
fn event(stream: RecordStream, line: u64, entry: Entry) -> Result<Option<Event>, String> {
    let Entry { ms, thread, data } = entry;
    let (kind, thread, data) = match stream {
        RecordStream::AgUi => (PublishKind::AgUi, thread, data),
        RecordStream::A2a => (PublishKind::A2a, None, data),
        RecordStream::Analytics => (PublishKind::Analytics, None, data),
        RecordStream::Contexts => {
            let envelope: Envelope =
                serde_json::from_str(data.get()).map_err(|error| error.to_string())?;
            if envelope.is_of_connection() {
                return Ok(None);
            }
            let kind = match envelope.protocol.as_str() {
                "agui" => PublishKind::AgUi,
                "a2a" => PublishKind::A2a,
                "system" => PublishKind::System,
                other => return Err(format!("protocol {other:?} is not known")),
            };
            (kind, envelope.thread, envelope.event)
        }
    };
    let json = data.get().to_owned();
    Ok(Some(Event {
        line,
        ms,
        kind,
        thread,
        json,
    }))
}

/// Publishes each event when its time has come, the first at once.
///
/// Events of one place whose time has come are published together, so that a slow hub delays the end and not each
/// event.
pub(super) async fn replay(
    client: &Client,
    args: &ReplayArgs,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let file = File::open(&args.file).map_err(|source| read_failure(&args.file, source))?;
    let (header, reader) =
        Reader::open(BufReader::new(file)).map_err(|error| unreadable_failure(args, error))?;
    let mut source = Source {
        args,
        stream: header.stream,
        reader,
    };
    let user = args.user.as_deref().unwrap_or(&header.user);
    let mut next = source.next()?;
    let first_ms = next.as_ref().map_or(0, |event| event.ms);
    let start = Instant::now();
    let due = |event: &Event| {
        let micros = u128::from(event.ms.saturating_sub(first_ms)) * 1_000_000;
        let micros = micros / u128::from(args.speed.0.max(1));
        let wait = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        start.checked_add(wait)
    };
    let mut n_events = 0;
    while let Some(event) = next.take() {
        if let Some(due) = due(&event) {
            sleep_until(due).await;
        }
        let now = Instant::now();
        let mut n_bytes = event.json.len();
        let mut batch = vec![event];
        next = source.next()?;
        while let Some(event) = next.take() {
            n_bytes += event.json.len();
            let is_due = due(&event).is_some_and(|due| due <= now);
            if !is_due
                || !event.goes_with(&batch[0])
                || batch.len() >= BATCH_LINES
                || n_bytes > BATCH_BYTES
            {
                next = Some(event);
                break;
            }
            batch.push(event);
            next = source.next()?;
        }
        publish(client, user, &batch).await?;
        n_events += batch.len();
    }
    if source.reader.is_truncated() {
        console.note("warning: the last line of the recording is cut and was left out");
    }
    console.note(&format!("replayed {n_events} events"));
    Ok(())
}

async fn publish(client: &Client, user: &str, batch: &[Event]) -> Result<(), Failure> {
    let mut request = Publish::to(batch[0].kind, user);
    if let Some(thread) = &batch[0].thread {
        request = request.thread(thread);
    }
    let events = batch.iter().map(|event| event.json.as_str());
    match client.publish(&request, events).await {
        Ok(_) => Ok(()),
        Err(Error::Refused {
            line: Some(line),
            problem,
            ..
        }) => {
            let index = usize::try_from(line).unwrap_or(1).max(1) - 1;
            let line = batch.get(index).unwrap_or(&batch[0]).line;
            let reason = refusal(&problem);
            Err(Failure::RefusedLine { line, reason })
        }
        Err(error) => Err(error.into()),
    }
}
