//! What is sent to a provider.

use events_llm::{Provider as Protocol, gateway::AcceptEncoding};

use super::{
    client::{Client, ask, post, post_head},
    provider::{Step, answer, chunk, whole},
    world::{STREAM, World},
};

fn ok() -> Vec<Step> {
    answer(whole("content-type: application/json\r\n", b"{}"))
}

#[tokio::test]
async fn paths_and_queries_pass_byte_for_byte() {
    let mut world = World::of(ok()).await;
    for target in [
        "/v1/messages?beta=true",
        "/v1/messages?",
        "/v1beta/models/a%2Fb:generateContent?key=a%20b+c&x=%zz&&=",
        "//v1//messages/",
        "/v1/%E2%82%AC/a;b=c/@:!$&'()*,=~",
        "/",
        "",
        "/a/./b",
        "/..a/b../...",
        "/x?a=/../b",
        "/v1/files/%C3%A9%c3%a9",
        "/x?q={}|^`'\\!",
    ] {
        let reply = ask(world.port, &format!("GET /llm/p{target} HTTP/1.1\r\n"), b"").await;
        assert_eq!(reply.status, 200, "{target}");
        let sent = if target.is_empty() { "/" } else { target };
        assert_eq!(
            world.provider.request().await.line,
            format!("GET {sent} HTTP/1.1")
        );
    }
}

#[tokio::test]
async fn a_path_of_the_place_comes_first_and_cannot_be_left() {
    let mut world = World::with(
        ok(),
        |config| config.providers.get_mut("p").unwrap().base_url += "/mounted/v1/",
        Default::default(),
    )
    .await;
    for (target, sent) in [
        ("/chat", "/mounted/v1/chat"),
        ("", "/mounted/v1"),
        ("?a=b", "/mounted/v1?a=b"),
        ("/", "/mounted/v1/"),
    ] {
        ask(world.port, &format!("GET /llm/p{target} HTTP/1.1\r\n"), b"").await;
        assert_eq!(
            world.provider.request().await.line,
            format!("GET {sent} HTTP/1.1")
        );
    }
    for target in [
        "/..",
        "/../x",
        "/a/../../x",
        "/%2e%2e/x",
        "/.%2E/x",
        "/a/%2e./x",
        "/a%2f..%2fx",
        "/a%5C..%5cx",
        "/a/..;x=1/b",
        "/..%2f",
    ] {
        let reply = ask(world.port, &format!("GET /llm/p{target} HTTP/1.1\r\n"), b"").await;
        assert_eq!(
            (reply.status, reply.detail()),
            (400, "the path has a segment '..'".to_owned()),
            "{target}"
        );
    }
    assert!(world.provider.seen.try_recv().is_err(), "nothing was sent");
}

#[tokio::test]
async fn every_method_passes() {
    let mut world = World::of(ok()).await;
    for method in [
        "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "M-SEARCH",
    ] {
        let reply = ask(
            world.port,
            &format!("{method} /llm/p/v1/files HTTP/1.1\r\n"),
            b"",
        )
        .await;
        assert_eq!(reply.status, 200, "{method}");
        assert_eq!(
            world.provider.request().await.line,
            format!("{method} /v1/files HTTP/1.1")
        );
    }
}

#[tokio::test]
async fn an_unknown_provider_is_refused_with_the_names_of_the_known() {
    let world = World::of(ok()).await;
    for path in ["/llm/q/v1/messages", "/llm/q", "/llm/%70/v1", "/llm/P/"] {
        let reply = ask(world.port, &format!("GET {path} HTTP/1.1\r\n"), b"").await;
        assert_eq!(reply.status, 404);
        assert_eq!(reply.detail(), "there is no such provider; there are: p");
    }
}

#[tokio::test]
async fn upgrades_are_refused_but_the_offer_of_http_2_is_passed_over() {
    let mut world = World::of(ok()).await;
    let upgrade =
        "GET /llm/p/v1/realtime HTTP/1.1\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n";
    let reply = ask(world.port, upgrade, b"").await;
    assert_eq!(reply.status, 501);
    assert!(reply.detail().contains("WebSockets"), "{reply:?}");
    let offer = "GET /llm/p/v1/models HTTP/1.1\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    assert_eq!(ask(world.port, offer, b"").await.status, 200);
    assert_eq!(
        world.provider.request().await.line,
        "GET /v1/models HTTP/1.1"
    );
}

#[tokio::test]
async fn a_body_without_a_length_is_sent_on_as_it_comes() {
    let mut steps = vec![Step::Head, Step::UntilTold];
    steps.extend(whole("", b"ok"));
    let mut world = World::of(steps).await;
    let mut client = Client::send(
        world.port,
        "POST /llm/p/v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n",
        &chunk(b"{\"model\":"),
    )
    .await;
    // The head is there before the body is whole.
    let request = world.provider.request().await;
    assert_eq!(request.all("transfer-encoding"), [b"chunked"]);
    client.write(&chunk(b"\"m\"}")).await;
    client.write(b"0\r\n\r\n").await;
    world.provider.tell();
    assert_eq!(client.answer().await.body, b"ok");
}

#[tokio::test]
async fn an_answer_passes_that_comes_before_the_body_is_whole() {
    let refusal = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}".to_vec();
    let steps = vec![Step::Head, Step::Send(refusal), Step::UntilClosed];
    let mut world = World::of(steps).await;
    let head = "POST /llm/p/v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n";
    let reply = ask(world.port, head, &chunk(b"{\"model\":")).await;
    assert_eq!((reply.status, &reply.body[..]), (401, &b"{}"[..]));
    assert!(world.failure().await.contains("401"));
    world.provider.request().await;
    world.provider.closed().await;
}

#[tokio::test]
async fn large_bodies_and_bodies_in_chunks_pass_byte_for_byte() {
    let mut world = World::of(ok()).await;
    let large: Vec<u8> = (0..5_000_000_u32)
        .map(|number| (number * 31 % 251) as u8)
        .collect();
    post(world.port, "/llm/p/v1/messages", "", &large).await;
    let request = world.provider.request().await;
    assert!(request.body == large);
    assert_eq!(
        request.all("content-length"),
        [large.len().to_string().as_bytes()]
    );
    let mut body = Vec::new();
    for piece in large.chunks(9_999) {
        body.extend(chunk(piece));
    }
    body.extend(b"0\r\n\r\n");
    let head = "POST /llm/p/v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n";
    ask(world.port, head, &body).await;
    assert!(world.provider.request().await.body == large);
}

#[tokio::test]
async fn a_client_that_waits_for_continue_is_told_so() {
    let mut world = World::of(ok()).await;
    let head = post_head(
        "/llm/p/v1/messages",
        "expect: 100-continue\r\n",
        STREAM.len(),
    );
    let mut client = Client::send(world.port, &head, b"").await;
    client.read_until(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    client.write(STREAM).await;
    client.read_until(b"HTTP/1.1 200 OK").await;
    let request = world.provider.request().await;
    assert_eq!(request.all("expect"), [b""; 0]);
    assert_eq!(request.body, STREAM);
}

#[tokio::test]
async fn compression_is_refused_for_what_may_be_a_stream() {
    let gzip = "accept-encoding: gzip\r\n";
    let plain = br#"{"model":"m"}"#.to_vec();
    let cases = [
        ("/v1/messages", STREAM.to_vec(), "identity"),
        ("/v1/messages", plain.clone(), "gzip"),
        ("/v1/messages", br#"{"stream":false}"#.to_vec(), "gzip"),
        (
            "/v1beta/models/m:streamGenerateContent",
            b"{}".to_vec(),
            "identity",
        ),
        ("/api/chat", plain.clone(), "identity"),
        ("/api/chat", br#"{"stream":false}"#.to_vec(), "gzip"),
        // It is not read before it is sent.
        ("/v1/messages", vec![b' '; 2 << 20], "identity"),
    ];
    let mut world = World::of(ok()).await;
    for (path, body, expected) in &cases {
        post(world.port, &format!("/llm/p{path}"), gzip, body).await;
        let request = world.provider.request().await;
        assert_eq!(
            request.all("accept-encoding"),
            [expected.as_bytes()],
            "{path}"
        );
    }
    let as_sent = |config: &mut events_llm::gateway::GatewayConfig| {
        config.providers.get_mut("p").unwrap().accept_encoding = AcceptEncoding::AsSent;
    };
    let mut world = World::with(ok(), as_sent, Default::default()).await;
    post(world.port, "/llm/p/v1/messages", gzip, STREAM).await;
    assert_eq!(
        world.provider.request().await.all("accept-encoding"),
        [b"gzip"]
    );
    post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert_eq!(
        world.provider.request().await.all("accept-encoding"),
        [b""; 0]
    );
}

#[tokio::test]
async fn usage_is_asked_for_where_that_is_configured_and_only_there() {
    let inject = |config: &mut events_llm::gateway::GatewayConfig| {
        config.providers.get_mut("p").unwrap().inject_stream_usage = true;
    };
    let chat = "/v1/chat/completions";
    let cases: [(&str, &str, &str); 9] = [
        (
            chat,
            r#"{"stream":true, "n": 1.0 }"#,
            r#"{"stream":true, "n": 1.0 ,"stream_options":{"include_usage":true}}"#,
        ),
        (
            chat,
            "{\"stream\":true}\n ",
            "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}\n ",
        ),
        (
            chat,
            r#"{"stream_options":null,"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
        ),
        (
            chat,
            r#"{"stream_options": { } ,"stream":true}"#,
            r#"{"stream_options": {"include_usage":true } ,"stream":true}"#,
        ),
        (
            chat,
            r#"{"stream_options":{"a":1},"stream":true}"#,
            r#"{"stream_options":{"include_usage":true,"a":1},"stream":true}"#,
        ),
        (
            chat,
            r#"{"stream_options":{"include_usage":false},"stream":true}"#,
            r#"{"stream_options":{"include_usage":false},"stream":true}"#,
        ),
        (chat, r#"{"stream":false}"#, r#"{"stream":false}"#),
        (chat, r#"{"stream":true"#, r#"{"stream":true"#),
        ("/v1/messages", r#"{"stream":true}"#, r#"{"stream":true}"#),
    ];
    let mut world = World::with(ok(), inject, Default::default()).await;
    for (path, body, expected) in cases {
        post(world.port, &format!("/llm/p{path}"), "", body.as_bytes()).await;
        let request = world.provider.request().await;
        assert_eq!(String::from_utf8_lossy(&request.body), expected);
        assert_eq!(
            request.all("content-length"),
            [expected.len().to_string().as_bytes()]
        );
    }
    let mut world = World::of(ok()).await;
    post(
        world.port,
        "/llm/p/v1/chat/completions",
        "",
        cases[0].1.as_bytes(),
    )
    .await;
    assert_eq!(world.provider.request().await.body, cases[0].1.as_bytes());
}

#[tokio::test]
async fn a_protocol_can_be_named_for_paths_that_do_not_tell_it() {
    let protocol = |config: &mut events_llm::gateway::GatewayConfig| {
        config.providers.get_mut("p").unwrap().protocol = Some(Protocol::OpenAiChat);
        config.providers.get_mut("p").unwrap().vendor = Some("acme".to_owned());
    };
    let body = br#"{"model":"m","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let steps = answer(whole("content-type: application/json\r\n", body));
    let mut world = World::with(steps, protocol, Default::default()).await;
    post(world.port, "/llm/p/generate", "", b"{\"model\":\"m\"}").await;
    let events = world.events().await;
    assert_eq!(crate::proxy::text_of(&events), "Hi");
    let events_llm::TuiStreamEvent::Started { provider, .. } = &events[0] else {
        panic!("{events:?}");
    };
    assert_eq!(provider.as_deref(), Some("acme"));
}

/// A connection is used again, and one that the provider has closed meanwhile is no failure.
#[tokio::test]
async fn connections_are_used_again() {
    let mut steps = answer(whole("", b"ok"));
    steps.push(Step::Again);
    let mut world = World::of(steps).await;
    for _ in 0..3 {
        assert_eq!(
            post(world.port, "/llm/p/v1/messages", "", STREAM)
                .await
                .status,
            200
        );
        world.provider.request().await;
    }
    // One connection: nothing was closed in between.
    assert!(world.provider.seen.try_recv().is_err());
    let mut world = World::of(answer(whole("", b"ok"))).await;
    for _ in 0..20 {
        assert_eq!(
            post(world.port, "/llm/p/v1/messages", "", STREAM)
                .await
                .status,
            200
        );
        world.provider.request().await;
    }
}
