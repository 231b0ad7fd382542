//! Unmodified official clients attach to a thread.

use std::{fs, io, time::Duration};

use events_tests::{
    agui_check::{AgUiCheck, AgUiVersion},
    deadline::PATIENCE,
    hub::Hub,
    raw_client::{RawSse, Request},
    sample,
    skip::workspace_root,
};
use serde_json::{Value, json};

const A_MOMENT: Duration = Duration::from_millis(200);

fn input(name: &str, declares: Option<&str>) -> Value {
    let mut input = json!({
        "threadId": "t", "runId": format!("{name}-attach"), "state": {}, "tools": [], "context": [],
        "forwardedProps": {},
        "messages": [{ "id": "question", "role": "user", "content": "What is it?" }],
    });
    if let Some(version) = declares {
        input["protocolVersion"] = version.into();
    }
    input
}

/// What an official agent holds that attaches to the thread `t` after `n_before` lines were published.
async fn agent_holds(
    hub: &Hub,
    check: &AgUiCheck,
    user: &str,
    lines: &[String],
    n_before: usize,
) -> io::Result<(Value, Value)> {
    let (before, after) = lines.split_at(n_before);
    if !before.is_empty() {
        hub.publish_lines(user, before).await?;
    }
    let url = format!("http://{}/agui/connect?user={user}&wait=20s", hub.address());
    let publish = async {
        hub.wait_for_connections(user, 1).await?;
        if !after.is_empty() {
            hub.publish_lines(user, after).await?;
        }
        Ok(())
    };
    // A finished thread is told and over at once: nobody stays to be waited for.
    let verdict = if after.is_empty() {
        check.run_agent(&url, &input(user, None)).await?
    } else {
        futures_util::future::try_join(check.run_agent(&url, &input(user, None)), publish)
            .await?
            .0
    };
    assert!(verdict.is_clean(), "{user}: {:?}", verdict.refusals());
    let agent = verdict
        .findings
        .iter()
        .find(|finding| finding.kind == "agent");
    let agent = agent.expect("what the agent holds");
    Ok((
        agent.messages.clone().unwrap_or_default(),
        agent.state.clone().unwrap_or_default(),
    ))
}

/// One long-lived official agent per moment of joining: all of them end with the same messages and state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unmodified_http_agent_joins_a_live_run_at_any_moment() -> io::Result<()> {
    let name = "the_unmodified_http_agent";
    let path = workspace_root().join("tests/fixtures/agui/transcripts/tool-call.jsonl");
    let text = fs::read_to_string(path)?.replace("\"threadId\":\"thread-1\"", "\"threadId\":\"t\"");
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let thread = serde_json::from_str::<Value>(&lines[0])?["threadId"].clone();
    let lines: Vec<_> = lines
        .iter()
        .map(|line| line.replace(&format!("\"threadId\":{thread}"), "\"threadId\":\"t\""))
        .collect();
    for version in AgUiVersion::ALL {
        let Some(check) = AgUiCheck::find(name, version) else {
            continue;
        };
        let check = check.reading_time(Duration::from_secs(40));
        let hub = Hub::plain().await?;
        let whole = agent_holds(&hub, &check, "whole", &lines, 0).await?;
        assert_ne!(whole.0, json!([]), "the run says something");
        for n_before in [
            1,
            lines.len() / 3,
            lines.len() / 2,
            lines.len() - 1,
            lines.len(),
        ] {
            let user = format!("after-{n_before}");
            let joined = agent_holds(&hub, &check, &user, &lines, n_before).await?;
            assert_eq!(
                joined,
                whole,
                "{version:?}, joined after {n_before} of {} lines",
                lines.len()
            );
        }
    }
    Ok(())
}

async fn connect(hub: &Hub, query: &str, body: &Value) -> io::Result<RawSse> {
    let path = format!("/agui/connect?user=ada{query}");
    let request = Request::post(&path, "application/json", body.to_string());
    RawSse::open(hub.address(), &request).await
}

#[tokio::test]
async fn an_unknown_thread_is_an_empty_run_in_the_client_s_own_ids() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let mut client = connect(&hub, "", &input("ada", Some("1.0"))).await?;
    let frames = client.read_to_end(PATIENCE).await?;
    let events: Vec<_> = frames.iter().filter(|frame| frame.is_event()).collect();
    assert_eq!(events.len(), 2, "{frames:?}");
    for (frame, kind) in events.iter().zip(["RUN_STARTED", "RUN_FINISHED"]) {
        let json = frame.json()?;
        assert_eq!(json["type"], kind);
        assert_eq!(
            (&json["threadId"], &json["runId"]),
            (&json!("t"), &json!("ada-attach"))
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_client_may_wait_for_a_thread_to_begin() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let mut client = connect(&hub, "&wait=1m", &input("ada", Some("1.0"))).await?;
    client
        .read_until(PATIENCE, |frame| frame.id.is_some())
        .await?;
    assert!(
        client.is_silent(A_MOMENT).await?,
        "nothing is said before the run begins"
    );
    hub.publish_lines("ada", &sample::run("t", "r", 3)).await?;
    hub.publish_lines("ada", &sample::run("t", "next", 3))
        .await?;
    let frames = client.read_to_end(PATIENCE).await?;
    assert_eq!(
        frames.iter().filter(|frame| frame.is_event()).count(),
        7,
        "{frames:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_client_s_bad_input_gets_a_clear_error() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let cases = [
        ("&wait=soon", input("ada", None).to_string(), 400, "wait"),
        ("", "{".to_owned(), 400, "JSON"),
        ("", json!({ "threadId": "t" }).to_string(), 422, "runId"),
        (
            "",
            json!({ "threadId": "t", "runId": 1, "messages": [] }).to_string(),
            422,
            "runId",
        ),
    ];
    for (query, body, status, says) in cases {
        let path = format!("/agui/connect?user=ada{query}");
        let request = Request::post(&path, "application/json", &body);
        let answer = request.send(hub.address()).await?;
        assert_eq!(answer.status(), status, "{}", answer.text());
        assert!(answer.text().contains(says), "{}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_drain_cuts_official_clients_off_instead_of_pretending_success() -> io::Result<()> {
    let mut hub = Hub::plain().await?;
    hub.publish_lines("ada", &sample::run("t", "r", 3)[..3])
        .await?;
    let mut client = connect(&hub, "", &input("ada", Some("1.0"))).await?;
    client
        .read_until(PATIENCE, |frame| frame.id.is_some())
        .await?;
    hub.signal();
    let ended = client.read_to_end(PATIENCE).await;
    let error = ended.expect_err("the transfer is cut, not ended");
    assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    hub.ended(PATIENCE).await
}
