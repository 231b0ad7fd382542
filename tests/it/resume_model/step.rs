//! What can happen, in any order.

use proptest::prelude::*;

use super::fickle::Mood;

/// Readers, of whom every second one is another user's.
pub(super) const CLIENTS: usize = 6;
/// Routers on one log.
pub(super) const REPLICAS: usize = 2;
/// Users with a log of their own.
pub(super) const USERS: usize = 2;
/// Threads of each user.
pub(super) const THREADS: usize = 2;

/// With which cursor a reader comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// The last that it was sent.
    Own,
    /// One that it had before, counted backwards.
    Old(usize),
    /// None: as somebody who comes for the first time.
    Nothing,
    /// The other user's.
    Foreign,
    /// Its own, with another tag.
    Forged,
    /// A place that the log has not reached.
    Ahead,
    /// No cursor at all.
    Malformed,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Publish {
        replica: usize,
        user: usize,
        thread: usize,
        n_events: usize,
        is_named: bool,
    },
    /// Both replicas publish for one user at the same time.
    PublishAtOnce {
        user: usize,
        n_events: usize,
    },
    /// A batch that has a name is sent again, wherever.
    Retry {
        replica: usize,
        batch: usize,
    },
    Attach {
        client: usize,
        replica: usize,
        with: With,
    },
    Read {
        client: usize,
        batches: usize,
    },
    Cut {
        client: usize,
    },
    /// Everything that waits for nothing but its turn has so many turns.
    Turns(usize),
    /// So many milliseconds go by.
    Pass(u64),
    /// A router is lost, with all that it knew and its readers' connections; a new one takes its place.
    Restart {
        replica: usize,
    },
    /// The connection between a router and the log changes.
    Mood {
        replica: usize,
        mood: Mood,
    },
    /// The log is lost and begins anew.
    Recreate,
}

fn with() -> impl Strategy<Value = With> {
    prop_oneof![
        10 => Just(With::Own),
        3 => (1..6_usize).prop_map(With::Old),
        2 => Just(With::Nothing),
        1 => Just(With::Foreign),
        1 => Just(With::Forged),
        1 => Just(With::Ahead),
        1 => Just(With::Malformed),
    ]
}

/// Stories; those of a log that fails have moods.
pub(super) fn steps(has_moods: bool) -> impl Strategy<Value = Vec<Step>> {
    let mood = prop_oneof![
        3 => Just(Mood::Well),
        2 => Just(Mood::AnswerLost),
        1 => Just(Mood::AppendLost),
        2 => Just(Mood::AppendLate),
        1 => Just(Mood::Down),
        1 => Just(Mood::Silent),
        2 => Just(Mood::Deaf),
        1 => (1..30_usize).prop_map(Mood::Slow),
    ];
    let (n_moods, n_lives) = if has_moods { (4, 1) } else { (0, 0) };
    let common = prop_oneof![
        10 => (0..REPLICAS, 0..USERS, 0..THREADS, 1..6_usize, any::<bool>()).prop_map(
            |(replica, user, thread, n_events, is_named)| Step::Publish {
                replica, user, thread, n_events, is_named
            }
        ),
        2 => (0..USERS, 1..4_usize)
            .prop_map(|(user, n_events)| Step::PublishAtOnce { user, n_events }),
        3 => (0..REPLICAS, 0..8_usize).prop_map(|(replica, batch)| Step::Retry { replica, batch }),
        8 => (0..CLIENTS, 0..REPLICAS, with())
            .prop_map(|(client, replica, with)| Step::Attach { client, replica, with }),
        10 => (0..CLIENTS, 1..4_usize).prop_map(|(client, batches)| Step::Read { client, batches }),
        4 => (0..CLIENTS).prop_map(|client| Step::Cut { client }),
        3 => (1..40_usize).prop_map(Step::Turns),
        1 => (1..4_000_u64).prop_map(Step::Pass),
        1 => (0..REPLICAS).prop_map(|replica| Step::Restart { replica }),
    ];
    let moody = prop_oneof![
        8 => (0..REPLICAS, mood).prop_map(|(replica, mood)| Step::Mood { replica, mood }),
        1 => Just(Step::Recreate),
    ];
    let step = if has_moods {
        prop_oneof![40 => common, n_moods + n_lives => moody].boxed()
    } else {
        common.boxed()
    };
    proptest::collection::vec(step, 1..50)
}
