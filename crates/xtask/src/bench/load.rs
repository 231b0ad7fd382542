//! Putting a load on a server with `events bench`.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cell::{Cell, Figure};
use super::figures::Sample;
use super::server::{Pins, Programs, Running, command};

/// How long a load may take.
const LIMIT: Duration = Duration::from_secs(240);
const TICK: Duration = Duration::from_millis(50);

/// Runs the load of a cell.
///
/// # Errors
///
/// One line: why there are no figures.
pub(super) fn run(
    programs: &Programs,
    cell: &Cell,
    running: &Running,
    pins: Option<Pins>,
    is_quick: bool,
) -> Result<Sample, String> {
    let mut words = vec![programs.events.display().to_string(), "bench".to_owned()];
    words.extend(["--json".to_owned(), "--url".to_owned(), running.url.clone()]);
    words.extend(["--pid".to_owned(), running.id().to_string()]);
    words.extend(cell.arguments(is_quick));
    let mut child = command(&words, pins.map(|_| 1))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the load: {error}"))?;
    let begin = Instant::now();
    // What it prints at its end is short enough to wait in the pipe.
    while matches!(child.try_wait(), Ok(None)) {
        if begin.elapsed() > LIMIT {
            // It may have ended meanwhile.
            let _ended = child.kill();
            return Err(format!("the load took more than {} s", LIMIT.as_secs()));
        }
        thread::sleep(TICK);
    }
    let output = child
        .wait_with_output()
        .map_err(|error| format!("the load's figures cannot be read: {error}"))?;
    // Faults of delivery are in the report, which is printed all the same.
    sample(&String::from_utf8_lossy(&output.stdout), cell.figure).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines()
            .next()
            .unwrap_or("the load has no figures")
            .to_owned()
    })
}

/// Reads the report of `events bench --json`.
pub(super) fn sample(report: &str, figure: Figure) -> Option<Sample> {
    let report: Value = serde_json::from_str(report).ok()?;
    let figure = match figure {
        Figure::PerCpuSecond => &report["hub"]["delivered_per_cpu_second"],
        Figure::Latency => &report["latency_us"]["p50"],
        Figure::Memory => &report["hub"]["per_connection"],
    };
    let faults = ["lost", "duplicated", "out_of_order", "strangers"];
    Some(Sample {
        figure: figure.as_f64()?,
        p50_us: report["latency_us"]["p50"].as_u64()?,
        p99_us: report["latency_us"]["p99"].as_u64()?,
        per_second: report["delivered_per_second"].as_f64()?,
        n_faults: faults
            .iter()
            .filter_map(|fault| report["ordinary"][fault].as_u64())
            .sum(),
    })
}
