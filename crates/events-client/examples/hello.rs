//! A screen and an agent in one program: it follows a user, publishes a run for her, and prints what comes.
//! Start a hub first, by `cargo run --release`.
#![expect(clippy::print_stdout, reason = "an example that prints")]

use events_client::{Client, Error, Item, Publish, PublishKind, StreamKind, Subscribe};
use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1);
    let hub = Client::new(address.as_deref().unwrap_or("http://127.0.0.1:4000"))?;
    let run = [
        r#"{"type":"RUN_STARTED","threadId":"t3","runId":"r1"}"#,
        r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m1","delta":"Hello from Rust"}"#,
        r#"{"type":"RUN_FINISHED","threadId":"t3","runId":"r1"}"#,
    ];
    let mut screen = hub.subscribe(Subscribe::to(StreamKind::AgUi).user("ada"))?;
    while let Some(item) = screen.next().await {
        match item? {
            Item::Connected { .. } => {
                hub.publish(&Publish::to(PublishKind::AgUi, "ada"), run)
                    .await?;
            }
            Item::Event { data, .. } => {
                println!("{data}");
                if data.contains("RUN_FINISHED") {
                    break;
                }
            }
            // A gap, or a connection that is lost and made again from the last item.
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
