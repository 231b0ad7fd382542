//! `events top`: the running LLM streams on the terminal.

use std::{future::Future, pin::pin};

use events_client::{Client, Item, StreamKind, Subscribe};
use events_tui::{End, Options, Over};
use futures_util::{StreamExt as _, stream};

use super::contact::Contact;
use crate::{Failure, cli::TopArgs, config::without_password};

/// Shows the streams until somebody quits or `stop` is done. The terminal is taken once a hub has answered, so that an
/// error before is a line like that of any other command; with `--wait` at once.
pub(super) async fn top(
    client: &Client,
    args: &TopArgs,
    stop: impl Future<Output = ()>,
    is_colourful: bool,
) -> Result<(), Failure> {
    let mut stop = pin!(stop);
    let mut contact = Contact::new(client, &args.hub);
    let mut items = client.subscribe(Subscribe::to(StreamKind::Llm))?;
    let mut first = Vec::new();
    let mut is_told = args.hub.wait;
    while !is_told {
        let item = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            item = items.next() => item,
        };
        let Some(item) = item.transpose()? else {
            break;
        };
        let item = contact.check(item)?;
        is_told = matches!(item, Item::Connected { .. } | Item::Reconnecting { .. });
        first.push(Ok(item));
    }
    let items = stream::iter(first).chain(items);
    let options = Options::new(without_password(&args.hub.url), is_colourful);
    match events_tui::run(items, &options, stop).await {
        Ok(End::Over(over)) => Err(failure(over)),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Terminal(error)),
    }
}

fn failure(over: Over) -> Failure {
    match over {
        Over::Failed(error) => error.into(),
        Over::Closed(reason) => Failure::Ended(reason),
        _ => Failure::Refused("it ended the stream without a word why".to_owned()),
    }
}
