//! The stream of a hub, as changes of what is known.

use std::error::Error as _;

use events_client::{Cause, ClosingReason, Error, Item};
use events_models::StreamFeedFrame;

use crate::{app::App, model::Contact};

/// Why the stream of a hub is over for good.
#[derive(Debug)]
#[non_exhaustive]
pub enum Over {
    /// The hub refuses, or cannot be understood.
    Failed(Error),
    /// The hub ended it and does not want the client back.
    Closed(ClosingReason),
    /// It came to an end without a word why.
    Ended,
}

impl Over {
    fn text(&self) -> String {
        match self {
            Self::Failed(error) => error.to_string(),
            Self::Closed(ClosingReason::TokenExpired) => "the token has expired".to_owned(),
            Self::Closed(ClosingReason::Revoked) => "revoked by an operator".to_owned(),
            Self::Closed(reason) => format!("closed: {reason:?}").to_lowercase(),
            Self::Ended => "the stream ended".to_owned(),
        }
    }
}

/// Takes the items of a stream, and remembers why the hub closes it.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    closing: Option<ClosingReason>,
}

impl Feed {
    /// Takes what the stream gave; `Some` if nothing more can come.
    pub(crate) fn take(
        &mut self,
        item: Option<Result<Item, Error>>,
        app: &mut App,
    ) -> Option<Over> {
        let over = match item {
            Some(Ok(item)) => {
                self.item(item, app);
                return None;
            }
            Some(Err(error)) => Over::Failed(error),
            None => self.closing.map_or(Over::Ended, Over::Closed),
        };
        let reason = over.text();
        app.live_mut().contact = Contact::Over { reason };
        Some(over)
    }

    fn item(&mut self, item: Item, app: &mut App) {
        let our_now = app.our_now();
        match item {
            Item::Connected { .. } => {
                self.closing = None;
                app.live_mut().contact = Contact::Connected;
            }
            Item::Event { data, .. } => match serde_json::from_str::<StreamFeedFrame>(&data) {
                Ok(frame) => app.apply(frame),
                // A newer gateway may say more; what it said is not for a log.
                Err(error) => tracing::debug!(%error, "a frame is not understood"),
            },
            Item::Gap(gap) => app.live_mut().miss(gap.lost.unwrap_or(1)),
            Item::Skipped { .. } => app.live_mut().miss(1),
            Item::Closing(closing) => self.closing = Some(closing.reason),
            Item::Reconnecting { after, cause } => {
                let cause = cause_text(&cause);
                app.live_mut().disconnected(our_now, after, cause);
            }
            _ => {}
        }
    }
}

/// Says why a connection is lost: what the system says, where it says something.
fn cause_text(cause: &Cause) -> String {
    let root = std::iter::successors(cause.source(), |error| (*error).source()).last();
    root.map_or_else(|| cause.to_string(), ToString::to_string)
}
