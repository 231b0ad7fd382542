//! Health, metrics, and who is connected.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use events_broadcast::{ConnectionInfo, LogStore, StatsSnapshot};
use events_core::UserId;
use events_router::{EventRouter, LogHealth, OrderStats, ReplicaStats};
use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{
        counter::ConstCounter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};
use serde::{Deserialize, Serialize};

use crate::{
    Problem, RequestContext, StreamState,
    query::{PathName, QueryOf},
    revoking::KEEPER,
};

/// How long the log may be out of reach before others should be asked instead of this replica.
const OUTAGE_UNTIL_UNREADY: Duration = Duration::from_secs(30);

/// `/health/live`, `/health/ready`, `/metrics`, and `/connections` and `/users/{user}` for operators.
pub fn operations_router(state: StreamState) -> Router {
    Router::new()
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/connections", get(connections).delete(disconnect))
        .route("/users/{user}", delete(erase))
        .with_state(state)
}

async fn ready(State(state): State<StreamState>) -> Response {
    if state.is_draining() {
        return Problem::draining().into_response();
    }
    let not_ready =
        |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    match state.router().log_health() {
        LogHealth::Down { since, reason } if since >= OUTAGE_UNTIL_UNREADY => not_ready(format!(
            "the log has been out of reach for {} s: {reason}",
            since.as_secs()
        )),
        LogHealth::Failing { n_failures } => not_ready(format!(
            "listening to the log has failed {n_failures} times in the last minute; the program's log says why"
        )),
        LogHealth::Up if !state.inner.revocations.were_read() => {
            not_ready("whose tokens were revoked has not been read from the log yet".to_owned())
        }
        LogHealth::Starting => not_ready("the log has not answered yet".to_owned()),
        LogHealth::Replaced => {
            not_ready("the log is another one than at the start: restart this process".to_owned())
        }
        _ => "ready\n".into_response(),
    }
}

/// `/metrics` and health, whoever asks: for a listener of its own, which only those reach who may see them.
pub fn metrics_router(state: StreamState) -> Router {
    Router::new()
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(all_metrics))
        .with_state(state)
}

/// Refuses those who may not see how much goes on, where it is asked who they are.
async fn metrics(
    State(state): State<StreamState>,
    context: Result<RequestContext, Problem>,
) -> Result<Response, Problem> {
    if state.inner.config.operator_metrics && !context?.is_operator() {
        let detail = "only an operator may read the metrics here; see metrics.listen";
        return Err(Problem::not_operator(detail));
    }
    Ok(all_metrics(State(state)).await)
}

async fn all_metrics(State(state): State<StreamState>) -> Response {
    let mut text = String::new();
    let written = encode_registry(&mut text, &registry(&state)).and_then(|()| {
        state.write_more_metrics(&mut text);
        encode_eof(&mut text)
    });
    match written {
        Ok(()) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

/// Collects the present values; scrapes are rare, so nothing is kept registered.
fn registry(state: &StreamState) -> Registry {
    let mut registry = Registry::with_prefix("events");
    let router = state.router();
    let connections = Family::<[(&str, &str); 1], Gauge>::default();
    for (stream, n) in [
        ("agui", router.agui().total()),
        ("a2a", router.a2a().total()),
        ("contexts", router.contexts().total()),
        ("analytics", router.analytics().total()),
    ] {
        connections
            .get_or_create(&[("stream", stream)])
            .set(signed(n));
    }
    registry.register("connections", "Open connections, by stream", connections);
    register_log(&mut registry, "log", router.store());
    register_log(&mut registry, "analytics", router.analytics().store());
    register_gauge(
        &mut registry,
        "active_runs",
        "AG-UI runs that have not ended",
        router.active_runs(),
    );
    register_gauge(
        &mut registry,
        "threads",
        "AG-UI threads that are remembered",
        router.threads(),
    );
    register_order(&mut registry, router.order_stats());
    register_gauge(
        &mut registry,
        "fold_bytes",
        "Bytes of what threads and tasks have said, kept for those who join",
        router.fold_bytes(),
    );
    registry.register(
        "folds_shed",
        "Threads and tasks forgotten, or without a prelude since, because all of them took too many bytes",
        ConstCounter::new(router.folds_shed()),
    );
    registry.register(
        "runs_timed_out",
        "Runs ended because they were silent for too long",
        ConstCounter::new(router.runs_timed_out()),
    );
    register_replica(&mut registry, router);
    let metrics = &state.inner.metrics;
    metrics.register_bounds(&mut registry);
    registry.register(
        "stream_ends",
        "Ended streams, by stream and reason",
        metrics.stream_ends.clone(),
    );
    registry.register(
        "gaps",
        "Gaps told to clients, by stream and reason",
        metrics.gaps.clone(),
    );
    registry.register(
        "lag_seconds",
        "From the append of an event to the write of it, one write in 64, of streams that have caught up",
        metrics.lag.clone(),
    );
    registry.register(
        "written_bytes",
        "Bytes of streams that were handed to their connections, without the framing of HTTP, by transport",
        metrics.written_bytes(),
    );
    registry.register(
        "publishes",
        "Publish requests, and lines of live ones, by stream and status",
        metrics.publishes.clone(),
    );
    registry
}

fn register_log(registry: &mut Registry, name: &str, store: &LogStore) {
    let registry = registry.sub_registry_with_prefix(name);
    register_gauge(registry, "users", "Users that have a log", store.users());
    register_gauge(
        registry,
        "bytes",
        "Bytes kept in the logs",
        store.used_bytes(),
    );
    let counters = store.stats().snapshot();
    for ((name, value), help) in counters.iter().zip(StatsSnapshot::HELP) {
        registry.register(name, help_text(help), ConstCounter::new(value));
    }
}

/// Shows the log behind the router, if there is one.
fn register_replica(registry: &mut Registry, router: &EventRouter) {
    let (Some(stats), Some(log)) = (router.replica_stats(), router.event_log()) else {
        return;
    };
    register_gauge(
        registry,
        "log_up",
        "Whether the log behind the hub answers",
        usize::from(!router.is_log_down()),
    );
    let own = registry.sub_registry_with_prefix("replica");
    register_gauge(own, "users", "Users whose log is followed", stats.users);
    register_gauge(
        own,
        "users_behind",
        "Users whose log is known to be ahead of what was applied here",
        stats.users_behind,
    );
    for ((name, value), help) in stats.counters().zip(ReplicaStats::HELP) {
        own.register(name, help_text(help), ConstCounter::new(value));
    }
    for counter in log.counters() {
        let name = counter.name.strip_prefix("events_").unwrap_or(counter.name);
        match name.strip_suffix("_total") {
            Some(name) => registry.register(name, counter.help, ConstCounter::new(counter.value)),
            None => registry.register(name, counter.help, ConstGauge::new(counter.value)),
        }
    }
}

fn register_order(registry: &mut Registry, stats: OrderStats) {
    let registry = registry.sub_registry_with_prefix("order");
    register_gauge(
        registry,
        "users",
        "Users whose threads, tasks and message ids are remembered",
        stats.users,
    );
    register_gauge(
        registry,
        "bytes",
        "Bytes that they take, estimated from above",
        stats.bytes,
    );
    for ((name, value), help) in stats.counters().zip(OrderStats::HELP) {
        registry.register(name, help_text(help), ConstCounter::new(value));
    }
}

/// Makes the help of a counter from its documentation; the page adds the full stop itself.
fn help_text(doc: &str) -> &str {
    doc.trim().trim_end_matches('.')
}

fn register_gauge(registry: &mut Registry, name: &str, help: &str, value: usize) {
    let gauge = Gauge::<i64>::default();
    gauge.set(signed(value));
    registry.register(name, help, gauge);
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[derive(Debug, Deserialize)]
struct OfUser {
    user: Option<UserId>,
    only: Option<String>,
}

/// One connection, as `/connections` shows it.
#[derive(Debug, Serialize)]
struct Connection {
    user: String,
    connection: String,
    stream: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<String>,
    since_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    lag: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_bytes: Option<u64>,
}

impl From<ConnectionInfo> for Connection {
    fn from(info: ConnectionInfo) -> Self {
        Self {
            user: info.user.to_string(),
            connection: info.connection.to_string(),
            stream: info.stream,
            thread: info.scope.map(|scope| scope.to_string()),
            since_ms: info.since_ms,
            cursor: info.cursor.map(|cursor| cursor.to_string()),
            lag: info.lag,
            transport: info.written.map(|written| written.transport.as_str()),
            written_bytes: info.written.map(|written| written.n_bytes),
        }
    }
}

fn operator(context: &RequestContext) -> Result<(), Problem> {
    let refused = || Problem::not_operator("only an operator may see and end connections");
    context.is_operator().then_some(()).ok_or_else(refused)
}

async fn connections(
    State(state): State<StreamState>,
    context: RequestContext,
    QueryOf(query): QueryOf<OfUser>,
) -> Result<Json<Vec<Connection>>, Problem> {
    operator(&context)?;
    let router = state.router();
    let user = query.user.as_ref();
    let infos = [
        router.agui().connections(user),
        router.a2a().connections(user),
        router.contexts().connections(user),
        router.analytics().connections(user),
    ];
    let infos = infos.into_iter().flatten();
    // What follows the revocations is nobody's.
    let infos = infos.filter(|info| info.user.as_str() != KEEPER);
    Ok(Json(infos.map(Connection::from).collect()))
}

/// The answer to ending connections.
#[derive(Debug, Serialize)]
struct Ended {
    ended: usize,
}

async fn disconnect(
    State(state): State<StreamState>,
    context: RequestContext,
    QueryOf(query): QueryOf<OfUser>,
) -> Result<Json<Ended>, Problem> {
    operator(&context)?;
    let Some(user) = &query.user else {
        return Err(Problem::bad_request(
            "name the user: DELETE /connections?user=NAME",
        ));
    };
    if query.only.as_deref().is_some_and(|only| only != "close") {
        return Err(Problem::bad_request("only=close is the one choice"));
    }
    state.check_user(user)?;
    let ended = if query.only.is_some() {
        state.close(user).await?
    } else {
        state.revoke(user).await?
    };
    Ok(Json(Ended { ended }))
}

/// Erases a user: events, threads, tasks and contexts, on every replica.
async fn erase(
    State(state): State<StreamState>,
    context: RequestContext,
    PathName(user): PathName,
) -> Result<StatusCode, Problem> {
    if !context.is_operator() {
        let detail = "only an operator may erase a user";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let user = UserId::from(user);
    state.check_user(&user)?;
    let erased = state.router().erase_user(&user).await;
    erased.map_err(|error| Problem::of_log(&error))?;
    Ok(StatusCode::NO_CONTENT)
}
