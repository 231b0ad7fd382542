//! The errors of A2A, in the shape of either binding.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use events_broadcast::ConnectError;
use events_core::TaskId;
use events_router::TaskError;
use serde_json::{Value, json};

/// An error as the protocol names it: code of JSON-RPC, status of REST and its name, and the reason (1.0.1, 5.4).
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    code: i32,
    status: StatusCode,
    status_name: &'static str,
    reason: &'static str,
}

const fn kind(
    code: i32,
    status: StatusCode,
    status_name: &'static str,
    reason: &'static str,
) -> Kind {
    Kind {
        code,
        status,
        status_name,
        reason,
    }
}

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const PRECONDITION: &str = "FAILED_PRECONDITION";
const ARGUMENT: &str = "INVALID_ARGUMENT";

const TASK_NOT_FOUND: Kind = kind(-32001, StatusCode::NOT_FOUND, "NOT_FOUND", "TASK_NOT_FOUND");
const PUSH: Kind = kind(-32003, BAD, PRECONDITION, "PUSH_NOTIFICATION_NOT_SUPPORTED");
const UNSUPPORTED: Kind = kind(-32004, BAD, PRECONDITION, "UNSUPPORTED_OPERATION");
const NO_EXTENDED_CARD: Kind = kind(
    -32007,
    BAD,
    PRECONDITION,
    "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
);
const VERSION: Kind = kind(-32009, BAD, PRECONDITION, "VERSION_NOT_SUPPORTED");
const PARSE: Kind = kind(-32700, BAD, ARGUMENT, "PARSE_ERROR");
const INVALID_REQUEST: Kind = kind(-32600, BAD, ARGUMENT, "INVALID_REQUEST");
const METHOD_NOT_FOUND: Kind = kind(
    -32601,
    StatusCode::NOT_FOUND,
    "NOT_FOUND",
    "METHOD_NOT_FOUND",
);
const INVALID_PARAMS: Kind = kind(-32602, BAD, ARGUMENT, "INVALID_PARAMS");
const TOO_MANY: Kind = kind(
    -32603,
    StatusCode::TOO_MANY_REQUESTS,
    "RESOURCE_EXHAUSTED",
    "RESOURCE_EXHAUSTED",
);
const UNAVAILABLE: Kind = kind(
    -32603,
    StatusCode::SERVICE_UNAVAILABLE,
    "UNAVAILABLE",
    "UNAVAILABLE",
);
const INTERNAL: Kind = kind(
    -32603,
    StatusCode::INTERNAL_SERVER_ERROR,
    "INTERNAL",
    "INTERNAL",
);
const TOO_LARGE: Kind = kind(
    -32603,
    StatusCode::INTERNAL_SERVER_ERROR,
    "INTERNAL",
    "TASK_TOO_LARGE",
);

/// Why a request is not answered.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    kind: Kind,
    message: String,
    task: Option<String>,
}

impl Fault {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            task: None,
        }
    }

    fn of_task(mut self, task: &TaskId) -> Self {
        self.task = Some(task.to_string());
        self
    }

    /// Unknown, or not the asker's: nobody learns which (1.0.1, 13.1).
    pub(super) fn task_not_found(task: &TaskId) -> Self {
        Self::new(TASK_NOT_FOUND, "Task not found").of_task(task)
    }

    /// The operation would start or change a task.
    pub(super) fn unsupported(operation: &str) -> Self {
        let message =
            format!("{operation} is not supported: this agent's tasks are only followed here");
        Self::new(UNSUPPORTED, message)
    }

    pub(super) fn push(operation: &str) -> Self {
        Self::new(
            PUSH,
            format!("{operation}: there are no push notifications"),
        )
    }

    pub(super) fn no_extended_card() -> Self {
        Self::new(NO_EXTENDED_CARD, "There is no extended agent card")
    }

    pub(super) fn version(named: &str) -> Self {
        let named = if named.is_empty() { "0.3" } else { named };
        let message = format!(
            "Version {named:?} is not supported here: send the header A2A-Version: 1.0 (absent means 0.3)"
        );
        Self::new(VERSION, message)
    }

    pub(super) fn parse(why: impl std::fmt::Display) -> Self {
        Self::new(PARSE, format!("The body is not JSON: {why}"))
    }

    pub(super) fn invalid_request(why: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, why)
    }

    pub(super) fn method_not_found(why: impl Into<String>) -> Self {
        Self::new(METHOD_NOT_FOUND, why)
    }

    pub(super) fn invalid_params(why: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, why)
    }

    pub(super) fn too_large(task: &TaskId) -> Self {
        let message = "The task is too large to be told; its plain stream goes on";
        Self::new(TOO_LARGE, message).of_task(task)
    }

    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        Self::new(INTERNAL, error.to_string())
    }

    pub(super) fn too_many(why: &str) -> Self {
        Self::new(TOO_MANY, why)
    }

    pub(super) fn draining() -> Self {
        Self::new(UNAVAILABLE, "This server is going away; try again")
    }

    pub(super) fn of_attach(error: &TaskError, task: &TaskId) -> Self {
        match error {
            TaskError::Unknown => Self::task_not_found(task),
            TaskError::Ended => {
                let message = "The task is in a terminal state: read it with GetTask";
                Self::new(UNSUPPORTED, message).of_task(task)
            }
            TaskError::TooLarge => Self::too_large(task),
            TaskError::Connect(ConnectError::Closed) => Self::draining(),
            other => Self::too_many(&format!("{other}; close one and try again")),
        }
    }

    /// What clients map back to an error of theirs.
    fn info(&self) -> Value {
        let mut info = json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": self.kind.reason,
            "domain": "a2a-protocol.org",
        });
        if let Some(task) = &self.task {
            info["metadata"] = json!({ "taskId": task });
        }
        info
    }

    /// Answers a call; `id` is the JSON of the call's id. The status is 200, as the Python client wants it, but for a
    /// server that goes away.
    pub(super) fn into_rpc(self, id: &str) -> Response {
        let error = json!({
            "code": self.kind.code,
            "message": self.message,
            "data": [self.info()],
        });
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
        let status = match self.kind.status {
            StatusCode::SERVICE_UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        };
        let json = [(header::CONTENT_TYPE, "application/json")];
        self.finish((status, json, body).into_response())
    }

    /// Answers a request to REST, in the shape of `google.rpc.Status`.
    pub(super) fn into_rest(self) -> Response {
        let body = json!({ "error": {
            "code": self.kind.status.as_u16(),
            "status": self.kind.status_name,
            "message": self.message,
            "details": [self.info()],
        } });
        self.finish((self.kind.status, Json(body)).into_response())
    }

    fn finish(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.kind.status {
            StatusCode::TOO_MANY_REQUESTS => headers.insert(header::RETRY_AFTER, 5.into()),
            StatusCode::SERVICE_UNAVAILABLE => headers.insert(header::RETRY_AFTER, 1.into()),
            _ => None,
        };
        response
    }
}
