//! The resident memory of a process, and whether it grows.

use std::fs;
use std::time::Duration;

/// Returns the resident memory of a process at present, in bytes; none when it has ended, or where there is no `/proc`.
#[must_use]
pub fn resident(id: u32) -> Option<u64> {
    of_status(id, "VmRSS:")
}

/// Returns the most resident memory that a process has had, in bytes; none as [`resident`].
#[must_use]
pub fn peak(id: u32) -> Option<u64> {
    of_status(id, "VmHWM:")
}

fn of_status(id: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Samples over time.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<(Duration, u64)>);

impl Samples {
    /// Adds one, of this moment after the beginning.
    pub fn push(&mut self, at: Duration, n_bytes: u64) {
        self.0.push((at, n_bytes));
    }

    /// Returns those from a moment on.
    #[must_use]
    pub fn since(&self, from: Duration) -> Self {
        let of_it = self.0.iter().filter(|(at, _)| *at >= from);
        Self(of_it.copied().collect())
    }

    /// Returns the least and the most.
    #[must_use]
    pub fn range(&self) -> (u64, u64) {
        let bytes = || self.0.iter().map(|(_, n_bytes)| *n_bytes);
        (bytes().min().unwrap_or(0), bytes().max().unwrap_or(0))
    }

    /// Returns how fast they grow, in bytes a second: the slope of the line that is nearest to them in the sense of
    /// least squares. Zero if there are fewer than two.
    #[must_use]
    pub fn slope(&self) -> f64 {
        let n = self.0.len() as f64;
        let points = || self.0.iter().map(|(at, y)| (at.as_secs_f64(), *y as f64));
        let mean_x = points().map(|(x, _)| x).sum::<f64>() / n;
        let mean_y = points().map(|(_, y)| y).sum::<f64>() / n;
        let above: f64 = points().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let below: f64 = points().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if below > 0.0 { above / below } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_found_among_waves() {
        let of = |growth: f64| {
            let mut samples = Samples::default();
            for second in 0..600_u32 {
                let wave = f64::from(second % 60) * 1e5;
                let at = Duration::from_secs(second.into());
                samples.push(at, (5e7 + wave + growth * f64::from(second)) as u64);
            }
            samples.slope()
        };
        assert!(of(0.0).abs() < 2_000.0, "{}", of(0.0));
        assert!((of(10_000.0) - 10_000.0).abs() < 2_000.0, "{}", of(1e4));
        assert!(Samples::default().slope().abs() < f64::EPSILON);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_takes_memory() {
        let id = std::process::id();
        let (now, most) = (resident(id).unwrap(), peak(id).unwrap());
        assert!(now > 1 << 20 && most >= now, "{now} {most}");
        assert_eq!(resident(u32::MAX), None);
    }
}
