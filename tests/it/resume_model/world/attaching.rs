//! How a reader comes, and what it may be told at once.

use events_broadcast::Attach;
use events_core::{Epoch, EventId};
use events_sse::GapReason;

use super::super::client::Connection;
use super::super::step::{CLIENTS, With};
use super::{Plant, Setting, World, within};

impl World {
    fn epoch(&self) -> Epoch {
        let router = &self.replicas[0].router;
        self.log
            .as_ref()
            .map_or_else(|| router.store().epoch(), |log| log.epoch())
    }

    /// The cursor with which a reader comes; none if it has nothing to make one of.
    fn cursor(&self, client: usize, with: With) -> Option<String> {
        let cursors = &self.clients[client].cursors;
        let own = cursors.last();
        let changed = |change: fn(&mut EventId)| {
            let mut id: EventId = own?.parse().ok().filter(|id: &EventId| id.seq > 0)?;
            change(&mut id);
            Some(id.to_string())
        };
        match with {
            With::Own => own.cloned(),
            With::Old(back) => cursors.iter().rev().nth(back).or(own).cloned(),
            With::Nothing => None,
            With::Foreign => self.clients[(client + 1) % CLIENTS].cursors.last().cloned(),
            With::Forged => changed(|id| id.tag ^= 1),
            // Far enough for logs that leave out numbers, such as those of a NATS message with one event.
            With::Ahead => changed(|id| id.seq += 1 << 40),
            With::Malformed => Some("..nonsense".to_owned()),
        }
    }

    pub(super) async fn attach(
        &mut self,
        client: usize,
        replica: usize,
        with: With,
    ) -> Result<(), String> {
        self.clients[client].connection = None;
        let cursor = self.cursor(client, with);
        let named: Option<EventId> = cursor.as_deref().and_then(|cursor| cursor.parse().ok());
        let is_of_this_life = named.is_some_and(|id| id.epoch == self.epoch());
        let mut sent = cursor.clone();
        let is_own = with == With::Own && is_of_this_life;
        match self.plant {
            Some(Plant::OffByOne) if is_own => {
                let before = self.cursor(client, With::Old(1));
                sent = before
                    .filter(|before| Some(before) != cursor.as_ref())
                    .or(sent);
            }
            Some(Plant::NoReadBack) if is_own => sent = None,
            _ => {}
        }
        let router = self.replicas[replica].router.clone();
        let user = self.users[self.clients[client].user].clone();
        let open = within("opening a user", router.open_user(&user, sent.as_deref())).await?;
        let Ok(_open) = open else {
            // The log is away; a reader is told to come again.
            return match self.setting {
                Setting::Memory => Err("memory is away".to_owned()),
                Setting::Fickle => Ok(()),
            };
        };
        let attach = Attach::from_cursor(sent.as_deref());
        let subscription = if client.is_multiple_of(3) {
            router.contexts().connect(&user, attach)
        } else {
            router.agui().connect(&user, attach)
        };
        let subscription = subscription.map_err(|error| format!("connecting: {error}"))?;
        let reason = subscription.missed().map(|missed| missed.reason);
        let is_refused = matches!(reason, Some(GapReason::Epoch | GapReason::Unknown));
        let gone = self.floor(self.clients[client].user).gone;
        let is_meaningless = match (with, named) {
            (With::Malformed, _) => true,
            (_, Some(_)) if !is_of_this_life => true,
            (With::Ahead, Some(_)) => true,
            // What has gone cannot be compared any more.
            (With::Forged | With::Foreign, Some(id)) => {
                id.seq > gone && self.setting == Setting::Memory
            }
            _ => false,
        };
        let may_be_meaningless = matches!(with, With::Forged | With::Foreign);
        if is_meaningless && !is_refused {
            return Err(format!("{sent:?} was taken: {:?}", subscription.missed()));
        }
        if is_refused && !is_meaningless && !may_be_meaningless {
            return Err(format!("{sent:?} was refused: {:?}", subscription.missed()));
        }
        let reader = &mut self.clients[client];
        if may_be_meaningless && !is_refused {
            // What it names is gone, so nobody can tell that it is another's; it goes on from its own.
            reader.forget();
            return Ok(());
        }
        let begins_anew = with != With::Own || !reader.has_begun();
        let start = match (subscription.missed(), named) {
            (Some(missed), _) if is_refused => Some(missed.to),
            (_, None) => Some(subscription.primed()),
            (_, Some(id)) if begins_anew => Some(id),
            _ => None,
        };
        if let Some(start) = start {
            reader.begin(start.seq);
            reader.cursors.push(start.to_string());
        }
        reader.connection = Some(Connection::new(replica, subscription));
        Ok(())
    }
}
