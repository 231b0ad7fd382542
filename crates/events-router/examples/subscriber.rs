//! Reads a user's events in the same process, from a cursor on.
//!
//! `cargo run -p events-router --example subscriber`

use events_broadcast::{Attach, Batch, Next};
use events_core::UserId;
use events_models::{AgUiEvent, AgUiEventBuilder};
use events_router::EventRouter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = EventRouter::default();
    let ada = UserId::new("ada");
    let begun = router
        .publish(&ada, AgUiEventBuilder::run_started("thread", "run", None))
        .await?;
    router
        .publish(&ada, AgUiEventBuilder::run_finished("thread", "run", None))
        .await?;

    let cursor = begun.ids[0].to_string();
    let mut subscription = router
        .agui()
        .connect(&ada, Attach::from_cursor(Some(&cursor)).scoped("thread"))?;
    let mut batch = Batch::default();
    match subscription.next(&mut batch).await {
        Next::Events => {
            let (_id, frame) = &batch.events[0];
            assert!(matches!(
                AgUiEvent::from_json(&frame.data)?,
                AgUiEvent::RunFinished(_)
            ));
        }
        Next::Missed(missed) => return Err(format!("too late for some events: {missed:?}").into()),
        Next::Closed(reason) => return Err(format!("ended: {reason:?}").into()),
    }
    Ok(())
}
