//! Official A2A clients attach to tasks at any moment, and hold what one holds that saw all.

use std::{fs, io, path::PathBuf};

use events_models::{A2AEvent, TaskState};
use events_tests::{
    a2a_client::{A2AClient, Followed, Outcome},
    deadline::PATIENCE,
    hub::{Hub, HubOptions},
    raw_client::Request,
    skip::workspace_root,
};
use serde_json::{Value, json};

/// The ways in which a client can attach: binding and version.
const WAYS: [(&str, &str); 3] = [("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3")];

/// Cuts of one stream that are tried in each way; longer streams are cut here and there.
const MAX_CUTS: usize = 6;

/// The whole streams of 1.0 that end with a task: their names and events.
fn streams() -> Vec<(String, Vec<A2AEvent>)> {
    let folder = workspace_root().join("tests/fixtures/a2a");
    let read =
        |file: PathBuf| fs::read_to_string(file).expect("the fixtures are in the repository");
    let mut streams = Vec::new();
    for line in read(folder.join("streams/index.jsonl")).lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let file = line["file"].as_str().expect("a file");
        let is_follow_up = line["tags"].as_array().is_some_and(|tags| !tags.is_empty());
        if line["protocol"] != "1.0" || line["binding"] == "rest" || is_follow_up {
            continue;
        }
        let text = read(folder.join(file));
        let events: Vec<_> = text
            .lines()
            .map(|line| A2AEvent::from_json(line.as_bytes()).expect("legal"))
            .collect();
        let ends = |event: &A2AEvent| event.state().is_some_and(TaskState::is_terminal);
        if events.last().is_some_and(ends) && matches!(events[0], A2AEvent::Task(_)) {
            let name = line["stream"].as_str().expect("a name");
            streams.push((name.to_owned(), events));
        }
    }
    assert!(streams.len() >= 6, "only {} streams", streams.len());
    streams
}

/// The address at which a client finds the card of a user.
fn base(hub: &Hub, user: &str) -> String {
    format!("http://{}/a2a/users/{user}/", hub.address())
}

async fn publish(hub: &Hub, user: &str, events: &[A2AEvent]) -> io::Result<()> {
    for event in events {
        hub.publish(user, event.clone()).await?;
    }
    Ok(())
}

fn event(json: &Value) -> A2AEvent {
    A2AEvent::from_json(json.to_string().as_bytes()).expect("legal")
}

fn task() -> A2AEvent {
    let status = json!({ "state": "TASK_STATE_SUBMITTED" });
    event(&json!({ "task": { "id": "t", "contextId": "c", "status": status } }))
}

fn status(state: &str) -> A2AEvent {
    let status = json!({ "state": format!("TASK_STATE_{state}") });
    event(&json!({ "statusUpdate": { "taskId": "t", "contextId": "c", "status": status } }))
}

fn assert_whole(outcome: &Outcome, what: &str) {
    assert_eq!(outcome.error, None, "{what}: {outcome:?}");
    assert!(outcome.same, "{what}: {}", outcome.detail);
    assert_eq!(outcome.kinds[0], "task", "{what}");
}

/// A client of a stream at a cut: the user whose task it is, and what comes once the client is there.
struct Late<'a> {
    user: String,
    tail: &'a [A2AEvent],
    followed: Followed,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_cut_official_clients_end_with_the_task_of_one_that_saw_all() -> io::Result<()> {
    let streams = streams();
    for client in A2AClient::all("at_every_cut") {
        let hub = Hub::plain().await?;
        let mut late = Vec::new();
        for (name, events) in &streams {
            let step = events.len().div_ceil(MAX_CUTS);
            for cut in (1..events.len()).step_by(step) {
                for (binding, version) in WAYS {
                    let user = format!("{name}-{cut}-{}-{version}", binding.len());
                    publish(&hub, &user, &events[..cut]).await?;
                    let task = events[0].task_id().expect("a task").to_string();
                    let base = base(&hub, &user);
                    late.push(Late {
                        user,
                        tail: &events[cut..],
                        followed: Followed {
                            base,
                            task,
                            binding,
                            version,
                        },
                    });
                }
            }
        }
        let followed: Vec<_> = late.iter().map(|late| late.followed.clone()).collect();
        assert!(followed.len() > 60, "only {}", followed.len());
        let attached = async |job: usize| publish(&hub, &late[job].user, late[job].tail).await;
        let outcomes = client.follow(&followed, attached).await?;
        for (late, outcome) in late.iter().zip(&outcomes) {
            let what = format!("{} {}", client.name, late.user);
            assert_whole(outcome, &what);
            assert_eq!(outcome.kinds.len(), 1 + late.tail.len(), "{what}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_foreign_and_ended_tasks_are_the_errors_that_clients_know() -> io::Result<()> {
    let hub = Hub::plain().await?;
    publish(&hub, "ada", &[task()]).await?;
    publish(&hub, "over", &[task(), status("COMPLETED")]).await?;
    for client in A2AClient::all("unknown_foreign_and_ended") {
        let mut followed = Vec::new();
        for (binding, version) in WAYS {
            for (user, task) in [("ada", "other"), ("bob", "t"), ("over", "t")] {
                let (base, task) = (base(&hub, user), task.to_owned());
                followed.push(Followed {
                    base,
                    task,
                    binding,
                    version,
                });
            }
        }
        let outcomes = client
            .follow(&followed, async |_| panic!("nothing can be followed"))
            .await?;
        for (followed, outcome) in followed.iter().zip(outcomes) {
            let expected = if followed.base.contains("/over/") {
                "UnsupportedOperationError"
            } else {
                "TaskNotFoundError"
            };
            assert_eq!(
                outcome.error.as_deref(),
                Some(expected),
                "{} {followed:?} {outcome:?}",
                client.name
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn silence_does_not_end_the_client_that_gives_up_after_five_seconds() -> io::Result<()> {
    let Some(client) = A2AClient::python("silence_does_not_end") else {
        return Ok(());
    };
    let hub = Hub::plain().await?;
    publish(&hub, "ada", &[task(), status("INPUT_REQUIRED")]).await?;
    let followed = WAYS.map(|(binding, version)| Followed {
        base: base(&hub, "ada"),
        task: "t".to_owned(),
        binding,
        version,
    });
    let mut n_attached = 0;
    let attached = async |_job: usize| {
        n_attached += 1;
        if n_attached == WAYS.len() {
            // A stream of our own tells the time: its second comment comes after eight seconds.
            let path = "/a2a/users/ada/rest/tasks/t:subscribe?A2A-Version=1.0";
            let mut clock = hub.stream(path).await?;
            let mut n_beats = 0;
            clock
                .read_until(PATIENCE, |frame| {
                    n_beats += usize::from(frame.raw.contains("heartbeat"));
                    n_beats == 2
                })
                .await?;
            publish(&hub, "ada", &[status("WORKING"), status("COMPLETED")]).await?;
        }
        Ok(())
    };
    for outcome in client.follow(&followed, attached).await? {
        assert_whole(&outcome, "after the silence");
        assert_eq!(outcome.state.as_deref(), Some("TASK_STATE_COMPLETED"));
        assert_eq!(outcome.kinds.len(), 3);
    }
    Ok(())
}

#[tokio::test]
async fn several_streams_of_a_task_get_the_same_events_and_outlive_each_other() -> io::Result<()> {
    let hub = Hub::plain().await?;
    publish(&hub, "ada", &[task()]).await?;
    let path = "/a2a/users/ada/rest/tasks/t:subscribe?A2A-Version=1.0";
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(hub.stream(path).await?);
    }
    drop(streams.pop());
    let piece = |n: usize| {
        let artifact = json!({ "artifactId": "a", "parts": [{ "data": n }] });
        event(&json!({ "artifactUpdate": {
            "taskId": "t", "contextId": "c", "append": n > 0, "artifact": artifact,
        } }))
    };
    let mut events: Vec<_> = (0..300).map(piece).collect();
    events.push(status("COMPLETED"));
    publish(&hub, "ada", &events).await?;
    let mut read = Vec::new();
    for mut stream in streams {
        let frames = stream
            .read_until(PATIENCE, |frame| frame.raw.contains("COMPLETED"))
            .await?;
        let data: Vec<_> = frames.into_iter().filter_map(|frame| frame.data).collect();
        assert_eq!(data.len(), 302);
        read.push(data);
    }
    assert!(read.windows(2).all(|pair| pair[0] == pair[1]));
    Ok(())
}

#[tokio::test]
async fn a_reader_too_slow_for_the_history_is_given_the_task_anew_and_misses_nothing()
-> io::Result<()> {
    let limits = events_broadcast::Limits {
        events: 8,
        ..Default::default()
    };
    let hub = Hub::start(HubOptions {
        limits,
        ..HubOptions::default()
    })
    .await?;
    publish(&hub, "ada", &[task()]).await?;
    let path = "/a2a/users/ada/rest/tasks/t:subscribe?A2A-Version=1.0";
    let mut slow = hub.stream(path).await?;
    let artifact = |id: usize| {
        let artifact =
            json!({ "artifactId": id.to_string(), "parts": [{ "text": "x".repeat(2_000) }] });
        event(
            &json!({ "artifactUpdate": { "taskId": "t", "contextId": "c", "artifact": artifact } }),
        )
    };
    let first = slow.next_event(PATIENCE).await?;
    assert!(first.raw.contains("\"task\""), "{}", first.raw);
    // The server shares this thread, so it sends nothing before all is published: the position leaves the log.
    let events: Vec<_> = (0..140).map(artifact).collect();
    publish(&hub, "ada", &events).await?;
    publish(&hub, "ada", &[status("COMPLETED")]).await?;
    let mut content = events_models::a2a::fold::TaskContent::default();
    let mut n_tasks = 0;
    while content.state() != Some(TaskState::Completed) {
        let frame = slow.next_event(PATIENCE).await?;
        let read = A2AEvent::from_json(frame.data.unwrap_or_default().as_bytes()).expect("legal");
        n_tasks += usize::from(matches!(read, A2AEvent::Task(_)));
        content.take(read);
    }
    assert_eq!(n_tasks, 1, "it fell behind");
    let made = content.task().and_then(|task| task.artifacts.as_deref());
    assert_eq!(made.map(<[_]>::len), Some(140));
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_lost_by_the_server_does_not_take_that_for_the_end() -> io::Result<()> {
    let hub = Hub::plain().await?;
    publish(&hub, "ada", &[task()]).await?;
    for client in A2AClient::all("a_client_that_is_lost") {
        let followed = WAYS.map(|(binding, version)| Followed {
            base: base(&hub, "ada"),
            task: "t".to_owned(),
            binding,
            version,
        });
        let attached = async |_job: usize| {
            let path = "/connections?user=ada&only=close";
            let answer = Request::new("DELETE", path).send(hub.address()).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            Ok(())
        };
        for outcome in client.follow(&followed, attached).await? {
            assert!(outcome.error.is_some(), "{}: {outcome:?}", client.name);
        }
    }
    Ok(())
}
