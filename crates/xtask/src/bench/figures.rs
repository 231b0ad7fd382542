//! Medians, and ratios within a round.

use std::fmt;

use super::server::Server;

/// What one load on one server has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// What the cell is about.
    pub(super) figure: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// Events that were seen, for a second by the clock on the wall.
    pub(super) per_second: f64,
    /// Lost, duplicated, out of order, or another user's.
    pub(super) n_faults: u64,
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            figure,
            p50_us,
            p99_us,
            ..
        } = self;
        write!(formatter, "{figure:.0}, p50 {p50_us} µs, p99 {p99_us} µs")?;
        if self.n_faults > 0 {
            write!(formatter, ", {} FAULTS", self.n_faults)?;
        }
        Ok(())
    }
}

/// The samples of a cell, in the order of its rounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Results(Vec<(Server, Vec<Sample>)>);

/// The middle one, and the two at the ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Of an even number the mean of the two in the middle; none of nothing.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let (least, most) = (*numbers.first()?, *numbers.last()?);
        let half = numbers.len() / 2;
        let median = if numbers.len().is_multiple_of(2) {
            f64::midpoint(numbers[half - 1], numbers[half])
        } else {
            numbers[half]
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

impl Results {
    pub(super) fn add(&mut self, server: Server, sample: Sample) {
        match self.0.iter_mut().find(|(known, _)| *known == server) {
            Some((_, samples)) => samples.push(sample),
            None => self.0.push((server, vec![sample])),
        }
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = Server> {
        self.0.iter().map(|(server, _)| *server)
    }

    fn samples(&self, server: Server) -> &[Sample] {
        let found = self.0.iter().find(|(known, _)| *known == server);
        found.map_or(&[], |(_, samples)| samples)
    }

    /// Sums up one number of a server's samples.
    pub(super) fn spread(&self, server: Server, number: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.samples(server).iter().map(number))
    }

    /// Sums up how a server compares with another in the same round, where both have a figure.
    pub(super) fn ratio(&self, server: Server, base: Server) -> Option<Spread> {
        let pairs = self.samples(server).iter().zip(self.samples(base));
        Spread::of(
            pairs
                .filter(|(_, base)| base.figure > 0.0)
                .map(|(sample, base)| sample.figure / base.figure),
        )
    }

    pub(super) fn n_faults(&self, server: Server) -> u64 {
        self.samples(server).iter().map(|of| of.n_faults).sum()
    }
}
