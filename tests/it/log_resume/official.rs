//! The official AG-UI client at one hub, while the other, through which the run was begun, is killed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use events_tests::agui_check::{AgUiCheck, AgUiVersion};
use events_tests::deadline::{PATIENCE, within};
use events_tests::raw_client::{self, Request};
use events_tests::resume::hubs::Hubs;
use events_tests::resume::{Engine, EngineKind};
use events_tests::sample;
use serde_json::{Value, json};
use tokio::time::interval;

use super::rest;

const DELTAS: usize = 60;

/// Publishes a line under its message id, and says whether it was taken.
async fn try_publish(address: SocketAddr, n: usize, line: &str) -> io::Result<bool> {
    let path = format!("/publish/agui/ada?user=ada&thread=t&msg_id=m{n}");
    let request = Request::post(&path, "application/json", line);
    let limit = Duration::from_secs(5);
    match within("an answer", limit, request.send(address)).await {
        Ok(answer) if answer.status() == 200 => Ok(true),
        Ok(answer) if matches!(answer.status(), 503 | 504) => Ok(false),
        Ok(answer) => Err(io::Error::other(answer.text())),
        // It is gone.
        Err(_) => Ok(false),
    }
}

async fn publish(address: SocketAddr, n: usize, line: &str) -> io::Result<()> {
    let mut ticks = interval(Duration::from_millis(50));
    within("a publish", PATIENCE, async {
        while !try_publish(address, n, line).await? {
            ticks.tick().await;
        }
        Ok(())
    })
    .await
}

async fn has_joined(address: SocketAddr) -> io::Result<()> {
    let mut ticks = interval(Duration::from_millis(20));
    within("the client", Duration::from_secs(40), async {
        loop {
            ticks.tick().await;
            let metrics = raw_client::get(address, "/metrics", &[]).await?.text();
            let is_there = |line: &str| {
                line.starts_with("events_connections{stream=\"agui\"}") && !line.ends_with(" 0")
            };
            if metrics.lines().any(is_there) {
                return Ok(());
            }
        }
    })
    .await
}

async fn trial(name: &str, kind: EngineKind) -> io::Result<()> {
    for version in AgUiVersion::ALL {
        let Some(check) = AgUiCheck::find(name, version) else {
            continue;
        };
        let Some(engine) = Engine::start(name, kind, 2).await? else {
            return Ok(());
        };
        let mut hubs = Hubs::start(vec![engine.arguments(0), engine.arguments(1)]).await?;
        let (one, other) = (hubs.board().address(0), hubs.board().address(1));
        let lines = sample::run("t", "r", DELTAS);
        let n_before = DELTAS / 3;
        for (n, line) in lines[..n_before].iter().enumerate() {
            publish(one, n, line).await?;
        }
        let check = check.reading_time(Duration::from_secs(60));
        let url = format!("http://{other}/agui/connect?user=ada&wait=20s");
        let input = json!({
            "threadId": "t", "runId": "attach", "state": {}, "tools": [], "context": [], "forwardedProps": {},
            "messages": [{ "id": "question", "role": "user", "content": "What is it?" }],
        });
        let going_on = async {
            has_joined(other).await?;
            let (mut at, n_kill) = (one, n_before + DELTAS / 3);
            for (n, line) in lines.iter().enumerate().skip(n_before) {
                if n == n_kill {
                    // Between the request and its answer, or thereabouts.
                    let killing = async {
                        rest(Duration::from_millis(fastrand::u64(0..4))).await;
                        hubs.kill(0).await
                    };
                    let (taken, ()) = tokio::try_join!(try_publish(at, n, line), killing)?;
                    at = other;
                    println!("{version:?}: the event in between was taken: {taken}");
                }
                publish(at, n, line).await?;
            }
            Ok(())
        };
        let (verdict, ()) = tokio::try_join!(check.run_agent(&url, &input), going_on)?;
        assert!(verdict.is_clean(), "{version:?}: {:?}", verdict.refusals());
        let agent = verdict.agent().and_then(|agent| agent.messages.clone());
        let messages = agent.unwrap_or_default();
        let text: String = lines.iter().map(|line| delta(line)).collect();
        let held = messages.as_array().into_iter().flatten();
        let held: Vec<_> = held
            .filter_map(|message| message["content"].as_str())
            .collect();
        assert_eq!(held, ["What is it?", text.as_str()], "{version:?}");
    }
    Ok(())
}

fn delta(line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap();
    event["delta"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_has_the_whole_text_though_a_hub_dies_on_nats() -> io::Result<()> {
    trial(
        "log_resume_official_nats",
        EngineKind::Nats { n_servers: 1 },
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_has_the_whole_text_though_a_hub_dies_on_postgres() -> io::Result<()> {
    trial("log_resume_official_postgres", EngineKind::Postgres).await
}
