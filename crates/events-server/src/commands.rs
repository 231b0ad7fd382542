//! The commands that talk to a hub, and the one that reads its configuration.

mod bench;
mod check_config;
mod contact;
mod lines;
mod output;
mod publish;
mod record;
mod recording;
mod replay;
mod summary;
mod tail;
mod token;
mod top;

#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    future::Future,
    io::{self, IsTerminal as _, Write},
    path::Path,
};

use events_client::{Client, Error, Gap, GapReason, Item, Problem};
use tokio::task::JoinSet;

use crate::{
    Failure, StopRequests,
    cli::{Command, HubArgs},
    failure::{cause_text, reason_text},
    stop, terminal,
};

use output::Output;

pub(crate) use check_config::check_config;
pub(crate) use token::token;

/// Where a command writes.
pub(crate) struct Console<'a> {
    /// What was asked for.
    pub(crate) out: &'a mut dyn Write,
    /// Everything else.
    pub(crate) notes: &'a mut dyn Write,
    /// Whether `out` is a terminal, which must not be driven by what is printed.
    pub(crate) is_terminal: bool,
    pub(crate) is_colourful: bool,
}

impl Console<'_> {
    /// Writes a line beside the output.
    fn note(&mut self, text: &str) {
        // Nobody is left to tell if standard error is closed.
        let _closed = writeln!(self.notes, "{}", terminal::escape(text));
    }

    /// Says what happened to a stream; `None` for an event, which is no news about the stream.
    fn note_item(&mut self, item: &Item) {
        match item {
            Item::Connected { cursor: None } => self.note("connected"),
            Item::Connected {
                cursor: Some(cursor),
            } => self.note(&format!("connected behind {cursor}")),
            Item::Gap(gap) => self.note(&gap_text(gap)),
            Item::Closing(closing) => {
                self.note(&format!("closing: {}", reason_text(closing.reason)));
            }
            Item::Skipped { bytes } => {
                self.note(&format!("an event of {bytes} bytes is left out"));
            }
            Item::Reconnecting { after, cause } => {
                let (cause, seconds) = (cause_text(cause), after.as_secs_f64());
                self.note(&format!("{cause}; reconnecting in {seconds:.1}s"));
            }
            _ => {}
        }
    }
}

fn gap_text(gap: &Gap) -> String {
    let lost = match gap.lost {
        Some(1) => "1 event is".to_owned(),
        Some(n_lost) => format!("{n_lost} events are"),
        None => "events are".to_owned(),
    };
    let reason = match gap.reason {
        GapReason::Expired => "they were too old",
        GapReason::Epoch => "the cursor is of an earlier life of the log",
        GapReason::Unknown => "the cursor is not known",
        GapReason::Trimmed => "the history is full",
        GapReason::Overflow => "they came too fast",
        _ => "for a reason that this version does not know",
    };
    format!("gap: {lost} missing: {reason}")
}

/// Runs a command against a hub. `Command`s of other kinds do nothing.
pub(crate) async fn run(
    command: Command,
    environment: &[(OsString, OsString)],
) -> Result<(), Failure> {
    let variable = |name: &str| {
        let (_, value) = environment.iter().find(|(known, _)| known == name)?;
        Some(value.to_string_lossy().into_owned())
    };
    let output = io::stdout();
    let mut console = Console {
        is_terminal: output.is_terminal(),
        is_colourful: terminal::is_colourful(&output, variable),
        out: &mut output.lock(),
        notes: &mut io::stderr(),
    };
    let token = variable("EVENTS_TOKEN").filter(|token| !token.is_empty());
    let client = |args: &HubArgs| client(args, token.as_deref());
    match command {
        Command::Tail(args) => {
            let client = client(&args.hub)?;
            let is_named = args.user.is_some() || token.is_some();
            let tailing = until_signal(|stop| {
                let stop = stop.first();
                tail::tail(&client, &args, stop, &mut console)
            });
            match tailing.await {
                Err(Failure::Hub(Error::Status { status: 401, .. })) if !is_named => {
                    Err(Failure::Nobody)
                }
                result => result,
            }
        }
        Command::Top(args) => {
            let is_dumb = variable("TERM").is_none_or(|term| matches!(&*term, "" | "dumb"));
            if !console.is_terminal || is_dumb {
                return Err(Failure::NoTerminal);
            }
            let client = client(&args.hub)?;
            until_signal(|stop| top::top(&client, &args, stop.first(), console.is_colourful)).await
        }
        Command::Publish(args) => {
            let client = client(&args.hub)?;
            let (input, n_bytes) = lines::open(&args.file)?;
            let bar = publish::bar(n_bytes);
            let result = until_signal(|stop| {
                publish::publish(&client, &args, input, stop, &bar, &mut console)
            });
            let result = result.await;
            bar.finish_and_clear();
            result
        }
        Command::Record(args) => {
            let client = client(&args.hub)?;
            let file = Output::open(&args.output, args.force)?;
            until_signal(|stop| {
                let stop = stop.first();
                record::record(&client, &args, file, stop, &mut console)
            })
            .await
        }
        Command::Replay(args) => {
            let client = client(&args.hub)?;
            until_signal(|stop| replay::replay(&client, &args, stop, &mut console)).await
        }
        Command::Bench(args) => {
            let token = token.as_deref();
            until_signal(|stop| bench::bench(&args, token, stop.first(), &mut console)).await
        }
        _ => Ok(()),
    }
}

/// Runs a command that hears of SIGINT and SIGTERM.
async fn until_signal<F>(command: impl FnOnce(StopRequests) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let mut tasks = JoinSet::new();
    let stop_requests = stop::on_signals(&mut tasks).map_err(Failure::Start)?;
    let result = command(stop_requests).await;
    tasks.shutdown().await;
    result
}

fn client(args: &HubArgs, token: Option<&str>) -> Result<Client, Failure> {
    let mut builder = Client::builder(&args.url);
    if let Some(token) = token {
        builder = builder.bearer_token(token);
    }
    if let Some(path) = &args.ca {
        let pem = std::fs::read(path).map_err(|source| read_failure(path, source))?;
        if pem.is_empty() {
            return Err(Failure::Usage(format!(
                "{} is empty; --ca needs a certificate in PEM",
                path.display()
            )));
        }
        builder = builder.authorities(pem);
    }
    Ok(builder.build()?)
}

/// A number of things, in words.
fn counted(n_things: u64, name: &str) -> String {
    let plural = if n_things == 1 { "" } else { "s" };
    format!("{n_things} {name}{plural}")
}

/// Says why a line was refused, without its number in the request, which is not that in the file.
fn refusal(problem: &Problem) -> String {
    // The detail of a hub has the path in it.
    let text = match &problem.detail {
        Some(detail) => detail.clone(),
        None => problem.to_string(),
    };
    let number = problem.line.map(|line| format!("line {line}: "));
    match number.and_then(|number| text.strip_prefix(&number)) {
        Some(reason) => reason.to_owned(),
        None => text,
    }
}

fn write_failure(path: &Path, source: io::Error) -> Failure {
    Failure::File {
        action: "write",
        path: path.to_owned(),
        source,
    }
}

fn read_failure(path: &Path, source: io::Error) -> Failure {
    Failure::File {
        action: "read",
        path: path.to_owned(),
        source,
    }
}
