//! Which tickets were used.
//!
//! Where hubs share a log, the log decides: the use of a ticket is a record with the ticket's id as its message id, of a
//! user whom no request can name, and only the first one is new. So a ticket is taken once by all of them together, and
//! not again after a restart. Without such a log each process remembers what was used with it.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use events_core::UserId;
use events_models::SystemEvent;
use events_router::{BusEvent, Item, MsgId};

use super::Auth;
use crate::{Bound, Problem};

/// Tickets that are remembered as used. Beyond it no ticket is taken until some have expired.
const MAX_USED: usize = 100_000;

/// Whose log has the uses, followed by the first letter of the id: message ids are remembered by user, and only so
/// many of them.
const KEEPER: &str = "\u{1}tickets-";

/// The tickets that were used with this process.
#[derive(Debug, Default)]
pub(super) struct Spent(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    ids: HashSet<String>,
    /// In the order of their use, with the end of their time.
    order: VecDeque<(i64, String)>,
}

impl Spent {
    /// Marks a ticket as used; `false` if it was already.
    fn mark(&self, id: &str, until_ms: i64, now_ms: i64) -> Result<bool, Problem> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((until_ms, _)) = used.order.front()
            && *until_ms <= now_ms
        {
            if let Some((_, id)) = used.order.pop_front() {
                used.ids.remove(&id);
            }
        }
        if used.ids.contains(id) {
            return Ok(false);
        }
        if used.order.len() >= MAX_USED {
            let detail = "too many tickets are used; try again, or send the token itself";
            return Err(Problem::too_many(detail, Bound::Tickets));
        }
        used.ids.insert(id.to_owned());
        used.order.push_back((until_ms, id.to_owned()));
        Ok(true)
    }

    fn has(&self, id: &str) -> bool {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.ids.contains(id)
    }
}

impl Auth {
    /// Uses a ticket; `false` if it was used before.
    ///
    /// # Errors
    ///
    /// The log does not say whether it was, or too many are used at the same time.
    ///
    /// # Cancel safety
    ///
    /// The ticket may be used then.
    pub(super) async fn spend(
        &self,
        id: &str,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<bool, Problem> {
        let (state, spent) = (&self.inner.state, &self.inner.passes.spent);
        if spent.has(id) {
            return Ok(false);
        }
        let router = state.router();
        if router.event_log().is_none() {
            return spent.mark(id, until_ms, now_ms);
        }
        // Ours are made of letters that a message id may have.
        let msg_id = MsgId::new(id).map_err(|_| Problem::bad_token())?;
        let keeper = UserId::new(format!("{KEEPER}{}", id.get(..1).unwrap_or_default()));
        // The one event that carries a name and a time and leaves nothing behind.
        let event = SystemEvent::ContextDeleted {
            timestamp: until_ms,
            context_id: "used".into(),
        };
        let use_of_it = Item::new(BusEvent::System(event)).with_msg_id(msg_id);
        let published = router.publish_batch(&keeper, vec![use_of_it]).await;
        let published = published.map_err(|error| Problem::of_publish(&error, |_| None))?;
        if published.duplicates > 0 {
            return Ok(false);
        }
        spent.mark(id, until_ms, now_ms)
    }
}
