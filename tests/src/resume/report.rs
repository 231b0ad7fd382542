//! What came of a trial.

use std::fmt;
use std::time::Duration;

use super::faults::Fault;
use super::verdict::Finding;

/// What came of a trial; as text it is a table.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was tried.
    pub name: String,
    /// Everything that was drawn was drawn from this.
    pub seed: u64,
    /// The faults, in order.
    pub rows: Vec<Row>,
    /// How long everything took.
    pub took: Duration,
    /// Events that were acknowledged.
    pub n_acked: usize,
    /// Publishes that were tried again.
    pub n_retries: usize,
    /// Clients.
    pub n_clients: usize,
    /// Those of them that keep a screen of a thread or of tasks.
    pub n_screens: usize,
    /// Streams that they opened.
    pub n_connections: usize,
    /// Events that they got, all together.
    pub n_delivered: usize,
    /// How often a stream said that the log is away, and that it is back.
    pub n_degraded: (usize, usize),
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// One fault.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which.
    pub fault: Fault,
    /// When it began, after the beginning of the trial.
    pub at: Duration,
    /// How long it lasted.
    pub lasted: Duration,
    /// How long news took just before it.
    pub before: Duration,
    /// How long after its end every client had news that were published after it; none if they never had.
    pub recovered: Option<Duration>,
    /// Events that were acknowledged by then.
    pub n_acked: usize,
}

impl Report {
    /// Returns the longest recovery.
    #[must_use]
    pub fn slowest(&self) -> Option<Duration> {
        self.rows.iter().filter_map(|row| row.recovered).max()
    }

    /// Says what came of it in one line: how soon after the end of a fault every client had news that were published
    /// after it, in the middle of all faults and at worst, and how much was compared.
    #[must_use]
    pub fn line(&self) -> String {
        let mut recoveries: Vec<Duration> =
            self.rows.iter().filter_map(|row| row.recovered).collect();
        recoveries.sort_unstable();
        let middle = recoveries.get(recoveries.len() / 2).copied();
        let seconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64();
        format!(
            "seed {}, {} faults, recovery {:.2} s p50 {:.2} s worst, {} acknowledged, {} delivered to {} clients ({} \
             screens), {} findings",
            self.seed,
            self.rows.len(),
            seconds(middle),
            seconds(self.slowest()),
            self.n_acked,
            self.n_delivered,
            self.n_clients,
            self.n_screens,
            self.findings.len()
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, seed {}", self.name, self.seed)?;
        let (at, before, lasted, recovered) = ("at", "before", "lasted", "recovered");
        writeln!(
            f,
            "  {:<18}{at:>9}{before:>9}{lasted:>9}{recovered:>11}{:>9}",
            "fault", "acked"
        )?;
        for row in &self.rows {
            let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
            writeln!(
                f,
                "  {:<18}{:>9}{:>9}{:>9}{:>11}{:>9}",
                format!("{:?}", row.fault),
                seconds(row.at),
                seconds(row.before),
                seconds(row.lasted),
                row.recovered.map_or_else(|| "never".to_owned(), seconds),
                row.n_acked,
            )?;
        }
        writeln!(
            f,
            "  {} events acknowledged ({} tries more), {} delivered to {} clients ({} with a screen) over {} \
             streams ({} degraded, {} recovered) in {:.1} s",
            self.n_acked,
            self.n_retries,
            self.n_delivered,
            self.n_clients,
            self.n_screens,
            self.n_connections,
            self.n_degraded.0,
            self.n_degraded.1,
            self.took.as_secs_f64(),
        )?;
        write!(f, "  {} findings", self.findings.len())?;
        for finding in self.findings.iter().take(20) {
            write!(f, "\n  {finding}")?;
        }
        Ok(())
    }
}
