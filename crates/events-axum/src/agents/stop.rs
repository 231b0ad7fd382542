//! Stopping a run on purpose.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use events_core::{TaskId, UserId};
use events_models::{AgUiEventBuilder, agui::legacy};
use events_router::{BusEvent, Item, ThreadState};
use serde::{Deserialize, Serialize};

use super::Shared;
use crate::{
    Problem, RequestContext,
    query::{PathName, QueryOf},
};

#[derive(Debug, Deserialize)]
pub(super) struct StopQuery {
    /// Whose run it is; the one who asks if it is not said.
    user: Option<String>,
}

/// `{"threadId":"t","runId":"r","stopped":true,"status":"failed"}`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// Absent when no thread is in the run, nor was in it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<String>,
    run_id: String,
    /// Whether this request ended the run; else it had ended before.
    stopped: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

/// Ends a run with RUN_ERROR, code `cancelled`, in the log: every replica learns it there, and the one that calls the
/// agent gives the call up. RUN_ERROR and not RUN_FINISHED with the outcome `cancelled`: it needs nothing closed, so no
/// page takes the half of a tool call for a whole one, and both generations of clients know it.
pub(super) async fn stop(
    State(shared): State<Shared>,
    context: RequestContext,
    QueryOf(query): QueryOf<StopQuery>,
    PathName(run): PathName,
) -> Result<Response, Problem> {
    let asker = context.user_id();
    let user = query.user.map_or_else(|| asker.clone(), UserId::from);
    let state = &shared.state;
    state.check_user(&user)?;
    if !context.may_publish_for(&user) {
        let detail = "you may not stop runs of this user";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let _open = state.open_user(&user).await?;
    let router = state.router();
    let find = || {
        let mut threads = router.threads_of(&user).into_iter();
        let is_it = |id: &Option<String>| id.as_deref() == Some(run.as_str());
        // A run that is active goes before one of the same id that is over.
        let found = threads
            .clone()
            .find(|thread| is_it(&thread.run_id) && thread.status == ThreadState::Running);
        found.or_else(|| threads.find(|thread| is_it(&thread.run_id)))
    };
    let Some(found) = find() else {
        // A run that has failed is not named by its thread any more: stopping twice is no mistake.
        let answer = Answer {
            thread_id: None,
            run_id: run,
            stopped: false,
            status: None,
        };
        return Ok(Json(answer).into_response());
    };
    let run_id = TaskId::from(run.as_str());
    let mut stopped = false;
    if found.status == ThreadState::Running {
        let code = Some(legacy::CANCELLED.to_owned());
        let event = BusEvent::AgUi {
            thread: Some(found.thread.clone()),
            event: AgUiEventBuilder::run_error("the run was stopped", code),
        };
        let item = Item::new(event).only_in_run(run_id.clone());
        let published = router.publish_batch(&user, vec![item]).await;
        let published = published.map_err(|error| Problem::of_publish(&error, |_| None))?;
        stopped = !published.ids.is_empty();
    }
    shared.agents.stop_here(&user, &run_id);
    let status = router.thread_standing(&user, &found.thread);
    let status = status.map_or(found.status, |(status, _)| status);
    let answer = Answer {
        thread_id: Some(found.thread.to_string()),
        run_id: run,
        stopped,
        status: Some(status.as_str()),
    };
    Ok(Json(answer).into_response())
}
