//! A provider of language models that is none: it plays recorded answers, and somebody asks it now and then.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use events_axum::Problem;
use events_llm::{PriceList, Provider, RequestFacts};
use futures_util::{StreamExt as _, stream};
use tokio::{net::TcpListener, time::sleep};
use tower::ServiceExt as _;

/// The name of the provider in paths, and of who serves its models.
pub(crate) const PROVIDER: &str = "demo";

/// What stands for the model in the recordings.
const MODEL: &str = "MODEL";

/// The model that never answers.
const OVERLOADED: &str = "demo-overloaded";

/// The largest request that is read, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// Made-up prices, so that a screen has sums to show.
pub(crate) fn prices() -> Option<PriceList> {
    let list = "[[price]]\nvendor = \"demo\"\nmodel = \"demo-local*\"\ninput = 0\noutput = 0\n\
                [[price]]\nvendor = \"demo\"\nmodel = \"demo*\"\ninput = 3\ncached_input = 0.3\noutput = 15\n";
    PriceList::from_toml(list).ok()
}

/// Takes a free port of this machine.
pub(crate) async fn bind() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The provider: every path that is one of a known protocol is answered, whatever is asked.
pub(crate) fn upstream() -> Router {
    Router::new().fallback(answer)
}

async fn answer(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let Some(protocol) = Provider::of_path(path) else {
        let detail =
            "the demo provider knows the paths of chats only, such as /v1/chat/completions";
        return Problem::new(StatusCode::NOT_FOUND, detail).into_response();
    };
    let Ok(body) = to_bytes(body, MAX_REQUEST).await else {
        let detail = "the demo provider reads 1 MiB of a request";
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
    };
    let facts = RequestFacts::of(path, &body);
    let is_word = |model: &String| {
        model
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._:/".contains(c))
    };
    let model = facts.model.filter(is_word);
    let model = model.as_deref().unwrap_or(PROVIDER);
    if model == OVERLOADED {
        let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let json = [
            (header::CONTENT_TYPE, "application/json"),
            (header::RETRY_AFTER, "5"),
        ];
        return (status, json, include_str!("../../demo/llm/overloaded.json")).into_response();
    }
    let is_whole = facts.is_stream != Some(true) && protocol == Provider::OpenAiChat;
    let (content_type, recording, mark) = recording(protocol, is_whole);
    let events: Vec<Bytes> = recording
        .split_inclusive(mark)
        .map(|event| Bytes::from(event.replace(MODEL, model)))
        .collect();
    let paced = stream::iter(events).then(async |event| {
        sleep(Duration::from_millis(fastrand::u64(30..=110))).await;
        Ok::<_, Infallible>(event)
    });
    (
        [(header::CONTENT_TYPE, content_type)],
        Body::from_stream(paced),
    )
        .into_response()
}

/// The type of a recording, the recording, and what ends each of its events.
fn recording(protocol: Provider, is_whole: bool) -> (&'static str, &'static str, &'static str) {
    const SSE: &str = "text/event-stream; charset=utf-8";
    match protocol {
        Provider::Anthropic => (SSE, include_str!("../../demo/llm/anthropic.sse"), "\n\n"),
        Provider::OpenAiResponses => (SSE, include_str!("../../demo/llm/responses.sse"), "\n\n"),
        Provider::Gemini => (SSE, include_str!("../../demo/llm/gemini.sse"), "\r\n\r\n"),
        Provider::Ollama => (
            "application/x-ndjson",
            include_str!("../../demo/llm/ollama.ndjson"),
            "\n",
        ),
        _ if is_whole => (
            "application/json",
            include_str!("../../demo/llm/chat.json"),
            "\n",
        ),
        _ => (SSE, include_str!("../../demo/llm/chat.sse"), "\n\n"),
    }
}

/// What is asked: a path below the provider, a body, and who asks.
const QUESTIONS: [(&str, &str, &str); 7] = [
    (
        "/v1/messages",
        r#"{"model":"demo-sonnet","stream":true,"messages":[]}"#,
        "planner",
    ),
    (
        "/v1/chat/completions",
        r#"{"model":"demo-chat","stream":true,"messages":[]}"#,
        "writer",
    ),
    (
        "/v1/responses",
        r#"{"model":"demo-responses","stream":true,"input":""}"#,
        "researcher",
    ),
    (
        "/v1beta/models/demo-flash:streamGenerateContent?alt=sse",
        r#"{"contents":[]}"#,
        "translator",
    ),
    (
        "/api/chat",
        r#"{"model":"demo-local","messages":[]}"#,
        "critic",
    ),
    (
        "/v1/chat/completions",
        r#"{"model":"demo-overloaded","stream":true,"messages":[]}"#,
        "writer",
    ),
    (
        "/v1/chat/completions",
        r#"{"model":"demo-chat-mini","stream":false,"messages":[]}"#,
        "critic",
    ),
];

/// Asks questions through the gateway for ever, a few at the same time.
///
/// # Cancel safety
///
/// The questions that are being answered end as if their client had left.
pub(crate) async fn ask(gateway: Router) {
    let asker = |first: usize| {
        let gateway = gateway.clone();
        async move {
            for n in first.. {
                ask_once(&gateway, n).await;
                sleep(Duration::from_millis(fastrand::u64(700..=2_500))).await;
            }
        }
    };
    tokio::join!(asker(0), asker(2), asker(4));
}

/// Asks one question. One of ten times the client leaves before the end.
async fn ask_once(gateway: &Router, n: usize) {
    let Some((path, body, agent)) = QUESTIONS.get(n % QUESTIONS.len()) else {
        return;
    };
    let request = Request::post(format!("/llm/{PROVIDER}{path}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-events-agent", *agent)
        .body(Body::from(*body));
    let Ok(request) = request else {
        return;
    };
    let Ok(response) = gateway.clone().oneshot(request).await;
    let n_frames = if n % 10 == 9 { 12 } else { usize::MAX };
    let mut frames = response.into_body().into_data_stream().take(n_frames);
    while let Some(Ok(_)) = frames.next().await {}
}

#[cfg(test)]
mod tests {
    use events_llm::{NoPrices, RequestInfo, StreamEventBroadcaster, Tap, TuiStreamEvent};
    use std::sync::Arc;

    use super::*;

    /// Asks the provider alone, and reads what it says as the gateway does.
    async fn told(path: &str, body: &'static str) -> TuiStreamEvent {
        let broadcaster = Arc::new(StreamEventBroadcaster::default());
        let mut events = broadcaster.subscribe();
        let tap = Tap::new(Arc::clone(&broadcaster), Arc::new(NoPrices));
        let info = RequestInfo::new("r").with_provider(Provider::of_path(path));
        let exchange = tap.begin(info);
        let request = Request::post(path).body(Body::from(body)).unwrap();
        let response = upstream().oneshot(request).await.unwrap();
        let body = Body::new(exchange.tap_response(response).into_body());
        to_bytes(body, MAX_REQUEST).await.unwrap();
        loop {
            let event = events.try_recv().unwrap();
            if event.is_terminal() {
                return event;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_question_has_a_whole_answer_with_tokens_or_the_error_that_it_asks_for() {
        for (path, body, _) in QUESTIONS {
            let event = told(path, body).await;
            match &event {
                TuiStreamEvent::Completed {
                    input_tokens: Some(1..),
                    output_tokens: Some(1..),
                    detail,
                    ..
                } => {
                    let model = detail.model.as_deref().unwrap();
                    assert!(model.starts_with("demo-"), "{path}: {model}");
                    assert!(!detail.partial, "{path}");
                }
                TuiStreamEvent::Error { detail, .. } => {
                    assert!(body.contains(OVERLOADED), "{event:?}");
                    assert_eq!(detail.http_status, Some(529));
                }
                other => panic!("{path}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_prices_are_a_list() {
        assert!(prices().is_some());
    }
}
