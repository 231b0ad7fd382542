//! Who reads, how, and for whom is published next.

use crate::{Failure, cli::BenchArgs};

/// How a connection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as it can.
    Ordinary,
    /// A little, once a second.
    Slow,
    /// Nothing behind the beginning of the stream.
    Stalled,
}

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// Whose stream it reads.
    pub(super) user: u32,
    pub(super) pace: Pace,
}

/// Who reads; and the endless order in which users are published for, always the same for the same numbers.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    seats: Vec<Seat>,
    watched: Round,
    unwatched: Round,
    /// Of a million requests, those for users with readers.
    watched_ppm: u64,
    owed_ppm: u64,
}

/// Users in turn.
#[derive(Clone, Debug, Default)]
struct Round {
    users: Vec<u32>,
    at: usize,
}

impl Round {
    fn next(&mut self) -> Option<u32> {
        let user = *self.users.get(self.at)?;
        self.at = (self.at + 1) % self.users.len();
        Some(user)
    }
}

const MILLION: u64 = 1_000_000;

/// Counts the users with ordinary readers.
fn n_ordinary(args: &BenchArgs) -> u64 {
    let n_others = u64::from(args.slow) + u64::from(args.stalled);
    match args.watched {
        Some(n_watched) => u64::from(n_watched),
        None => u64::from(args.users).saturating_sub(n_others),
    }
}

/// Counts the connections of a plan, before it is made.
pub(super) fn n_connections(args: &BenchArgs) -> u64 {
    n_ordinary(args) * u64::from(args.connections_per_user)
        + u64::from(args.slow)
        + u64::from(args.stalled)
}

impl Plan {
    /// Makes the plan: those who read are spread over all users, each kind over the whole.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if there are not enough users, or nobody for whom there should be events.
    pub(super) fn new(args: &BenchArgs) -> Result<Self, Failure> {
        let n_others = u64::from(args.slow) + u64::from(args.stalled);
        let n_users = u64::from(args.users);
        let n_ordinary = n_ordinary(args);
        let n_watched = n_ordinary + n_others;
        if n_watched > n_users {
            return Err(Failure::Usage(format!(
                "{n_watched} users with readers (--watched, --slow and --stalled together) do not fit into {n_users}: \
                 raise --users"
            )));
        }
        let watched_ppm = match args.focus {
            None => n_watched * MILLION / n_users,
            Some(percent) if percent > 0 && n_watched == 0 => {
                return Err(Failure::Usage(
                    "--focus wants events for users with readers, and there are none: give --watched"
                        .to_owned(),
                ));
            }
            Some(percent) if percent < 100 && n_watched == n_users => {
                return Err(Failure::Usage(
                    "--focus wants events for users without readers, and there are none: give --watched or raise \
                     --users"
                        .to_owned(),
                ));
            }
            Some(percent) => u64::from(percent) * MILLION / 100,
        };
        let mut paces = Vec::new();
        for (pace, n) in [
            (Pace::Ordinary, n_ordinary),
            (Pace::Slow, u64::from(args.slow)),
            (Pace::Stalled, u64::from(args.stalled)),
        ] {
            paces.extend((0..n).map(|_| pace));
        }
        // Seeded, so that two calls compare.
        fastrand::Rng::with_seed(n_watched).shuffle(&mut paces);
        let mut plan = Self {
            seats: Vec::new(),
            watched: Round::default(),
            unwatched: Round::default(),
            watched_ppm,
            owed_ppm: 0,
        };
        let mut paces = paces.into_iter();
        for user in 0..args.users {
            // Bresenham's line: as many as `n_watched`, evenly spread.
            let number = u64::from(user);
            let is_watched = (number + 1) * n_watched / n_users > number * n_watched / n_users;
            let Some(pace) = is_watched.then(|| paces.next()).flatten() else {
                plan.unwatched.users.push(user);
                continue;
            };
            plan.watched.users.push(user);
            let n_seats = if pace == Pace::Ordinary {
                args.connections_per_user
            } else {
                1
            };
            plan.seats.extend((0..n_seats).map(|_| Seat { user, pace }));
        }
        Ok(plan)
    }

    /// Returns the connections.
    pub(super) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Returns the user whom the next request is for.
    pub(super) fn next_user(&mut self) -> u32 {
        self.owed_ppm += self.watched_ppm;
        let user = if self.owed_ppm >= MILLION {
            self.owed_ppm -= MILLION;
            self.watched.next()
        } else {
            self.unwatched.next()
        };
        // One of the two is empty only where rounding has asked for it.
        user.or_else(|| self.watched.next())
            .or_else(|| self.unwatched.next())
            .unwrap_or_default()
    }
}
