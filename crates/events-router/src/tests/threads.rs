//! Where an event goes, and what is refused.

use events_models::{
    RunAgentInput,
    agui::{AnyJson, fold::Generation},
};

use super::*;

#[tokio::test]
async fn an_event_reaches_both_streams_under_one_id() {
    let router = EventRouter::default();
    let mut agui = router.agui().connect(&ada(), Attach::now()).unwrap();
    let mut contexts = router.contexts().connect(&ada(), Attach::now()).unwrap();
    let routed = router
        .route_agui(&ada(), AgUiEventBuilder::run_started("t", "r", None))
        .await
        .unwrap();
    assert_eq!((routed.agui, routed.contexts, routed.ids.len()), (1, 1, 1));
    assert_eq!(types(&mut agui), ["RUN_STARTED"]);
    let mut batch = Batch::default();
    let _next = contexts.next(&mut batch).await;
    let (id, frame) = &batch.events[0];
    assert_eq!(*id, Some(routed.ids[0]));
    let envelope = frame.envelope.as_ref().unwrap();
    assert_eq!(
        (envelope.protocol, envelope.thread.as_deref()),
        ("agui", Some("t"))
    );
}

#[tokio::test]
async fn a_direct_broadcast_reaches_its_own_stream_only() {
    let router = EventRouter::default();
    let mut contexts = router.contexts().connect(&ada(), Attach::now()).unwrap();
    let mut agui = router.agui().connect(&ada(), Attach::now()).unwrap();
    let reached = router
        .agui()
        .broadcast(&ada(), AgUiEventBuilder::step_started("plan"))
        .await;
    assert_eq!(reached, 1);
    assert_eq!(types(&mut agui), ["STEP_STARTED"]);
    assert!(read(&mut contexts).is_empty());
}

#[tokio::test]
async fn the_thread_is_found_or_the_event_refused() {
    let router = EventRouter::default();
    let step = || AgUiEventBuilder::step_started("plan");
    let (_, none) = refusal(router.publish(&ada(), step()).await);
    assert!(
        matches!(none, Refusal::AmbiguousThread { active: 0 }),
        "{none}"
    );
    assert!(none.to_string().starts_with("ambiguous thread"));
    router
        .publish(&ada(), AgUiEventBuilder::run_started("t", "r", None))
        .await
        .unwrap();
    router.publish(&ada(), step()).await.unwrap();
    router
        .publish(&ada(), AgUiEventBuilder::run_started("u", "r", None))
        .await
        .unwrap();
    let (_, two) = refusal(
        router
            .publish(&ada(), AgUiEventBuilder::step_finished("plan"))
            .await,
    );
    assert!(
        matches!(two, Refusal::AmbiguousThread { active: 2 }),
        "{two}"
    );
    let mismatch = in_thread("t", AgUiEventBuilder::run_finished("u", "r", None));
    let (_, mismatch) = refusal(router.publish_batch(&ada(), vec![mismatch]).await);
    assert!(
        matches!(mismatch, Refusal::ThreadMismatch { .. }),
        "{mismatch}"
    );
    router
        .publish(&ada(), AgUiEventBuilder::run_finished("u", "r", None))
        .await
        .unwrap();
    router
        .publish(&ada(), AgUiEventBuilder::step_finished("plan"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_request_follows_its_own_run_started() {
    let router = EventRouter::default();
    router
        .publish(&ada(), AgUiEventBuilder::run_started("busy", "r", None))
        .await
        .unwrap();
    let items = vec![
        Item::new(AgUiEventBuilder::run_started("t", "r", None)),
        Item::new(AgUiEventBuilder::step_started("plan")),
        Item::new(AgUiEventBuilder::step_finished("plan")),
        Item::new(AgUiEventBuilder::run_finished("t", "r", None)),
    ];
    let mut screen = router
        .agui()
        .connect(&ada(), Attach::now().scoped("t"))
        .unwrap();
    let published = router.publish_batch(&ada(), items).await.unwrap();
    assert_eq!(published.ids.len(), 4);
    assert_eq!(types(&mut screen).len(), 4);
}

#[tokio::test]
async fn a_refused_batch_leaves_no_trace() {
    let router = EventRouter::default();
    let mut screen = router.agui().connect(&ada(), Attach::now()).unwrap();
    let items = || {
        vec![
            in_thread("t", AgUiEventBuilder::run_started("t", "r", None)),
            in_thread("u", AgUiEventBuilder::run_started("u", "r", None)),
            in_thread("t", AgUiEventBuilder::text_message_end("never opened")),
        ]
    };
    let before = router.store().last(&ada());
    for _ in 0..2 {
        let (index, refusal) = refusal(router.publish_batch(&ada(), items()).await);
        assert_eq!(index, 2);
        assert!(matches!(refusal, Refusal::Order(_)), "{refusal}");
    }
    assert_eq!(
        (router.store().last(&ada()), router.active_runs()),
        (before, 0)
    );
    assert!(read(&mut screen).is_empty());
    router
        .publish_batch(&ada(), items().into_iter().take(2).collect())
        .await
        .unwrap();
    assert_eq!(router.active_runs(), 2);
}

#[tokio::test]
async fn an_event_that_is_too_large_leaves_no_trace_either() {
    let limits = Limits {
        event_bytes: 200,
        ..Limits::default()
    };
    let router = EventRouter::new(RouterConfig {
        limits,
        ..RouterConfig::default()
    });
    router
        .publish(&ada(), AgUiEventBuilder::run_started("t", "r", None))
        .await
        .unwrap();
    let start = AgUiEventBuilder::text_message_start("m".repeat(300), MessageRole::Assistant);
    let refused = router.publish(&ada(), start).await;
    assert!(
        matches!(
            refused,
            Err(PublishError::Log(EventError::TooLarge { limit: 200, .. }))
        ),
        "{refused:?}"
    );
    // Were the message open, the run could not finish.
    router
        .publish(&ada(), AgUiEventBuilder::run_finished("t", "r", None))
        .await
        .unwrap();
}

#[tokio::test]
async fn whoever_asks_for_a_run_is_told_of_that_run_alone_and_as_it_is() {
    let router = EventRouter::default();
    let ada = ada();
    let mut before = router.run(&ada, "t").with_id("before");
    before.start(None).await.unwrap();
    let mut input = RunAgentInput::new("t", "asked", Vec::new());
    input.state = Some(AnyJson::from_json("{}").unwrap());
    let wish = router.subscribe(&ada);
    let mut asker = wish
        .for_run(input.clone(), Generation::V1_0)
        .thread("t")
        .unwrap();
    assert!(asker.primed().is_some());
    before.finish(None).await.unwrap();
    let (thread, run) = ("t".into(), "asked".into());
    assert!(!router.is_run_active(&ada, &thread, &run));
    let mut asked = router.run(&ada, "t").with_id("asked");
    asked.start(Some(input)).await.unwrap();
    assert!(router.is_run_active(&ada, &thread, &run));
    let standing = router.thread_standing(&ada, &thread);
    assert_eq!(
        standing,
        Some((crate::ThreadState::Running, Some("asked".to_owned())))
    );
    asked.finish(None).await.unwrap();
    let mut told = Vec::new();
    while let Some(event) = asker.next_event().await {
        told.push((
            event.event_type().as_str(),
            event.run_id().map(str::to_owned),
        ));
    }
    let asked = Some("asked".to_owned());
    assert_eq!(
        told,
        [("RUN_STARTED", asked.clone()), ("RUN_FINISHED", asked)]
    );
}

#[tokio::test]
async fn an_event_for_one_run_makes_no_record_in_another() {
    let router = EventRouter::default();
    let ada = ada();
    let mut run = router.run(&ada, "t").with_id("one");
    run.start(None).await.unwrap();
    let end = |run: &str| {
        let event = BusEvent::AgUi {
            thread: Some("t".into()),
            event: AgUiEventBuilder::run_error("stopped", None),
        };
        vec![Item::new(event).only_in_run(run.into())]
    };
    let published = router.publish_batch(&ada, end("other")).await.unwrap();
    assert!(published.ids.is_empty());
    let published = router.publish_batch(&ada, end("one")).await.unwrap();
    assert_eq!(published.ids.len(), 1);
    let published = router.publish_batch(&ada, end("one")).await.unwrap();
    assert!(published.ids.is_empty());
}
