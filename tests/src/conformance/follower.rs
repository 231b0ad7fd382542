//! Following users as the router does: by what a tail says, and by reads where that is not enough.

use std::{collections::HashMap, sync::Arc, time::Duration};

use events_core::{EventLog, Logged, Record, Tail, Tailed, UserId};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::samples::read_all;
use super::{Kept, Miss, ensure};

/// How long something may take that a tail has to say.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// One replica's view of the users it follows.
pub(super) struct Follower {
    log: Arc<dyn EventLog>,
    tail: Tail,
    users: HashMap<UserId, Followed>,
    pub(super) is_started: bool,
    pub(super) is_down: bool,
    pub(super) n_downs: usize,
    pub(super) passed: Vec<(UserId, Record)>,
}

#[derive(Default)]
struct Followed {
    /// The place up to which records are known.
    applied: u64,
    /// The place up to which the tail has told records, since it last said `Started`.
    told: Option<u64>,
    records: Vec<Logged>,
}

impl Follower {
    /// Begins to follow users, from their first records on, and waits until the tail has started.
    pub(super) async fn start(log: Arc<dyn EventLog>, users: &[&UserId]) -> Result<Self, Miss> {
        let mut follower = Self::begin(log, users);
        follower
            .until("Started", SOON, |follower| follower.is_started)
            .await?;
        Ok(follower)
    }

    /// Begins without waiting.
    pub(super) fn begin(log: Arc<dyn EventLog>, users: &[&UserId]) -> Self {
        for user in users {
            log.follow(user);
        }
        let users = users
            .iter()
            .map(|user| ((*user).clone(), Followed::default()));
        Self {
            tail: log.tail(),
            users: users.collect(),
            log,
            is_started: false,
            is_down: false,
            n_downs: 0,
            passed: Vec::new(),
        }
    }

    /// Returns what is known of a user's log.
    pub(super) fn records(&self, user: &UserId) -> &[Logged] {
        self.users.get(user).map_or(&[], |user| &user.records)
    }

    /// Listens until something is so.
    pub(super) async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> Kept {
        let deadline = Instant::now() + limit;
        while !is_so(self) {
            let Ok(tailed) = tokio::time::timeout_at(deadline, self.tail.next()).await else {
                return Err(Miss::Broken(format!(
                    "a tail is silent: waited {limit:?} for {what}"
                )));
            };
            let tailed = tailed.ok_or_else(|| Miss::Broken("a tail has ended".to_owned()))?;
            self.hear(tailed).await?;
        }
        Ok(())
    }

    /// Listens until a user's log is known up to a place.
    pub(super) async fn until_at(&mut self, user: &UserId, place: u64) -> Kept {
        let what = format!("place {place} of {user}");
        let is_there = |follower: &Self| {
            let last = follower.records(user).last();
            last.is_some_and(|logged| logged.seq >= place)
        };
        self.until(&what, SOON, is_there).await
    }

    async fn hear(&mut self, tailed: Tailed) -> Kept {
        match tailed {
            Tailed::Started => {
                self.is_started = true;
                let users: Vec<UserId> = self.users.keys().cloned().collect();
                for user in users {
                    self.read_on(&user).await?;
                    if let Some(followed) = self.users.get_mut(&user) {
                        followed.told = None;
                    }
                }
                Ok(())
            }
            Tailed::Appended {
                user,
                previous,
                records,
            } => self.appended(&user, previous, records).await,
            Tailed::Advanced { user, last } => {
                let known = self.users.get(&user).map_or(last, |user| user.applied);
                if last > known {
                    self.read_on(&user).await?;
                    let applied = self.users.get(&user).map_or(0, |user| user.applied);
                    ensure!(applied >= last, "{last} was said, the log is at {applied}");
                }
                Ok(())
            }
            Tailed::Passed { user, record } => {
                self.passed.push((user, record));
                Ok(())
            }
            Tailed::Down(_) => {
                self.n_downs += usize::from(!self.is_down);
                self.is_down = true;
                Ok(())
            }
            Tailed::Up => {
                self.is_down = false;
                Ok(())
            }
            Tailed::Replaced => Err(Miss::Broken("a tail says that the log was replaced".into())),
        }
    }

    async fn appended(&mut self, user: &UserId, previous: u64, records: Vec<Logged>) -> Kept {
        let Some(followed) = self.users.get_mut(user) else {
            return Ok(());
        };
        let mut end = previous;
        for logged in &records {
            ensure!(logged.seq > end, "a tail says {} after {end}", logged.seq);
            end = logged.seq;
        }
        ensure!(end > previous, "a tail says an append of no records");
        if self.is_started {
            let told = followed.told.unwrap_or(previous);
            ensure!(
                previous == told,
                "a tail says what comes after {previous} when it has said all up to {told}"
            );
            ensure!(
                previous <= followed.applied,
                "a tail leaves out what lies between {} and {previous}",
                followed.applied
            );
            followed.told = Some(end);
        }
        if previous == followed.applied {
            followed.applied = end;
            followed.records.extend(records);
        } else if end > followed.applied {
            self.read_on(user).await?;
        }
        Ok(())
    }

    /// Reads what comes after the applied place.
    async fn read_on(&mut self, user: &UserId) -> Kept {
        let Some(followed) = self.users.get_mut(user) else {
            return Ok(());
        };
        // The engine may go away again while it is read; whoever listens hears of it, and reads at the next Started.
        let Ok(page) = read_all(&self.log, user, followed.applied).await else {
            return Ok(());
        };
        followed.applied = page.last.max(followed.applied);
        followed.records.extend(page.records);
        Ok(())
    }
}
