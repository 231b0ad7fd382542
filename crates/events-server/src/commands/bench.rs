//! `events bench`: loads a hub with readers and publishers, and checks and times what the readers see.

mod checker;
mod churn;
mod hub_process;
mod open_files;
mod plan;
mod publisher;
mod reader;
mod report;
mod response;
mod script;
mod state;
mod target;
mod window;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    io::IsTerminal as _,
    path::Path,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, interval},
};

use self::{
    churn::Churn,
    hub_process::HubProcess,
    plan::{Pace, Plan},
    publisher::{Amount, Ticket, publish},
    report::{Hub, Latency, Readers, Report, per_second},
    script::Script,
    state::Bench,
    target::Target,
    window::Window,
};
use super::{Console, tail::is_read};
use crate::{Failure, cli::BenchArgs};

/// How often it is looked whether a phase is over.
const TICK: Duration = Duration::from_millis(50);

/// Readers that have got nothing for so long, although something is left for them, will not get it.
const SILENCE: Duration = Duration::from_secs(5);

/// What is published where nothing says how much.
const LENGTH: Duration = Duration::from_secs(10);

/// The most bytes of a request: what a hub takes.
const MAX_REQUEST: usize = 4 << 20;

/// Runs the bench until everything is published and seen, or `stop` is done; then prints what it has found.
///
/// # Errors
///
/// The hub cannot be asked or refuses; or an event was lost without a gap, seen twice, out of order or by another
/// user: then [`Failure::Delivery`], after the report.
pub(super) async fn bench(
    args: &BenchArgs,
    token: Option<&str>,
    stop: impl Future<Output = ()>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let n_connections = plan::n_connections(args);
    open_files::allow(n_connections + u64::from(args.publishers))?;
    let plan = Plan::new(args)?;
    if (args.payload + Script::BESIDE).saturating_mul(args.batch as usize) > MAX_REQUEST {
        return Err(Failure::Usage(
            "--batch times --payload is more than the 4 MiB of a request: lower one of them"
                .to_owned(),
        ));
    }
    let target = Target::find(&args.hub.url, token).await?;
    let process = args.pid.map(HubProcess::find).transpose()?;
    let usage = || process.and_then(HubProcess::usage);
    let seats = plan.seats().to_vec();
    let (window, queues) = Window::new(args).unzip();
    let state = Bench::new(target, seats, args, window)?;
    let churn = args.churn.map(|_| Bench::histogram().map(Churn::new));
    let run = Run {
        bench: Arc::new(state),
        churn: churn.transpose()?.map(Arc::new),
        bar: bar(args.events),
    };

    let mut stop: Stop<'_> = Box::pin(stop);
    let mut tasks = JoinSet::new();
    let before = usage();
    let mut end = run.connect(&mut tasks, &mut stop).await;
    let connected = usage();
    let begin = run.bench.now();
    if matches!(end, End::Done) {
        let queues = queues.unwrap_or_default();
        end = run.publish(args, plan, queues, &mut tasks, &mut stop).await;
    }
    if matches!(end, End::Done) {
        end = run.drain(&mut stop).await;
    }
    let finished = usage();
    let mut churned = None;
    if let (End::Done, Some(churn)) = (&end, &run.churn) {
        churned = Some(churn.end(&run.bench).await);
    }
    run.bench.is_over.store(true, Ordering::Relaxed);
    tasks.shutdown().await;
    run.bar.finish_and_clear();
    if matches!(end, End::Done) {
        run.bench.end();
    }
    let interrupted = !matches!(end, End::Done);
    let failed = match end {
        End::Failed(failure) if run.bench.n_published.load(Ordering::Relaxed) == 0 => {
            return Err(failure);
        }
        End::Failed(failure) => Err(failure),
        End::Done | End::Stopped => Ok(()),
    };
    let mut report = run.report(args, begin);
    report.interrupted = interrupted;
    report.churn = churned;
    if let (Some(before), Some(connected), Some(finished)) = (before, connected, finished) {
        report.hub = Some(Hub::of(
            before,
            connected,
            finished,
            n_connections,
            report.delivered,
        ));
    }
    print(&report, args.json, console)?;
    failed?;
    report
        .fault()
        .map_or(Ok(()), |fault| Err(Failure::Delivery(fault)))
}

type Stop<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// How a phase ends.
enum End {
    Done,
    Stopped,
    Failed(Failure),
}

struct Run {
    bench: Arc<Bench>,
    churn: Option<Arc<Churn>>,
    bar: ProgressBar,
}

impl Run {
    /// Waits until `is_done`, which is asked at each tick.
    async fn until(&self, stop: &mut Stop<'_>, mut is_done: impl FnMut(&Self) -> bool) -> End {
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                biased;
                () = stop.as_mut() => return End::Stopped,
                failure = self.bench.trouble() => return End::Failed(failure),
                _ = ticks.tick() => {}
            }
            if is_done(self) {
                return End::Done;
            }
        }
    }

    /// Attaches all readers.
    async fn connect(&self, tasks: &mut JoinSet<()>, stop: &mut Stop<'_>) -> End {
        let n_seats = self.bench.seats.len();
        for seat in 0..n_seats {
            tasks.spawn(reader::read(Arc::clone(&self.bench), seat));
        }
        self.until(stop, |run| {
            let n_ready = run.bench.n_ready.load(Ordering::Relaxed);
            run.bar
                .set_message(format!("{n_ready} of {n_seats} connected"));
            n_ready == n_seats
        })
        .await
    }

    /// Publishes everything.
    async fn publish(
        &self,
        args: &BenchArgs,
        plan: Plan,
        queues: Vec<mpsc::Receiver<Ticket>>,
        tasks: &mut JoinSet<()>,
        stop: &mut Stop<'_>,
    ) -> End {
        let mut publishers = Vec::new();
        if let Some(window) = &self.bench.window {
            for (number, tickets) in queues.into_iter().enumerate() {
                let n_lanes = window.n_lanes_of(number);
                if n_lanes > 0 {
                    let publishing = publish(Arc::clone(&self.bench), tickets, n_lanes);
                    publishers.push(tasks.spawn(publishing));
                }
            }
            window.begin(self.bench.now());
        } else {
            let amount = amount(args);
            let mut queues = Vec::new();
            for _ in 0..args.publishers {
                let (queue, tickets) = amount.queue();
                queues.push(queue);
                let publishing = publish(Arc::clone(&self.bench), tickets, 0);
                publishers.push(tasks.spawn(publishing));
            }
            let bench = Arc::clone(&self.bench);
            tasks.spawn_blocking(move || amount.dispatch(&bench, plan, &queues));
        }
        let mut churning = JoinSet::new();
        if let (Some(churn), Some(per_second)) = (self.churn.clone(), args.churn) {
            let bench = Arc::clone(&self.bench);
            churning.spawn(async move { churn.run(&bench, per_second).await });
        }
        let end = self.until(stop, |run| {
            let n_published = run.bench.n_published.load(Ordering::Relaxed);
            run.bar.set_position(n_published);
            let n_delivered = run.bench.tally(Pace::Ordinary).delivered;
            run.bar.set_message(format!("{n_delivered} delivered"));
            publishers.iter().all(|publisher| publisher.is_finished())
        });
        let end = end.await;
        churning.shutdown().await;
        end
    }

    /// Waits until the ordinary readers have seen everything, or nothing more comes.
    async fn drain(&self, stop: &mut Stop<'_>) -> End {
        let (mut n_last, mut since) = (0, Instant::now());
        self.until(stop, |run| {
            let n_delivered = run.bench.tally(Pace::Ordinary).delivered;
            if n_delivered != n_last {
                (n_last, since) = (n_delivered, Instant::now());
            }
            run.bar
                .set_message(format!("{n_delivered} delivered, waiting for the rest"));
            since.elapsed() >= SILENCE || run.bench.n_behind() == 0
        })
        .await
    }

    fn report(&self, args: &BenchArgs, begin: Duration) -> Report {
        let bench = &self.bench;
        let readers = |pace: Pace| Readers {
            connections: bench.seats.iter().filter(|of| of.pace == pace).count(),
            tally: bench.tally(pace),
        };
        let until = |last_us: u64| Duration::from_micros(last_us).saturating_sub(begin);
        let (published, ordinary) = (
            bench.n_published.load(Ordering::Relaxed),
            readers(Pace::Ordinary),
        );
        let delivered = ordinary.tally.delivered;
        let last_published = until(bench.last_published_us.load(Ordering::Relaxed));
        let last_delivered = until(bench.last_delivered_us.load(Ordering::Relaxed));
        Report {
            interrupted: false,
            users: args.users,
            publishers: args.publishers,
            published,
            published_per_second: per_second(published, last_published),
            delivered,
            delivered_per_second: per_second(delivered, last_delivered),
            latency_us: Latency::of(&bench.all_latencies()),
            ordinary,
            slow: readers(Pace::Slow),
            stalled: readers(Pace::Stalled),
            refused: bench.n_refused.load(Ordering::Relaxed),
            reconnects: bench.n_reconnects.load(Ordering::Relaxed),
            returns: bench.n_returns.load(Ordering::Relaxed),
            churn: None,
            hub: None,
        }
    }
}

/// Turns events into requests.
fn amount(args: &BenchArgs) -> Amount {
    let batch = u64::from(args.batch);
    Amount {
        n_requests: args.events.map(|n_events| n_events.div_ceil(batch)),
        length: match (args.events, args.duration) {
            (None, None) => Some(LENGTH),
            (_, length) => length,
        },
        interval: args.rate.map(|rate| {
            let nanos = u128::from(batch) * 1_000_000_000 / u128::from(rate.max(1));
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        }),
    }
}

fn bar(n_events: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match n_events {
        Some(n_events) => (
            ProgressBar::new(n_events),
            "{bar:30} {pos}/{len} published, {msg} {eta}",
        ),
        None => (
            ProgressBar::no_length(),
            "{spinner} {elapsed} {pos} published, {msg}",
        ),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn print(report: &Report, is_json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let line = if is_json {
        serde_json::to_string(report).unwrap_or_default()
    } else {
        report.line()
    };
    let written = writeln!(console.out, "{line}").and_then(|()| console.out.flush());
    // Whoever no longer reads is not told.
    is_read(written, Path::new("standard output")).map(|_is_read| ())
}
