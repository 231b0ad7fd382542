//! What the official AG-UI clients say of our streams.

use std::{fs, path::PathBuf, time::Duration};

use events_tests::{
    agui_check::{AgUiCheck, AgUiVersion},
    hub::Hub,
    skip::workspace_root,
};
use futures_util::future::try_join_all;
use serde_json::Value;

/// Transcripts that use forms of 1.0 which the last 0.x client refuses, as the fixtures' sources say.
const NOT_FOR_0_0_59: [&str; 3] = ["cancelled", "frontend-tool-pending", "interrupt-and-resume"];
/// Node processes at a time: each is a client that starts slowly.
const AT_A_TIME: usize = 6;

fn transcripts() -> Vec<(String, PathBuf)> {
    let folder = workspace_root().join("tests/fixtures/agui/transcripts");
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("the fixtures are in the repository")
        .map(|entry| entry.expect("readable").path())
        .map(|path| {
            (
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
                path,
            )
        })
        .collect();
    found.sort();
    found
}

/// Publishes a transcript for a fresh user who is watched already, and lets a client judge what comes out.
async fn judge(hub: &Hub, check: &AgUiCheck, name: &str, path: &PathBuf) -> std::io::Result<()> {
    let body = fs::read_to_string(path)?;
    let user = format!("{name}-{check:p}");
    let stream = format!("http://{}/agui?user={user}&control=off", hub.address());
    let publish = async {
        hub.wait_for_connections(&user, 1).await?;
        hub.post(&format!("/publish/agui/{user}?user={user}"), &body)
            .await
    };
    // How many records a transcript makes is known once it is in a log; chunks are expanded on the way in.
    let n_records = {
        let probe = Hub::plain().await?;
        let answer = probe.post("/publish/agui/probe?user=probe", &body).await?;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
        answer.json()?["ids"].as_array().map_or(0, Vec::len)
    };
    let check = check.clone().order().max(n_records).min(n_records);
    let (verdict, answer) = futures_util::future::try_join(check.read(&stream), publish).await?;
    assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
    assert!(verdict.is_clean(), "{name}: {:?}", verdict.refusals());
    assert_eq!(verdict.n_events, n_records, "{name}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transcript_comes_out_as_both_generations_accept_it() -> std::io::Result<()> {
    let hub = Hub::plain().await?;
    let transcripts = transcripts();
    assert!(transcripts.len() >= 35);
    for version in AgUiVersion::ALL {
        let Some(check) = AgUiCheck::find("every_transcript", version) else {
            continue;
        };
        let check = check.reading_time(Duration::from_secs(60));
        let is_for = |name: &str| version == AgUiVersion::V1_0 || !NOT_FOR_0_0_59.contains(&name);
        let fitting: Vec<_> = transcripts
            .iter()
            .filter(|(name, _)| is_for(name))
            .collect();
        for some in fitting.chunks(AT_A_TIME) {
            try_join_all(
                some.iter()
                    .map(|(name, path)| judge(&hub, &check, name, path)),
            )
            .await?;
        }
    }
    Ok(())
}

/// Says which fields of a fixture line are what a test needs.
fn fixture_lines(file: &str) -> Vec<Value> {
    let path = workspace_root().join("tests/fixtures/agui").join(file);
    let text = fs::read_to_string(path).expect("the fixtures are in the repository");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[tokio::test]
async fn every_invalid_event_and_sequence_is_refused_over_http_with_a_reason() -> std::io::Result<()>
{
    let hub = Hub::plain().await?;
    for case in fixture_lines("invalid-events.jsonl") {
        let name = case["name"].as_str().expect("a name");
        let path = format!("/publish/agui/{name}?user={name}&thread=t");
        let body = format!(
            "{{\"type\":\"RUN_STARTED\",\"threadId\":\"t\",\"runId\":\"r\"}}\n{}",
            case["event"]
        );
        let answer = hub.post(&path, &body).await?;
        assert_eq!(answer.status(), 422, "{name}: {}", answer.text());
        let problem = answer.json()?;
        assert_eq!(problem["line"], 2, "{name}: {problem}");
        assert!(
            problem["path"]
                .as_str()
                .is_some_and(|path| path.starts_with('$')),
            "{name}: {problem}"
        );
    }
    for case in fixture_lines("invalid-sequences.jsonl") {
        let name = case["name"].as_str().expect("a name");
        let events = case["events"].as_array().expect("events");
        let body = events
            .iter()
            .map(|event| format!("{event}\n"))
            .collect::<String>();
        // Most begin with RUN_STARTED; those that do not are given their thread.
        let answer = hub
            .post(
                &format!("/publish/agui/{name}?user={name}&thread=t1"),
                &body,
            )
            .await?;
        assert_eq!(answer.status(), 422, "{name}: {}", answer.text());
        assert_eq!(
            answer.json()?["line"],
            case["rejected_at"],
            "{name}: {}",
            answer.text()
        );
        let user = events_core::UserId::new(name);
        assert_eq!(
            hub.router().store().last(&user).seq,
            0,
            "{name}: all or nothing"
        );
    }
    Ok(())
}
