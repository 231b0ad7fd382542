//! One user's log: the ring, what left it, and who reads it.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use events_core::{Channel, Channels, Epoch, EventId, UserId};
use events_sse::GapReason;
use slab::Slab;
use smallvec::SmallVec;

use crate::{
    budget::Oldest,
    crowd::Crowd,
    lock::{Mutex, MutexGuard},
    shared_wires::SharedWires,
    store::Wakers,
    subscription::{Batch, Missed},
    watcher::{Intake, Watcher},
};

/// A place in a user's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) seq: u64,
    pub(crate) tag: u32,
}

impl Position {
    pub(crate) const fn id(self, epoch: Epoch) -> EventId {
        EventId::new(epoch, self.seq, self.tag)
    }
}

/// An event in the ring. The JSON is shared with every frame made of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    pub(crate) json: Bytes,
    pub(crate) scope: Option<Arc<str>>,
    pub(crate) name: Option<&'static str>,
    pub(crate) tag: u32,
    pub(crate) channel: Channel,
}

impl Entry {
    /// What an entry costs on the heap beside its JSON: the allocator's headers, and those of `Bytes` and `Arc`.
    const HEAP: usize = 80;

    /// What it costs its user: JSON, the name of its thread and bookkeeping, in bytes.
    pub(crate) fn cost(&self) -> usize {
        size_of::<Self>() + self.on_heap()
    }

    /// What it holds outside the ring, in bytes. Threads share their names; each event pays for one all the same,
    /// since it may be the last that has it.
    fn on_heap(&self) -> usize {
        Self::HEAP + self.json.len() + self.scope.as_ref().map_or(0, |scope| scope.len())
    }

    /// What it holds outside the ring and pays for itself, in bytes: not JSON that pays until its last holder is gone.
    fn charged(&self) -> usize {
        if is_large(&self.json) {
            self.on_heap() - self.json.len()
        } else {
            self.on_heap()
        }
    }

    pub(crate) const fn position(&self) -> Position {
        Position {
            seq: self.seq,
            tag: self.tag,
        }
    }
}

/// Whether JSON is handed to connections without being copied, so that a slow one keeps it after the log has let go.
pub(crate) const fn is_large(json: &Bytes) -> bool {
    json.len() > Batch::MAX_BYTES
}

#[derive(Debug)]
pub(crate) struct UserLog {
    pub(crate) user: UserId,
    state: Mutex<UserState>,
}

impl UserLog {
    /// What a user costs beside events, connections and the name, in bytes: the log itself, its places in the table
    /// (which may be half empty) and in the queues of the budget, the channels that were evicted, and headers.
    pub(crate) const BYTES: usize =
        size_of::<Self>() + 2 * size_of::<usize>() + 4 * Oldest::BYTES + 8 * 24 + 256;

    pub(crate) fn new(user: UserId, base: u64, now_ms: i64) -> Self {
        let state = UserState {
            last: Position { seq: base, tag: 0 },
            base,
            ring: VecDeque::new(),
            ring_bytes: 0,
            evicted: SmallVec::new(),
            evicted_by_age: false,
            seen: Channels::NONE,
            watchers: Slab::new(),
            crowd: None,
            wires: SharedWires::default(),
            touched_ms: now_ms,
            queued: Queued::default(),
            removed: false,
        };
        Self {
            user,
            state: Mutex::new(state),
        }
    }

    /// Locks the log. A panic of an earlier holder cannot leave it half-changed: no user code runs under it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, UserState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In which queues of the budget a log has its entry: in each it has one at most.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Queued {
    pub(crate) with_events: bool,
    pub(crate) silent: bool,
}

#[derive(Debug)]
pub(crate) struct UserState {
    pub(crate) last: Position,
    /// The sequence above which this log began; smaller ones belong to a log that is gone.
    pub(crate) base: u64,
    pub(crate) ring: VecDeque<Entry>,
    pub(crate) ring_bytes: usize,
    /// The last event of each channel that has left the ring.
    evicted: SmallVec<[(Channel, Position); 4]>,
    evicted_by_age: bool,
    /// The channels that have had an event in this log.
    seen: Channels,
    pub(crate) watchers: Slab<Watcher>,
    /// Only while there are many of them.
    pub(crate) crowd: Option<Box<Crowd>>,
    /// What several connections read, while some of them have yet to.
    pub(crate) wires: SharedWires,
    /// When it was last appended to or attached to, in milliseconds.
    pub(crate) touched_ms: i64,
    pub(crate) queued: Queued,
    /// It is no longer in the store; whoever finds it so looks the user up again.
    pub(crate) removed: bool,
}

impl UserState {
    /// Adds an event, and returns by how many bytes that makes the log larger: the ring grows in leaps.
    pub(crate) fn push(&mut self, entry: Entry) -> usize {
        self.seen.insert(entry.channel);
        self.ring_bytes += entry.cost();
        let (n_before, on_heap) = (self.ring.capacity(), entry.charged());
        self.ring.push_back(entry);
        on_heap + (self.ring.capacity() - n_before) * size_of::<Entry>()
    }

    /// Notes an event that never enters the ring, because nobody reads and no history is kept.
    pub(crate) fn pass_by(&mut self, channel: Channel, position: Position) {
        self.seen.insert(channel);
        self.note_evicted(channel, position);
    }

    /// Takes the oldest event out of the ring and returns by how many bytes that makes the log smaller.
    pub(crate) fn evict_oldest(&mut self, by_age: bool) -> usize {
        if self.crowd.is_some()
            && let Some(entry) = self.ring.front()
        {
            self.settle_before_eviction(entry.seq);
        }
        let Some(entry) = self.ring.pop_front() else {
            return 0;
        };
        self.ring_bytes -= entry.cost();
        self.evicted_by_age = by_age;
        self.note_evicted(entry.channel, entry.position());
        let n_before = self.ring.capacity();
        if self.ring.is_empty() {
            self.ring = VecDeque::new();
        } else if self.ring.len() * 4 < n_before {
            self.ring.shrink_to(self.ring.len() * 2);
        }
        entry.charged()
            + (n_before - self.ring.capacity()) * size_of::<Entry>()
            + self.wires.drop_through(entry.seq)
    }

    /// Begins anew after this place, as if what came before had never been here. The ring must be empty.
    pub(crate) fn begin_after(&mut self, place: u64) {
        self.base = place;
        self.last = Position { seq: place, tag: 0 };
        self.evicted.clear();
        self.evicted_by_age = false;
        self.seen = Channels::NONE;
        if let Some(crowd) = &mut self.crowd {
            crowd.begin_after(place);
        }
    }

    /// Has every reader look at the log again, from where they have read to.
    pub(crate) fn unpark(&mut self, now_ms: i64, wakers: &mut Wakers) {
        for (_, watcher) in &mut self.watchers {
            if let Intake::Cursor(cursor) = &mut watcher.intake {
                if cursor.parked {
                    cursor.parked = false;
                    cursor.behind_since = now_ms;
                }
                wakers.extend(cursor.waker.take());
            }
        }
    }

    /// Gives back the space of connections that are gone, once none is left.
    pub(crate) fn shrink_watchers(&mut self) {
        if self.watchers.is_empty() {
            self.watchers = Slab::new();
        }
    }

    fn note_evicted(&mut self, channel: Channel, position: Position) {
        match self
            .evicted
            .iter_mut()
            .find(|(evicted, _)| *evicted == channel)
        {
            Some((_, last)) => *last = position,
            None => self.evicted.push((channel, position)),
        }
    }

    /// Returns the last event of these channels that has left the ring.
    fn floor(&self, channels: Channels) -> Option<Position> {
        self.evicted
            .iter()
            .filter(|(channel, _)| channels.contains(*channel))
            .map(|(_, position)| *position)
            .max_by_key(|position| position.seq)
    }

    /// Tells what a reader of `channels` at `position` can no longer be given.
    pub(crate) fn missed(
        &self,
        epoch: Epoch,
        position: u64,
        channels: Channels,
        scoped: bool,
        counts: bool,
    ) -> Option<Missed> {
        // What came before this log began was retired with an earlier log of the same user, if there was one.
        let base = Position {
            seq: self.base,
            tag: 0,
        };
        let floor = self
            .floor(channels)
            .filter(|floor| floor.seq > base.seq)
            .unwrap_or(base);
        if floor.seq <= position {
            return None;
        }
        // Every number was an event of these channels, so the difference of numbers counts events.
        let is_dense = counts && !scoped && position >= self.base && self.seen.is_subset(channels);
        let is_expired = self.evicted_by_age || position < self.base;
        Some(Missed {
            reason: if is_expired {
                GapReason::Expired
            } else {
                GapReason::Trimmed
            },
            from: None,
            to: floor.id(epoch),
            lost: is_dense.then(|| floor.seq - position),
        })
    }

    /// Returns the index in the ring of the first event after `position`.
    pub(crate) fn index_after(&self, position: u64) -> usize {
        // No more events than this can be after the position, since sequences strictly increase; if there are as
        // many, as for a reader that keeps up, the search is over.
        let n_after = self.last.seq.saturating_sub(position);
        let first = usize::try_from(n_after).map_or(0, |n| self.ring.len().saturating_sub(n));
        if self
            .ring
            .get(first)
            .is_none_or(|entry| entry.seq > position)
        {
            return first;
        }
        self.ring.partition_point(|entry| entry.seq <= position)
    }

    pub(crate) fn entry(&self, seq: u64) -> Option<&Entry> {
        self.ring
            .get(self.index_after(seq).checked_sub(1)?)
            .filter(|entry| entry.seq == seq)
    }

    pub(crate) fn has_cursors(&self) -> bool {
        self.watchers
            .iter()
            .any(|(_, watcher)| matches!(watcher.intake, Intake::Cursor(_)))
    }

    /// Counts the connections of one view that hold a slot.
    pub(crate) fn count(&self, view: usize) -> usize {
        self.watchers
            .iter()
            .filter(|(_, watcher)| watcher.view.index == view && watcher.holds_slot())
            .count()
    }
}
