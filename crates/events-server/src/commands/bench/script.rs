//! What is published: valid AG-UI runs, whose events say by whom, for whom, as which, and when.

use std::io::Write as _;

/// What a stamp in an event's JSON begins with.
const MARK: &str = "@@";

/// What every event carries in its `rawEvent`, which the hub hands on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The bench that published it.
    pub(super) tag: u32,
    /// The user it was published for.
    pub(super) user: u32,
    /// Which of the user's events it is, from 0.
    pub(super) number: u32,
    /// When it was due, in microseconds of the bench's clock.
    pub(super) due_us: u64,
}

impl Stamp {
    /// Finds the stamp in an event's JSON; `None` for what no bench has published.
    pub(super) fn find(json: &str) -> Option<Self> {
        let (_, rest) = json.split_once(MARK)?;
        let (text, _) = rest.split_once('@')?;
        let mut parts = text.split('.');
        let stamp = Self {
            tag: u32::from_str_radix(parts.next()?, 16).ok()?,
            user: u32::from_str_radix(parts.next()?, 16).ok()?,
            number: u32::from_str_radix(parts.next()?, 16).ok()?,
            due_us: u64::from_str_radix(parts.next()?, 16).ok()?,
        };
        parts.next().is_none().then_some(stamp)
    }
}

/// What a server that makes events itself puts into their text: digits of a clock in nanoseconds, and of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MadeStamp {
    /// When it was made, on the clock of the system.
    pub(super) made_ns: u64,
    /// Which of the user's events it is, from 0.
    pub(super) number: u32,
}

impl MadeStamp {
    /// Finds the stamp in an event's JSON.
    pub(super) fn find(json: &str) -> Option<Self> {
        let (_, rest) = json.split_once(MARK)?;
        let (time, number, end) = (rest.get(..16)?, rest.get(16..24)?, rest.get(24..25)?);
        (end == "@").then_some(())?;
        Some(Self {
            made_ns: u64::from_str_radix(time, 16).ok()?,
            number: u32::from_str_radix(number, 16).ok()?,
        })
    }
}

/// Writes events. Which one stands at a number depends on the number alone, so nobody has to remember where a user's
/// run is.
#[derive(Debug)]
pub(super) struct Script {
    tag: u32,
    /// Events of a run.
    n_of_run: u32,
    /// The text of a delta.
    delta: String,
}

impl Script {
    /// Begin of the run and of the message, one delta, end of the message and of the run.
    const SHORTEST_RUN: u32 = 5;
    /// What is used where a request has less than a run.
    const RUN: u32 = 10;
    /// More than an event takes beside its delta, in bytes.
    pub(super) const BESIDE: usize = 256;

    /// Makes the script of runs that are as long as a request, where that is long enough for a run.
    pub(super) fn new(tag: u32, batch: u32, n_delta: usize) -> Self {
        Self {
            tag,
            n_of_run: if batch >= Self::SHORTEST_RUN {
                batch
            } else {
                Self::RUN
            },
            delta: "x".repeat(n_delta.max(1)),
        }
    }

    /// Names the AG-UI thread of all events of this bench.
    pub(super) fn thread(&self) -> String {
        format!("bench-{:08x}", self.tag)
    }

    /// Appends one event as one line.
    pub(super) fn write(&self, user: u32, number: u32, due_us: u64, out: &mut Vec<u8>) {
        let (run, place) = (number / self.n_of_run, number % self.n_of_run);
        let (tag, last) = (self.tag, self.n_of_run - 1);
        let body = match place {
            0 => format!(r#""RUN_STARTED","threadId":"bench-{tag:08x}","runId":"r{run}""#),
            1 => format!(r#""TEXT_MESSAGE_START","messageId":"m{run}","role":"assistant""#),
            _ if place == last => {
                format!(r#""RUN_FINISHED","threadId":"bench-{tag:08x}","runId":"r{run}""#)
            }
            _ if place == last - 1 => format!(r#""TEXT_MESSAGE_END","messageId":"m{run}""#),
            _ => {
                let delta = &self.delta;
                format!(r#""TEXT_MESSAGE_CONTENT","messageId":"m{run}","delta":"{delta}""#)
            }
        };
        // Writing to a vector does not fail.
        let _infallible = writeln!(
            out,
            r#"{{"type":{body},"rawEvent":"{MARK}{tag:x}.{user:x}.{number:x}.{due_us:x}@"}}"#
        );
    }
}
