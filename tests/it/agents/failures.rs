//! An agent that fails leaves a run that is closed, and says why.

use std::io;

use events_tests::raw_client::get;
use serde_json::json;

use super::{hub, input, read_all, run, thread};

/// A script, the code of its RUN_ERROR, what that says, and how many events of the agent come before.
const WAYS: [(&str, &str, &str, usize); 14] = [
    ("cut", "agent_broken", "broke its answer off", 4),
    ("unfinished", "agent_unfinished", "without RUN_FINISHED", 4),
    ("bad-json", "agent_invalid", "event 6 of the agent", 4),
    (
        "bad-order",
        "agent_invalid",
        "event 6 of the agent is not valid: rule 4",
        4,
    ),
    ("open-end", "agent_invalid", "rule 9", 4),
    ("no-start", "agent_invalid", "rule 1", 0),
    ("own-error", "tired", "the model is tired", 4),
    ("html", "agent_invalid", "text/html", 0),
    ("moved", "agent_status", "307, which leads elsewhere", 0),
    ("500", "agent_status", "status 500", 0),
    ("401", "agent_status", "status 401", 0),
    ("silent", "agent_timeout", "silent for too long", 4),
    ("hang", "agent_timeout", "did not answer in time", 0),
    ("gone", "agent_unreachable", "refused the connection", 0),
];

#[tokio::test]
async fn every_way_to_fail_is_a_closed_run_that_says_why() -> io::Result<()> {
    let scripts: Vec<_> = WAYS.iter().map(|(script, ..)| *script).collect();
    let gone = ["--agui.agents.gone.url", "http://127.0.0.1:9/"];
    let silent = ["--agui.agents.silent.idle_timeout", "1s"];
    let hang = ["--agui.agents.hang.header_timeout", "1s"];
    let (_agent, server) = hub(&scripts, &[gone, silent, hang].concat()).await?;
    for (script, code, says, n_before) in WAYS {
        let mut caller = run(&server, script, script, &input("t", "r")).await?;
        let events = read_all(&mut caller).await?;
        assert_eq!(events[0]["type"], "RUN_STARTED", "{script}: {events:?}");
        let end = events.last().expect("an end");
        assert_eq!(end["type"], "RUN_ERROR", "{script}: {events:?}");
        assert_eq!(end["code"], code, "{script}: {end}");
        let message = end["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{script}: {message}");
        assert!(
            !message.contains("127.0.0.1") && !message.contains("secret"),
            "{message}"
        );
        assert_eq!(events.len(), 2 + n_before, "{script}: {events:?}");
        let thread = thread(&server, script, "t").await?;
        assert_eq!(thread["status"], "failed", "{script}");
        // The thread can be gone on with.
        let mut next = run(&server, script, script, &input("t", "next")).await?;
        assert_eq!(read_all(&mut next).await?[0]["runId"], json!("next"));
    }
    Ok(())
}

#[tokio::test]
async fn what_an_agent_says_after_the_end_is_left_aside_and_counted() -> io::Result<()> {
    let (_agent, server) = hub(&["after-end"], &[]).await?;
    let mut caller = run(&server, "after-end", "ada", &input("t", "r")).await?;
    let events = read_all(&mut caller).await?;
    assert_eq!(
        events.last().map(|end| &end["type"]),
        Some(&json!("RUN_FINISHED"))
    );
    let page = get(server.address(), "/metrics", &[]).await?.text();
    let line = "events_agent_events_dropped_total{reason=\"after_end\"} 3";
    assert!(page.contains(line), "{page}");
    Ok(())
}
