//! The scenarios of the official kit of tests that are about streams, against an agent that publishes into a hub.

use std::io;

use events_tests::{
    deadline::PATIENCE,
    raw_client::{RawSse, Request, Response},
    tck_agent::TckAgent,
};
use serde_json::{Value, json};

/// The two bindings of 1.0.
const BINDINGS: [&str; 2] = ["JSONRPC", "HTTP+JSON"];

struct Kit {
    agent: TckAgent,
    binding: &'static str,
}

impl Kit {
    async fn start(binding: &'static str) -> io::Result<Self> {
        let agent = TckAgent::start().await?;
        Ok(Self { agent, binding })
    }

    fn request(&self, method: &str, path: &str, params: Option<Value>) -> Request {
        let request = if self.binding == "JSONRPC" {
            let params = params.unwrap_or_else(|| json!({ "id": path }));
            let call = json!({ "jsonrpc": "2.0", "id": "a-1", "method": method, "params": params });
            // The kit puts a slash behind the address of the card.
            Request::post("/a2a/rpc/", "application/json", call.to_string())
        } else {
            match (params, method) {
                (Some(params), "SendMessage") => Request::post(
                    "/a2a/rest/message:send",
                    "application/a2a+json",
                    params.to_string(),
                ),
                (Some(params), _) => Request::post(
                    "/a2a/rest/message:stream",
                    "application/a2a+json",
                    params.to_string(),
                ),
                (None, "GetTask") => Request::get(&format!("/a2a/rest/tasks/{path}")),
                (None, _) => Request::new("POST", &format!("/a2a/rest/tasks/{path}:subscribe")),
            }
        };
        request.header("A2A-Version", "1.0")
    }

    fn message(id: &str, task: Option<&str>) -> Value {
        let mut message = json!({ "messageId": format!("{id}-7"), "role": "ROLE_USER", "parts": [{ "text": "go" }] });
        if let Some(task) = task {
            message["taskId"] = task.into();
        }
        json!({ "message": message })
    }

    async fn stream(&self, id: &str) -> io::Result<RawSse> {
        let request = self.request("SendStreamingMessage", "", Some(Self::message(id, None)));
        RawSse::open(self.agent.address(), &request).await
    }

    async fn subscribe(&self, task: &str) -> io::Result<RawSse> {
        let request = self.request("SubscribeToTask", task, None);
        RawSse::open(self.agent.address(), &request).await
    }

    async fn send(&self, id: &str, task: Option<&str>) -> io::Result<Value> {
        let request = self.request("SendMessage", "", Some(Self::message(id, task)));
        let answer = request.send(self.agent.address()).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        Ok(self.result(&answer.json()?)["task"].clone())
    }

    async fn refused(&self, task: &str) -> io::Result<Response> {
        self.request("SubscribeToTask", task, None)
            .send(self.agent.address())
            .await
    }

    fn result(&self, document: &Value) -> Value {
        if self.binding == "JSONRPC" {
            assert_eq!(
                (&document["jsonrpc"], &document["id"]),
                (&json!("2.0"), &json!("a-1"))
            );
            return document["result"].clone();
        }
        document.clone()
    }

    /// Reads a stream to its end.
    async fn events(&self, mut stream: RawSse) -> io::Result<Vec<Value>> {
        assert_eq!(
            stream.head().header("content-type"),
            Some("text/event-stream")
        );
        let frames = stream.read_to_end(PATIENCE).await?;
        let events = frames.iter().filter(|frame| frame.data.is_some());
        events
            .map(|frame| Ok(self.result(&frame.json()?)))
            .collect()
    }
}

/// What an event says: the state, or the texts of an artifact.
fn said(event: &Value) -> String {
    let state = |status: &Value| {
        status["state"]
            .as_str()
            .unwrap_or_default()
            .replace("TASK_STATE_", "")
    };
    if let Some(task) = event.get("task") {
        return format!("task {}", state(&task["status"]));
    }
    if let Some(update) = event.get("statusUpdate") {
        return state(&update["status"]);
    }
    let part = &event["artifactUpdate"]["artifact"]["parts"][0];
    part["text"]
        .as_str()
        .or(part["filename"].as_str())
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_streaming_message_gets_its_task_its_updates_in_order_and_the_end() -> io::Result<()> {
    for binding in BINDINGS {
        let kit = Kit::start(binding).await?;
        for (id, expected) in [
            ("tck-stream-001", "Stream hello from TCK"),
            ("tck-stream-003", "Stream task lifecycle"),
            ("tck-stream-ordering-001", "Ordered output"),
            ("tck-stream-artifact-text", "Streamed text content"),
            ("tck-stream-artifact-file", "output.txt"),
            ("tck-stream-artifact-chunked", "chunk-1 |chunk-2"),
        ] {
            let events = kit.events(kit.stream(id).await?).await?;
            let said: Vec<_> = events.iter().map(said).collect();
            let expected = format!("task SUBMITTED|WORKING|{expected}|COMPLETED");
            assert_eq!(said.join("|"), expected, "{binding} {id}");
        }
        let events = kit.events(kit.stream("tck-stream-002").await?).await?;
        assert_eq!(events.len(), 2, "{binding}");
    }
    Ok(())
}

#[tokio::test]
async fn subscribing_begins_with_the_task_and_is_refused_for_ended_and_unknown_ones()
-> io::Result<()> {
    for binding in BINDINGS {
        let kit = Kit::start(binding).await?;
        let over = kit.send("tck-complete-task", None).await?;
        assert_eq!(over["status"]["state"], "TASK_STATE_COMPLETED");
        for (task, code, status, reason) in [
            (
                over["id"].as_str().unwrap_or_default(),
                -32004,
                400,
                "UNSUPPORTED_OPERATION",
            ),
            ("nothing", -32001, 404, "TASK_NOT_FOUND"),
        ] {
            let refused = kit.refused(task).await?;
            let body = refused.json()?;
            let error = &body["error"];
            if binding == "JSONRPC" {
                assert_eq!(
                    (refused.status(), &error["code"]),
                    (200, &json!(code)),
                    "{body}"
                );
                assert_eq!(error["data"][0]["reason"], reason, "{body}");
            } else {
                assert_eq!(
                    (refused.status(), &error["code"]),
                    (status, &json!(status)),
                    "{body}"
                );
                assert_eq!(error["details"][0]["reason"], reason, "{body}");
            }
        }
        let waiting = kit.send("tck-input-required", None).await?;
        let task = waiting["id"].as_str().unwrap_or_default();
        let stream = kit.subscribe(task).await?;
        kit.send("tck-complete-task", Some(task)).await?;
        let events = kit.events(stream).await?;
        let said: Vec<_> = events.iter().map(said).collect();
        assert_eq!(said, ["task INPUT_REQUIRED", "COMPLETED"], "{binding}");
    }
    Ok(())
}

#[tokio::test]
async fn a_long_task_is_broadcast_to_all_and_closing_one_stream_leaves_the_others() -> io::Result<()>
{
    for binding in BINDINGS {
        let kit = Kit::start(binding).await?;
        let mut sender = kit.stream("test-resubscribe-message-id").await?;
        let first = kit.result(&sender.next_event(PATIENCE).await?.json()?);
        let task = first["task"]["id"].as_str().expect("a task").to_owned();
        let (one, two) = (kit.subscribe(&task).await?, kit.subscribe(&task).await?);
        let mut leaver = kit.subscribe(&task).await?;
        leaver.next_event(PATIENCE).await?;
        drop(leaver);
        kit.send("tck-artifact-text", Some(&task)).await?;
        let (one, two) = (kit.events(one).await?, kit.events(two).await?);
        assert_eq!(one, two, "{binding}");
        let said: Vec<_> = one.iter().map(said).collect();
        assert_eq!(
            said,
            ["task WORKING", "Generated text content", "COMPLETED"],
            "{binding}"
        );
        let rest = kit.events(sender).await?;
        assert_eq!(rest.last(), one.last(), "{binding}");
    }
    Ok(())
}
