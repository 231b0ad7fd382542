//! REST of 1.0 (1.0.1, 11.3).

use axum::{
    Json,
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderMap, Method, Uri, header},
    response::{IntoResponse, Response},
};
use events_core::TaskId;
use events_models::a2a::A2AVersion;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Fault,
    asker::{Asker, version_of},
    decoded,
    wishes::Wishes,
};
use crate::{RequestContext, StreamState};

pub(super) async fn rest(
    State(state): State<StreamState>,
    Asker(context): Asker,
    uri: Uri,
    request: Request<Body>,
) -> Response {
    if let Err(problem) = state.check_user(context.user_id()) {
        return problem.into_response();
    }
    let _open = match state.open_user(context.user_id()).await {
        Ok(open) => open,
        Err(problem) => return problem.into_response(),
    };
    match answer(&state, &context, request.method(), request.headers(), &uri) {
        Ok(response) => response,
        Err(fault) => fault.into_rest(),
    }
}

fn answer(
    state: &StreamState,
    context: &RequestContext,
    method: &Method,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Fault> {
    if version_of(headers, uri)? != A2AVersion::V1_0 {
        return Err(Fault::version("0.3"));
    }
    // The path as it came: an id may hold an encoded slash or colon.
    let path = uri.path().split_once("/rest/").map_or("", |(_, path)| path);
    let (is_get, is_post) = (method == Method::GET, method == Method::POST);
    let unknown = || Fault::method_not_found(format!("There is no operation {method} {path:?}"));
    match path {
        "tasks" | "tasks/" if is_get => {
            let query = query_of(uri)?;
            return Ok(json(&state.tasks(context, &Wishes(&query).list()?)));
        }
        "message:send" | "message:stream" if is_post => return Err(Fault::unsupported(path)),
        "extendedAgentCard" if is_get => return Err(Fault::unsupported(path)),
        _ => {}
    }
    let path = path.strip_prefix("tasks/").ok_or_else(unknown)?;
    // One official client asks for the path with a slash when that with a colon is not found.
    let subscribed = path
        .strip_suffix(":subscribe")
        .or_else(|| path.strip_suffix("/subscribe"));
    if let Some(id) = subscribed.filter(|id| !id.contains('/')) {
        // The text says POST, the protocol's own definition GET; clients do either.
        if !is_get && !is_post {
            return Err(unknown());
        }
        return state.follow_task(context, &task(id)?, A2AVersion::V1_0, None, "a2a_rest");
    }
    if let Some(id) = path.strip_suffix(":cancel").filter(|_| is_post) {
        read(state, context, uri, id)?;
        return Err(Fault::unsupported("CancelTask"));
    }
    match path.split_once('/') {
        None if is_get => Ok(json(&read(state, context, uri, path)?)),
        Some((_, rest)) if rest.starts_with("pushNotificationConfigs") => Err(Fault::push(rest)),
        _ => Err(unknown()),
    }
}

fn task(id: &str) -> Result<TaskId, Fault> {
    if id.is_empty() {
        return Err(Fault::invalid_params("id: name the task"));
    }
    Ok(TaskId::from(&*decoded(id)?))
}

fn read(
    state: &StreamState,
    context: &RequestContext,
    uri: &Uri,
    id: &str,
) -> Result<impl Serialize, Fault> {
    let mut query = query_of(uri)?;
    query.insert("id".to_owned(), Value::from(task(id)?.to_string()));
    state.task(context, &Wishes(&query))
}

fn query_of(uri: &Uri) -> Result<Map<String, Value>, Fault> {
    let Query(fields) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|rejection| Fault::invalid_params(rejection.to_string()))?;
    let fields = fields.into_iter();
    Ok(fields
        .map(|(name, value)| (name, Value::String(value)))
        .collect())
}

fn json(value: &impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}
