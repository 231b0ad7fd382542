//! `events replay`: publishes what was recorded, with its timing.

use std::{fs::File, io::BufReader, time::Duration};

use events_client::{Client, Publish, PublishKind};
use tokio::time::{Instant, sleep_until};

use super::{
    Console,
    contact::{Answer, Contact},
    counted,
    publish::{BATCH_BYTES, BATCH_LINES},
    read_failure,
    record::Envelope,
    recording::{Entry, Reader, Unreadable},
    refusal,
};
use crate::{
    Failure, StopRequests,
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
        Unreadable::Header(reason) => Failure::NoRecording {
            path: args.file.clone(),
            reason,
        },
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
    stop: StopRequests,
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
    let mut player = Player {
        contact: Contact::new(client, &args.hub),
        user,
        stop: &stop,
        n_events: 0,
    };
    let result = player.play(&mut source, console).await;
    if result.is_ok() && source.reader.is_truncated() {
        console.note("warning: the last line of the recording is cut and was left out");
    }
    if result.is_ok() || player.n_events > 0 {
        console.note(&format!("replayed {}", counted(player.n_events, "event")));
    }
    result
}

struct Player<'a> {
    contact: Contact<'a>,
    user: &'a str,
    stop: &'a StopRequests,
    n_events: u64,
}

impl Player<'_> {
    async fn play(
        &mut self,
        source: &mut Source<'_>,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let speed = u128::from(source.args.speed.0.max(1));
        let mut next = source.next()?;
        let first_ms = next.as_ref().map_or(0, |event| event.ms);
        let start = Instant::now();
        let due = |event: &Event| {
            let micros = u128::from(event.ms.saturating_sub(first_ms)) * 1_000_000 / speed;
            let wait = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
            start.checked_add(wait)
        };
        while let Some(event) = next.take() {
            if let Some(due) = due(&event) {
                tokio::select! {
                    biased;
                    () = self.stop.clone().first() => {
                        return Err(Failure::Stopped { before: event.line, unknown: None });
                    }
                    () = sleep_until(due) => {}
                }
            }
            let now = Instant::now();
            let mut n_bytes = event.json.len();
            let mut batch = vec![event];
            // What cannot be read is told after what stands before it has been published.
            let mut read = source.next();
            while let Ok(Some(event)) = &read {
                n_bytes += event.json.len();
                let is_due = due(event).is_some_and(|due| due <= now);
                if !is_due
                    || !event.goes_with(&batch[0])
                    || batch.len() >= BATCH_LINES
                    || n_bytes > BATCH_BYTES
                {
                    break;
                }
                batch.extend(read.ok().flatten());
                read = source.next();
            }
            self.publish(&batch, console).await?;
            next = read?;
        }
        Ok(())
    }

    /// Publishes events of one place; if one is refused, those before it.
    async fn publish(&mut self, batch: &[Event], console: &mut Console<'_>) -> Result<(), Failure> {
        let Some((index, reason)) = self.request(batch, console).await? else {
            return Ok(());
        };
        let index = index.min(batch.len() - 1);
        let refused = match self.request(&batch[..index], console).await? {
            None => (index, reason),
            Some((earlier, reason)) => (earlier.min(index), reason),
        };
        Err(Failure::RefusedLine {
            line: batch[refused.0].line,
            reason: refused.1,
        })
    }

    /// Publishes events in one request; the index of one that is refused, and why.
    async fn request(
        &mut self,
        batch: &[Event],
        console: &mut Console<'_>,
    ) -> Result<Option<(usize, String)>, Failure> {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return Ok(None);
        };
        let mut request = Publish::to(first.kind, self.user);
        if let Some(thread) = &first.thread {
            request = request.thread(thread);
        }
        let events = batch.iter().map(|event| event.json.as_str());
        let lines = (first.line, last.line);
        let note = |text: &str| console.note(text);
        let sending = self
            .contact
            .publish(request, events, lines, self.stop, note);
        Ok(match sending.await? {
            Answer::Published(_) => {
                self.n_events += u64::try_from(batch.len()).unwrap_or_default();
                None
            }
            Answer::Refused(index, problem) => Some((index, refusal(&problem))),
        })
    }
}
