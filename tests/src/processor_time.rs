//! How long processes have been on a processor.

use std::{fs, time::Duration};

/// The length of a tick of `/proc/ID/stat`, which is the same on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// Returns the processor time of a process and of those that it has started, user's and kernel's, to a hundredth of a
/// second; none when it has ended. Those of its children that have ended and were waited for count as its own.
#[must_use]
pub fn processor_time(id: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let [user, system, of_ended_user, of_ended_system] = parse(&stat)?;
    let own = TICK * u32::try_from(user + system + of_ended_user + of_ended_system).ok()?;
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children
        .split_ascii_whitespace()
        .filter_map(|child| processor_time(child.parse().ok()?));
    Some(own + children.sum::<Duration>())
}

/// Returns the processor time of this process's children that have ended and were waited for.
#[must_use]
pub fn of_ended_children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = parse(&stat).map_or(0, |[_, _, user, system]| user + system);
    TICK * u32::try_from(ticks).unwrap_or(0)
}

/// Reads `utime`, `stime`, `cutime` and `cstime`, fields 14 to 17 of `proc(5)`.
fn parse(stat: &str) -> Option<[u64; 4]> {
    // The name of the program, in parentheses, may have anything in it. Behind it comes field 3.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse().ok();
    Some([next()?, next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "7 (a ) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 31 12 5 2 20 0 1 0 0";
        assert_eq!(parse(stat), Some([31, 12, 5, 2]));
        assert_eq!(parse("7 (a) S 1"), None);
    }

    #[test]
    fn work_takes_time() {
        let id = std::process::id();
        let before = processor_time(id).unwrap();
        while processor_time(id).unwrap() < before + 2 * TICK {
            std::hint::black_box(vec![0_u8; 4_096]);
        }
    }
}
