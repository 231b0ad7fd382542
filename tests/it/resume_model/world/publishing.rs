//! Publishing, at one router or at two at once.

use events_router::{PublishError, Published};

use super::super::publisher::Said;
use super::{Plant, Setting, World, within};

impl World {
    /// Publishes, and notes what memory has been given.
    pub(super) async fn publish(
        &mut self,
        replica: usize,
        user: usize,
        events: &[Said],
    ) -> Result<Result<Published, PublishError>, String> {
        let router = self.replicas[replica % self.n_replicas()].router.clone();
        let items = events.iter().map(Said::item).collect();
        let publish = router.publish_batch(&self.users[user], items);
        let published = within("publishing", publish).await?;
        if let (None, Ok(published)) = (&self.log, &published) {
            for (id, said) in published.ids.iter().zip(events) {
                let given = &mut self.given[user];
                given.entry(id.seq).or_insert_with(|| said.json());
            }
        }
        Ok(published)
    }

    /// Sends a batch, for the first time or again.
    pub(super) async fn send(&mut self, replica: usize, batch: usize) -> Result<(), String> {
        let sent = self.publisher.sent[batch].clone();
        let events = sent.events();
        let published = self.publish(replica, sent.user, &events).await?;
        let Ok(published) = published else {
            // Whether it is in the log is not known, and in memory nothing may fail.
            return match self.setting {
                Setting::Memory => Err(format!("{published:?}")),
                Setting::Fickle => Ok(()),
            };
        };
        self.publisher.sent[batch].answered(&published.ids)?;
        if self.plant == Some(Plant::AtOrigin) {
            for client in self
                .clients
                .iter_mut()
                .filter(|client| client.user == sent.user)
            {
                if client
                    .connection
                    .as_ref()
                    .is_some_and(|it| it.replica == replica)
                {
                    for (id, said) in published.ids.iter().zip(&events) {
                        client.take_directly(id.seq, said.json());
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) async fn publish_at_once(
        &mut self,
        user: usize,
        n_events: usize,
    ) -> Result<(), String> {
        let batches = [0, 1].map(|thread| self.publisher.next(user, thread, n_events, true));
        if self.setting == Setting::Memory {
            for batch in batches {
                self.send(0, batch).await?;
            }
            return Ok(());
        }
        let [one, other] = batches.map(|batch| {
            let events = self.publisher.sent[batch].events();
            events.iter().map(Said::item).collect::<Vec<_>>()
        });
        let (name, routers) = (&self.users[user], &self.replicas);
        let both = async {
            tokio::join!(
                routers[0].router.publish_batch(name, one),
                routers[1].router.publish_batch(name, other),
            )
        };
        let (one, other) = within("publishing at once", both).await?;
        for (batch, published) in batches.into_iter().zip([one, other]) {
            if let Ok(published) = published {
                self.publisher.sent[batch].answered(&published.ids)?;
            }
        }
        Ok(())
    }
}
