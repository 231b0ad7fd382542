//! Agents behind the hub: `POST /agui/run/{agent}` in the program.

mod failures;
mod foreign;
mod official;
mod replicas;

use std::io;
use std::time::Duration;

use events_tests::{
    deadline::{PATIENCE, within},
    raw_client::{RawFrame, RawSse, Request, Response, get, post},
    scripted_agent::{ScriptedAgent, whole_run, whole_text},
    server_process::ServerProcess,
};
use serde_json::{Value, json};

const JSON: &str = "application/json";

/// The program before a scripted agent, of which each script is an agent of its own.
async fn hub(scripts: &[&str], further: &[&str]) -> io::Result<(ScriptedAgent, ServerProcess)> {
    let agent = ScriptedAgent::start().await?;
    let mut arguments = Vec::new();
    let agents: Vec<String> = scripts
        .iter()
        .map(|script| format!("{script}={}", agent.url(script)))
        .collect();
    for agent in &agents {
        arguments.extend(["--agent", agent]);
    }
    arguments.extend(further);
    let server = ServerProcess::dev(&arguments).await?;
    Ok((agent, server))
}

/// What an official client of 1.0 sends.
fn input(thread: &str, run: &str) -> Value {
    json!({
        "threadId": thread, "runId": run, "protocolVersion": "1.0", "state": {}, "tools": [],
        "context": [{ "description": "d", "value": "v" }], "forwardedProps": { "key": "of the agent alone" },
        "messages": [{ "id": "q", "role": "user", "content": "What is it?" }],
    })
}

fn run_request(agent: &str, user: &str, input: &Value) -> Request {
    let path = format!("/agui/run/{agent}?user={user}");
    Request::post(&path, JSON, input.to_string())
}

async fn run(server: &ServerProcess, agent: &str, user: &str, input: &Value) -> io::Result<RawSse> {
    RawSse::open(server.address(), &run_request(agent, user, input)).await
}

async fn connect(server: &ServerProcess, user: &str, input: &Value) -> io::Result<RawSse> {
    let path = format!("/agui/connect?user={user}");
    let request = Request::post(&path, JSON, input.to_string());
    RawSse::open(server.address(), &request).await
}

async fn stop(server: &ServerProcess, user: &str, run: &str) -> io::Result<Response> {
    let path = format!("/agui/runs/{run}/stop?user={user}");
    post(server.address(), &path, JSON, "").await
}

/// Reads a stream to its end, and returns its events.
async fn read_all(stream: &mut RawSse) -> io::Result<Vec<Value>> {
    let frames = stream.read_to_end(PATIENCE).await?;
    let events = frames.iter().filter(|frame| frame.is_event());
    events.map(RawFrame::json).collect()
}

/// Reads up to the first event of a type, and returns all.
async fn read_to(stream: &mut RawSse, kind: &str) -> io::Result<Vec<Value>> {
    let is_it = |frame: &RawFrame| frame.json().is_ok_and(|json| json["type"] == kind);
    let frames = stream.read_until(PATIENCE, is_it).await?;
    let events = frames.iter().filter(|frame| frame.is_event());
    events.map(RawFrame::json).collect()
}

async fn thread(server: &ServerProcess, user: &str, thread: &str) -> io::Result<Value> {
    let path = format!("/agui/threads/{thread}?user={user}");
    get(server.address(), &path, &[]).await?.json()
}

#[tokio::test]
async fn the_caller_sees_the_agent_s_events_as_they_are_and_so_does_everybody_later()
-> io::Result<()> {
    let header = ["--agui.agents.whole.headers.x-api-key", "s3cret"];
    let (agent, server) = hub(&["whole"], &header).await?;
    let mut screen = RawSse::connect(server.address(), "/agui?user=ada&thread=t", &[]).await?;
    let input = input("t", "r");
    let request = run_request("whole", "ada", &input).header("authorization", "Bearer of-the-hub");
    let mut caller = RawSse::open(server.address(), &request).await?;
    assert_eq!(read_all(&mut caller).await?, whole_run(&input));

    let calls = agent.calls();
    assert_eq!(calls.len(), 1);
    let (headers, body) = (&calls[0].headers, &calls[0].body);
    assert_eq!(body[..], *input.to_string().as_bytes(), "byte for byte");
    assert_eq!(headers["accept"], "text/event-stream");
    assert_eq!(headers["x-api-key"], "s3cret");
    assert!(!headers.contains_key("authorization"), "{headers:?}");

    let seen = read_to(&mut screen, "RUN_FINISHED").await?;
    assert_eq!(seen.len(), whole_run(&input).len());
    assert_eq!(seen[1..], whole_run(&input)[1..]);
    let told = &seen[0]["input"];
    assert_eq!(told["messages"], input["messages"]);
    assert!(told.get("forwardedProps").is_none(), "{told}");
    let thread = thread(&server, "ada", "t").await?;
    assert_eq!(thread["status"], "finished");
    assert_eq!(thread["messages"][0]["content"], "What is it?");
    assert_eq!(thread["messages"][1]["content"], whole_text());

    let page = get(server.address(), "/metrics", &[]).await?.text();
    for name in [
        "events_agent_runs_total{agent=\"whole\",outcome=\"finished\"} 1",
        "events_agent_events_total{agent=\"whole\"} ",
    ] {
        assert!(page.contains(name), "{name} is not in\n{page}");
    }
    Ok(())
}

#[tokio::test]
async fn a_caller_that_dies_changes_nothing_and_one_that_asks_again_joins() -> io::Result<()> {
    let (agent, server) = hub(&["paused"], &[]).await?;
    let input = input("t", "r");
    let mut first = run(&server, "paused", "ada", &input).await?;
    read_to(&mut first, "TEXT_MESSAGE_CONTENT").await?;
    first.reset()?;
    let mut again = run(&server, "paused", "ada", &input).await?;
    let prelude = read_to(&mut again, "TEXT_MESSAGE_START").await?;
    assert_eq!(prelude[0]["type"], "RUN_STARTED");
    assert_eq!(prelude[1]["type"], "MESSAGES_SNAPSHOT");
    let mut late = connect(&server, "ada", &input).await?;
    read_to(&mut late, "TEXT_MESSAGE_START").await?;
    agent.go_on();
    for stream in [&mut again, &mut late] {
        let rest = read_all(stream).await?;
        assert_eq!(
            rest.last().map(|end| &end["type"]),
            Some(&json!("RUN_FINISHED"))
        );
    }
    // Also when it is over.
    let over = read_all(&mut run(&server, "paused", "ada", &input).await?).await?;
    assert_eq!(
        over.last().map(|end| &end["type"]),
        Some(&json!("RUN_FINISHED"))
    );
    assert_eq!(agent.calls().len(), 1, "the agent was asked once");
    let thread = thread(&server, "ada", "t").await?;
    assert_eq!(thread["messages"][1]["content"], whole_text());
    Ok(())
}

#[tokio::test]
async fn a_thread_has_one_run_at_a_time_and_the_next_one_goes_on_from_it() -> io::Result<()> {
    let (agent, server) = hub(&["paused", "whole"], &[]).await?;
    let mut first = run(&server, "paused", "ada", &input("t", "r1")).await?;
    read_to(&mut first, "TEXT_MESSAGE_CONTENT").await?;
    let second = run_request("whole", "ada", &input("t", "r2"));
    let refused = second.send(server.address()).await?;
    assert_eq!(refused.status(), 409, "{}", refused.text());
    assert!(
        refused.text().contains("/agui/runs/r1/stop"),
        "{}",
        refused.text()
    );
    assert_eq!(agent.calls().len(), 1);
    // Another thread, and another user's.
    for (user, thread) in [("ada", "u"), ("bob", "t")] {
        let mut other = run(&server, "whole", user, &input(thread, "r2")).await?;
        assert!(!read_all(&mut other).await?.is_empty());
    }
    agent.go_on();
    read_all(&mut first).await?;
    let mut second = RawSse::open(server.address(), &second).await?;
    assert_eq!(read_all(&mut second).await?, whole_run(&input("t", "r2")));
    Ok(())
}

#[tokio::test]
async fn a_run_is_stopped_on_all_screens_and_its_call_given_up() -> io::Result<()> {
    let (agent, server) = hub(&["paused", "hang"], &[]).await?;
    let mut screen = RawSse::connect(server.address(), "/agui?user=ada&thread=t", &[]).await?;
    let mut caller = run(&server, "paused", "ada", &input("t", "r")).await?;
    read_to(&mut caller, "TEXT_MESSAGE_CONTENT").await?;
    assert_eq!(stop(&server, "bob", "r").await?.json()?["stopped"], false);
    let answer = stop(&server, "ada", "r").await?.json()?;
    let expected = json!({ "threadId": "t", "runId": "r", "stopped": true, "status": "failed" });
    assert_eq!(answer, expected);
    for events in [
        read_all(&mut caller).await?,
        read_to(&mut screen, "RUN_ERROR").await?,
    ] {
        let end = events.last().expect("an end");
        assert_eq!(
            (&end["type"], &end["code"]),
            (&json!("RUN_ERROR"), &json!("cancelled"))
        );
    }
    within("the call's end", PATIENCE, async {
        while agent.n_given_up() == 0 {
            tokio::task::yield_now().await;
        }
        Ok(())
    })
    .await?;
    assert_eq!(stop(&server, "ada", "r").await?.json()?["stopped"], false);
    // Also before the agent has answered: the caller has been told nothing yet.
    let mut caller = run(&server, "hang", "ada", &input("u", "r2")).await?;
    assert_eq!(stop(&server, "ada", "r2").await?.json()?["stopped"], true);
    let events = read_all(&mut caller).await?;
    let types: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["RUN_STARTED", "RUN_ERROR"]);
    Ok(())
}

#[tokio::test]
async fn who_asks_too_much_is_told_what_to_do() -> io::Result<()> {
    let bounds = ["--agui.runs_per_user", "1", "--agui.runs", "2"];
    let (_agent, server) = hub(&["paused", "whole"], &bounds).await?;
    let send = async |agent: &str, user: &str, input: &Value| {
        run_request(agent, user, input).send(server.address()).await
    };
    let unknown = send("wole", "ada", &input("t", "r")).await?;
    assert_eq!(unknown.status(), 404);
    assert!(
        unknown.text().contains("paused, whole"),
        "{}",
        unknown.text()
    );
    let mut first = run(&server, "paused", "ada", &input("t", "r")).await?;
    read_to(&mut first, "TEXT_MESSAGE_CONTENT").await?;
    let mut other = run(&server, "paused", "bob", &input("t", "r")).await?;
    read_to(&mut other, "TEXT_MESSAGE_CONTENT").await?;
    for (user, status) in [("ada", 503), ("cyd", 503)] {
        let full = send("whole", user, &input("u", "r2")).await?;
        assert_eq!(full.status(), status, "{}", full.text());
        assert!(full.head.header("retry-after").is_some());
    }
    stop(&server, "bob", "r").await?;
    let full = send("whole", "ada", &input("u", "r2")).await?;
    assert!([429, 503].contains(&full.status()), "{}", full.text());
    for bad in [
        json!({}),
        json!({ "threadId": "t", "runId": "", "messages": [] }),
    ] {
        let answer = send("whole", "dan", &bad).await?;
        assert_eq!(answer.status(), 422, "{}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_hub_that_goes_away_ends_the_runs_it_calls() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let log = format!("disk:{}", folder.path().join("log").display());
    let (_agent, mut server) = hub(&["silent"], &["--log", &log, "--drain.window", "1s"]).await?;
    let mut caller = run(&server, "silent", "ada", &input("t", "r")).await?;
    read_to(&mut caller, "TEXT_MESSAGE_CONTENT").await?;
    server.signal("TERM").await?;
    assert!(server.wait(Duration::from_secs(20)).await?.success());
    let arguments = ["dev", "--no-demo", "--listen", "127.0.0.1:0", "--log", &log];
    let server = ServerProcess::events(&arguments, &[]).await?;
    let mut late = connect(&server, "ada", &input("t", "late")).await?;
    let events = read_all(&mut late).await?;
    let end = events.last().expect("an end");
    assert_eq!(end["code"], "hub_stopped", "{events:?}");
    Ok(())
}

#[tokio::test]
async fn a_new_hub_has_an_agent_to_ask() -> io::Result<()> {
    let server = ServerProcess::events(&["dev", "--listen", "127.0.0.1:0"], &[]).await?;
    let mut caller = run(&server, "demo", "ada", &input("t", "r")).await?;
    let events = read_all(&mut caller).await?;
    assert_eq!(
        events.last().map(|end| &end["type"]),
        Some(&json!("RUN_FINISHED"))
    );
    let text: String = events
        .iter()
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert!(text.contains("What is it?"), "{text}");
    Ok(())
}
