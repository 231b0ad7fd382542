//! The official clients of providers see no difference between a provider and the gateway before it.

use std::io;

use events_tests::{
    llm_client::{LlmClient, Question},
    llm_upstream::LlmUpstream,
    server_process::ServerProcess,
};
use serde_json::Value;

/// What is asked for in each protocol, as a stream, and whether the recording is a whole answer.
const STREAMS: [(&str, &str, bool); 18] = [
    ("anthropic", "anthropic/text_basic.sse", true),
    ("anthropic", "anthropic/thinking.sse", true),
    ("anthropic", "anthropic/tool_use.sse", true),
    ("anthropic", "anthropic/tool_unicode_args.sse", true),
    ("anthropic", "anthropic/derived_crlf.sse", true),
    (
        "anthropic",
        "anthropic/prompt_cache_write_1h_and_5m.sse",
        true,
    ),
    ("anthropic", "anthropic/derived_error_mid_stream.sse", false),
    ("anthropic", "anthropic/derived_cut_mid_event.sse", false),
    ("chat", "openai-chat/text_with_usage.sse", true),
    ("chat", "openai-chat/basic_no_usage.sse", true),
    ("chat", "openai-chat/deepseek_reasoning_content.sse", true),
    (
        "chat",
        "openai-chat/derived_error_object_then_done.sse",
        false,
    ),
    ("chat", "openai-chat/derived_cut_no_done.sse", false),
    ("responses", "openai-responses/text_basic.sse", true),
    (
        "responses",
        "openai-responses/function_tool_turn1.sse",
        true,
    ),
    (
        "responses",
        "openai-responses/reasoning_encrypted.sse",
        true,
    ),
    (
        "responses",
        "openai-responses/incomplete_max_output_tokens.sse",
        true,
    ),
    ("responses", "openai-responses/error_then_failed.sse", false),
];

const WHOLE: [(&str, &str); 3] = [
    ("anthropic", "whole/anthropic.json"),
    ("chat", "whole/chat.json"),
    ("responses", "whole/responses.json"),
];

const STATUSES: [u16; 6] = [400, 401, 404, 429, 500, 529];

fn questions(base: &str) -> Vec<(Question, bool)> {
    let question = |api, model: &str, stream| Question {
        base: base.to_owned(),
        api,
        model: model.to_owned(),
        stream,
    };
    let streams = STREAMS.map(|(api, model, is_whole)| (question(api, model, true), is_whole));
    let whole = WHOLE.map(|(api, model)| (question(api, model, false), true));
    let failures = STATUSES.into_iter().flat_map(|status| {
        let model = format!("status:{status}");
        let kinds = [("anthropic", false), ("chat", true), ("responses", true)];
        kinds.map(|(api, stream)| (question(api, &model, stream), false))
    });
    streams.into_iter().chain(whole).chain(failures).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn official_clients_get_the_same_objects_and_errors_through_the_gateway() -> io::Result<()> {
    let clients = LlmClient::all("official_clients_get_the_same_objects");
    if clients.is_empty() {
        return Ok(());
    }
    let upstream = LlmUpstream::start().await?;
    let provider = format!("up={}", upstream.url());
    let arguments = [
        "dev",
        "--no-demo",
        "--listen",
        "127.0.0.1:0",
        "--llm",
        &provider,
    ];
    let server = ServerProcess::events(&arguments, &[]).await?;
    let gateway = server.url("/llm/up");
    for client in clients {
        let ask = async |base: &str| {
            let questions: Vec<Question> = questions(base).into_iter().map(|(q, _)| q).collect();
            client.ask(&questions).await
        };
        let direct = ask(&upstream.url()).await?;
        let through = ask(&gateway).await?;
        for (((question, is_whole), direct), through) in
            questions(&gateway).iter().zip(&direct).zip(&through)
        {
            let what = format!("{} {} {}", client.name, question.api, question.model);
            assert_eq!(through, direct, "{what}");
            if *is_whole {
                let has_events = through["events"]
                    .as_array()
                    .is_some_and(|all| all.len() > 2);
                let has_final = through["final"].is_object();
                assert!(
                    if question.stream {
                        has_events
                    } else {
                        has_final
                    },
                    "{what}: {through}"
                );
            }
            if let Some(status) = question.model.strip_prefix("status:") {
                let error = &through["error"];
                assert_eq!(error["status"].to_string(), status, "{what}: {error}");
                assert_eq!(error["headers"]["retry-after"], "7", "{what}: {error}");
            }
        }
        let n_finals = through
            .iter()
            .filter(|outcome| outcome["final"] != Value::Null);
        assert!(n_finals.count() >= 12, "{}", client.name);
    }
    Ok(())
}
