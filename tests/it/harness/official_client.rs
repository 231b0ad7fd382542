//! The official AG-UI client, on streams whose verdict is known.

use events_tests::agui_check::{AgUiCheck, AgUiVersion};
use events_tests::report_server::ReportServer;
use serde_json::json;
use tempfile::TempDir;

const RUN: [&str; 5] = [
    r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
    r#"{"type":"TEXT_MESSAGE_START","messageId":"m","role":"assistant"}"#,
    r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"h\u00e9"}"#,
    r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#,
    r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r"}"#,
];

fn stream(events: &[&str]) -> String {
    events
        .iter()
        .enumerate()
        .map(|(i, event)| format!("id: {i}\ndata: {event}\n\n"))
        .collect()
}

/// Puts a text through both generations of the client; codes and counts.
async fn check(name: &str, text: &str) -> Vec<(i32, usize, usize)> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("stream.sse");
    std::fs::write(&file, text).unwrap();
    let mut verdicts = Vec::new();
    for version in AgUiVersion::ALL {
        if let Some(client) = AgUiCheck::find(name, version) {
            let verdict = client.order().piece(7).read_file(&file).await.unwrap();
            verdicts.push((verdict.code, verdict.n_events, verdict.n_invalid));
        }
    }
    verdicts
}

#[tokio::test]
async fn a_proper_run_is_accepted_by_both_generations() {
    let text = format!(": hello\n\n{}", stream(&RUN));
    for verdict in check("a_proper_run", &text).await {
        assert_eq!(verdict, (0, 5, 0));
    }
}

#[tokio::test]
async fn an_event_out_of_order_is_refused_by_both_generations() {
    let [start, _, content, _, end] = RUN;
    for verdict in check("an_event_out_of_order", &stream(&[start, content, end])).await {
        assert_eq!(verdict, (1, 3, 1));
    }
}

#[tokio::test]
async fn a_stream_of_nothing_is_too_little() {
    for verdict in check("a_stream_of_nothing", ": hello\n\n").await {
        assert_eq!(verdict, (3, 0, 0));
    }
}

#[tokio::test]
async fn an_agent_ends_up_with_the_streams_messages() {
    let mut server = ReportServer::start().await.unwrap();
    // A page is as good as a stream to a client that looks at the bytes only.
    server.page("/agent", &stream(&RUN));
    for version in AgUiVersion::ALL {
        let Some(client) = AgUiCheck::find("an_agent_ends_up", version) else {
            continue;
        };
        let input = json!({"threadId": "t", "runId": "r", "messages": []});
        let verdict = client
            .run_agent(&server.url("/agent"), &input)
            .await
            .unwrap();
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!(verdict.types().len(), 5);
        let messages = verdict
            .agent()
            .and_then(|agent| agent.messages.as_ref())
            .unwrap();
        assert_eq!(messages.pointer("/0/content"), Some(&json!("h\u{e9}")));
    }
    assert!(server.next_report(std::time::Duration::ZERO).await.is_err());
}
