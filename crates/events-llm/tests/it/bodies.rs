//! Answers that are not streamed: one JSON body each, in the shapes that the providers document.

use events_llm::{
    AnswerHead, Framing, Provider, ReaderLimits, StreamReader, TuiStreamEvent, Usage,
};

use crate::{
    fixtures::{self, Answer},
    proxy::{Script, Watched, drain, terminal, text_of},
};

fn read(provider: Provider, body: &str) -> Answer {
    let read = |size: usize| {
        let reader = StreamReader::new(Some(provider), Framing::Json, ReaderLimits::default());
        Answer::of(&fixtures::read(reader, body.as_bytes().chunks(size)))
    };
    let answer = read(body.len());
    assert_eq!(read(1), answer);
    answer
}

const ANTHROPIC: &str = r#"{
  "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
  "content": [
    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
    {"type": "text", "text": "I look."},
    {"type": "tool_use", "id": "t1", "name": "look", "input": {"b": 1, "a": [true, null]}}
  ],
  "stop_reason": "tool_use", "stop_sequence": null,
  "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2}, "output_tokens": 7}
}"#;

#[test]
fn a_whole_anthropic_message_is_read() {
    let answer = read(Provider::Anthropic, ANTHROPIC);
    assert_eq!(
        (answer.model.as_deref(), answer.id.as_deref()),
        (Some("claude-x"), Some("msg_1"))
    );
    assert_eq!(
        (answer.texts[0].as_str(), answer.reasoning.as_str()),
        ("I look.", "Hm.")
    );
    assert_eq!(answer.calls[0].arguments, r#"{"b":1,"a":[true,null]}"#);
    assert_eq!(answer.reason.as_deref(), Some("tool_use"));
    assert!(answer.has_ended);
    let usage = answer.usage.unwrap();
    assert_eq!(usage.input_tokens, Some(17));
    assert_eq!(usage.cached_input_tokens, Some(5));
    assert_eq!(
        (usage.cache_write_tokens, usage.cache_write_1h_tokens),
        (Some(2), Some(2))
    );
}

#[test]
fn a_whole_chat_completion_is_read() {
    let answer = read(
        Provider::OpenAiChat,
        r#"{"id":"c1","object":"chat.completion","model":"m","choices":[
            {"index":0,"message":{"role":"assistant","content":"Hi","reasoning_content":"hm","refusal":null,
              "tool_calls":[{"id":"t1","type":"function","function":{"name":"look","arguments":"{}"}},
                            {"id":"t2","type":"function","function":{"name":"see","arguments":"{\"a\":1}"}}]},
              "finish_reason":"tool_calls"},
            {"index":1,"message":{"content":"Hello"},"finish_reason":"stop"}],
          "usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#,
    );
    assert_eq!(answer.texts, ["Hi", "Hello"]);
    assert_eq!(answer.reasoning, "hm");
    let calls: Vec<_> = answer
        .calls
        .iter()
        .map(|call| (&*call.name, &*call.arguments))
        .collect();
    assert_eq!(calls, [("look", "{}"), ("see", r#"{"a":1}"#)]);
    assert_eq!(answer.reason.as_deref(), Some("tool_calls"));
    assert!(answer.has_ended);
    assert_eq!(answer.usage.unwrap().output_tokens, Some(4));
}

#[test]
fn a_whole_response_is_read() {
    let answer = read(
        Provider::OpenAiResponses,
        r#"{"id":"r1","object":"response","model":"m","status":"incomplete",
          "incomplete_details":{"reason":"max_output_tokens"},"error":null,"output":[
            {"type":"reasoning","id":"rs1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"e"},
            {"type":"message","content":[{"type":"output_text","text":"Hi"},{"type":"refusal","refusal":"No"}]},
            {"type":"function_call","id":"fc1","call_id":"t1","name":"look","arguments":"{}"}],
          "usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4,
            "output_tokens_details":{"reasoning_tokens":2},"total_tokens":7}}"#,
    );
    assert_eq!(
        (answer.texts[0].as_str(), answer.refusal.as_str()),
        ("Hi", "No")
    );
    assert_eq!(answer.reasoning, "hm");
    assert_eq!(
        (answer.calls[0].id.as_deref(), &*answer.calls[0].arguments),
        (Some("t1"), "{}")
    );
    assert_eq!(answer.reason.as_deref(), Some("max_output_tokens"));
    assert_eq!(answer.usage.unwrap().reasoning_tokens, Some(2));
}

#[test]
fn gemini_without_events_is_one_object_or_an_array_that_grows() {
    let one = r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}],
        "usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4},"modelVersion":"g","responseId":"x"}"#;
    let answer = read(Provider::Gemini, one);
    assert_eq!(answer.texts[0], "Hi");
    assert!(answer.has_ended);
    let array =
        format!(r#"[{{"candidates":[{{"content":{{"parts":[{{"text":"Oh. "}}]}}}}]}},{one}]"#);
    let answer = read(Provider::Gemini, &array);
    assert_eq!(answer.texts[0], "Oh. Hi");
    assert_eq!(answer.usage.unwrap().output_tokens, Some(4));
}

#[test]
fn a_whole_ollama_answer_is_read() {
    let chat = r#"{"model":"q","message":{"role":"assistant","content":"Hi","thinking":"hm"},"done":true,
        "done_reason":"stop","prompt_eval_count":3,"eval_count":4}"#;
    let generate = r#"{"model":"q","response":"Hi","thinking":"hm","done":true,"done_reason":"stop",
        "prompt_eval_count":3,"eval_count":4}"#;
    for body in [chat, generate] {
        let answer = read(Provider::Ollama, body);
        assert_eq!(
            (answer.texts[0].as_str(), answer.reasoning.as_str()),
            ("Hi", "hm")
        );
        let expected = Usage {
            input_tokens: Some(3),
            output_tokens: Some(4),
            ..Usage::default()
        };
        assert_eq!(answer.usage, Some(expected));
    }
}

#[test]
fn a_whole_body_is_told_as_started_one_text_and_completed() {
    let mut watched = Watched::new();
    let request = events_llm::RequestInfo::new("r").with_provider(Some(Provider::Anthropic));
    let head = AnswerHead {
        status: 200,
        content_type: Some("application/json"),
        content_encoding: None,
    };
    let script = Script::of(ANTHROPIC.as_bytes().chunks(9));
    drain(&mut watched.tap.begin(request).tap_body(&head, script));
    let events = watched.events();
    assert_eq!(events.len(), 3);
    assert_eq!(text_of(&events), "I look.");
    assert!(matches!(
        terminal(&events),
        TuiStreamEvent::Completed {
            input_tokens: Some(17),
            output_tokens: Some(7),
            ..
        }
    ));
}
