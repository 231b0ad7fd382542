//! `events tail`: a stream, one line per event.

use std::{
    future::Future,
    io::{self, ErrorKind},
    path::Path,
    pin::pin,
    time::SystemTime,
};

use events_client::{Client, Item, StreamKind, Subscribe};
use futures_util::StreamExt as _;

use super::{Console, contact::Contact, summary::Summary, write_failure};
use crate::{
    Failure,
    cli::{TailArgs, TailStream},
    terminal,
};

/// Follows until `stop` is done or nobody reads.
pub(super) async fn tail(
    client: &Client,
    args: &TailArgs,
    stop: impl Future<Output = ()>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut stop = pin!(stop);
    if args.from.is_some() && matches!(args.stream, TailStream::Analytics | TailStream::Llm) {
        let text =
            "--from: this stream has no ids, so there is nothing to begin behind; leave it out";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut contact = Contact::new(client, &args.hub);
    let mut stream = client.subscribe(request(args))?;
    let mut reason = None;
    loop {
        let item = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            item = stream.next() => item,
        };
        let item = match item {
            Some(item) => contact.check(item?)?,
            None => return reason.map_or(Ok(()), |reason| Err(Failure::Ended(reason))),
        };
        console.note_item(&item);
        match item {
            Item::Closing(closing) => reason = Some(closing.reason),
            Item::Event { event, data, .. } => {
                let line = line(args, &event, &data, console);
                let written = writeln!(console.out, "{line}").and_then(|()| console.out.flush());
                if !is_read(written, Path::new("standard output"))? {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}

/// Whether somebody still reads the output.
pub(super) fn is_read(written: io::Result<()>, path: &Path) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(write_failure(path, error)),
    }
}

fn request(args: &TailArgs) -> Subscribe {
    let kind = match args.stream {
        TailStream::AgUi => StreamKind::AgUi,
        TailStream::A2a => StreamKind::A2a,
        TailStream::Contexts => StreamKind::Contexts,
        TailStream::Analytics => StreamKind::Analytics,
        TailStream::Llm => StreamKind::Llm,
    };
    let mut request = Subscribe::to(kind);
    if let Some(user) = &args.user {
        request = request.user(user);
    }
    if let Some(thread) = &args.thread {
        request = request.thread(thread);
    }
    if let Some(task) = &args.task {
        request = request.task(task);
    }
    if let Some(from) = &args.from {
        request = request.from(from);
    }
    request
}

fn line(args: &TailArgs, event: &str, data: &str, console: &Console<'_>) -> String {
    if args.json {
        // A line break can only be white space of the JSON.
        let data = data.replace(['\r', '\n'], " ");
        return if console.is_terminal {
            terminal::escape_json(&data).into_owned()
        } else {
            data
        };
    }
    if args.stream == TailStream::Llm {
        return Summary::of_llm(event, data).line(SystemTime::now(), console.is_colourful);
    }
    let place = args.thread.as_deref().or(args.task.as_deref());
    Summary::of(event, data, place).line(SystemTime::now(), console.is_colourful)
}
