//! The end of a story: all is well, and everybody comes to the end of the log.

use std::time::Duration;

use super::super::client::Events;
use super::super::fickle::Mood;
use super::super::step::{CLIENTS, USERS, With};
use super::{World, rest};

impl World {
    /// Everything that the log holds of a user.
    async fn truth(&self, user: usize) -> Result<Events, String> {
        let Some(log) = &self.log else {
            return Ok(self.given[user].clone());
        };
        let (mut events, mut after) = (Events::new(), 0);
        loop {
            let page = log.read(&self.users[user], after, 1 << 20).await;
            let page = page.map_err(|error| format!("the log: {error}"))?;
            let Some(logged) = page.records.last() else {
                return Ok(events);
            };
            after = logged.seq;
            for logged in page.records {
                events.insert(logged.seq, logged.record.json.to_vec());
            }
        }
    }

    pub(super) async fn end(&mut self) -> Result<(), String> {
        for way in self
            .replicas
            .iter()
            .filter_map(|replica| replica.way.as_ref())
        {
            way.set(Mood::Well);
        }
        if !self.is_real_time {
            rest(Duration::from_secs(60)).await;
        }
        let mut truth = Vec::new();
        for user in 0..USERS {
            truth.push(self.truth(user).await?);
            self.publisher.check(user, &truth[user])?;
        }
        // Who is connected is told without asking.
        for client in 0..CLIENTS {
            self.read_to_the_end(client, &truth).await?;
        }
        // Who is not comes back, wherever.
        for client in 0..CLIENTS {
            if self.clients[client].connection.is_none() && self.clients[client].has_begun() {
                self.attach(client, client % self.n_replicas(), With::Own)
                    .await?;
                self.read_to_the_end(client, &truth).await?;
            }
        }
        Ok(())
    }

    async fn read_to_the_end(&mut self, client: usize, truth: &[Events]) -> Result<(), String> {
        let truth = &truth[self.clients[client].user];
        let last = truth.keys().next_back().copied().unwrap_or(0);
        for _ in 0..2_000 {
            self.read(client, usize::MAX)?;
            if self.clients[client].connection.is_none() || self.clients[client].last() >= last {
                break;
            }
            rest(Duration::from_millis(10)).await;
        }
        self.clients[client]
            .check(truth, self.clients[client].connection.is_some())
            .map_err(|why| format!("reader {client}: {why}"))
    }
}
