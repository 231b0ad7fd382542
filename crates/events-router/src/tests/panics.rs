//! A fold that fails harms its own thread's prelude, and nothing else.

use events_models::AgUiEventBuilder as Make;

use super::*;
use crate::poison::POISONED_FOLD;

async fn begin(router: &EventRouter, thread: &str) {
    let run = format!("{thread}-r");
    let message = format!("{thread}-m");
    for event in [
        Make::run_started(thread, run, None),
        Make::text_message_start(&*message, MessageRole::Assistant),
        Make::text_message_content(&*message, "before"),
    ] {
        let published = router
            .publish_batch(&ada(), vec![in_thread(thread, event)])
            .await;
        published.unwrap();
    }
}

#[tokio::test]
async fn a_fold_that_panics_is_given_up_and_its_event_is_told_all_the_same() {
    let router = EventRouter::default();
    let mut screen = router.agui().connect(&ada(), Attach::now()).unwrap();
    begin(&router, "well").await;
    begin(&router, "poisoned").await;
    drop(read(&mut screen));
    let bytes_before = router.fold_bytes();
    for (thread, delta) in [
        ("poisoned", POISONED_FOLD),
        ("poisoned", "after"),
        ("well", "after"),
    ] {
        let delta = Make::text_message_content(format!("{thread}-m"), delta);
        let published = router
            .publish_batch(&ada(), vec![in_thread(thread, delta)])
            .await;
        assert_eq!(published.unwrap().ids.len(), 1);
    }
    // Who is there misses nothing.
    let told = read(&mut screen);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains(POISONED_FOLD), "{told:?}");
    // Who joins the other thread is told all of it, and of this one that it cannot be told.
    let retold = |thread: &str| {
        let events = router
            .retell_thread(&ada(), &ThreadId::new(thread))
            .map(|retold| retold.events);
        let events = events.unwrap_or_default();
        let texts = events
            .iter()
            .map(|json| String::from_utf8_lossy(json).into_owned());
        texts.collect::<String>()
    };
    assert!(retold("well").contains("beforeafter"), "{}", retold("well"));
    assert!(
        !retold("poisoned").contains("before"),
        "{}",
        retold("poisoned")
    );
    assert!(router.fold_bytes() < bytes_before, "what was held is free");
    // The order of its events is kept as ever.
    let again = Make::run_started("poisoned", "poisoned-r2", None);
    let refused = router
        .publish_batch(&ada(), vec![in_thread("poisoned", again)])
        .await;
    drop(refusal(refused));
}
