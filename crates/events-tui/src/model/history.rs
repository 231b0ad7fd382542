//! What happened in the last seconds and minutes.

use std::collections::VecDeque;

use events_models::Usd;

/// Amounts of the last `N` seconds.
#[derive(Clone, Debug)]
pub(crate) struct Seconds<const N: usize> {
    amounts: Box<[u64; N]>,
    /// The second of the newest amount, since the Unix epoch.
    newest: i64,
}

impl<const N: usize> Default for Seconds<N> {
    fn default() -> Self {
        Self {
            amounts: Box::new([0; N]),
            newest: i64::MIN,
        }
    }
}

impl<const N: usize> Seconds<N> {
    /// The place of a second, if it is among those that are kept.
    fn index(&self, second: i64) -> Option<usize> {
        let age = self.newest.checked_sub(second)?;
        let n_kept = i64::try_from(N).unwrap_or(i64::MAX);
        if !(0..n_kept).contains(&age) {
            return None;
        }
        usize::try_from(second.rem_euclid(n_kept)).ok()
    }

    /// Adds an amount at a time in milliseconds. A time that is not among the last `N` seconds is left out.
    pub(crate) fn add(&mut self, at_ms: i64, amount: u64) {
        let second = at_ms.div_euclid(1_000);
        if second > self.newest {
            let n_kept = i64::try_from(N).unwrap_or(i64::MAX);
            let first = self
                .newest
                .saturating_add(1)
                .max(second.saturating_sub(n_kept).saturating_add(1));
            self.newest = second;
            for skipped in first..=second {
                self.set(skipped, |_old| 0);
            }
        }
        self.set(second, |old| old.saturating_add(amount));
    }

    fn set(&mut self, second: i64, change: impl FnOnce(u64) -> u64) {
        if let Some(place) = self
            .index(second)
            .and_then(|index| self.amounts.get_mut(index))
        {
            *place = change(*place);
        }
    }

    /// The amount of one second, 0 if it is not known.
    fn at(&self, second: i64) -> u64 {
        let index = self.index(second);
        index
            .and_then(|index| self.amounts.get(index))
            .copied()
            .unwrap_or(0)
    }

    /// The amount per second over the last seconds, in thousandths. The present second counts as far as it has come.
    pub(crate) fn rate_millis(&self, now_ms: i64, n_seconds: u16) -> u64 {
        let second = now_ms.div_euclid(1_000);
        let n_before = i64::from(n_seconds.max(1)) - 1;
        let sum: u128 = (second.saturating_sub(n_before)..=second)
            .map(|second| u128::from(self.at(second)))
            .sum();
        let millis = n_before * 1_000 + now_ms.rem_euclid(1_000);
        // A single amount in the first moment of a second is no rate.
        let millis = u128::try_from(millis.max(1_000)).unwrap_or(1_000);
        u64::try_from(sum * 1_000_000 / millis).unwrap_or(u64::MAX)
    }

    /// Sums over equal parts of the last `n_parts * seconds` whole seconds, the oldest first.
    pub(crate) fn parts(&self, now_ms: i64, n_parts: usize, seconds: u16) -> Vec<u64> {
        let end = now_ms.div_euclid(1_000);
        let seconds = i64::from(seconds.max(1));
        (1..=i64::try_from(n_parts.min(N)).unwrap_or(0))
            .rev()
            .map(|part| {
                let first = end.saturating_sub(part * seconds);
                (first..first.saturating_add(seconds))
                    .map(|second| self.at(second))
                    .fold(0, u64::saturating_add)
            })
            .collect()
    }
}

/// What was spent in the last hour, minute by minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct HourOfCost {
    minutes: VecDeque<(i64, Usd)>,
    /// Since when costs are watched, in milliseconds.
    since_ms: Option<i64>,
}

impl HourOfCost {
    const MINUTES: i64 = 60;

    /// Begins to watch.
    pub(crate) fn begin(&mut self, now_ms: i64) {
        self.since_ms.get_or_insert(now_ms);
    }

    /// Adds a cost.
    pub(crate) fn add(&mut self, now_ms: i64, cost: Usd) {
        self.begin(now_ms);
        let minute = now_ms.div_euclid(60_000);
        match self.minutes.back_mut() {
            Some((last, sum)) if *last >= minute => *sum = *sum + cost,
            _ => self.minutes.push_back((minute, cost)),
        }
        while self
            .minutes
            .front()
            .is_some_and(|(first, _)| minute.saturating_sub(*first) >= Self::MINUTES)
        {
            self.minutes.pop_front();
        }
    }

    /// The cost of an hour, and whether it is a guess from a shorter time. `None` in the first minute.
    pub(crate) fn per_hour(&self, now_ms: i64) -> Option<(Usd, bool)> {
        let watched_ms = now_ms.saturating_sub(self.since_ms?);
        if watched_ms < 60_000 {
            return None;
        }
        let minute = now_ms.div_euclid(60_000);
        let spent: Usd = self
            .minutes
            .iter()
            .filter(|(at, _)| minute.saturating_sub(*at) < Self::MINUTES)
            .map(|(_, cost)| *cost)
            .sum();
        let hour_ms = 3_600_000;
        if watched_ms >= hour_ms {
            return Some((spent, false));
        }
        let watched_ms = u128::try_from(watched_ms).unwrap_or(1);
        let hour_ms = u128::try_from(hour_ms).unwrap_or(1);
        let projected = spent.picos().saturating_mul(hour_ms) / watched_ms;
        Some((Usd::from_picos(projected), true))
    }
}

/// Times to the first token of the requests that ended lately.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstTokens {
    /// When it was heard of, and the time, both in milliseconds.
    times: VecDeque<(i64, u64)>,
}

impl FirstTokens {
    const MAX: usize = 4_096;

    pub(crate) fn add(&mut self, now_ms: i64, time_ms: u64) {
        if self.times.len() >= Self::MAX {
            self.times.pop_front();
        }
        self.times.push_back((now_ms, time_ms));
    }

    /// The median and the 95th percentile of the last seconds, in milliseconds, by nearest rank.
    pub(crate) fn percentiles(&self, now_ms: i64, seconds: i64) -> Option<(u64, u64)> {
        let oldest = now_ms.saturating_sub(seconds.saturating_mul(1_000));
        let mut times: Vec<u64> = self
            .times
            .iter()
            .filter(|(at, _)| *at >= oldest)
            .map(|(_, time)| *time)
            .collect();
        times.sort_unstable();
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied()
        };
        Some((at(50)?, at(95)?))
    }

    /// The longest time of each part, as [`Seconds::parts`] cuts them.
    pub(crate) fn parts(&self, now_ms: i64, n_parts: usize, seconds: u16) -> Vec<u64> {
        let mut parts = vec![0; n_parts];
        let end = now_ms.div_euclid(1_000);
        for (at, time) in &self.times {
            let age = end
                .saturating_sub(at.div_euclid(1_000))
                .saturating_sub(1)
                .max(0);
            let part = usize::try_from(age / i64::from(seconds.max(1))).unwrap_or(usize::MAX);
            let index = n_parts.checked_sub(part.saturating_add(1));
            if let Some(longest) = index.and_then(|index| parts.get_mut(index)) {
                *longest = (*time).max(*longest);
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_over_the_last_seconds_and_fades() {
        let mut seconds = Seconds::<10>::default();
        assert_eq!(seconds.rate_millis(5_000, 5), 0);
        for at in [1_000, 1_999, 3_500] {
            seconds.add(at, 10);
        }
        assert_eq!(seconds.rate_millis(5_000, 5), 30 * 1_000 / 4);
        assert_eq!(seconds.rate_millis(6_000, 5), 10 * 1_000 / 4);
        assert_eq!(seconds.rate_millis(9_000, 5), 0);
        assert_eq!(seconds.parts(5_000, 4, 1), [20, 0, 10, 0]);
        assert_eq!(seconds.parts(5_000, 2, 2), [20, 10]);
        // What is old is not found in the place of what is new.
        seconds.add(12_000, 1);
        assert_eq!(
            seconds.parts(13_000, 10, 1),
            [10, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        );
        seconds.add(0, 5);
        seconds.add(i64::MAX, 7);
        assert_eq!(seconds.rate_millis(i64::MAX, 1), 7_000);
    }

    #[test]
    fn the_cost_of_an_hour_is_a_guess_until_an_hour_was_watched() {
        let dollar = Usd::from_dollars(1.0).unwrap();
        let mut cost = HourOfCost::default();
        assert_eq!(cost.per_hour(0), None);
        cost.begin(0);
        cost.add(30_000, dollar);
        assert_eq!(cost.per_hour(59_000), None);
        let six = Usd::from_dollars(6.0).unwrap();
        assert_eq!(cost.per_hour(600_000), Some((six, true)));
        assert_eq!(
            cost.per_hour(3_599_000).map(|(_, is_guess)| is_guess),
            Some(true)
        );
        cost.add(3_600_000, dollar);
        assert_eq!(cost.per_hour(3_600_000), Some((dollar, false)));
        assert_eq!(cost.minutes.len(), 1);
        assert_eq!(cost.per_hour(9_000_000), Some((Usd::ZERO, false)));
    }

    #[test]
    fn percentiles_are_of_the_window_only() {
        let mut times = FirstTokens::default();
        assert_eq!(times.percentiles(0, 60), None);
        times.add(0, 99_999);
        for time in 1..=100 {
            times.add(61_000, time);
        }
        assert_eq!(times.percentiles(61_000, 60), Some((50, 95)));
        assert_eq!(times.parts(62_000, 3, 1), [0, 0, 100]);
        for time in 0..10_000 {
            times.add(70_000, time);
        }
        assert_eq!(times.times.len(), FirstTokens::MAX);
    }
}
