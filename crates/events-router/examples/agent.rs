//! Publishes from an agent's loop: a run that always ends, and a mistake that is told at once.
//!
//! `cargo run -p events-router --example agent`

use events_core::UserId;
use events_models::{AgUiEventBuilder, MessageRole};
use events_router::{EventRouter, PublishError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), PublishError> {
    let router = EventRouter::default();
    let ada = UserId::new("ada");

    let mut run = router.run(&ada, "thread");
    run.start(None).await?;
    run.publish(AgUiEventBuilder::text_message_start(
        "m1",
        MessageRole::Assistant,
    ))
    .await?;
    for token in ["The ", "answer ", "is ", "42."] {
        run.publish(AgUiEventBuilder::text_message_content("m1", token))
            .await?;
    }
    // What the protocol forbids never enters the log, and the publisher learns why.
    let refused = run
        .publish(AgUiEventBuilder::text_message_end("another message"))
        .await;
    assert!(matches!(refused, Err(PublishError::Refused { .. })));
    let published = run.finish(None).await?;
    assert_eq!(
        router.store().last(&ada),
        published.ids[published.ids.len() - 1]
    );

    // A run that is dropped ends with RUN_ERROR, so that no screen waits for ever.
    let mut abandoned = router.run(&ada, "thread");
    abandoned.start(None).await?;
    drop(abandoned);
    assert_eq!(router.active_runs(), 0);
    Ok(())
}
