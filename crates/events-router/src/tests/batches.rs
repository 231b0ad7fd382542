//! Batches: what they do is what their events do one by one, or nothing.

use serde_json::Value;

use super::*;

fn event(json: &str) -> AgUiEvent {
    AgUiEvent::from_json(json.as_bytes()).expect("legal by itself")
}

/// All that a run may say: what changes the order, what leaves it as it is, and what is made of chunks.
fn run() -> Vec<AgUiEvent> {
    [
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
        r#"{"type":"STATE_SNAPSHOT","snapshot":{"n":1}}"#,
        r#"{"type":"TEXT_MESSAGE_START","messageId":"m","role":"assistant"}"#,
        r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"Hel"}"#,
        r#"{"type":"STATE_DELTA","delta":[{"op":"replace","path":"/n","value":2}]}"#,
        r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"lo"}"#,
        r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"c","delta":"chu"}"#,
        r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"!"}"#,
        r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"d","delta":"nk"}"#,
        r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#,
        r#"{"type":"TOOL_CALL_START","toolCallId":"f","toolCallName":"f"}"#,
        r#"{"type":"TOOL_CALL_ARGS","toolCallId":"f","delta":"{\"a\":"}"#,
        r#"{"type":"CUSTOM","name":"n","value":1}"#,
        r#"{"type":"TOOL_CALL_ARGS","toolCallId":"f","delta":"1}"}"#,
        r#"{"type":"TOOL_CALL_END","toolCallId":"f"}"#,
        r#"{"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"m","encryptedValue":"x"}"#,
    ]
    .map(event)
    .into()
}

/// What a router says of the thread, and the JSON of all events.
fn told(router: &EventRouter, screen: &mut Subscription) -> (Value, Vec<String>) {
    let snapshot = router.snapshot_thread(&ada(), &ThreadId::new("t"));
    let snapshot = snapshot.expect("a thread that is known");
    let messages = serde_json::to_value(&snapshot.messages).expect("messages are JSON");
    let state = serde_json::to_value(&snapshot.state).expect("a state is JSON");
    (serde_json::json!([messages, state]), read(screen))
}

fn router() -> (EventRouter, Subscription) {
    let router = EventRouter::default();
    let screen = router.agui().connect(&ada(), Attach::now());
    (router, screen.expect("a slot"))
}

#[tokio::test]
async fn a_batch_says_what_its_events_say_one_by_one() {
    let (single, mut its_screen) = router();
    for event in run() {
        let item = in_thread("t", event);
        single.publish_batch(&ada(), vec![item]).await.unwrap();
    }
    let one_by_one = told(&single, &mut its_screen);
    assert_eq!(one_by_one.0[0][0]["content"], "Hello!");
    assert_eq!(one_by_one.0[1]["n"], 2);
    for size in [2, 3, 5, run().len()] {
        let (router, mut screen) = router();
        let mut events = run().into_iter();
        loop {
            let items: Vec<_> = events
                .by_ref()
                .take(size)
                .map(|event| in_thread("t", event))
                .collect();
            if items.is_empty() {
                break;
            }
            router.publish_batch(&ada(), items).await.unwrap();
        }
        assert_eq!(told(&router, &mut screen), one_by_one, "{size} together");
    }
}

#[tokio::test]
async fn a_thread_has_not_heard_what_a_refused_batch_says() {
    let (router, mut screen) = router();
    let begun = run().into_iter().take(6).map(|it| in_thread("t", it));
    router.publish_batch(&ada(), begun.collect()).await.unwrap();
    let (before, _) = told(&router, &mut screen);
    let items = [
        r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":" and more"}"#,
        r#"{"type":"STATE_SNAPSHOT","snapshot":{"n":3}}"#,
        r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"never opened","delta":"x"}"#,
    ];
    let items = items.map(|json| in_thread("t", event(json)));
    let (index, refusal) = refusal(router.publish_batch(&ada(), items.into()).await);
    assert!(
        index == 2 && matches!(refusal, Refusal::Order(_)),
        "{refusal}"
    );
    assert_eq!(told(&router, &mut screen), (before, Vec::new()));
}

#[tokio::test]
async fn what_goes_on_in_a_batch_keeps_its_run_from_falling_silent() {
    let clock = Arc::new(ManualClock::new(1_000_000));
    let router = EventRouter::new(RouterConfig {
        clock: Arc::clone(&clock) as _,
        ..RouterConfig::default()
    });
    let begun = run().into_iter().take(6).map(|it| in_thread("t", it));
    router.publish_batch(&ada(), begun.collect()).await.unwrap();
    for _ in 0..3 {
        clock.advance(10 * 60_000);
        let delta = || AgUiEventBuilder::text_message_content("m", "x");
        let items = vec![in_thread("t", delta()), in_thread("t", delta())];
        router.publish_batch(&ada(), items).await.unwrap();
        router.sweep();
        assert_eq!(router.active_runs(), 1);
    }
    clock.advance(15 * 60_000);
    router.sweep();
    assert_eq!(router.active_runs(), 0);
    let late = vec![
        in_thread("t", AgUiEventBuilder::text_message_content("m", "late")),
        in_thread("t", AgUiEventBuilder::text_message_end("m")),
    ];
    let (index, refusal) = refusal(router.publish_batch(&ada(), late).await);
    assert!(
        index == 0 && matches!(refusal, Refusal::TimedOut { .. }),
        "{refusal}"
    );
}
