//! What the system says about the hub's process, if it is on this machine.

use std::fs;

use crate::Failure;

/// A process of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct HubProcess(u32);

/// What it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Resident memory, in bytes.
    pub(super) resident: u64,
    /// The most resident memory that it ever had, in bytes.
    pub(super) peak: u64,
    /// Processor time, in milliseconds.
    pub(super) cpu_ms: u64,
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

    /// Reads what the process takes; `None` once it is gone.
    pub(super) fn usage(self) -> Option<Usage> {
        let Self(id) = self;
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        Usage::parse(&status, &stat, ticks_per_second())
    }
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
            cpu_ms: (user + system) * 1_000 / ticks_per_second.max(1),
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
