//! Message ids, chunks, runs, contexts and what is forgotten.

use super::*;

#[tokio::test]
async fn a_retry_gets_the_ids_that_it_got_before() {
    let router = EventRouter::default();
    let key = MsgId::new("k").unwrap();
    let items = || -> Vec<_> {
        [
            AgUiEventBuilder::run_started("t", "r", None),
            chunk("a"),
            chunk("b"),
            AgUiEventBuilder::run_finished("t", "r", None),
        ]
        .into_iter()
        .enumerate()
        .map(|(line, event)| Item::new(event).with_msg_id(key.of_line(line + 1)))
        .collect()
    };
    let first = router
        .publish_batch(&ada(), items().into_iter().take(2).collect())
        .await
        .unwrap();
    assert_eq!((first.ids.len(), first.duplicates), (3, 0));
    let whole = router.publish_batch(&ada(), items()).await.unwrap();
    assert_eq!(whole.ids[..3], first.ids[..]);
    assert_eq!((whole.ids.len(), whole.duplicates), (6, 3));
    let again = router.publish_batch(&ada(), items()).await.unwrap();
    assert_eq!((again.ids, again.duplicates), (whole.ids, 6));
    assert_eq!(router.store().last(&ada()).seq, 6);
}

#[tokio::test]
async fn a_message_id_is_forgotten_only_when_it_is_old_and_many_came_after_it() {
    let clock = Arc::new(ManualClock::new(0));
    let config = RouterConfig {
        dedupe_ids: 2,
        clock: clock.clone(),
        ..RouterConfig::default()
    };
    let router = EventRouter::new(config);
    let publish = async |key: &str| {
        let item = Item::new(SystemEventBuilder::heartbeat()).with_msg_id(MsgId::new(key).unwrap());
        router
            .publish_batch(&ada(), vec![item])
            .await
            .unwrap()
            .duplicates
    };
    assert_eq!(publish("a").await, 0);
    clock.advance(121_000);
    assert_eq!(publish("a").await, 1, "old, but nothing came after it");
    assert_eq!(publish("b").await, 0);
    assert_eq!(publish("c").await, 0);
    assert_eq!(publish("b").await, 1, "young");
    assert_eq!(publish("a").await, 0, "old, and two came after it");
}

#[tokio::test]
async fn chunks_are_expanded_and_closed_across_requests() {
    let router = EventRouter::default();
    let mut screen = router.agui().connect(&ada(), Attach::now()).unwrap();
    let mut n_records = Vec::new();
    for event in [
        AgUiEventBuilder::run_started("t", "r", None),
        chunk("a"),
        chunk("b"),
        AgUiEventBuilder::run_finished("t", "r", None),
    ] {
        n_records.push(router.publish(&ada(), event).await.unwrap().ids.len());
    }
    assert_eq!(n_records, [1, 2, 1, 2]);
    let expected = [
        "RUN_STARTED",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ];
    assert_eq!(types(&mut screen), expected);
}

#[tokio::test]
async fn a_dropped_run_is_closed_with_an_error() {
    let router = EventRouter::default();
    let mut screen = router.agui().connect(&ada(), Attach::now()).unwrap();
    let mut run = router.run(&ada(), "t").with_id("r");
    run.publish(AgUiEventBuilder::text_message_start(
        "m",
        MessageRole::Assistant,
    ))
    .await
    .unwrap();
    std::thread::spawn(move || drop(run)).join().unwrap();
    assert_eq!(
        types(&mut screen),
        ["RUN_STARTED", "TEXT_MESSAGE_START", "RUN_ERROR"]
    );
    let mut run = router.run(&ada(), "t").with_id("r2");
    run.publish(AgUiEventBuilder::text_message_start(
        "m2",
        MessageRole::Assistant,
    ))
    .await
    .unwrap();
    run.finish(None).await.unwrap();
    let closed = [
        "RUN_STARTED",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ];
    assert_eq!(types(&mut screen), closed);
    drop(router.run(&ada(), "t"));
    assert!(
        read(&mut screen).is_empty(),
        "a run that has not begun says nothing"
    );
}

#[tokio::test]
async fn the_context_list_follows_runs_and_system_events() {
    let router = EventRouter::default();
    let bus: &dyn EventBus<AgUi = _, A2A = _, System = _, Context = _> = &router;
    bus.broadcast_agui(&ada(), AgUiEventBuilder::run_started("t", "r", None))
        .await
        .unwrap();
    bus.broadcast_system(
        &ada(),
        SystemEventBuilder::context_created("u".into(), "Soup"),
    )
    .await
    .unwrap();
    bus.broadcast_system(&ada(), SystemEventBuilder::context_deleted("t".into()))
        .await
        .unwrap();
    let contexts = router.contexts_of(&ada());
    assert_eq!(contexts.len(), 1);
    assert_eq!(
        (contexts[0].context_id.as_str(), contexts[0].name.as_str()),
        ("u", "Soup")
    );
}

#[tokio::test]
async fn analytics_are_live_and_have_no_ids() {
    let router = EventRouter::default();
    let mut early = router.analytics().connect(&ada(), Attach::now()).unwrap();
    let routed = router
        .route_analytics(&ada(), AnalyticsEventBuilder::heartbeat())
        .await
        .unwrap();
    assert_eq!((routed.analytics, routed.ids.len()), (1, 0));
    let mut batch = Batch::default();
    let _next = early.next(&mut batch).await;
    assert_eq!(batch.events[0].0, None);
    let mut late = router
        .analytics()
        .connect(&ada(), Attach::from_cursor(Some("whatever")))
        .unwrap();
    assert!(read(&mut late).is_empty());
}

#[tokio::test]
async fn idle_users_are_forgotten_and_active_runs_are_not() {
    let clock = Arc::new(ManualClock::new(0));
    let config = RouterConfig {
        idle: Duration::from_secs(1),
        clock: clock.clone(),
        ..RouterConfig::default()
    };
    let router = EventRouter::new(config);
    router
        .publish(&ada(), AgUiEventBuilder::run_started("t", "r", None))
        .await
        .unwrap();
    router
        .publish(
            &UserId::new("bob"),
            SystemEventBuilder::context_created("c".into(), "C"),
        )
        .await
        .unwrap();
    clock.advance(2_000);
    router.sweep();
    assert!(router.contexts_of(&UserId::new("bob")).is_empty());
    router
        .publish(&ada(), AgUiEventBuilder::run_finished("t", "r", None))
        .await
        .unwrap();
}
