//! The contact with a hub: the first must succeed, a later one may be lost and is looked for again.

use std::time::Duration;

use events_client::{Cause, Client, Error, EventLine, Item, Problem, Publish, Published, Retry};

use crate::config::without_password;
use crate::{Failure, StopRequests, cli::HubArgs, failure::cause_text};

/// How long the answer to what has been sent is waited for, once the command is asked to stop.
const GRACE: Duration = Duration::from_secs(1);

/// What a hub said to a request.
pub(super) enum Answer {
    Published(Published),
    /// It refuses the event with this index, and with it the whole request.
    Refused(usize, Box<Problem>),
}

/// A hub that was reached, or not yet.
pub(super) struct Contact<'a> {
    client: &'a Client,
    args: &'a HubArgs,
    is_made: bool,
}

impl<'a> Contact<'a> {
    pub(super) const fn new(client: &'a Client, args: &'a HubArgs) -> Self {
        Self {
            client,
            args,
            is_made: false,
        }
    }

    /// Whether an attempt that failed for this reason is the end: there never was a hub, and nobody waits for one.
    fn is_over(&self, cause: &Cause) -> bool {
        let is_of_hub = match cause {
            Cause::Transport(_) => false,
            // Our own hubs give an account of every refusal; others may stand where one was meant to be.
            Cause::Status { problem, .. } => problem.status.is_some(),
            _ => true,
        };
        !self.is_made && !self.args.wait && !is_of_hub
    }

    fn unreached(&self, cause: Cause) -> Failure {
        Failure::Unreached {
            url: without_password(&self.args.url),
            cause: Box::new(cause),
        }
    }

    /// Takes an item of a stream, and fails if it tells that there is no hub.
    pub(super) fn check(&mut self, item: Item) -> Result<Item, Failure> {
        match item {
            Item::Connected { .. } => self.is_made = true,
            Item::Reconnecting { cause, .. } if self.is_over(&cause) => {
                return Err(self.unreached(cause));
            }
            _ => {}
        }
        Ok(item)
    }

    /// Publishes the events of these lines (the first and the last) in one request, and says with `note` when it has
    /// to be repeated.
    pub(super) async fn publish<E: EventLine>(
        &mut self,
        request: Publish,
        events: impl Iterator<Item = E> + Clone,
        (first, last): (u64, u64),
        stop: &StopRequests,
        mut note: impl FnMut(&str),
    ) -> Result<Answer, Failure> {
        // Repeated below with the same id, the request is still taken once.
        let request = request.msg_id(format!("{:032x}", fastrand::u128(..)));
        let mut was_sent = false;
        loop {
            let goes_on = |Retry { cause, after, .. }: Retry<'_>| {
                was_sent |= !cause.is_not_connected();
                let goes_on = !self.is_over(cause);
                if goes_on {
                    let (cause, seconds) = (cause_text(cause), after.as_secs_f64());
                    note(&format!("{cause}; trying again in {seconds:.1}s"));
                }
                goes_on
            };
            let sending = self.client.publish_with(&request, events.clone(), goes_on);
            let result = tokio::select! {
                biased;
                result = sending => result,
                () = given_up(stop) => return Err(Failure::Stopped { before: first, unknown: Some(last) }),
            };
            let cause = match result {
                Ok(published) => {
                    self.is_made = true;
                    return Ok(Answer::Published(published));
                }
                Err(Error::Refused {
                    line: Some(line),
                    problem,
                    ..
                }) => {
                    self.is_made = true;
                    let index = usize::try_from(line).unwrap_or(1).max(1) - 1;
                    return Ok(Answer::Refused(index, problem));
                }
                Err(Error::Deadline { cause, .. }) => cause,
                Err(error) => return Err(error.into()),
            };
            if self.is_over(&cause) {
                return Err(self.unreached(cause));
            }
            if self.is_made || !self.args.wait {
                return Err(Failure::Unpublished {
                    first,
                    last,
                    is_unknown: was_sent || !cause.is_not_connected(),
                    cause: Box::new(cause),
                });
            }
        }
    }
}

async fn given_up(stop: &StopRequests) {
    stop.clone().first().await;
    tokio::select! {
        () = tokio::time::sleep(GRACE) => {}
        () = stop.clone().second() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use events_client::PublishKind;

    use super::*;
    use crate::stop_channel;

    fn nowhere(wait: bool) -> HubArgs {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        HubArgs {
            url: format!("http://{}", listener.local_addr().unwrap()),
            wait,
            ca: None,
        }
    }

    fn status(body: &str) -> Cause {
        let problem = serde_json::from_str(body).unwrap();
        Cause::Status {
            status: 503,
            problem,
        }
    }

    #[test]
    fn only_what_is_no_hub_ends_a_first_contact() {
        let hub = status(r#"{"title":"Service Unavailable","status":503}"#);
        let proxy = status("{}");
        for (wait, is_made, is_over) in [
            (false, false, true),
            (true, false, false),
            (false, true, false),
        ] {
            let args = nowhere(wait);
            let client = Client::new(&args.url).unwrap();
            let contact = Contact {
                client: &client,
                args: &args,
                is_made,
            };
            assert_eq!(contact.is_over(&proxy), is_over, "{wait} {is_made}");
            assert!(!contact.is_over(&hub), "{wait} {is_made}");
            assert!(!contact.is_over(&Cause::TimedOut), "{wait} {is_made}");
        }
    }

    /// Publishes three lines to where no hub is any more.
    async fn publish(contact: &mut Contact<'_>) -> (Result<(), Failure>, usize) {
        let mut n_notes = 0;
        let (_stop, stop_requests) = stop_channel();
        let sending = contact.publish(
            Publish::to(PublishKind::AgUi, "ada"),
            ["{}"; 3].iter(),
            (3, 5),
            &stop_requests,
            |_| n_notes += 1,
        );
        let result = sending.await.map(drop);
        (result, n_notes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_hub_that_is_lost_is_looked_for_and_then_the_lines_are_named() {
        let args = nowhere(false);
        let client = Client::new(&args.url).unwrap();
        let mut contact = Contact::new(&client, &args);
        let (result, n_notes) = publish(&mut contact).await;
        assert!(matches!(result, Err(Failure::Unreached { .. })));
        assert_eq!(n_notes, 0);

        contact.is_made = true;
        let (result, n_notes) = publish(&mut contact).await;
        let line = result.unwrap_err().line();
        assert!(
            line.starts_with("error: lines 3 to 5 are not published: "),
            "{line}"
        );
        assert!(line.contains("refused"), "{line}");
        assert!(n_notes >= 2, "{n_notes}");
    }
}
