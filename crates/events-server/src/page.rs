//! The page at `/` for programs: what to try.

use axum::{
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

/// Answers the commands that show the hub at work.
pub(crate) fn page(headers: &HeaderMap) -> Response {
    // The gate has let through hosts of this machine only.
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("127.0.0.1:4000");
    let text = format!(
        r#"This is an events hub. It carries AI-agent events to people's screens over Server-Sent Events.

Watch it in a browser:

  http://{host}/

Watch everything of the user `demo`, for whom `events dev` plays recorded agent runs:

  curl -N 'http://{host}/contexts?user=demo'

Watch only AG-UI events, then those of one thread:

  curl -N 'http://{host}/agui?user=ada'
  curl -N 'http://{host}/agui?user=ada&thread=t1'

Publish a run for `ada` from another terminal:

  curl 'http://{host}/publish/agui/ada?thread=t1' -H 'content-type: application/x-ndjson' --data-binary '{{"type":"RUN_STARTED","threadId":"t1","runId":"r1"}}
{{"type":"TEXT_MESSAGE_START","messageId":"m1","role":"assistant"}}
{{"type":"TEXT_MESSAGE_CONTENT","messageId":"m1","delta":"Hello, Ada."}}
{{"type":"TEXT_MESSAGE_END","messageId":"m1"}}
{{"type":"RUN_FINISHED","threadId":"t1","runId":"r1"}}'

How it is doing:

  curl 'http://{host}/health/ready'
  curl 'http://{host}/metrics'
  curl 'http://{host}/connections'
"#
    );
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}
