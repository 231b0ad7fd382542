//! Which headers pass, both ways.

use super::{
    client::{ask, post},
    provider::{Step, answer, chunked, whole},
    world::{STREAM, World},
};

fn texts<'v>(values: &[&'v [u8]]) -> Vec<&'v str> {
    values
        .iter()
        .map(|value| std::str::from_utf8(value).unwrap())
        .collect()
}

#[tokio::test]
async fn headers_of_a_request_pass_but_those_of_its_connection() {
    let passes = [
        ("authorization", "Bearer key"),
        ("x-api-key", "key"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "a,b"),
        ("user-agent", "claude-cli/2 (external)"),
        ("x-stainless-lang", "js"),
        ("x-app", "cli"),
        ("x-unknown", ""),
        ("cookie", "a=b"),
        ("accept", "text/event-stream"),
        ("forwarded", "for=1.2.3.4"),
        ("openai-organization", "org"),
        ("x-goog-api-key", "key"),
        ("traceparent", "00-1-2-01"),
        ("referer", "http://a/"),
    ];
    let dropped = [
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic a"),
        ("proxy-authenticate", "Basic"),
        ("proxy-connection", "keep-alive"),
        ("x-named", "1"),
        ("te", "gzip"),
        ("http2-settings", "a"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("x-events-agent", "coder"),
        ("x-events-user", "ada"),
        ("x-events-thread", "t"),
        ("x-events-detach", "true"),
    ];
    let mut head = String::new();
    for (name, value) in passes.iter().chain(&dropped) {
        head += &format!("{name}: {value}\r\n");
    }
    head +=
        "x-many: 1\r\nx-many: 2\r\nx-other: 0\r\nx-many: 3\r\nconnection: x-named, keep-alive\r\n";
    let mut world = World::of(answer(whole("", b"ok"))).await;
    let reply = post(world.port, "/llm/p/v1/messages", &head, STREAM).await;
    assert!(reply.line.ends_with("200 OK"), "{reply:?}");
    let request = world.provider.request().await;
    for (name, value) in passes {
        assert_eq!(texts(&request.all(name)), [value], "{name}");
    }
    for (name, _) in dropped {
        assert_eq!(request.all(name), [b""; 0], "{name}");
    }
    assert_eq!(texts(&request.all("x-many")), ["1", "2", "3"]);
    let host = format!("127.0.0.1:{}", world.provider.port);
    assert_eq!(texts(&request.all("host")), [host]);
    assert_eq!(
        texts(&request.all("content-length")),
        [STREAM.len().to_string()]
    );
    assert_eq!(request.all("connection"), [b""; 0]);
    assert_eq!(request.body, STREAM);
}

#[tokio::test]
async fn headers_of_an_answer_pass_but_those_of_its_connection() {
    let passes = [
        ("request-id", "req_1"),
        ("x-request-id", "1"),
        ("openai-processing-ms", "12"),
        ("x-ratelimit-remaining-tokens", "9"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:00Z"),
        ("retry-after", "3"),
        ("retry-after-ms", "2500"),
        ("x-should-retry", "true"),
        ("cf-ray", "a"),
        ("server", "s"),
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("etag", "\"a\""),
        ("alt-svc", "h3=\":443\""),
        ("x-events-thread", "the provider's own"),
    ];
    let dropped = [
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("x-named", "1"),
        ("upgrade", "h2"),
    ];
    let mut head = String::new();
    for (name, value) in passes.iter().chain(&dropped) {
        head += &format!("{name}: {value}\r\n");
    }
    head += "set-cookie: a=1\r\nset-cookie: b=2\r\nconnection: X-Named\r\n";
    let world = World::of(answer(whole(&head, b"ok"))).await;
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    for (name, value) in passes {
        assert_eq!(texts(&reply.all(name)), [value], "{name}");
    }
    for (name, _) in dropped {
        assert_eq!(reply.all(name), [b""; 0], "{name}");
    }
    assert_eq!(texts(&reply.all("set-cookie")), ["a=1", "b=2"]);
    assert_eq!(texts(&reply.all("content-length")), ["2"]);
    assert_eq!(reply.all("x-accel-buffering"), [b""; 0]);
    assert_eq!(reply.all("cache-control"), [b""; 0]);
}

#[tokio::test]
async fn values_that_are_no_text_pass_both_ways() {
    let strange = b"caf\xe9 \xff\tx";
    let mut reply_head = b"HTTP/1.1 200 Gut \xfc\r\nx-strange: ".to_vec();
    reply_head.extend_from_slice(strange);
    reply_head.extend_from_slice(b"\r\ncontent-length: 0\r\n\r\n");
    let mut world = World::of(answer(vec![Step::Send(reply_head)])).await;
    let mut client = super::client::Client::connect(world.port).await;
    client
        .write(b"GET /llm/p/v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-strange: ")
        .await;
    client.write(strange).await;
    client.write(b"\r\n\r\n").await;
    assert_eq!(world.provider.request().await.all("x-strange"), [strange]);
    client.read_until(b"\r\n\r\n").await;
    let head = client.bytes.clone();
    assert!(head.windows(strange.len()).any(|found| found == strange));
}

#[tokio::test]
async fn an_event_stream_is_marked_against_buffering_where_it_is_not() {
    let stream = "content-type: text/event-stream; charset=utf-8\r\n";
    let world = World::of(answer(chunked(stream, []))).await;
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert_eq!(texts(&reply.all("x-accel-buffering")), ["no"]);
    assert_eq!(texts(&reply.all("cache-control")), ["no-cache"]);
    let own = format!("{stream}x-accel-buffering: yes\r\ncache-control: no-store\r\n");
    let world = World::of(answer(chunked(&own, []))).await;
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert_eq!(texts(&reply.all("x-accel-buffering")), ["yes"]);
    assert_eq!(texts(&reply.all("cache-control")), ["no-store"]);
}

#[tokio::test]
async fn answers_without_a_body_stay_as_they_are() {
    for (method, status, head) in [
        ("HEAD", "200 OK", "content-length: 1234\r\n"),
        ("HEAD", "200 OK", ""),
        ("GET", "204 No Content", ""),
        ("GET", "304 Not Modified", "etag: \"a\"\r\n"),
        ("OPTIONS", "200 OK", "content-length: 0\r\nallow: POST\r\n"),
    ] {
        let steps = vec![Step::Send(
            format!("HTTP/1.1 {status}\r\n{head}\r\n").into_bytes(),
        )];
        let mut world = World::of(answer(steps)).await;
        let reply = ask(
            world.port,
            &format!("{method} /llm/p/v1/models HTTP/1.1\r\n"),
            b"",
        )
        .await;
        assert_eq!(reply.line, format!("HTTP/1.1 {status}"), "{method}");
        assert_eq!(reply.body, b"");
        for name in ["content-length", "transfer-encoding", "etag", "allow"] {
            let sent = head
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}: ")));
            assert_eq!(reply.header(name), sent, "{method} {status} {name}");
        }
        assert_eq!(
            world.provider.request().await.line,
            format!("{method} /v1/models HTTP/1.1")
        );
        assert_eq!(world.events().await.len(), 2);
    }
}

#[tokio::test]
async fn what_comes_before_the_answer_is_passed_over() {
    let mut steps = vec![Step::Send(
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n".to_vec(),
    )];
    steps.extend(whole("x-a: 1\r\n", b"ok"));
    let world = World::of(answer(steps)).await;
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert_eq!((reply.status, reply.header("x-a")), (200, Some("1")));
    assert_eq!(reply.header("link"), None);
}

#[tokio::test]
async fn a_reason_of_the_providers_own_passes() {
    let steps = vec![Step::Send(
        b"HTTP/1.1 529 Overloaded Today\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
    )];
    let world = World::of(answer(steps)).await;
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert_eq!(reply.line, "HTTP/1.1 529 Overloaded Today");
}
