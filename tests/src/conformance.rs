//! What every log must do, as a list of promises and a test of each: the contract of `EventLog`, from outside.
//!
//! A new engine says how it is opened ([`Engine`]) and calls [`check`]. Each promise is tested with users of its own,
//! so an engine may be opened once for all of them, and none needs an empty log. The tests use an engine as the router
//! does: they follow users by tail and reads together, and find their own records by message key.
//!
//! That the tests find what is wrong is tested too, with logs that break one promise each.

mod appending;
mod checkpoints;
mod erasing;
mod follower;
mod keys;
mod lives;
mod outage;
mod reading;
mod retention;
mod samples;
mod switched;
mod tailing;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use events_core::{EventError, EventLog};
use futures_util::future::BoxFuture;

pub use switched::{Fault, Switch, SwitchedLog};

/// How long one promise may take on a busy machine. Most take milliseconds.
const LIMIT: Duration = Duration::from_secs(120);

/// How an engine is opened, stopped and made anew, for the tests of its log.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Opens the log as one more replica on the same data. Where one process has the log to itself, returns the same
    /// log again.
    async fn open(&self) -> Arc<dyn EventLog>;

    /// Opens the same data as a process does that was started anew; none if the log ends with its process. The tests
    /// hold no log of this engine when they call it.
    async fn reopen(&self) -> Option<Arc<dyn EventLog>>;

    /// Throws the data away and opens the log as new; none if that is not possible. From here on `open` opens the new
    /// one. The tests hold no log of this engine when they call it.
    async fn recreate(&self) -> Option<Arc<dyn EventLog>>;

    /// Opens another log, empty, that keeps no more of each user than the bounds say; none if the engine has no such
    /// bound.
    async fn bounded(&self, bounds: Bounds) -> Option<Arc<dyn EventLog>>;

    /// Tells whether several processes can have the log open.
    fn has_replicas(&self) -> bool {
        true
    }

    /// Returns what stops the engine and starts it again; none if it cannot be away.
    fn outage(&self) -> Option<&dyn Outage> {
        None
    }
}

/// Makes an engine unreachable for a while: stopped, paused, or behind a proxy that says nothing.
#[async_trait]
pub trait Outage: Send + Sync {
    /// Makes it unreachable; what it has acknowledged must be there afterwards.
    async fn begin(&self);

    /// Makes it reachable again.
    async fn end(&self);
}

/// What a log keeps of each user; none of a kind = more than the tests append.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// The most records.
    pub events: Option<u64>,
    /// The most bytes. Whether only JSON counts is the engine's business.
    pub bytes: Option<u64>,
    /// The age at which a record goes.
    pub age: Option<Duration>,
}

/// Why a promise is not known to be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Miss {
    /// The engine has nothing to which it applies; the text says what it lacks.
    NotThere(&'static str),
    /// It is broken; the text says by what.
    Broken(String),
}

/// The outcome of the test of one promise.
pub type Kept = Result<(), Miss>;

/// One promise, with its test.
#[derive(Clone, Copy)]
pub struct Promise {
    /// Its name, for a person who looks for its test.
    pub name: &'static str,
    /// The promise, as a sentence.
    pub says: &'static str,
    test: for<'a> fn(&'a dyn Engine) -> BoxFuture<'a, Kept>,
}

/// What came out of all tests.
#[derive(Debug, Default)]
pub struct Report {
    /// Promises that are kept.
    pub kept: Vec<&'static str>,
    /// Promises that do not apply, and what the engine lacks.
    pub not_there: Vec<(&'static str, &'static str)>,
    /// Promises that are broken, and by what.
    pub broken: Vec<(&'static str, String)>,
}

/// Fails the test of a promise with a text, unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err($crate::conformance::Miss::Broken(format!($($text)+)));
        }
    };
}
pub(crate) use ensure;

macro_rules! promises {
    ($($module:ident::$test:ident: $says:literal,)*) => {
        /// The promises, in the order in which they are tested.
        pub const PROMISES: &[Promise] = &[$(Promise {
            name: concat!(stringify!($module), "::", stringify!($test)),
            says: $says,
            test: |engine| Box::pin($module::$test(engine)),
        },)*];
    };
}

promises! {
    appending::places: "places are above 0 and strictly increasing; those of one append follow by one",
    appending::exact: "every field of a record comes back as it was",
    appending::tags: "a record without a tag gets one, the same for everybody",
    appending::too_large: "an append that is too large is refused, and nothing of it is in the log",
    appending::whole: "what is appended at once is there whole, and nothing comes in between",
    appending::expected: "an expected last place must be the last place; a conflict names it",
    appending::one_wins: "of appends that expect the same place one is made",
    reading::after: "a read begins after the place, also within one append",
    reading::pages: "pages end where the last place says",
    reading::at_once: "a read sees what another replica had acknowledged",
    reading::unknown: "a user who was never heard of has an empty log",
    keys::apart: "users whose names look alike are apart",
    tailing::everything: "a tail says everything after Started, in order, on every replica",
    tailing::two: "two tails of one log hear the same",
    tailing::anew: "a tail that is dropped takes nothing with it, and another can begin",
    tailing::passed: "a live event reaches the other replicas and not the log",
    checkpoints::newest: "the newest of a part wins, whatever the order",
    checkpoints::gone: "an empty state takes the part away",
    checkpoints::names: "parts whose names look alike are apart, and so are users",
    checkpoints::large: "a part of 3 MiB is kept, and 20 MiB of one user",
    erasing::records: "an erased user has one record: the marker, above all that was",
    erasing::late: "a checkpoint from before an erasure does not come back",
    erasing::told: "the marker is told by tails",
    erasing::others: "erasing leaves other users alone",
    erasing::unknown: "erasing who is unknown, or twice, leaves one marker",
    retention::events: "records go by number, oldest first, and the page says so",
    retention::bytes: "records go by size, oldest first",
    retention::age: "records go by age; the last place is known when all are gone",
    outage::answers: "without the engine every call answers within seconds, and nothing is claimed",
    outage::told: "tails say that the engine is away, and that it is back",
    outage::nothing_lost: "after an outage everything that was acknowledged is there, once and in order",
    lives::reopened: "a process that starts anew finds everything, in the same life",
    lives::recreated: "a log that is made anew has another life",
}

/// Tests all promises, one after the other.
///
/// # Panics
///
/// If one is broken; the text names all that are, and by what.
pub async fn check(engine: &dyn Engine) {
    let report = report(engine, |_| true).await;
    assert!(report.broken.is_empty(), "{report}");
}

/// Tests the promises whose names are wanted, one after the other.
pub async fn report(engine: &dyn Engine, is_wanted: impl Fn(&str) -> bool) -> Report {
    let mut report = Report::default();
    for promise in PROMISES.iter().filter(|promise| is_wanted(promise.name)) {
        match tokio::time::timeout(LIMIT, (promise.test)(engine)).await {
            Ok(Ok(())) => report.kept.push(promise.name),
            Ok(Err(Miss::NotThere(what))) => report.not_there.push((promise.name, what)),
            Ok(Err(Miss::Broken(by))) => report.broken.push((promise.name, by)),
            Err(_) => {
                let by = format!("no end within {LIMIT:?}");
                report.broken.push((promise.name, by));
            }
        }
    }
    report
}

// === impl Miss ===

impl From<EventError> for Miss {
    fn from(error: EventError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        Self::Broken(format!(
            "a call failed: {error} ({})",
            source.unwrap_or_default()
        ))
    }
}

// === impl Promise ===

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.says)
    }
}

// === impl Report ===

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} promises kept, {} do not apply, {} broken",
            self.kept.len(),
            self.not_there.len(),
            self.broken.len()
        )?;
        for (name, by) in &self.broken {
            let says = PROMISES.iter().find(|promise| promise.name == *name);
            let says = says.map_or("", |promise| promise.says);
            write!(f, "\n{name} ({says}): {by}")?;
        }
        Ok(())
    }
}
