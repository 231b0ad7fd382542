//! `events publish`: lines in, ids out.

use std::{
    borrow::Cow,
    io::{IsTerminal as _, Read},
};

use events_client::{Client, Error, Publish, PublishKind};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;

use super::{Console, lines, lines::Line, read_failure, refusal, tail::is_read};
use crate::{
    Failure,
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
/// At the first line that is refused, those before it are published and those after it are not.
pub(super) async fn publish(
    client: &Client,
    args: &PublishArgs,
    input: Box<dyn Read + Send>,
    bar: &ProgressBar,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut lines = lines::read(input);
    let mut threads = Threads::new(args);
    let mut batch = Batch::default();
    let mut printer = Printer {
        bar,
        console,
        is_read: true,
        n_ids: 0,
    };
    let kind = match args.stream {
        PublishStream::AgUi => PublishKind::AgUi,
        PublishStream::A2a => PublishKind::A2a,
        PublishStream::System => PublishKind::System,
        PublishStream::Analytics => PublishKind::Analytics,
    };
    let target = |thread: Option<&str>| {
        let request = Publish::to(kind, args.user.as_str());
        match thread {
            Some(thread) => request.thread(thread),
            None => request,
        }
    };
    loop {
        let line = match lines.try_recv() {
            Ok(line) => Some(line),
            Err(_) => {
                batch.send(client, target, &mut printer).await?;
                lines.recv().await
            }
        };
        let Some(line) = line else { break };
        let Line { number, bytes } = match line {
            Ok(line) => line,
            Err(source) => {
                batch.send(client, target, &mut printer).await?;
                return Err(read_failure(&args.file, source));
            }
        };
        bar.inc(u64::try_from(bytes.len()).unwrap_or_default());
        let event = bytes.trim_ascii();
        if event.is_empty() {
            continue;
        }
        if event.starts_with(b":") {
            batch.send(client, target, &mut printer).await?;
            let reason = "it is not JSON".to_owned();
            return Err(Failure::RefusedLine {
                line: number,
                reason,
            });
        }
        let thread = threads.of(event);
        if !batch.takes(event, thread.as_deref()) {
            batch.send(client, target, &mut printer).await?;
        }
        batch.thread = thread;
        batch.n_bytes += event.len();
        batch.lines.push((number, event.to_vec()));
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

struct Printer<'a, 'b> {
    bar: &'a ProgressBar,
    console: &'a mut Console<'b>,
    is_read: bool,
    n_ids: usize,
}

impl Printer<'_, '_> {
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
        self.is_read = is_read(written)?;
        Ok(())
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

    /// Publishes the lines and leaves the batch empty.
    async fn send(
        &mut self,
        client: &Client,
        target: impl Fn(Option<&str>) -> Publish,
        printer: &mut Printer<'_, '_>,
    ) -> Result<(), Failure> {
        let Self { lines, thread, .. } = std::mem::take(self);
        let request = target(thread.as_deref());
        let events = |n_lines: usize| lines[..n_lines].iter().map(|(_, event)| event);
        let (index, problem) = match client.publish(&request, events(lines.len())).await {
            Ok(published) => return printer.print(&published.ids),
            Err(Error::Refused {
                line: Some(line),
                problem,
                ..
            }) => (usize::try_from(line).unwrap_or(1).max(1) - 1, problem),
            Err(error) => return Err(error.into()),
        };
        // The request was all or nothing; what stands before the refused line is good.
        if index > 0 {
            let published = client
                .publish(&request, events(index.min(lines.len())))
                .await?;
            printer.print(&published.ids)?;
        }
        Err(Failure::RefusedLine {
            line: lines.get(index).map_or(0, |(number, _)| *number),
            reason: refusal(&problem),
        })
    }
}
