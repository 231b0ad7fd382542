//! Errors as bodies, under whatever status and content type.

use events_llm::{AnswerHead, Provider, RequestInfo, TuiStreamEvent};

use crate::proxy::{Script, Watched, drain, terminal};

#[test]
fn an_error_under_the_content_type_of_a_stream_is_found() {
    for body in [
        r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"x\",\"message\":\"Overloaded\"}}\n\n",
        r#"[{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}]"#,
        r#"{"error":"Overloaded"}"#,
    ] {
        for (status, provider) in [200, 529]
            .into_iter()
            .flat_map(|status| Provider::ALL.map(|provider| (status, provider)))
        {
            let mut watched = Watched::new();
            let request = RequestInfo::new("r").with_provider(Some(provider));
            let head = AnswerHead {
                status,
                content_type: Some("text/event-stream"),
                content_encoding: None,
            };
            let script = Script::of([body.as_bytes()]);
            drain(&mut watched.tap.begin(request).tap_body(&head, script));
            let events = watched.events();
            let TuiStreamEvent::Error { message, .. } = terminal(&events) else {
                panic!("{provider} {body}: {events:?}");
            };
            assert_eq!(message, "Overloaded", "{provider}");
        }
    }
}

#[test]
fn an_error_status_is_told_with_its_body_or_its_number() {
    for (body, expected) in [
        (r#"{"message":"no quota"}"#.to_owned(), "no quota"),
        (
            "<html>Bad gateway</html>".to_owned(),
            "the provider answered with HTTP status 502",
        ),
        (
            "x".repeat(1 << 20),
            "the provider answered with HTTP status 502",
        ),
    ] {
        let mut watched = Watched::new();
        let head = AnswerHead {
            status: 502,
            content_type: Some("text/html"),
            content_encoding: None,
        };
        let exchange = watched.tap.begin(RequestInfo::new("r"));
        drain(&mut exchange.tap_body(&head, Script::of([body.as_bytes()])));
        let events = watched.events();
        let TuiStreamEvent::Error {
            message, detail, ..
        } = terminal(&events)
        else {
            panic!("{events:?}");
        };
        assert_eq!(message, expected);
        assert_eq!(detail.http_status, Some(502));
    }
}
