//! Events that a server makes itself: the order for them, and their text.
//!
//! An event is `{"type":"TEXT_MESSAGE_CONTENT",…,"delta":"@@T…S…@xxx"}`: 16 hexadecimal digits of `CLOCK_MONOTONIC`
//! in nanoseconds when it was made, 8 of its number, and what is missing to the size that was asked for.

use std::fmt::Write as _;

use rustix::time::{ClockId, clock_gettime};

/// What `POST /gen` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// What stands before the number in a user's name.
    pub(crate) prefix: String,
    pub(crate) from: u32,
    /// The first user who is not meant.
    pub(crate) to: u32,
    /// Events for each user.
    pub(crate) n: u32,
    /// The number of the first event.
    pub(crate) seq: u32,
    /// JSON of one event, in bytes; more where stamp and envelope need it.
    pub(crate) size: usize,
}

impl Order {
    /// Bounds of one order: users, events of a user, bytes of an event.
    const MOST: [u32; 3] = [1_000_000, 10_000, 1 << 20];

    /// Reads the query of a request.
    ///
    /// # Errors
    ///
    /// What is missing or too much, as one line.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let field = |name: &str| {
            query.split('&').find_map(|field| {
                let (key, value) = field.split_once('=')?;
                (key == name).then_some(value)
            })
        };
        let number = |name: &str| {
            let value = field(name).ok_or_else(|| format!("the query has no '{name}'"))?;
            let number: u32 = value
                .parse()
                .map_err(|_| format!("{name}={value} is no number"))?;
            Ok::<_, String>(number)
        };
        let order = Self {
            prefix: field("prefix").unwrap_or_default().to_owned(),
            from: number("from")?,
            to: number("to")?,
            n: number("n")?,
            seq: number("seq")?,
            size: number("size")? as usize,
        };
        let [n_users, n_events, n_bytes] = Self::MOST;
        if order.to < order.from
            || order.to - order.from > n_users
            || order.n > n_events
            || order.size > n_bytes as usize
            || order.seq.checked_add(order.n).is_none()
        {
            return Err(format!(
                "at most {n_users} users, {n_events} events of each and {n_bytes} bytes of an event"
            ));
        }
        Ok(order)
    }

    /// Names the users.
    pub(crate) fn users(&self) -> impl Iterator<Item = u32> {
        self.from..self.to
    }

    /// Numbers the events of one user.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.seq..self.seq + self.n
    }
}

/// What an event has before and behind its delta, and the digits of its timestamp in milliseconds.
const BEFORE: &str = r#"{"type":"TEXT_MESSAGE_CONTENT","timestamp":"#;
const BETWEEN: &str = r#","messageId":"m","delta":""#;
const BEHIND: &str = "\"}";
const TIMESTAMP: usize = 13;

/// Replaces `out` with the stamp of an event of that number, made now, filled up so that the event has `size` bytes.
pub(crate) fn write_delta(number: u32, size: usize, out: &mut String) {
    out.clear();
    let envelope = BEFORE.len() + TIMESTAMP + BETWEEN.len() + BEHIND.len();
    // Writing to a string does not fail.
    let _infallible = write!(out, "@@{:016x}{number:08x}@", now_ns());
    while out.len() + envelope < size {
        let n_missing = size - envelope - out.len();
        out.push_str(&FILL[..n_missing.min(FILL.len())]);
    }
}

const FILL: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
                    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Appends the JSON of an event with such a delta, as the hub writes it.
pub(crate) fn write_event(delta: &str, out: &mut Vec<u8>) {
    let timestamp = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_millis());
    out.extend_from_slice(BEFORE.as_bytes());
    // Writing to a vector does not fail.
    let _infallible = std::io::Write::write_fmt(out, format_args!("{timestamp}"));
    for part in [BETWEEN, delta, BEHIND] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Reads the clock that the load generator compares with.
fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)).unwrap_or(0)
}
