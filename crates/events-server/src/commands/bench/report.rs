//! What a bench has found.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{checker::Tally, churn::Churned, hub_process::Usage};

/// The result; its JSON is what `--json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    /// Whether it was ended early, so that what is missing at the end is not counted.
    pub(super) interrupted: bool,
    pub(super) users: u32,
    pub(super) publishers: u32,
    /// Events that the hub has taken.
    pub(super) published: u64,
    pub(super) published_per_second: f64,
    /// Events that ordinary readers have seen.
    pub(super) delivered: u64,
    pub(super) delivered_per_second: f64,
    /// From the time at which an event was due to the time at which an ordinary reader has seen it.
    pub(super) latency_us: Latency,
    pub(super) ordinary: Readers,
    pub(super) slow: Readers,
    pub(super) stalled: Readers,
    /// Answers 429, 503 and 504.
    pub(super) refused: u64,
    pub(super) reconnects: u64,
    /// Slow and stalled readers that came back.
    pub(super) returns: u64,
    pub(super) churn: Option<Churned>,
    pub(super) hub: Option<Hub>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Latency {
    pub(super) p50: u64,
    pub(super) p90: u64,
    pub(super) p99: u64,
    pub(super) p99_9: u64,
    pub(super) max: u64,
}

/// Readers of one pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Readers {
    pub(super) connections: usize,
    #[serde(flatten)]
    pub(super) tally: Tally,
}

/// The hub's process; bytes of resident memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Hub {
    pub(super) before: u64,
    pub(super) connected: u64,
    /// What it grew by until all were connected, divided by their number.
    pub(super) per_connection: u64,
    pub(super) end: u64,
    /// Over the whole life of the process.
    pub(super) peak: u64,
    /// Processor time, from the first connection to the end.
    pub(super) cpu_ms: u64,
    /// Processor time since all were connected, in microseconds: what publishing and delivering took.
    pub(super) publish_cpu_us: u64,
    /// Events that ordinary readers have seen, for each second of that time.
    pub(super) delivered_per_cpu_second: f64,
}

impl Latency {
    /// Reads the quantiles.
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p99_9: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

impl Hub {
    /// Compares what the process took at three times.
    pub(super) fn of(
        before: Usage,
        connected: Usage,
        end: Usage,
        n_connections: u64,
        n_delivered: u64,
    ) -> Self {
        let publish_cpu_us = end.cpu_us.saturating_sub(connected.cpu_us);
        let grown = connected.resident.saturating_sub(before.resident);
        Self {
            before: before.resident,
            connected: connected.resident,
            per_connection: grown.checked_div(n_connections).unwrap_or(0),
            end: end.resident,
            peak: end.peak,
            cpu_ms: end.cpu_us.saturating_sub(before.cpu_us) / 1_000,
            publish_cpu_us,
            delivered_per_cpu_second: per_second(
                n_delivered,
                Duration::from_micros(publish_cpu_us),
            ),
        }
    }
}

/// Divides a number of events by the time they took.
pub(super) fn per_second(n_events: u64, time: Duration) -> f64 {
    if time.is_zero() {
        0.0
    } else {
        (n_events as f64 / time.as_secs_f64() * 10.0).round() / 10.0
    }
}

impl Report {
    /// Sums up all readers.
    pub(super) fn total(&self) -> Tally {
        let mut sum = Tally::default();
        for readers in [&self.ordinary, &self.slow, &self.stalled] {
            sum.add(&readers.tally);
        }
        sum
    }

    /// Says in one line what was found.
    pub(super) fn line(&self) -> String {
        let Latency {
            p50,
            p90,
            p99,
            p99_9,
            max,
        } = self.latency_us;
        let total = self.total();
        let mut line = format!(
            "published {} ({:.0}/s), delivered {} ({:.0}/s); latency p50 {}, p90 {}, p99 {}, p99.9 {}, max {}; lost {}, \
             duplicated {}, out of order {}, of others {}; {} gaps for {} events; refused {}, reconnects {}",
            self.published,
            self.published_per_second,
            self.delivered,
            self.delivered_per_second,
            time(p50),
            time(p90),
            time(p99),
            time(p99_9),
            time(max),
            total.lost,
            total.duplicated,
            total.out_of_order,
            total.strangers,
            total.gaps,
            total.lost_in_gaps,
            self.refused,
            self.reconnects,
        );
        if let Some(churn) = &self.churn {
            line.push_str(&format!(
                "; {} came and went ({} refused), answered after p50 {}, p99 {}",
                churn.came,
                churn.refused,
                time(churn.setup_p50_us),
                time(churn.setup_p99_us)
            ));
            line.push_str(&match (churn.gone_after_ms, churn.counted) {
                (Some(after), _) => format!(", gone {after} ms later"),
                (None, Some(n_streams)) => format!(", not gone: the hub counts {n_streams}"),
                (None, None) => String::new(),
            });
        }
        if let Some(hub) = &self.hub {
            line.push_str(&format!(
                "; hub {:.1} MiB at most, {:.1} KiB a connection, {:.1} s of processor, {:.0} delivered in one of \
                 publishing",
                hub.peak as f64 / f64::from(1 << 20),
                hub.per_connection as f64 / 1_024.0,
                hub.cpu_ms as f64 / 1_000.0,
                hub.delivered_per_cpu_second,
            ));
        }
        if self.interrupted {
            line.push_str("; interrupted");
        }
        line
    }

    /// Says what must not be, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        let total = self.total();
        (total.faults() > 0).then(|| {
            format!(
                "{} events lost without a gap, {} duplicated, {} out of order, {} of other users",
                total.lost, total.duplicated, total.out_of_order, total.strangers
            )
        })
    }
}

/// Writes microseconds with three digits that count.
fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.2} ms", us as f64 / 1_000.0),
        _ => format!("{:.2} s", us as f64 / 1_000_000.0),
    }
}
