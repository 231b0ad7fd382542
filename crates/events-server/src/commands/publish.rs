//! `events publish`: lines in, ids out.

use std::{
    borrow::Cow,
    io::{IsTerminal as _, Read},
    path::Path,
};

use events_client::{Client, Publish, PublishKind, Published};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;

use super::{
    Console,
    contact::{Answer, Contact},
    lines,
    lines::Line,
    read_failure, refusal,
    tail::is_read,
};
use crate::{
    Failure, StopRequests,
    cli::{PublishArgs, PublishStream},
};

/// Lines of one request; a request is all or nothing, and less than the client's own batch.
pub(super) const BATCH_LINES: usize = 500;
/// Bytes of one request, unless its only line is longer.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// A bar on a terminal, nothing elsewhere.
pub(super) fn bar(n_bytes: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match n_bytes {
        Some(n_bytes) => (
            ProgressBar::new(n_bytes),
            "{bar:30} {bytes}/{total_bytes} {msg} {eta}",
        ),
        None => (ProgressBar::no_length(), "{spinner} {bytes} {msg}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Publishes in batches of what has been read, so that a slow producer's lines are sent as they come.
///
/// At the first line that is refused, those before it are published and those after it are not. The same holds for
/// the line at which it is asked to stop.
pub(super) async fn publish(
    client: &Client,
    args: &PublishArgs,
    input: Box<dyn Read + Send>,
    stop: StopRequests,
    bar: &ProgressBar,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if args.thread.is_some() && args.stream != PublishStream::AgUi {
        let text = "--thread: only the AG-UI stream has threads; leave it out";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut lines = lines::read(input);
    let mut threads = Threads::new(args);
    let mut sender = Sender {
        contact: Contact::new(client, &args.hub),
        args,
        stop: &stop,
        bar,
        console,
        is_read: true,
        n_ids: 0,
    };
    let mut batch = Batch::default();
    let mut n_events = 0_u64;
    let mut last = 0;
    loop {
        let line = match lines.try_next() {
            Some(line) if !stop.is_requested() => Some(line),
            _ => {
                sender.send(&mut batch).await?;
                tokio::select! {
                    biased;
                    () = stop.clone().first() => {
                        return Err(Failure::Stopped { before: last + 1, unknown: None });
                    }
                    line = lines.next() => line,
                }
            }
        };
        let Some(line) = line else { break };
        let Line { number, bytes, .. } = match line {
            Ok(line) => line,
            Err(source) => {
                sender.send(&mut batch).await?;
                return Err(read_failure(&args.file, source));
            }
        };
        last = number;
        bar.inc(u64::try_from(bytes.len()).unwrap_or_default());
        let event = bytes.trim_ascii();
        if event.is_empty() {
            continue;
        }
        n_events += 1;
        if event.starts_with(b":") {
            sender.send(&mut batch).await?;
            let reason = "it is not JSON".to_owned();
            return Err(Failure::RefusedLine {
                line: number,
                reason,
            });
        }
        let thread = threads.of(event);
        if !batch.takes(event, thread.as_deref()) {
            sender.send(&mut batch).await?;
        }
        batch.thread = thread;
        batch.n_bytes += event.len();
        batch.lines.push((number, event.to_vec()));
    }
    sender.send(&mut batch).await?;
    if n_events == 0 {
        sender.note("warning: the input has no events, so nothing is published");
    }
    Ok(())
}

/// Tells the thread of each line. The hub knows the one that a request's own events name; this is the same over
/// requests, however the lines are spread over them.
struct Threads<'a> {
    given: Option<&'a str>,
    is_agui: bool,
    started: Option<String>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "threadId", borrow)]
    thread: Option<Cow<'a, str>>,
}

impl<'a> Threads<'a> {
    fn new(args: &'a PublishArgs) -> Self {
        Self {
            given: args.thread.as_deref(),
            is_agui: args.stream == PublishStream::AgUi,
            started: None,
        }
    }

    fn of(&mut self, event: &[u8]) -> Option<String> {
        if self.given.is_some() || !self.is_agui {
            return self.given.map(str::to_owned);
        }
        // What is wrong with the others is for the hub to say.
        let head: Option<Head<'_>> = serde_json::from_slice(event).ok();
        let named = head.and_then(|head| Some((head.kind == "RUN_STARTED", head.thread?)));
        match named {
            Some((true, thread)) => {
                self.started = Some(thread.into_owned());
                self.started.clone()
            }
            Some((false, thread)) => Some(thread.into_owned()),
            None => self.started.clone(),
        }
    }
}

/// The way to the hub, and what is said about it.
struct Sender<'a, 'b> {
    contact: Contact<'a>,
    args: &'a PublishArgs,
    stop: &'a StopRequests,
    bar: &'a ProgressBar,
    console: &'a mut Console<'b>,
    is_read: bool,
    n_ids: usize,
}

impl Sender<'_, '_> {
    fn note(&mut self, text: &str) {
        self.bar.suspend(|| self.console.note(text));
    }

    /// Prints ids. If nobody reads them any more, publishing goes on without.
    fn print(&mut self, ids: &[String]) -> Result<(), Failure> {
        self.n_ids += ids.len();
        self.bar.set_message(format!("{} events", self.n_ids));
        if !self.is_read {
            return Ok(());
        }
        let out = &mut self.console.out;
        let written = self.bar.suspend(|| {
            for id in ids {
                writeln!(out, "{id}")?;
            }
            out.flush()
        });
        self.is_read = is_read(written, Path::new("standard output"))?;
        Ok(())
    }

    /// Publishes the lines of a batch and leaves it empty.
    async fn send(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let Batch { lines, thread, .. } = std::mem::take(batch);
        let Answer::Refused(index, problem) = self.request(&lines, thread.as_deref()).await? else {
            return Ok(());
        };
        // The request was all or nothing; what stands before the refused line is good.
        let index = index.min(lines.len());
        let line = lines.get(index).map_or(0, |(number, _)| *number);
        match self.request(&lines[..index], thread.as_deref()).await? {
            Answer::Published(_) => Err(Failure::RefusedLine {
                line,
                reason: refusal(&problem),
            }),
            Answer::Refused(earlier, problem) => Err(Failure::RefusedLine {
                line: lines.get(earlier).map_or(0, |(number, _)| *number),
                reason: refusal(&problem),
            }),
        }
    }

    /// Publishes lines in one request, and prints their ids.
    async fn request(
        &mut self,
        lines: &[(u64, Vec<u8>)],
        thread: Option<&str>,
    ) -> Result<Answer, Failure> {
        let (Some((first, _)), Some((last, _))) = (lines.first(), lines.last()) else {
            return Ok(Answer::Published(Published::default()));
        };
        let kind = match self.args.stream {
            PublishStream::AgUi => PublishKind::AgUi,
            PublishStream::A2a => PublishKind::A2a,
            PublishStream::System => PublishKind::System,
            PublishStream::Analytics => PublishKind::Analytics,
        };
        let mut request = Publish::to(kind, self.args.user.as_str());
        if let Some(thread) = thread {
            request = request.thread(thread);
        }
        let (bar, console) = (self.bar, &mut *self.console);
        let note = |text: &str| bar.suspend(|| console.note(text));
        let events = lines.iter().map(|(_, event)| event);
        let sending = self
            .contact
            .publish(request, events, (*first, *last), self.stop, note);
        let answer = sending.await?;
        if let Answer::Published(published) = &answer {
            self.print(&published.ids)?;
        }
        Ok(answer)
    }
}

/// The lines of one request.
#[derive(Default)]
struct Batch {
    /// With their numbers.
    lines: Vec<(u64, Vec<u8>)>,
    n_bytes: usize,
    thread: Option<String>,
}

impl Batch {
    fn takes(&self, event: &[u8], thread: Option<&str>) -> bool {
        self.lines.is_empty()
            || (self.thread.as_deref() == thread
                && self.lines.len() < BATCH_LINES
                && self.n_bytes + event.len() <= BATCH_BYTES)
    }
}
