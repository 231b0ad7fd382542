//! Our router behind our serving loop: bounds lifted, events in memory, no tokens.

mod runs;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, RawQuery, Request, State},
    http::{StatusCode, Uri},
    middleware::{Next, from_fn},
    response::Response,
    routing::{get, post},
};
use events_axum::{RequestContext, StreamConfig, StreamState, hub_router};
use events_core::{Broadcaster as _, UserId};
use events_router::{EventRouter, RouterConfig};
use tower::ServiceExt as _;

use crate::{
    Outcome,
    options::Options,
    order::Order,
    serving::{LIFTED, lifted, run},
};
use runs::Runs;

pub(crate) async fn serve(options: Options) -> Outcome<()> {
    let router = EventRouter::new(RouterConfig {
        limits: lifted(),
        ..RouterConfig::default()
    });
    let state = StreamState::with_config(
        router.clone(),
        StreamConfig {
            streams: LIFTED,
            ..StreamConfig::default()
        },
    );
    let hub = hub_router(state.clone());
    let runs = Arc::new(Runs::new(router.clone(), options.joins_events));
    let app = Router::new()
        .route("/gen", post(generate).with_state(runs))
        .route("/count", get(count).with_state(router.clone()))
        .route("/sse/{user}", get(stream_of_path).with_state(hub.clone()))
        .merge(hub)
        .layer(from_fn(name_user));
    run(&options, app, || router.flush()).await
}

/// Stands in for authentication: everybody is whom the query names, and may publish for all.
async fn name_user(mut request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let named = query
        .split('&')
        .find_map(|field| field.strip_prefix("user="));
    let context = RequestContext::operator(UserId::new(named.unwrap_or("publisher")));
    request.extensions_mut().insert(context);
    next.run(request).await
}

/// Serves the same stream at another path.
async fn stream_of_path(
    State(hub): State<Router>,
    Path(user): Path<String>,
    mut request: Request,
) -> Result<Response, StatusCode> {
    let path = format!("/agui?user={user}");
    *request.uri_mut() = Uri::try_from(path).map_err(|_| StatusCode::BAD_REQUEST)?;
    let context = RequestContext::operator(UserId::new(user));
    request.extensions_mut().insert(context);
    match hub.oneshot(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

async fn generate(
    State(runs): State<Arc<Runs>>,
    RawQuery(query): RawQuery,
) -> Result<(), (StatusCode, String)> {
    let order = Order::parse(&query.unwrap_or_default())
        .map_err(|error| (StatusCode::BAD_REQUEST, error))?;
    runs.fill(&order)
        .await
        .map_err(|error| (StatusCode::CONFLICT, error))
}

async fn count(State(router): State<EventRouter>) -> String {
    router.agui().total_connections().await.to_string()
}
