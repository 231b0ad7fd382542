//! What servers do that no recording shows.

use events_llm::{Extraction, Framing, GiveUp, Provider, ReaderLimits, StreamReader};
use proptest::prelude::*;

use crate::fixtures::{self, Answer};

fn extractions(provider: Provider, events: &[&str]) -> Vec<Extraction> {
    let body: String = match provider {
        Provider::Ollama => events.iter().map(|event| format!("{event}\n")).collect(),
        _ => events
            .iter()
            .map(|event| format!("data: {event}\n\n"))
            .collect(),
    };
    let framing = if provider == Provider::Ollama {
        Framing::Ndjson
    } else {
        Framing::Sse
    };
    let reader = StreamReader::new(Some(provider), framing, ReaderLimits::default());
    fixtures::read(reader, [body.as_bytes()])
}

fn answer(provider: Provider, events: &[&str]) -> Answer {
    Answer::of(&extractions(provider, events))
}

fn chat(events: &[&str]) -> Answer {
    answer(Provider::OpenAiChat, events)
}

#[test]
fn a_second_message_start_begins_the_answer_anew() {
    let answer = answer(
        Provider::Anthropic,
        &[
            r#"{"type":"message_start","message":{"id":"a","model":"m","usage":{"input_tokens":5,"cache_read_input_tokens":9,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"half"}}"#,
            r#"{"type":"message_start","message":{"id":"b","model":"m","usage":{"input_tokens":5,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"wh"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ole"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7,"input_tokens":null}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!(
        (answer.texts[0].as_str(), answer.id.as_deref()),
        ("whole", Some("b"))
    );
    let usage = answer.usage.unwrap();
    assert_eq!(
        (usage.input_tokens, usage.cached_input_tokens),
        (Some(5), Some(0))
    );
    assert_eq!(
        usage.output_tokens,
        Some(7),
        "null says nothing, the rest replaces"
    );
}

#[test]
fn unknown_events_and_blocks_are_passed_over() {
    let answer = answer(
        Provider::Anthropic,
        &[
            r#"{"type":"something_new","index":0,"delta":{"text":"no"}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"new_block","text":"no"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","text":"no"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r"{not json}",
            r#"[1]"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!((answer.texts[0].as_str(), answer.has_ended), ("", true));
}

#[test]
fn a_servers_tool_answers_in_the_stream() {
    let found = extractions(
        Provider::Anthropic,
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s1","name":"web_search","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\":\"x\"}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"web_search_tool_result","tool_use_id":"s1","content":[{"url":"u"}]}}"#,
        ],
    );
    assert!(found.contains(&Extraction::ToolCallResult {
        call: 0,
        content: r#"[{"url":"u"}]"#.to_owned(),
    }));
    assert!(Answer::of(&found).calls[0].is_server);
}

#[test]
fn calls_are_told_apart_by_number_by_id_or_by_order() {
    let start = |entry: &str| {
        format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{entry}]}}}}]}}"#)
    };
    // All numbered 0 and whole, as some converters send them.
    let by_id = chat(&[
        &start(r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#),
        &start(r#"{"index":0,"id":"b","function":{"name":"g","arguments":"[]"}}"#),
    ]);
    // No number and no id after the first piece.
    let by_order = chat(&[
        &start(r#"{"id":"a","function":{"name":"f","arguments":"{"}}"#),
        &start(r#"{"function":{"arguments":"}"}}"#),
        &start(r#"{"id":"b","function":{"name":"g","arguments":null}}"#),
        &start(r#"{"id":"b","function":{"arguments":"[]"}}"#),
    ]);
    // Numbers from 1, woven into each other, and arguments before the name.
    let by_number = chat(&[
        &start(r#"{"index":1,"id":"a","function":{"arguments":"{"}}"#),
        &start(r#"{"index":1,"function":{"name":"f"}}"#),
        &start(r#"{"index":2,"id":"b","function":{"name":"g","arguments":"["}}"#),
        &start(r#"{"index":1,"function":{"arguments":"}"}}"#),
        &start(r#"{"index":2,"function":{"arguments":"]"}}"#),
    ]);
    for answer in [by_id, by_order, by_number] {
        let calls: Vec<_> = answer
            .calls
            .iter()
            .map(|call| (call.id.as_deref().unwrap(), &*call.name, &*call.arguments))
            .collect();
        assert_eq!(calls, [("a", "f", "{}"), ("b", "g", "[]")]);
    }
}

#[test]
fn content_may_be_parts_and_calls_may_have_the_old_form() {
    let answer = chat(&[
        r#"{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Hi"}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"function_call":{"name":"f","arguments":"{"}}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"function_call":{"arguments":"}"}},"finish_reason":"function_call"}]}"#,
        r#"{"choices":[{"index":0,"text":" there"}]}"#,
        "[DONE]",
    ]);
    assert_eq!(
        (answer.texts[0].as_str(), answer.reasoning.as_str()),
        ("Hi there", "hm")
    );
    assert_eq!(
        (&*answer.calls[0].name, &*answer.calls[0].arguments),
        ("f", "{}")
    );
}

#[test]
fn reasoning_that_is_said_twice_is_taken_once() {
    let answer = chat(&[
        r#"{"choices":[{"delta":{"reasoning":"a","reasoning_content":"a","reasoning_details":[{"text":"a"}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_details":[{"summary":"b"}]}}]}"#,
    ]);
    assert_eq!(answer.reasoning, "ab");
}

#[test]
fn usage_is_found_wherever_a_server_puts_it_and_the_last_counts() {
    let counts = r#"{"prompt_tokens":3,"completion_tokens":4,"prompt_cache_hit_tokens":2}"#;
    for event in [
        format!(r#"{{"choices":[],"usage":{counts}}}"#),
        format!(r#"{{"choices":[{{"index":0,"delta":{{}},"usage":{counts}}}]}}"#),
        format!(r#"{{"choices":[],"x_groq":{{"usage":{counts}}},"usage":null}}"#),
    ] {
        let early = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
        let usage = chat(&[early, &event]).usage.unwrap();
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (Some(3), Some(4)),
            "{event}"
        );
        assert_eq!(usage.cached_input_tokens, Some(2), "{event}");
    }
    assert_eq!(chat(&[r#"{"choices":[],"usage":null}"#]).usage, None);
}

#[test]
fn an_error_is_found_in_all_its_forms_and_said_once() {
    for (provider, event, message, code) in [
        (Provider::OpenAiChat, r#"{"error":"plain"}"#, "plain", None),
        (
            Provider::OpenAiChat,
            r#"{"error":{"message":"m","code":500}}"#,
            "m",
            Some("500"),
        ),
        (
            Provider::OpenAiResponses,
            r#"{"type":"error","code":"c","message":"m","param":null}"#,
            "m",
            Some("c"),
        ),
        (
            Provider::OpenAiResponses,
            r#"{"type":"error","error":{"code":"c","message":"m"}}"#,
            "m",
            Some("c"),
        ),
        (
            Provider::Gemini,
            r#"[{"error":{"code":429,"message":"m","status":"X"}}]"#,
            "m",
            Some("429"),
        ),
        (
            Provider::Anthropic,
            r#"{"type":"error","error":{"type":"t","message":"m"}}"#,
            "m",
            None,
        ),
        (Provider::Ollama, r#"{"error":"m"}"#, "m", None),
    ] {
        let failure = answer(provider, &[event, event])
            .failure
            .unwrap_or_default();
        assert_eq!(
            (&*failure.message, failure.code.as_deref()),
            (message, code),
            "{event}"
        );
    }
    let reader = StreamReader::new(
        Some(Provider::OpenAiChat),
        Framing::Sse,
        ReaderLimits::default(),
    );
    let found = fixtures::read(reader, [&b"event: error\ndata: out of memory\n\n"[..]]);
    assert_eq!(Answer::of(&found).failure.unwrap().message, "out of memory");
}

#[test]
fn gemini_says_when_it_blocks_and_streams_arguments_by_path() {
    let blocked = answer(
        Provider::Gemini,
        &[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#],
    );
    assert_eq!(blocked.reason.as_deref(), Some("BLOCKED:SAFETY"));
    let piece = |args: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"functionCall":{{"partialArgs":[{args}],"willContinue":true}}}}]}}}}]}}"#
        )
    };
    let streamed = answer(
        Provider::Gemini,
        &[
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"id":"i","name":"f","willContinue":true}}]}}]}"#,
            &piece(
                r#"{"jsonPath":"$.a","stringValue":"x\"","willContinue":true},{"jsonPath":"$.b.c[1]","numberValue":2.5}"#,
            ),
            &piece(
                r#"{"jsonPath":"$.a","stringValue":"y"},{"jsonPath":"$['d e']","boolValue":true},{"jsonPath":"$.n","nullValue":null}"#,
            ),
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{}}]}}]}"#,
        ],
    );
    assert_eq!(
        streamed.calls[0].arguments,
        r#"{"a":"x\"y","b":{"c":[null,2.5]},"d e":true,"n":null}"#
    );
}

#[test]
fn arguments_by_path_cannot_grow_without_end() {
    let deep = "[4096]".repeat(60);
    let piece = |n: usize| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"functionCall":{{"name":"f","partialArgs":[{{"jsonPath":"$.m{n}{deep}","stringValue":"x"}}],"willContinue":true}}}}]}}}}]}}"#
        )
    };
    let pieces: Vec<_> = (0..50).map(piece).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let found = extractions(Provider::Gemini, &pieces);
    assert!(matches!(found.last(), Some(Extraction::GaveUp(_))));
}

#[test]
fn an_answer_with_too_many_calls_is_given_up_once() {
    let event =
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]}}]}"#;
    let found = extractions(Provider::Gemini, &vec![event; 2_000]);
    let n_given_up = found.iter().filter(|found| {
        matches!(
            found,
            Extraction::GaveUp(GiveUp::TooManyBlocks { limit: 1_024 })
        )
    });
    assert_eq!(n_given_up.count(), 1);
    assert_eq!(Answer::of(&found).calls.len(), 1_024);
}

/// Pieces of what providers send, in an order that they never would.
fn scrambled() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        proptest::sample::select(vec![
            "data: ", "event: error\n", "\n\n", "\r\n\r\n", "[DONE]", "{", "}", "\"type\":", "null", "\u{feff}",
            "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":18446744073709551615}}}",
            "{\"type\":\"message_delta\",\"usage\":{\"cache_read_input_tokens\":18446744073709551615}}",
            "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\"}}",
            "{\"choices\":[{\"index\":9e99,\"delta\":{\"tool_calls\":[{},{\"index\":1}]}}],\"error\":[]}",
            "{\"type\":\"response.output_item.added\",\"item\":{\"type\":\"x_call\"}}",
            "{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"x_call\",\"output\":[1]}}",
            "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$[4096][0]\"}]}}]}}]}",
            "{\"usageMetadata\":{\"promptTokenCount\":-1,\"thoughtsTokenCount\":1e300}}",
            "{\"done\":true,\"error\":{}}",
        ])
        .prop_map(|part| part.as_bytes().to_vec()),
    ];
    proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_input_makes_a_reader_panic_and_cuts_do_not_matter(
        bytes in scrambled(),
        provider in proptest::sample::select(Provider::ALL.to_vec()),
        is_known: bool,
        framing in proptest::sample::select(vec![Framing::Sse, Framing::Ndjson, Framing::Json]),
        size in 1_usize..30,
    ) {
        let read = |size: usize| {
            let provider = is_known.then_some(provider);
            let limits = ReaderLimits { max_event_bytes: 200 };
            fixtures::read(StreamReader::new(provider, framing, limits), bytes.chunks(size))
        };
        prop_assert_eq!(read(size), read(bytes.len().max(1)));
    }
}
