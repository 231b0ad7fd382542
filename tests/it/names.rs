//! Every public name that users of the reference know, used the way they use it.

use std::{sync::LazyLock, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Extension,
    http::{Request, StatusCode},
    response::{IntoResponse, Sse},
    routing::get,
};
use events_axum::{
    ContextProvider, RequestContext, StreamConfig, StreamState, StreamWithGuard, create_sse_stream,
    standard_keep_alive, stream_router,
};
use events_broadcast::{ConnectionGuard, GenericBroadcaster};
use events_core::{
    Broadcaster, ConnectionId, ContextId, EventBus, EventError, EventResult, EventSender,
    SSE_BUFFER, TaskId, UserId,
};
use events_llm::StreamEventBroadcaster;
use events_models::{
    A2AEvent, A2AEventBuilder, AgUiEvent, AgUiEventBuilder, AnalyticsEvent, AnalyticsEventBuilder,
    CliOutputEvent, ContextEvent, ContextSummary, JsonPatchOperation, SystemEvent,
    SystemEventBuilder, TaskState, TuiStreamEvent, TuiStreamEventBuilder,
};
use events_router::{
    A2A_BROADCASTER, A2ABroadcaster, AGUI_BROADCASTER, ANALYTICS_BROADCASTER, AgUiBroadcaster,
    AnalyticsBroadcaster, CONTEXT_BROADCASTER, ContextBroadcaster, EventRouter,
};
use events_sse::{HEARTBEAT_INTERVAL, HEARTBEAT_JSON, ToSse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tower::ServiceExt;

type SystemBroadcaster = GenericBroadcaster<SystemEvent>;

static OWN: LazyLock<GenericBroadcaster<SystemEvent>> = LazyLock::new(GenericBroadcaster::new);

fn run_started(thread: &str) -> AgUiEvent {
    AgUiEventBuilder::run_started(ContextId::new(thread), TaskId::new("task"), None)
}

fn task_update() -> A2AEvent {
    A2AEventBuilder::task_status_update(
        TaskId::new("task"),
        ContextId::new("context"),
        TaskState::Working,
        Some("under way".to_owned()),
    )
}

#[test]
fn the_constants_have_the_values_that_users_rely_on() {
    assert_eq!(SSE_BUFFER, 1024);
    assert_eq!(SystemBroadcaster::MAX_CONNECTIONS_PER_USER, 10);
    assert_eq!(HEARTBEAT_INTERVAL, Duration::from_secs(15));
    assert_eq!(HEARTBEAT_JSON, r#"{"type":"heartbeat"}"#);
    assert_ne!(ConnectionId::generate(), ConnectionId::generate());
    assert_eq!(UserId::new("ada").as_str(), "ada");
}

#[tokio::test]
async fn a_static_broadcaster_registers_counts_and_delivers() {
    let user = UserId::new("static");
    let connection = ConnectionId::new("tab");
    let (sender, mut receiver): (EventSender, _) = mpsc::channel(SSE_BUFFER);
    assert!(OWN.register(&user, &connection, sender).await);
    assert_eq!(OWN.connection_count(&user).await, 1);
    assert_eq!(OWN.total_connections().await, 1);
    assert_eq!(OWN.connection_info().await, (1, 1));
    assert_eq!(
        OWN.connected_users().await.as_slice(),
        std::slice::from_ref(&user)
    );
    assert_eq!(
        OWN.broadcast(&user, SystemEventBuilder::heartbeat()).await,
        1
    );
    let event = receiver.recv().await.unwrap().unwrap();
    assert!(format!("{event:?}").contains("HEARTBEAT"));
    let guard = ConnectionGuard::new(&OWN, user.clone(), connection.clone());
    let debug = format!("{guard:?}");
    assert!(
        debug.contains("ConnectionGuard") && debug.contains("static") && debug.contains("tab"),
        "{debug}"
    );
    drop(guard);
    assert_eq!(OWN.connection_count(&user).await, 0);
    OWN.unregister(&user, &connection).await;
    assert_eq!(
        OWN.broadcast(&user, SystemEventBuilder::heartbeat()).await,
        0
    );
    let fresh = SystemBroadcaster::default();
    assert!(format!("{fresh:?}").contains("GenericBroadcaster"));
}

#[tokio::test]
async fn the_eleventh_registration_is_refused_and_the_same_id_replaces() {
    let broadcaster = SystemBroadcaster::new();
    let user = UserId::new("ada");
    let mut receivers = Vec::new();
    for n in 0..SystemBroadcaster::MAX_CONNECTIONS_PER_USER {
        let (sender, receiver) = mpsc::channel(SSE_BUFFER);
        assert!(
            broadcaster
                .register(&user, &ConnectionId::new(format!("c{n}")), sender)
                .await
        );
        receivers.push(receiver);
    }
    let (sender, _receiver) = mpsc::channel(SSE_BUFFER);
    assert!(
        !broadcaster
            .register(&user, &ConnectionId::new("over"), sender)
            .await
    );
    let (sender, _receiver) = mpsc::channel(SSE_BUFFER);
    assert!(
        broadcaster
            .register(&user, &ConnectionId::new("c0"), sender)
            .await
    );
    assert_eq!(broadcaster.connection_count(&user).await, 10);
    assert_eq!(
        broadcaster
            .broadcast(&user, SystemEventBuilder::heartbeat())
            .await,
        10
    );
}

#[tokio::test]
async fn the_global_router_fans_out_to_the_singletons() {
    let user = UserId::new("singletons");
    let (agui, mut agui_events) = mpsc::channel(SSE_BUFFER);
    let (contexts, mut context_events) = mpsc::channel(SSE_BUFFER);
    let (analytics, mut analytics_events) = mpsc::channel(SSE_BUFFER);
    let (a2a, mut a2a_events) = mpsc::channel(SSE_BUFFER);
    A2A_BROADCASTER
        .register(&user, &ConnectionId::new("t"), a2a)
        .await;
    AGUI_BROADCASTER
        .register(&user, &ConnectionId::new("a"), agui)
        .await;
    CONTEXT_BROADCASTER
        .register(&user, &ConnectionId::new("c"), contexts)
        .await;
    ANALYTICS_BROADCASTER
        .register(&user, &ConnectionId::new("n"), analytics)
        .await;

    let routed = EventRouter::global()
        .route_agui(&user, run_started("t"))
        .await
        .unwrap();
    assert_eq!((routed.agui, routed.contexts), (1, 1));
    let routed = EventRouter::global()
        .route_system(&user, SystemEventBuilder::heartbeat())
        .await
        .unwrap();
    assert_eq!(routed.contexts, 1);
    let routed = EventRouter::global()
        .route_analytics(&user, AnalyticsEventBuilder::heartbeat())
        .await
        .unwrap();
    assert_eq!(routed.analytics, 1);
    let routed = EventRouter::global()
        .route_a2a(&user, task_update())
        .await
        .unwrap();
    assert_eq!((routed.a2a, routed.contexts), (1, 1));

    let text = |event: Option<Result<axum::response::sse::Event, _>>| {
        let event: Result<_, std::convert::Infallible> = event.expect("delivered");
        format!("{event:?}")
    };
    assert!(text(agui_events.recv().await).contains("RUN_STARTED"));
    let enveloped = text(context_events.recv().await);
    assert!(
        enveloped.contains("protocol") && enveloped.contains("RUN_STARTED"),
        "{enveloped}"
    );
    assert!(text(context_events.recv().await).contains("HEARTBEAT"));
    assert!(text(context_events.recv().await).contains("a2a"));
    assert!(text(a2a_events.recv().await).contains("TASK_STATE_WORKING"));
    assert!(text(analytics_events.recv().await).contains("HEARTBEAT"));
    EventRouter::install_global(EventRouter::default()).expect_err("it is in use");
}

#[tokio::test]
async fn an_isolated_router_shares_nothing_with_the_global_one() {
    let user = UserId::new("isolated");
    let router = EventRouter::default();
    let agui: &AgUiBroadcaster = router.agui();
    let contexts: &ContextBroadcaster = router.contexts();
    let a2a: &A2ABroadcaster = router.a2a();
    assert_eq!(a2a.count(&user), 0);
    let analytics: &AnalyticsBroadcaster = router.analytics();
    let _here = agui
        .connect(&user, events_broadcast::Attach::now())
        .unwrap();
    assert_eq!(
        (
            agui.count(&user),
            contexts.count(&user),
            analytics.count(&user)
        ),
        (1, 0, 0)
    );
    assert_eq!(AGUI_BROADCASTER.connection_count(&user).await, 0);
    let bus: &dyn EventBus<AgUi = _, A2A = _, System = _, Context = _> = &router;
    assert_eq!(
        bus.broadcast_agui(&user, run_started("t")).await.unwrap(),
        1
    );
    assert_eq!(
        bus.broadcast_system(&user, SystemEventBuilder::heartbeat())
            .await
            .unwrap(),
        0
    );
    assert_eq!(bus.broadcast_a2a(&user, task_update()).await.unwrap(), 0);
    let context = ContextEvent::from(SystemEventBuilder::heartbeat());
    assert_eq!(bus.broadcast_context(&user, context).await.unwrap(), 0);
    let refused: EventResult<usize> = bus
        .broadcast_agui(&user, AgUiEventBuilder::step_finished("never begun"))
        .await;
    assert!(matches!(refused, Err(EventError::Rejected(_))));
    let mut run = router.run(&UserId::new("other"), "thread");
    run.publish(AgUiEventBuilder::step_started("plan"))
        .await
        .unwrap();
    assert_eq!(router.active_runs(), 2);
}

#[test]
fn every_model_becomes_an_sse_event() {
    let patch = JsonPatchOperation::replace("/a", serde_json::json!(1));
    let page = AnalyticsEventBuilder::page_view("s".to_owned(), None, "/p".to_owned(), None, None);
    let summary = ContextSummary::new("c", "name");
    let events: [(&str, EventResult<axum::response::sse::Event>); 8] = [
        ("statusUpdate", task_update().to_sse()),
        ("a2a", ContextEvent::from(task_update()).to_sse()),
        (
            "STATE_DELTA",
            AgUiEventBuilder::state_delta(vec![patch]).to_sse(),
        ),
        (
            "CONTEXTS_SNAPSHOT",
            SystemEventBuilder::contexts_snapshot(vec![summary]).to_sse(),
        ),
        ("RUN_STARTED", ContextEvent::AgUi(run_started("t")).to_sse()),
        ("PAGE_VIEW", page.to_sse()),
        (
            "cli",
            CliOutputEvent::Stdout {
                data: "out".to_owned(),
            }
            .to_sse(),
        ),
        ("pid", CliOutputEvent::Started { pid: 1 }.to_sse()),
    ];
    for (expected, event) in events {
        let event = format!("{:?}", event.unwrap());
        assert!(event.contains(expected), "{expected} is not in {event}");
    }
    assert!(run_started("t").timestamp().is_some());
    assert_eq!(run_started("t").event_type().as_str(), "RUN_STARTED");
    let heartbeat: AnalyticsEvent = AnalyticsEventBuilder::heartbeat();
    assert!(heartbeat.timestamp() > 0);
}

struct NoContexts;

#[async_trait::async_trait]
impl ContextProvider for NoContexts {
    async fn contexts(&self, _user: &UserId) -> EventResult<Vec<ContextSummary>> {
        Ok(Vec::new())
    }
}

async fn hand_made(Extension(context): Extension<RequestContext>) -> impl IntoResponse {
    let connection = ConnectionId::generate();
    let (sender, receiver) = mpsc::channel(SSE_BUFFER);
    OWN.register(context.user_id(), &connection, sender).await;
    let guard = ConnectionGuard::new(&OWN, context.user_id().clone(), connection);
    Sse::new(StreamWithGuard::new(ReceiverStream::new(receiver), guard))
        .keep_alive(standard_keep_alive())
}

#[tokio::test]
async fn handlers_mount_behind_any_authentication_that_inserts_a_context() {
    let user = UserId::new("mounted");
    let state = StreamState::with_contexts(
        EventRouter::default(),
        StreamConfig::default(),
        std::sync::Arc::new(NoContexts),
    );
    let app = Router::new()
        .nest("/events", stream_router(state))
        .route("/mine", get(hand_made))
        .route(
            "/short",
            get(async |Extension(context): Extension<RequestContext>| {
                create_sse_stream(context, &OWN, "short").await
            }),
        )
        .layer(Extension(RequestContext::new(user.clone())));
    for path in [
        "/events/agui",
        "/events/a2a",
        "/events/contexts",
        "/events/analytics",
        "/mine",
        "/short",
    ] {
        let response = app
            .clone()
            .oneshot(Request::get(path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "text/event-stream",
            "{path}"
        );
        drop(response);
        assert_eq!(OWN.connection_count(&user).await, 0, "{path}");
    }
}

#[test]
fn the_broadcaster_of_llm_streams_and_its_events() {
    let broadcaster = StreamEventBroadcaster::default();
    assert_eq!(broadcaster.receiver_count(), 0);
    assert_eq!(
        broadcaster.send(TuiStreamEventBuilder::started("r", "m", None)),
        0
    );
    let broadcaster = StreamEventBroadcaster::new(10);
    let mut receiver = broadcaster.subscribe();
    assert_eq!(
        broadcaster.send(TuiStreamEventBuilder::completed("r", Some(1), None, None)),
        1
    );
    let Ok(event) = receiver.try_recv() else {
        panic!("a subscriber gets what is sent");
    };
    let events_llm::TuiStreamEvent::Completed {
        input_tokens: Some(1),
        output_tokens: None,
        ..
    } = &event
    else {
        panic!("the event is what was sent");
    };
    let frame = TuiStreamEvent::to_frame(&event).unwrap();
    assert!(
        String::from_utf8_lossy(&frame.data).starts_with(r#"{"type":"completed","request_id":"r""#)
    );
}
