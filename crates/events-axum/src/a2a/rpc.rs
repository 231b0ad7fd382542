//! JSON-RPC: 1.0 and 0.3 at one address, told apart by the names of their methods.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use events_models::{
    A2AEvent,
    a2a::{A2AVersion, Task},
};
use events_router::{TaskPage, TaskQuery};
use serde::Serialize;

use super::{
    Fault,
    asker::{Asker, version_of},
    call::Call,
    wishes::Wishes,
};
use crate::{
    Problem, RequestContext, StreamState,
    metrics::Bound,
    receive::{check_coding, receive},
};

pub(super) async fn rpc(
    State(state): State<StreamState>,
    Asker(context): Asker,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    state.check_user(context.user_id())?;
    check_coding(&headers)?;
    let most = (state.inner.config.ndjson_bytes, Bound::BodyBytes);
    let body = receive(&state, body, most).await?;
    let call = match Call::read(&body.bytes) {
        Ok(call) => call,
        Err((id, fault)) => return Ok(fault.into_rpc(&id)),
    };
    let version = version_of(&headers, &uri);
    let _open = state.open_user(context.user_id()).await?;
    Ok(match answer(&state, &context, &call, version) {
        Ok(response) => response,
        Err(fault) => fault.into_rpc(&call.id),
    })
}

fn answer(
    state: &StreamState,
    context: &RequestContext,
    call: &Call,
    version: Result<A2AVersion, Fault>,
) -> Result<Response, Fault> {
    let method = call.method.as_str();
    // The names of 0.3 have a slash, and those of 1.0 have none.
    let spoken = if method.contains('/') {
        A2AVersion::V0_3
    } else {
        A2AVersion::V1_0
    };
    match version? {
        A2AVersion::V0_3 if spoken == A2AVersion::V1_0 && is_of_1_0(method) => {
            return Err(Fault::version("0.3"));
        }
        A2AVersion::V1_0 if spoken == A2AVersion::V0_3 => {
            let why = format!("Method {method:?} is of 0.3, and the request says A2A-Version: 1.0");
            return Err(Fault::method_not_found(why));
        }
        _ => {}
    }
    let wishes = Wishes(&call.params);
    match method {
        "SubscribeToTask" | "tasks/resubscribe" => {
            let before = Some(call.before_result());
            state.follow_task(context, &wishes.task()?, spoken, before, "a2a_rpc")
        }
        "GetTask" | "tasks/get" => {
            let task = state.task(context, &wishes)?;
            result(call, |out| match spoken {
                A2AVersion::V1_0 => serde_json::to_writer(out, &task),
                A2AVersion::V0_3 => A2AEvent::Task(task).write_json_v0_3(out),
            })
        }
        "ListTasks" => {
            let listed = state.tasks(context, &wishes.list()?);
            result(call, |out| serde_json::to_writer(out, &listed))
        }
        "CancelTask" | "tasks/cancel" => {
            state.task(context, &wishes)?;
            Err(Fault::unsupported(method))
        }
        "SendMessage"
        | "SendStreamingMessage"
        | "GetExtendedAgentCard"
        | "message/send"
        | "message/stream" => Err(Fault::unsupported(method)),
        "agent/getAuthenticatedExtendedCard" => Err(Fault::no_extended_card()),
        _ if is_of_push(method) => Err(Fault::push(method)),
        _ => Err(Fault::method_not_found(format!(
            "There is no method {method:?}"
        ))),
    }
}

fn is_of_1_0(method: &str) -> bool {
    let names = [
        "SubscribeToTask",
        "GetTask",
        "ListTasks",
        "CancelTask",
        "SendMessage",
        "SendStreamingMessage",
        "GetExtendedAgentCard",
    ];
    names.contains(&method) || is_of_push(method)
}

fn is_of_push(method: &str) -> bool {
    matches!(
        method,
        "CreateTaskPushNotificationConfig"
            | "GetTaskPushNotificationConfig"
            | "ListTaskPushNotificationConfigs"
            | "DeleteTaskPushNotificationConfig"
    ) || method.starts_with("tasks/pushNotificationConfig/")
}

fn result(
    call: &Call,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), serde_json::Error>,
) -> Result<Response, Fault> {
    let mut body = call.before_result().to_vec();
    write(&mut body).map_err(|error| Fault::internal(&error))?;
    body.push(b'}');
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, body).into_response())
}

/// `ListTasksResponse`: all its members are required.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    tasks: Vec<Task>,
    next_page_token: String,
    page_size: usize,
    total_size: usize,
}

impl StreamState {
    /// Reads the task that is asked for.
    pub(super) fn task(
        &self,
        context: &RequestContext,
        wishes: &Wishes<'_>,
    ) -> Result<Task, Fault> {
        let id = wishes.task()?;
        let history_length = wishes.history_length()?;
        let snapshot = self
            .router()
            .snapshot_task(context.user_id(), &id, history_length)
            .ok_or_else(|| Fault::task_not_found(&id))?;
        if snapshot.is_too_large {
            return Err(Fault::too_large(&id));
        }
        Ok(snapshot.task)
    }

    pub(super) fn tasks(&self, context: &RequestContext, query: &TaskQuery) -> Listed {
        let TaskPage { tasks, next, total } = self.router().tasks_of(context.user_id(), query);
        Listed {
            tasks,
            next_page_token: next.unwrap_or_default(),
            page_size: query.page_size,
            total_size: total,
        }
    }
}
