//! What the system says about the hub's process, if it is on this machine.

use std::fs;

use crate::Failure;

/// A process of this machine, with those that it has started.
#[derive(Clone, Copy, Debug)]
pub(super) struct HubProcess(u32);

/// What it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Resident memory, in bytes.
    pub(super) resident: u64,
    /// The most resident memory that it ever had, in bytes.
    pub(super) peak: u64,
    /// Processor time, in microseconds.
    pub(super) cpu_us: u64,
}

impl HubProcess {
    /// Finds the process.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if there is none, or if the system does not show it.
    pub(super) fn find(id: u32) -> Result<Self, Failure> {
        let process = Self(id);
        if process.usage().is_none() {
            return Err(Failure::Usage(format!(
                "--pid {id}: cannot read /proc/{id}/status; it wants Linux, and a hub on this machine"
            )));
        }
        Ok(process)
    }

    /// Reads what the process and its descendants take; `None` once it is gone.
    pub(super) fn usage(self) -> Option<Usage> {
        let Self(id) = self;
        let mut sum = of_one(id)?;
        let mut waiting = children(id);
        while let Some(child) = waiting.pop() {
            // It may be gone by now.
            if let Some(usage) = of_one(child) {
                sum.resident += usage.resident;
                sum.peak += usage.peak;
                sum.cpu_us += usage.cpu_us;
            }
            waiting.extend(children(child));
        }
        Some(sum)
    }
}

fn of_one(id: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let usage = Usage::parse(&status, &stat, ticks_per_second())?;
    Some(Usage {
        cpu_us: run_time_us(id).unwrap_or(usage.cpu_us),
        ..usage
    })
}

/// Sums up what the scheduler has measured for each thread, in microseconds: `stat` counts in ticks of a hundredth of
/// a second, which is most of what a short bench takes. A thread that has ended is no longer in it. `None` where the
/// system does not measure.
fn run_time_us(id: u32) -> Option<u64> {
    let mut sum_ns = 0;
    for task in fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten() {
        // The thread may have ended by now.
        if let Ok(text) = fs::read_to_string(task.path().join("schedstat")) {
            sum_ns += parse_run_time_ns(&text)?;
        }
    }
    (sum_ns > 0).then_some(sum_ns / 1_000)
}

/// Reads the text of `schedstat`: time on a processor and time of waiting for one in nanoseconds, and turns.
pub(super) fn parse_run_time_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

fn children(id: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten();
    let mut found = Vec::new();
    for task in tasks.flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_ascii_whitespace().flat_map(str::parse::<u32>));
    }
    found
}

impl Usage {
    /// Reads the texts of `status` and `stat`, as `proc(5)` describes them.
    pub(super) fn parse(status: &str, stat: &str, ticks_per_second: u64) -> Option<Self> {
        let kibibytes = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            value
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()
                .map(|n| n * 1_024)
        };
        // The name of the program, in parentheses, may have anything in it. Behind it comes field 3.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace().skip(14 - 3);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Self {
            resident: kibibytes("VmRSS:")?,
            peak: kibibytes("VmHWM:")?,
            cpu_us: (user + system) * 1_000_000 / ticks_per_second.max(1),
        })
    }
}

#[cfg(target_os = "linux")]
fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

#[cfg(not(target_os = "linux"))]
const fn ticks_per_second() -> u64 {
    100
}
