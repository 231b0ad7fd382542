//! Agents of the official AG-UI client in a real browser, unchanged and from another origin.

use std::{fs, io};

use events_tests::{
    agui_check::AgUiVersion, devtools::DrivenPage, raw_client::get, report_server::ReportServer,
    server_process::ServerProcess, skip,
};
use serde_json::{Value, json};

/// A run with everything that a client keeps, in two halves: what is open where they meet is text, a call and a
/// reasoning, behind a state and a step.
fn run() -> (Vec<String>, Vec<String>) {
    let before = [
        json!({ "type": "RUN_STARTED", "threadId": "t", "runId": "r", "input": {
            "threadId": "t", "runId": "r", "state": { "found": 0 }, "tools": [], "context": [],
            "forwardedProps": {}, "messages": [{ "id": "q", "role": "user", "content": "What is it?" }],
        } }),
        json!({ "type": "STEP_STARTED", "stepName": "look" }),
        json!({ "type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant" }),
        json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Let me " }),
        json!({ "type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "search", "parentMessageId": "m" }),
        json!({ "type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": "{\"for\":" }),
        json!({ "type": "STATE_DELTA", "delta": [{ "op": "replace", "path": "/found", "value": 1 }] }),
        json!({ "type": "REASONING_START", "messageId": "s" }),
        json!({ "type": "REASONING_MESSAGE_START", "messageId": "s", "role": "reasoning" }),
        json!({ "type": "REASONING_MESSAGE_CONTENT", "messageId": "s", "delta": "hard " }),
    ];
    let after = [
        json!({ "type": "REASONING_MESSAGE_CONTENT", "messageId": "s", "delta": "thought" }),
        json!({ "type": "REASONING_MESSAGE_END", "messageId": "s" }),
        json!({ "type": "REASONING_END", "messageId": "s" }),
        json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "see." }),
        json!({ "type": "TEXT_MESSAGE_END", "messageId": "m" }),
        json!({ "type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": "\"it\"}" }),
        json!({ "type": "TOOL_CALL_END", "toolCallId": "c" }),
        json!({ "type": "TOOL_CALL_RESULT", "messageId": "a", "toolCallId": "c", "content": "found" }),
        json!({ "type": "STATE_DELTA", "delta": [{ "op": "add", "path": "/what", "value": "a bird" }] }),
        json!({ "type": "STEP_FINISHED", "stepName": "look" }),
        json!({ "type": "RUN_FINISHED", "threadId": "t", "runId": "r" }),
    ];
    let lines = |events: &[Value]| events.iter().map(ToString::to_string).collect();
    (lines(&before), lines(&after))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_in_three_tabs_end_equal_one_of_which_came_late() -> io::Result<()> {
    let name = "agents_in_three_tabs_end_equal_one_of_which_came_late";
    let client = skip::client_packages(AgUiVersion::V1_0.folder());
    let Some(client) = skip::require(name, "the official client agui-1.0", client) else {
        return Ok(());
    };
    let server = ServerProcess::dev(&[]).await?;
    let pages = ReportServer::start().await?;
    let page = skip::workspace_root().join("tests/clients/agui-page.html");
    pages.page("/", &fs::read_to_string(page)?);
    pages.folder("/modules", &client.join("node_modules"));
    let connect = server.url("/agui/connect").replace(':', "%3A");
    let url = pages.url(&format!("/?url={connect}%3Fuser=ada%26wait=60s"));
    let Some(mut tabs) = DrivenPage::open(name, &url).await? else {
        return Ok(());
    };
    tabs.open_tab(&url).await?;
    wait_for_agents(&server, 2).await?;
    let (before, after) = run();
    server.publish("agui", "ada", &before).await?;
    for tab in 0..2 {
        tabs.turn_to(tab);
        tabs.wait_until("holds().messages.at(-1).content === 'hard '")
            .await?;
    }
    tabs.open_tab(&url).await?;
    tabs.wait_until("holds().messages.at(-1).content === 'hard '")
        .await?;
    server.publish("agui", "ada", &after).await?;
    let mut held = Vec::new();
    for tab in 0..3 {
        tabs.turn_to(tab);
        tabs.wait_until("document.title !== 'joining'").await?;
        assert_eq!(tabs.evaluate("document.title").await?, "ended");
        held.push(tabs.evaluate("holds()").await?);
    }
    assert_eq!(held[0]["state"], json!({ "found": 1, "what": "a bird" }));
    let contents: Vec<_> = held[0]["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| message["content"].clone())
        .collect();
    assert_eq!(
        contents,
        ["What is it?", "Let me see.", "found", "hard thought"]
    );
    assert_eq!(held[0], held[1]);
    assert_eq!(held[0], held[2], "the late one");
    Ok(())
}

/// Waits until so many agents are attached.
async fn wait_for_agents(server: &ServerProcess, n_wanted: usize) -> io::Result<()> {
    events_tests::deadline::within("the agents", events_tests::deadline::PATIENCE, async {
        loop {
            let listed = get(server.address(), "/connections?user=ada", &[]).await?;
            if listed.json()?.as_array().map(Vec::len) == Some(n_wanted) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}
