//! A user with many connections: whom an event concerns is counted at once, and told later.

use std::sync::Arc;

use events_sse::ClosingReason;

use crate::{
    delivery::Reached,
    store::Wakers,
    user_log::{Entry, UserState},
    view::{MAX_VIEWS, ViewState},
    watcher::{Cursor, Intake, Watcher},
};

/// The most connections of a user that are woken by the publish call itself.
pub(crate) const CROWD: usize = 16;

/// Cursors that want the same: of one view and scope.
#[derive(Debug)]
struct Group {
    view: Arc<ViewState>,
    scope: Option<Arc<str>>,
    n_cursors: usize,
}

impl Group {
    fn is_of(&self, watcher: &Watcher) -> bool {
        self.view.index == watcher.view.index && self.scope == watcher.scope
    }
}

/// What a user with many connections has beside them.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// Only cursors that hold a slot are counted, and no group is empty.
    groups: Vec<Group>,
    /// The keys of those that are handed events by the publish call.
    pub(crate) senders: Vec<usize>,
    /// The user is in the queue of those whose readers are to be woken, or a flusher has him in hand.
    pub(crate) is_queued: bool,
    /// The key at which the walk over his readers goes on.
    next_key: usize,
    /// The last sequence when the walk began.
    walk_to: u64,
    /// No reader that waits has to look at an event up to this one. Only while queued: else it is the last.
    settled_to: u64,
    /// When he was put into the queue, in milliseconds.
    queued_ms: i64,
}

impl Crowd {
    /// Counts the cursors that want one of the entries.
    pub(crate) fn count(&self, entries: &[Entry], reached: &mut [Reached; MAX_VIEWS]) {
        for group in &self.groups {
            let carries = |entry| group.view.view.carries(entry, group.scope.as_ref());
            if entries.iter().any(carries) {
                reached[group.view.index].woken += group.n_cursors;
            }
        }
    }

    /// Puts the user into the queue; whoever is told so has to do it.
    pub(crate) fn queue(&mut self, before: u64, now_ms: i64) -> bool {
        if self.is_queued {
            return false;
        }
        self.is_queued = true;
        self.settled_to = before;
        self.queued_ms = now_ms;
        true
    }

    /// The log begins anew after this place, with other numbers perhaps: whoever was walked over is looked at again.
    pub(crate) const fn begin_after(&mut self, place: u64) {
        self.walk_to = place;
        self.settled_to = place;
    }

    fn add(&mut self, key: usize, watcher: &Watcher) {
        if matches!(watcher.intake, Intake::Sender(_)) {
            self.senders.push(key);
        } else if watcher.holds_slot() {
            match self.groups.iter_mut().find(|group| group.is_of(watcher)) {
                Some(group) => group.n_cursors += 1,
                None => self.groups.push(Group {
                    view: Arc::clone(&watcher.view),
                    scope: watcher.scope.clone(),
                    n_cursors: 1,
                }),
            }
        }
    }

    /// Counts a cursor no more, which holds its slot still.
    fn leave(&mut self, watcher: &Watcher) {
        let found = self.groups.iter().position(|group| group.is_of(watcher));
        if let Some(index) = found {
            self.groups[index].n_cursors -= 1;
            if self.groups[index].n_cursors == 0 {
                self.groups.swap_remove(index);
            }
        }
    }
}

// === the connections of a user ===

impl UserState {
    /// Adds a connection, and returns its key.
    pub(crate) fn insert(&mut self, watcher: Watcher, crowd_above: usize) -> usize {
        if self.watchers.capacity() == 0 {
            // Most users have one connection; the table would begin with four places.
            self.watchers.reserve_exact(1);
        }
        let key = self.watchers.insert(watcher);
        if let Some(crowd) = &mut self.crowd {
            crowd.add(key, &self.watchers[key]);
        } else if self.watchers.len() > crowd_above {
            let mut crowd = Box::<Crowd>::default();
            for (key, watcher) in &self.watchers {
                crowd.add(key, watcher);
            }
            self.crowd = Some(crowd);
        }
        key
    }

    /// Frees the slot of a cursor; see [`Watcher::close`].
    pub(crate) fn close(&mut self, key: usize, reason: ClosingReason) -> Option<std::task::Waker> {
        let watcher = &mut self.watchers[key];
        if let Some(crowd) = &mut self.crowd
            && watcher.holds_slot()
            && matches!(watcher.intake, Intake::Cursor(_))
        {
            crowd.leave(watcher);
        }
        watcher.close(reason)
    }

    /// Takes a connection out.
    pub(crate) fn remove(&mut self, key: usize) -> Watcher {
        let watcher = self.watchers.remove(key);
        if let Some(crowd) = &mut self.crowd {
            match &watcher.intake {
                Intake::Sender(_) => crowd.senders.retain(|sender| *sender != key),
                Intake::Cursor(_) if watcher.holds_slot() => crowd.leave(&watcher),
                Intake::Cursor(_) => {}
            }
        }
        self.disperse();
        self.shrink_watchers();
        watcher
    }

    /// Forgets that there were many, once there are half as many as make a crowd or fewer.
    fn disperse(&mut self) {
        let is_over = |crowd: &Crowd| !crowd.is_queued && self.watchers.len() <= CROWD / 2;
        if self.crowd.as_deref().is_some_and(is_over) {
            self.crowd = None;
        }
    }
}

// === telling them ===

impl UserState {
    /// Wakes the next readers, at most `most` places of the table, and returns at how many places it looked, and
    /// whether there are more.
    ///
    /// Under the log's lock: what is appended after it finds the user in the queue, or puts him there.
    pub(crate) fn wake_some(
        &mut self,
        most: usize,
        now_ms: i64,
        wakers: &mut Wakers,
    ) -> (usize, bool) {
        let Some(mut crowd) = self.crowd.take() else {
            return (0, false);
        };
        if crowd.next_key == 0 {
            crowd.walk_to = self.last.seq;
        }
        let end = (crowd.next_key + most).min(self.watchers.capacity());
        let n_places = end.saturating_sub(crowd.next_key);
        for key in crowd.next_key..end {
            self.settle(key, now_ms);
            if let Some(Watcher {
                intake: Intake::Cursor(cursor),
                ..
            }) = self.watchers.get_mut(key)
                && !cursor.parked
            {
                wakers.extend(cursor.waker.take());
            }
        }
        crowd.next_key = end;
        let mut has_more = true;
        if end >= self.watchers.capacity() {
            crowd.next_key = 0;
            crowd.settled_to = crowd.settled_to.max(crowd.walk_to);
            has_more = self.last.seq > crowd.walk_to;
            crowd.is_queued = has_more;
        }
        self.crowd = Some(crowd);
        self.disperse();
        (n_places, has_more)
    }

    /// Looks whether there is something for a reader that waits, and lets it wait no longer then.
    fn settle(&mut self, key: usize, now_ms: i64) {
        let last = self.last.seq;
        let waits = |cursor: &Cursor| cursor.parked && cursor.position < last;
        let is_wanted = match self.watchers.get(key) {
            Some(
                watcher @ Watcher {
                    intake: Intake::Cursor(cursor),
                    ..
                },
            ) if waits(cursor) => self
                .ring
                .range(self.index_after(cursor.position)..)
                .any(|entry| watcher.wants(entry)),
            _ => return,
        };
        if let Intake::Cursor(cursor) = &mut self.watchers[key].intake {
            if is_wanted {
                cursor.parked = false;
                cursor.behind_since = now_ms;
            } else {
                cursor.position = last;
            }
        }
    }

    /// Settles every reader before the event `seq` leaves the ring, if some may not have looked at it yet. They are
    /// still to be woken.
    pub(crate) fn settle_before_eviction(&mut self, seq: u64) {
        let Some(crowd) = &mut self.crowd else {
            return;
        };
        if !crowd.is_queued || seq <= crowd.settled_to {
            return;
        }
        crowd.settled_to = self.last.seq;
        let queued_ms = crowd.queued_ms;
        for key in 0..self.watchers.capacity() {
            self.settle(key, queued_ms);
        }
    }
}
