//! A2A streams through the hub: unchanged, in order, on every stream that carries them.

use std::{fs, io, path::PathBuf};

use events_models::{A2AEvent, a2a::A2AVersion};
use events_tests::{
    deadline::PATIENCE,
    hub::Hub,
    raw_client::{RawFrame, Request, Response},
    skip::workspace_root,
};
use serde_json::Value;

fn fixtures() -> PathBuf {
    workspace_root().join("tests/fixtures/a2a")
}

fn lines_of(file: &str) -> Vec<String> {
    let text =
        fs::read_to_string(fixtures().join(file)).expect("the fixtures are in the repository");
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The whole streams of one version in the form that producers send: 1.0 in any binding, 0.3 in that of JSON-RPC.
fn streams(version: &str) -> Vec<String> {
    let index = lines_of("streams/index.jsonl");
    let index = index
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let wanted = index.filter(|stream| {
        stream["protocol"] == version && (version == "1.0" || stream["binding"] == "jsonrpc")
    });
    wanted
        .map(|stream| stream["file"].as_str().expect("a file").to_owned())
        .collect()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

async fn read(
    screen: &mut events_tests::raw_client::RawSse,
    n_events: usize,
) -> io::Result<Vec<Value>> {
    let mut events = Vec::with_capacity(n_events);
    while events.len() < n_events {
        let frame: RawFrame = screen.next_event(PATIENCE).await?;
        assert!(frame.id.is_some() && frame.event.is_none(), "{frame:?}");
        events.push(frame.json()?);
    }
    Ok(events)
}

#[tokio::test]
async fn every_whole_stream_passes_unchanged_and_in_order() -> io::Result<()> {
    let hub = Hub::plain().await?;
    for (version, parsed) in [("1.0", A2AVersion::V1_0), ("0.3", A2AVersion::V0_3)] {
        let files = streams(version);
        assert!(files.len() >= 10, "{version}");
        for file in files {
            let user = file.replace(['/', '.'], "-");
            let mut a2a = hub.stream(&format!("/a2a?user={user}")).await?;
            let mut contexts = hub
                .stream(&format!(
                    "/contexts?user={user}&last_event_id={}",
                    a2a_cursor(&mut a2a).await?
                ))
                .await?;
            let lines = lines_of(&file);
            let answer = publish(&hub, &user, version, &lines.join("\n")).await?;
            assert_eq!(answer.status(), 200, "{file}: {}", answer.text());
            // What is published in the form of 0.3 is stored and sent in that of 1.0.
            let expected: Vec<_> = lines
                .iter()
                .map(|line| A2AEvent::from_json_as(line.as_bytes(), parsed).expect("a legal event"))
                .map(|event| serde_json::to_value(&event).expect("JSON"))
                .collect();
            if version == "1.0" {
                assert_eq!(
                    expected,
                    lines.iter().map(|line| value(line)).collect::<Vec<_>>(),
                    "{file}"
                );
            }
            assert_eq!(read(&mut a2a, expected.len()).await?, expected, "{file}");
            for (got, event) in read(&mut contexts, expected.len())
                .await?
                .into_iter()
                .zip(expected)
            {
                assert_eq!(
                    got,
                    serde_json::json!({ "protocol": "a2a", "event": event }),
                    "{file}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_second_turn_of_a_task_passes_after_the_first_although_it_names_another_context()
-> io::Result<()> {
    let hub = Hub::plain().await?;
    let mut n_turns = 0;
    for second in streams("1.0") {
        let first = second.replace("turn2", "turn1");
        if first == second {
            continue;
        }
        let user = second.replace(['/', '.'], "-");
        for file in [first, second] {
            let answer = publish(&hub, &user, "1.0", &lines_of(&file).join("\n")).await?;
            assert_eq!(answer.status(), 200, "{file}: {}", answer.text());
        }
        n_turns += 1;
    }
    assert!(n_turns >= 4, "only {n_turns} second turns");
    Ok(())
}

#[tokio::test]
async fn members_that_no_version_describes_reach_the_screen_digit_by_digit() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let mut screen = hub.stream("/a2a?user=ada").await?;
    let mut contexts = hub.stream("/contexts?user=ada").await?;
    let new = r#"{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING","cost":12345678901234567890123},"eta":1.50},"seq":18446744073709551617}"#;
    let old = r#"{"kind":"status-update","taskId":"t","contextId":"c","final":false,"status":{"state":"working","cost":12345678901234567890123},"eta":1.50}"#;
    let stored = new.replace(r#","seq":18446744073709551617"#, "");
    for (version, line, expected) in [("1.0", new, new), ("0.3", old, &*stored)] {
        let answer = publish(&hub, "ada", version, line).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let frame = screen.next_event(PATIENCE).await?;
        assert_eq!(frame.data.as_deref(), Some(expected));
        let frames = contexts
            .read_until(PATIENCE, |frame| frame.raw.contains("statusUpdate"))
            .await?;
        let envelope = frames.last().map_or("", |frame| &frame.raw);
        assert!(envelope.contains(expected), "{envelope}");
    }
    Ok(())
}

async fn publish(hub: &Hub, user: &str, version: &str, body: &str) -> io::Result<Response> {
    let path = format!("/publish/a2a/{user}?user={user}");
    Request::post(&path, "application/x-ndjson", body)
        .header("A2A-Version", version)
        .send(hub.address())
        .await
}

/// Reads the cursor with which a stream begins.
async fn a2a_cursor(screen: &mut events_tests::raw_client::RawSse) -> io::Result<String> {
    let primed = screen
        .read_until(PATIENCE, |frame| frame.id.is_some())
        .await?;
    Ok(primed
        .last()
        .and_then(|frame| frame.id.clone())
        .expect("a cursor"))
}

fn status(task: &str, state: &str) -> String {
    format!(
        r#"{{"statusUpdate":{{"taskId":"{task}","contextId":"c","status":{{"state":"TASK_STATE_{state}","timestamp":"2026-11-21T10:00:00Z"}}}}}}"#
    )
}

#[tokio::test]
async fn one_task_can_be_followed_and_a_message_without_a_task_is_of_the_user_only()
-> io::Result<()> {
    let hub = Hub::plain().await?;
    let mut one = hub.stream("/a2a?user=ada&task=t1").await?;
    let mut all = hub.stream("/a2a?user=ada").await?;
    let message = r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"hello"}]}}"#;
    let lines = [
        status("t1", "WORKING"),
        status("t2", "WORKING"),
        message.to_owned(),
        status("t1", "COMPLETED"),
    ];
    for line in &lines {
        let answer = hub.post("/publish/a2a/ada?user=ada", line).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert_eq!(
        read(&mut all, 4).await?,
        lines.iter().map(|line| value(line)).collect::<Vec<_>>()
    );
    assert_eq!(
        read(&mut one, 2).await?,
        [value(&lines[0]), value(&lines[3])]
    );
    Ok(())
}

#[tokio::test]
async fn what_follows_a_terminal_state_is_refused_and_a_refused_batch_leaves_no_trace()
-> io::Result<()> {
    let hub = Hub::plain().await?;
    let batch = [
        status("t", "WORKING"),
        status("t", "COMPLETED"),
        status("t", "WORKING"),
    ]
    .join("\n");
    for _ in 0..2 {
        let refused = hub.post("/publish/a2a/ada?user=ada", &batch).await?;
        assert_eq!(refused.status(), 422, "{}", refused.text());
        let problem = refused.json()?;
        assert_eq!(
            (&problem["line"], &problem["rule"]),
            (&3.into(), &5.into()),
            "{problem}"
        );
    }
    assert_eq!(
        hub.post("/publish/a2a/ada?user=ada", &status("t", "WORKING"))
            .await?
            .status(),
        200
    );
    Ok(())
}

#[tokio::test]
async fn every_invalid_event_is_refused_over_http_with_a_reason() -> io::Result<()> {
    let hub = Hub::plain().await?;
    for (version, file) in [
        ("1.0", "v1.0-events-invalid.jsonl"),
        ("0.3", "v0.3-events-invalid.jsonl"),
    ] {
        for line in lines_of(file) {
            let case = value(&line);
            // A server must not write these, and it does not: what it reads leniently it writes correctly.
            if case["class"] == "emit-only" {
                continue;
            }
            let id = case["id"].as_str().expect("an id");
            let body = match case["raw"].as_str() {
                Some(raw) => raw.to_owned(),
                None => case["event"].to_string(),
            };
            let answer = publish(&hub, id, version, &body).await?;
            assert!(
                [400, 422].contains(&answer.status()),
                "{file} {id}: {} {}",
                answer.status(),
                answer.text()
            );
            assert!(
                answer.json()?["detail"]
                    .as_str()
                    .is_some_and(|detail| detail.len() > 5),
                "{id}"
            );
        }
    }
    Ok(())
}
