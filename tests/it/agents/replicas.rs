//! Runs of agents where several hubs share a log.

use std::io;

use events_tests::{
    nats_server::NatsServers,
    scripted_agent::{ScriptedAgent, whole_text},
    server_process::ServerProcess,
};
use serde_json::{Value, json};

use super::{connect, input, read_all, read_to, run, run_request, stop, thread};

async fn start(agent: &ScriptedAgent, log: &str) -> io::Result<ServerProcess> {
    let agent = format!("paused={}", agent.url("paused"));
    let arguments = [
        "dev",
        "--no-demo",
        "--listen",
        "127.0.0.1:0",
        "--log",
        log,
        "--agent",
        &agent,
    ];
    ServerProcess::events(&arguments, &[]).await
}

fn kind(events: &[Value]) -> Option<&Value> {
    events.last().map(|end| &end["type"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_joined_and_stopped_on_a_hub_that_does_not_call_the_agent() -> io::Result<()> {
    let Some(nats) = NatsServers::start("a_run_is_joined_and_stopped", 1).await else {
        return Ok(());
    };
    let agent = ScriptedAgent::start().await?;
    let (one, other) = (
        start(&agent, &nats.url()).await?,
        start(&agent, &nats.url()).await?,
    );

    // Begun on one, joined on the other, whole on both.
    let input_of_t = input("t", "r");
    let mut caller = run(&one, "paused", "ada", &input_of_t).await?;
    read_to(&mut caller, "TEXT_MESSAGE_CONTENT").await?;
    let mut late = connect(&other, "ada", &input_of_t).await?;
    read_to(&mut late, "TEXT_MESSAGE_START").await?;
    // The same request there joins, and another run is told off there.
    let mut again = run(&other, "paused", "ada", &input_of_t).await?;
    read_to(&mut again, "TEXT_MESSAGE_START").await?;
    let refused = run_request("paused", "ada", &input("t", "r2"))
        .send(other.address())
        .await?;
    assert_eq!(refused.status(), 409, "{}", refused.text());
    agent.go_on();
    for stream in [&mut caller, &mut late, &mut again] {
        assert_eq!(kind(&read_all(stream).await?), Some(&json!("RUN_FINISHED")));
    }
    assert_eq!(agent.calls().len(), 1);
    let told = thread(&other, "ada", "t").await?;
    assert_eq!(told["messages"][1]["content"], whole_text());

    // Stopped from the other.
    let mut caller = run(&one, "paused", "ada", &input("t", "r3")).await?;
    read_to(&mut caller, "TEXT_MESSAGE_CONTENT").await?;
    let answer = stop(&other, "ada", "r3").await?.json()?;
    assert_eq!(answer["stopped"], true, "{answer}");
    let events = read_all(&mut caller).await?;
    assert_eq!(
        events.last().map(|end| &end["code"]),
        Some(&json!("cancelled"))
    );
    events_tests::deadline::within("the call's end", events_tests::deadline::PATIENCE, async {
        while agent.n_given_up() == 0 {
            tokio::task::yield_now().await;
        }
        Ok(())
    })
    .await
}
