//! Every recorded answer says what it should, wherever it is cut.

use events_llm::{Extraction, ReaderLimits, StreamReader};
use serde_json::{Value, json};

use crate::fixtures::{self, Answer, Fixture};

fn count(count: Option<u64>) -> Value {
    count.map_or(Value::Null, Value::from)
}

fn text(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| json!(text))
}

/// Compares arguments as JSON where they are JSON.
fn same_arguments(found: &str, expected: &Value) -> bool {
    let expected = expected.as_str().unwrap();
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    found == expected || (parse(found).is_some() && parse(found) == parse(expected))
}

fn check(fixture: &Fixture, answer: &Answer, how: &str) {
    let expected = &fixture.expected;
    let name = format!("{} {how}", fixture.name);
    assert_eq!(
        text(answer.model.as_ref()),
        expected["model"],
        "{name}: model"
    );
    assert_eq!(
        text(answer.id.as_ref()),
        expected["response_id"],
        "{name}: id"
    );
    assert_eq!(answer.texts[0], expected["text"], "{name}: text");
    assert_eq!(answer.reasoning, expected["reasoning"], "{name}: reasoning");
    assert_eq!(answer.refusal, expected["refusal"], "{name}: refusal");
    if let Some(choices) = expected.get("choices") {
        assert_eq!(json!(answer.texts), *choices, "{name}: choices");
    }
    let calls = expected["tool_calls"].as_array().unwrap();
    assert_eq!(
        answer.calls.len(),
        calls.len(),
        "{name}: {:?}",
        answer.calls
    );
    for (call, expected) in answer.calls.iter().zip(calls) {
        assert_eq!(text(call.id.as_ref()), expected["id"], "{name}");
        assert_eq!(call.name, expected["name"], "{name}");
        assert_eq!(call.is_server, expected["server"], "{name}");
        assert!(
            same_arguments(&call.arguments, &expected["arguments"]),
            "{name}: {} is not {}",
            call.arguments,
            expected["arguments"]
        );
    }
    assert_eq!(
        text(answer.reason.as_ref()),
        expected["stop_reason"],
        "{name}: reason"
    );
    let error = &expected["error"];
    assert_eq!(answer.failure.is_some(), !error.is_null(), "{name}: error");
    if let Some(failure) = &answer.failure {
        assert_eq!(text(failure.kind.as_ref()), error["type"], "{name}: error");
        let code = match &error["code"] {
            Value::Number(number) => json!(number.to_string()),
            code => code.clone(),
        };
        assert_eq!(text(failure.code.as_ref()), code, "{name}: error");
        assert_eq!(json!(failure.message), error["message"], "{name}: error");
    }
    let usage = answer.usage.clone().unwrap_or_default();
    assert_eq!(
        answer.usage.is_some(),
        expected["usage_seen"],
        "{name}: usage"
    );
    for (found, member) in [
        (usage.input_tokens, "input_tokens"),
        (usage.cached_input_tokens, "cached_input_tokens"),
        (usage.cache_write_tokens, "cache_write_tokens"),
        (usage.output_tokens, "output_tokens"),
        (usage.reasoning_tokens, "reasoning_tokens"),
    ] {
        assert_eq!(count(found), expected[member], "{name}: {member}");
    }
    // This reader reads a last event without its blank line.
    let terminated = expected["if_tail_flushed"]
        .get("terminated")
        .unwrap_or(&expected["terminated"]);
    assert_eq!(json!(answer.has_ended), *terminated, "{name}: end");
}

#[test]
fn every_recorded_answer_says_what_it_should() {
    for fixture in fixtures::all() {
        let answer = Answer::of(&fixture.extractions([&fixture.body[..]]));
        check(&fixture, &answer, "in one piece");
    }
}

#[test]
fn where_an_answer_is_cut_does_not_matter() {
    for (name, plan, cuts) in fixtures::cut_plans() {
        let fixture = fixtures::one(&name);
        let whole = fixture.extractions([&fixture.body[..]]);
        let pieces = fixtures::cut(&fixture.body, &cuts);
        assert_eq!(fixture.extractions(pieces), whole, "{name} {plan}");
    }
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    for fixture in fixtures::all() {
        let whole = fixture.extractions([&fixture.body[..]]);
        assert_eq!(
            fixture.extractions(fixture.body.chunks(1)),
            whole,
            "{}",
            fixture.name
        );
        assert_eq!(
            fixture.extractions(fixture.body.chunks(7)),
            whole,
            "{}",
            fixture.name
        );
    }
}

#[test]
fn an_answer_tells_its_protocol_itself() {
    for fixture in fixtures::all().into_iter().filter(Fixture::is_stream) {
        let reader = StreamReader::new(None, fixture.framing(), ReaderLimits::default());
        let found = fixtures::read(reader, [&fixture.body[..]]);
        assert_eq!(
            found,
            fixture.extractions([&fixture.body[..]]),
            "{}",
            fixture.name
        );
    }
}

#[test]
fn an_answer_that_is_cut_anywhere_says_nothing_wrong() {
    for fixture in fixtures::all().into_iter().filter(Fixture::is_stream) {
        let whole = fixture.extractions([&fixture.body[..]]);
        for end in (0..fixture.body.len()).step_by(fixture.body.len() / 40 + 1) {
            let found = fixture.extractions([&fixture.body[..end]]);
            let n_same = found
                .iter()
                .zip(&whole)
                .take_while(|(left, right)| left == right)
                .count();
            // Only a last event that was cut may differ, and then it says nothing at all.
            assert_eq!(n_same, found.len(), "{} cut at {end}", fixture.name);
        }
    }
}

#[test]
fn an_event_over_the_limit_is_left_out_and_said_once() {
    let fixture = fixtures::one("openai-responses/web_search_tool.sse");
    let limits = ReaderLimits {
        max_event_bytes: 2_048,
    };
    let read = |size: usize| {
        let reader = StreamReader::new(Some(fixture.provider), fixture.framing(), limits);
        fixtures::read(reader, fixture.body.chunks(size))
    };
    let found = read(fixture.body.len());
    let n_oversized = found
        .iter()
        .filter(|found| matches!(found, Extraction::Oversized { .. }));
    assert_eq!(n_oversized.count(), 1);
    assert_eq!(Answer::of(&found).texts[0], fixture.expected["text"]);
    assert_eq!(
        Answer::of(&found).usage,
        None,
        "the last event is too large"
    );
    assert_eq!(read(1), found);
}
