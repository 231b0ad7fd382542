//! Telling protocols apart.

use super::*;

#[test]
fn a_route_tells_the_protocol() {
    for (path, expected) in [
        ("/v1/messages", Some(Provider::Anthropic)),
        ("/v1/messages/count_tokens", None),
        ("/v1/threads/t1/messages", None),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/m:streamRawPredict",
            Some(Provider::Anthropic),
        ),
        ("/v1/chat/completions/", Some(Provider::OpenAiChat)),
        (
            "/openai/deployments/d/chat/completions?api-version=1",
            Some(Provider::OpenAiChat),
        ),
        ("/v1/completions", Some(Provider::OpenAiChat)),
        ("/v1/responses", Some(Provider::OpenAiResponses)),
        (
            "/v1/responses/resp_1?stream=true",
            Some(Provider::OpenAiResponses),
        ),
        (
            "/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
            Some(Provider::Gemini),
        ),
        ("/v1beta/models/gemini-x:countTokens", None),
        ("/api/chat", Some(Provider::Ollama)),
        ("/api/generate", Some(Provider::Ollama)),
        ("/v1/responses/resp_1/input_items", None),
        ("/api/tags", None),
        ("/v1/embeddings", None),
    ] {
        assert_eq!(Provider::of_path(path), expected, "{path}");
    }
}

#[test]
fn a_first_event_tells_the_protocol() {
    for (event, expected) in [
        (
            r#"{"type":"message_start","message":{}}"#,
            Some(Provider::Anthropic),
        ),
        (
            r#"{"type":"response.created"}"#,
            Some(Provider::OpenAiResponses),
        ),
        (
            r#"{"object":"chat.completion.chunk","choices":[]}"#,
            Some(Provider::OpenAiChat),
        ),
        (r#"{"candidates":[]}"#, Some(Provider::Gemini)),
        (r#"{"promptFeedback":{}}"#, Some(Provider::Gemini)),
        (
            r#"{"model":"m","message":{},"done":false}"#,
            Some(Provider::Ollama),
        ),
        (r#"{"error":"x"}"#, None),
        (r#"{"type":"error","error":{}}"#, None),
    ] {
        assert_eq!(
            Provider::of_event(&Json::parse(event).unwrap()),
            expected,
            "{event}"
        );
    }
}

#[test]
fn a_content_type_tells_the_framing() {
    for (content_type, expected) in [
        ("text/event-stream; charset=utf-8", Some(Framing::Sse)),
        ("Text/Event-Stream", Some(Framing::Sse)),
        ("application/x-ndjson", Some(Framing::Ndjson)),
        ("application/json;charset=UTF-8", Some(Framing::Json)),
        ("application/problem+json", Some(Framing::Json)),
        ("audio/mpeg", None),
        ("", None),
    ] {
        assert_eq!(
            Framing::of_content_type(content_type),
            expected,
            "{content_type}"
        );
    }
}

#[test]
fn a_request_names_its_model_in_its_body_or_its_path() {
    let facts = RequestFacts::of("/v1beta/models/gemini-x:streamGenerateContent?key=k", b"{}");
    assert_eq!(facts.model.as_deref(), Some("gemini-x"));
    assert_eq!(facts.is_stream, Some(true));
    let facts = RequestFacts::of(
        "/v1/messages",
        br#"{"messages":[{"model":"no"}],"model":"yes"}"#,
    );
    assert_eq!(facts.model.as_deref(), Some("yes"));
    assert_eq!(facts.is_stream, None);
    assert_eq!(
        RequestFacts::of("/v1/messages", b"{"),
        RequestFacts::default()
    );
}
