//! Bytes in are bytes out, however they are cut, and watchers are told what they say.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher as _},
    io::Write as _,
};

use events_llm::TuiStreamEvent;

use super::{
    client::post,
    provider::{Step, answer, chunk, chunked, whole},
    world::{STREAM, World, path_of},
};
use crate::{
    fixtures::{self, Fixture},
    tapping::check_told,
};

fn head(fixture: &Fixture) -> String {
    format!("content-type: {}\r\n", fixture.content_type())
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Plays an answer through the gateway, and checks what comes out of it.
async fn check(fixture: &Fixture, mut steps: Vec<Step>) {
    if !fixture.is_stream() {
        let Some(Step::Send(first)) = steps.first_mut() else {
            panic!("a script begins with a head");
        };
        let rest = first.split_off(b"HTTP/1.1 200 OK".len());
        *first = [b"HTTP/1.1 400 Bad Request", &rest[..]].concat();
    }
    let mut world = World::of(answer(steps)).await;
    let answer = post(world.port, path_of(fixture.provider), "", STREAM).await;
    assert!(answer.is_whole, "{}", fixture.name);
    assert_eq!(answer.header("content-type"), Some(fixture.content_type()));
    assert_eq!(hash(&answer.body), hash(&fixture.body), "{}", fixture.name);
    assert_eq!(answer.status, if fixture.is_stream() { 200 } else { 400 });
    check_told(fixture, &world.events().await);
}

#[tokio::test]
async fn every_answer_passes_whole_and_is_told_as_expected() {
    for fixture in fixtures::all() {
        check(&fixture, whole(&head(&fixture), &fixture.body)).await;
    }
}

#[tokio::test]
async fn every_answer_passes_at_every_cut() {
    for (name, _, cuts) in fixtures::cut_plans() {
        let fixture = fixtures::one(&name);
        let pieces = fixtures::cut(&fixture.body, &cuts);
        check(&fixture, chunked(&head(&fixture), pieces)).await;
    }
}

/// Long answers in chunks of a few bytes, since each chunk is a frame that is written by itself.
#[tokio::test]
async fn every_answer_passes_in_chunks_of_one_byte() {
    for fixture in fixtures::all() {
        let n_bytes = if fixture.body.len() > 4_000 { 23 } else { 1 };
        let mut steps = chunked(&head(&fixture), []);
        let chunks = fixture.body.chunks(n_bytes).flat_map(chunk);
        steps.insert(1, Step::Send(chunks.collect()));
        check(&fixture, steps).await;
    }
}

#[tokio::test]
async fn a_character_that_is_cut_between_chunks_stays_whole() {
    let body = "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a🦀é\"}}]}\n\ndata: [DONE]\n\n";
    let crab = body.find('🦀').unwrap();
    for cut in crab..=crab + 6 {
        let (front, back) = body.as_bytes().split_at(cut);
        let steps = chunked("content-type: text/event-stream\r\n", [front, back]);
        let mut world = World::of(answer(steps)).await;
        let answer = post(world.port, "/llm/p/v1/chat/completions", "", STREAM).await;
        assert_eq!(answer.body, body.as_bytes());
        assert_eq!(crate::proxy::text_of(&world.events().await), "a🦀é");
    }
}

#[tokio::test]
async fn a_compressed_answer_passes_compressed_and_is_read_beside() {
    let fixture = fixtures::one("anthropic/tool_unicode_args.sse");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&fixture.body).unwrap();
    let compressed = encoder.finish().unwrap();
    let head = "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n";
    let mut world = World::of(answer(chunked(head, compressed.chunks(7)))).await;
    let answer = post(
        world.port,
        "/llm/p/v1/messages",
        "accept-encoding: gzip\r\n",
        STREAM,
    )
    .await;
    assert_eq!(answer.body, compressed);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    check_told(&fixture, &world.events().await);
    // The provider was asked not to compress.
    assert_eq!(
        world.provider.request().await.all("accept-encoding"),
        [b"identity"]
    );
}

#[tokio::test]
async fn trailers_pass() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let mut steps = chunked(
        "content-type: text/event-stream\r\ntrailer: x-checksum\r\n",
        [&fixture.body[..]],
    );
    *steps.last_mut().unwrap() = Step::Send(b"0\r\nx-checksum: abc\r\n\r\n".to_vec());
    let mut world = World::of(answer(steps)).await;
    let answer = post(world.port, "/llm/p/v1/messages", "te: trailers\r\n", STREAM).await;
    assert_eq!(
        answer.trailers,
        [("x-checksum".to_owned(), b"abc".to_vec())]
    );
    assert_eq!(answer.body, fixture.body);
    assert_eq!(world.provider.request().await.all("te"), [b"trailers"]);
    check_told(&fixture, &world.events().await);
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_told_with_its_tokens() {
    let body = br#"{"id":"msg_1","type":"message","model":"claude-x","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":3}}"#;
    let mut world = World::of(answer(whole("content-type: application/json\r\n", body))).await;
    let answer = post(
        world.port,
        "/llm/p/v1/messages",
        "",
        br#"{"model":"asked"}"#,
    )
    .await;
    assert_eq!(answer.body, body);
    assert_eq!(
        answer.header("content-length"),
        Some(&*body.len().to_string())
    );
    let events = world.events().await;
    assert!(matches!(&events[0], TuiStreamEvent::Started { model, .. } if model == "asked"));
    let Some(TuiStreamEvent::Completed {
        input_tokens,
        output_tokens,
        ..
    }) = events.last()
    else {
        panic!("{events:?}");
    };
    assert_eq!((*input_tokens, *output_tokens), (Some(7), Some(3)));
}

#[tokio::test]
async fn the_start_is_told_before_the_provider_answers() {
    let mut steps = vec![Step::UntilTold];
    steps.extend(whole("content-type: application/json\r\n", b"{}"));
    let mut world = World::of(answer(steps)).await;
    let asking = super::client::Client::send(
        world.port,
        &super::client::post_head(
            "/llm/p/v1/messages",
            "x-events-agent: coder\r\n",
            STREAM.len(),
        ),
        STREAM,
    )
    .await;
    let started = tokio::time::timeout(super::provider::LIMIT, world.receiver.recv()).await;
    let TuiStreamEvent::Started {
        model, agent_type, ..
    } = started.unwrap().unwrap()
    else {
        panic!("it starts");
    };
    assert_eq!(
        (model.as_str(), agent_type.as_deref()),
        ("asked", Some("coder"))
    );
    world.provider.tell();
    assert_eq!(asking.answer().await.status, 200);
}
