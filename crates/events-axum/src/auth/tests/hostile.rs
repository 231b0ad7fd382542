//! Texts that are meant to break something, wherever a request has room for one.

use axum::{body::Body, http::Request};
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::{requests::Hub, *};

/// At least 200 of them.
fn texts() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = [
        "",
        " ",
        ".",
        "..",
        "../..",
        "/",
        "//",
        "\\",
        "%",
        "%00",
        "%0d%0a",
        "%2e%2e%2f",
        "?",
        "#",
        "&",
        "=",
        ";",
        ":",
        "@",
        "*",
        "team-*",
        "'",
        "\"",
        "`",
        "'; DROP TABLE users; --",
        "' OR '1'='1",
        "1; SELECT pg_sleep(9)",
        "$(id)",
        "`id`",
        "|id",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "<script>alert(1)</script>",
        "<!--",
        "]]>",
        "&lt;",
        "\r\n",
        "\r\nSet-Cookie: a=b",
        "a\r\nX-Evil: yes\r\n\r\n",
        "a\nid: 1\n\ndata: {}\n\n",
        "\ndata: x",
        "id: 9",
        "retry: 1",
        "event: closing",
        ": comment",
        "\u{feff}",
        "\u{0}",
        "\u{0}\u{0}",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{2029}",
        "\u{202e}abc",
        "\u{200b}",
        "\u{fffd}",
        "\u{1f600}",
        "e\u{301}",
        "ﬁ",
        "İ",
        "ß",
        "null",
        "undefined",
        "NaN",
        "true",
        "0",
        "-1",
        "1e999",
        "9999999999999999999",
        "0x41",
        "[]",
        "{}",
        "{\"a\":1}",
        "[[[[",
        "{\"__proto__\":{}}",
        "__proto__",
        "constructor",
        "n52437nl.1.lmpss",
        "n52437nl.-1.lmpss",
        "x.0.0",
        "x.18446744073709551616.0",
        "...",
        ".1.",
        "x..y",
        "nats.>.*",
        "a.b.c.>",
        "$JS.API",
        "_INBOX.x",
        "agui",
        "connections",
        ".well-known",
        "rest",
        "live",
        "http://127.0.0.1/",
        "file:///etc/passwd",
        "//evil.org",
        "javascript:0",
        "data:,x",
        "C:\\",
        "CON",
        "\u{1b}[2J",
        "\u{1b}]0;x\u{7}",
        "\u{8}",
        "\u{c}",
        "\u{b}",
        "\t",
        "  a  ",
        "a b",
        "a+b",
        "a,b",
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    // All bytes that are control characters or begin what is not UTF-8.
    texts.extend((0..0x20_u8).map(|byte| vec![b'a', byte, b'z']));
    texts.extend((0x80..=0xff_u8).step_by(2).map(|byte| vec![b'a', byte]));
    texts.extend((0..=10).map(|power| vec![b'A'; 1 << power]));
    texts.extend(
        ["\u{1f600}", "..", "%", "[", "\"", "\\", "é", "\u{0}", "/"]
            .map(|text| text.repeat(300).into()),
    );
    texts.extend([
        b"\xc0\xaf".to_vec(),
        b"\xed\xa0\x80".to_vec(),
        b"\xf4\x90\x80\x80".to_vec(),
    ]);
    assert!(texts.len() >= 200, "{}", texts.len());
    texts
}

#[tokio::test(start_paused = true)]
async fn no_text_breaks_a_request_or_comes_back_in_a_header() {
    let hub = Hub::new();
    let bearer = format!("Bearer {}", hub.token("ada", Role::Operator, &[]));
    for text in texts() {
        let e = percent_encode(&text, NON_ALPHANUMERIC).to_string();
        let json = json!({ "type": "RUN_STARTED", "threadId": String::from_utf8_lossy(&text), "runId": "r" });
        let json = json.to_string();
        let requests = [
            ("GET", format!("/agui?thread={e}"), ""),
            ("GET", format!("/agui?last_event_id={e}"), ""),
            (
                "GET",
                format!("/contexts?last_event_id={e}&control={e}"),
                "",
            ),
            ("GET", format!("/a2a?task={e}&heartbeat=event"), ""),
            ("GET", format!("/analytics?{e}={e}&{e}"), ""),
            ("GET", format!("/agui?ticket={e}"), ""),
            ("GET", format!("/agui/threads/{e}?form={e}"), ""),
            ("GET", format!("/a2a/rest/tasks/{e}"), ""),
            (
                "GET",
                format!("/a2a/users/{e}/rest/tasks/{e}:subscribe"),
                "",
            ),
            ("GET", format!("/connections?user={e}"), ""),
            ("DELETE", format!("/connections?user={e}&only={e}"), ""),
            ("DELETE", format!("/users/{e}"), ""),
            ("POST", format!("/publish/{e}/{e}"), "{}"),
            (
                "POST",
                format!("/publish/agui/{e}?thread={e}&msg_id={e}"),
                "{}",
            ),
            ("POST", format!("/publish/agui/ada?msg_id={e}"), &json),
            ("POST", format!("/agui/connect?wait={e}"), "{}"),
            ("GET", "/agui".to_owned(), ""),
        ];
        for (method, path, body) in requests {
            let mut request = Request::builder()
                .method(method)
                .uri(&path)
                .header("authorization", &bearer)
                .header("content-type", "application/json")
                .header("a2a-version", "1.0");
            // Where a header can hold the text at all.
            for name in [
                "last-event-id",
                "x-events-user",
                "idempotency-key",
                "origin",
                "cookie",
            ] {
                if let Ok(value) = axum::http::HeaderValue::from_bytes(&text) {
                    request = request.header(name, value);
                }
            }
            let answer = hub
                .send(request.body(Body::from(body.to_owned())).unwrap())
                .await;
            let status = answer.status().as_u16();
            assert!(status < 500, "{status}: {method} {path}");
            for (name, value) in answer.headers() {
                let value = value.as_bytes();
                let is_echo = text.len() > 7 && value.windows(text.len()).any(|part| part == text);
                assert!(!is_echo, "{name} of {method} {path}");
                assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            }
            let mut body = answer.into_body();
            let first = tokio::time::timeout(Duration::from_millis(1), body.frame()).await;
            if let Ok(Some(frame)) = first {
                let bytes = frame.unwrap().into_data().unwrap_or_default();
                let is_token = bytes
                    .windows(40)
                    .any(|part| bearer.as_bytes().ends_with(part));
                assert!(!is_token, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn no_text_in_place_of_a_token_passes() {
    let hub = Hub::new();
    for text in texts() {
        let Ok(text) = axum::http::HeaderValue::from_bytes(&text) else {
            continue;
        };
        let bearer = [b"Bearer ", text.as_bytes()].concat();
        let cookie = [b"__Host-events=", text.as_bytes()].concat();
        for (name, value) in [
            ("authorization", text.as_bytes()),
            ("authorization", &*bearer),
            ("cookie", &*cookie),
        ] {
            let request = Request::get("/agui").header(name, value);
            let answer = hub.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status(), 401, "{name}: {value:?}");
        }
    }
}
