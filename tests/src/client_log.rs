//! What one client was sent over all its connections, and whether that keeps the promise: every event once, in
//! order, or named by a gap.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::raw_client::RawFrame;

/// The events of a log by their numbers, as the stream of the client shows them.
pub type Published = BTreeMap<u64, String>;

/// The record of one client.
#[derive(Debug, Clone, Default)]
pub struct ClientLog {
    /// The number after which the client began.
    first: Option<u64>,
    cursor: Option<String>,
    entries: Vec<Entry>,
}

/// What moves a client's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An event.
    Event {
        /// Its number.
        seq: u64,
        /// Its data, as it was on the wire.
        data: String,
    },
    /// A gap that ends at this number.
    Gap {
        /// Why.
        reason: String,
        /// The number after which the client goes on.
        to: u64,
        /// How many events it hides, if the hub knows.
        lost: Option<u64>,
    },
}

impl ClientLog {
    /// Notes a frame.
    ///
    /// # Errors
    ///
    /// The frame is none that a stream with ids may have.
    pub fn take(&mut self, frame: &RawFrame) -> Result<(), String> {
        let broken = |what: &str| format!("{what} in '{}'", frame.raw);
        let seq = frame.id.as_deref().map(seq_of).transpose()?;
        match (frame.event.as_deref(), &frame.data, seq) {
            (None, None, None) | (Some("heartbeat" | "closing"), Some(_), None) => return Ok(()),
            (None, None, Some(seq)) => {
                self.first.get_or_insert(seq);
            }
            (None, Some(data), Some(seq)) => {
                if self.first.is_none() {
                    return Err(broken("an event before any cursor"));
                }
                let data = data.clone();
                self.entries.push(Entry::Event { seq, data });
            }
            (Some("gap"), Some(_), Some(to)) => {
                let data = frame.json().map_err(|error| error.to_string())?;
                if data["to"].as_str() != frame.id.as_deref() {
                    return Err(broken("two different cursors"));
                }
                let reason = data["reason"].as_str().unwrap_or_default().to_owned();
                let lost = data["lost"].as_u64();
                self.entries.push(Entry::Gap { reason, to, lost });
            }
            _ => return Err(broken("an unexpected frame")),
        }
        if let Some(id) = &frame.id {
            self.cursor = Some(id.clone());
        }
        Ok(())
    }

    /// Begins after a number that the client is known to have.
    pub fn begin_after(&mut self, seq: u64) {
        self.first = Some(seq);
    }

    /// Returns the last id: what the client sends when it comes back.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Returns events and gaps, in the order in which they came.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the gaps only.
    #[must_use]
    pub fn gaps(&self) -> Vec<&Entry> {
        let is_gap = |entry: &&Entry| matches!(entry, Entry::Gap { .. });
        self.entries.iter().filter(is_gap).collect()
    }

    /// Returns the number of the last event or gap.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.entries.last().map(Entry::seq)
    }

    /// Compares with what was published: numbers strictly increase, data are the same, and each event after the
    /// client's beginning was either sent or is named by a gap that counts right.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn check(&self, published: &Published) -> Result<(), String> {
        let mut last = self.first.ok_or("the client never had a cursor")?;
        for entry in &self.entries {
            match entry {
                Entry::Event { seq, data } => {
                    if *seq <= last {
                        return Err(format!("{seq} after {last}: twice, or out of order"));
                    }
                    if let Some((hole, _)) = published.range(last + 1..*seq).next() {
                        return Err(format!("{hole} is missing between {last} and {seq}"));
                    }
                    if !published.get(seq).is_some_and(|truth| is_same(truth, data)) {
                        return Err(format!("{seq} is not what was published: {data}"));
                    }
                }
                Entry::Gap { to, lost, .. } => {
                    if *to < last {
                        return Err(format!("a gap from {last} back to {to}"));
                    }
                    let n_hidden = published.range(last + 1..=*to).count() as u64;
                    if lost.is_some_and(|lost| lost != n_hidden) {
                        return Err(format!("a gap says {lost:?} lost, and {n_hidden} were"));
                    }
                }
            }
            last = entry.seq();
        }
        match published.range(last + 1..).next() {
            Some((missing, _)) => Err(format!("{missing} is missing after the last event")),
            None => Ok(()),
        }
    }
}

impl Entry {
    const fn seq(&self) -> u64 {
        match self {
            Self::Event { seq, .. } => *seq,
            Self::Gap { to, .. } => *to,
        }
    }
}

/// Whether two texts are the same, or the same JSON.
fn is_same(left: &str, right: &str) -> bool {
    let parse = |text| serde_json::from_str::<Value>(text).ok();
    left == right || (parse(left).is_some() && parse(left) == parse(right))
}

/// Returns the number in an event id, `<epoch>.<number>.<tag>`; clients have no business with it, tests do.
///
/// # Errors
///
/// The text is no event id.
pub fn seq_of(id: &str) -> Result<u64, String> {
    let number = id.split('.').nth(1).and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("'{id}' is no event id"))
}

/// Collects what was published under which number.
///
/// # Errors
///
/// An id is none, or two events have the same number.
pub fn published(ids: &[String], data: &[String]) -> Result<Published, String> {
    if ids.len() != data.len() {
        return Err(format!("{} ids for {} events", ids.len(), data.len()));
    }
    let mut published = Published::new();
    for (id, data) in ids.iter().zip(data) {
        if published.insert(seq_of(id)?, data.clone()).is_some() {
            return Err(format!("{id} was given twice"));
        }
    }
    Ok(published)
}

/// Puts an AG-UI event of a thread into the envelope of the context stream.
///
/// # Panics
///
/// When the event is no JSON.
#[must_use]
pub fn enveloped(thread: &str, event: &str) -> Value {
    let event: Value = serde_json::from_str(event).unwrap_or(Value::Null);
    assert!(event.is_object(), "an event is an object");
    serde_json::json!({ "protocol": "agui", "thread": thread, "event": event })
}
