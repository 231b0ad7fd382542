//! An agent server that nobody here wrote: Pydantic AI's own adapter, without a model.

use std::io;
use std::time::Duration;

use events_tests::{
    agui_check::{AgUiCheck, AgUiVersion},
    raw_client::RawSse,
    server_process::ServerProcess,
    skip,
};
use serde_json::{Value, json};

use super::{connect, input, read_all, read_to, run, run_request, thread};

/// The agent and a hub before it.
async fn hub(name: &str) -> io::Result<Option<(ServerProcess, ServerProcess)>> {
    let what = "Pydantic AI with AG-UI (`cargo xtask setup`)";
    let Some(python) = skip::require(name, what, skip::client_python("agents-py")) else {
        return Ok(None);
    };
    let program = skip::workspace_root().join("tests/clients/agent-pydantic.py");
    let program = program.display().to_string();
    let agent = ServerProcess::start(python, &[&program], &[]).await?;
    let (tools, words) = (agent.url("/tools"), agent.url("/words"));
    let (tools, words) = (format!("tools={tools}"), format!("words={words}"));
    let arguments = [
        "dev",
        "--no-demo",
        "--listen",
        "127.0.0.1:0",
        "--agent",
        &tools,
        "--agent",
        &words,
    ];
    let server = ServerProcess::events(&arguments, &[]).await?;
    Ok(Some((agent, server)))
}

/// What a run said, without what is drawn by lot: ids and times.
fn told(events: &[Value]) -> Vec<(Value, Value)> {
    let of = |event: &Value| (event["type"].clone(), event["delta"].clone());
    events.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_others_is_behind_the_hub_as_it_is_alone() -> io::Result<()> {
    let name = "an_agent_of_others";
    let Some((agent, server)) = hub(name).await? else {
        return Ok(());
    };
    let input = input("t", "r");
    let alone = run_request("tools", "ada", &input);
    let direct = events_tests::raw_client::Request::post("/tools", super::JSON, input.to_string())
        .header("accept", "text/event-stream");
    let direct = read_all(&mut RawSse::open(agent.address(), &direct).await?).await?;
    let through = read_all(&mut RawSse::open(server.address(), &alone).await?).await?;
    assert_eq!(told(&through), told(&direct));
    assert!(
        direct
            .iter()
            .any(|event| event["type"] == "TOOL_CALL_RESULT"),
        "{direct:?}"
    );
    for version in AgUiVersion::ALL {
        let Some(check) = AgUiCheck::find(name, version) else {
            continue;
        };
        let check = check.reading_time(Duration::from_secs(40));
        let url = server.url(&format!("/agui/run/tools?user={version:?}"));
        let verdict = check.run_agent(&url, &input).await?;
        assert!(verdict.is_clean(), "{version:?}: {:?}", verdict.refusals());
        let held = verdict.agent().and_then(|agent| agent.messages.clone());
        let text = held.unwrap_or_default().to_string();
        assert!(text.contains("sunny in a"), "{version:?}: {text}");
    }
    Ok(())
}

/// One official client asks and is killed in mid-message; another one, that joined late, ends with the whole text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_official_clients_one_is_killed_and_the_late_one_has_the_whole_text()
-> io::Result<()> {
    let name = "of_two_official_clients";
    let Some((_agent, server)) = hub(name).await? else {
        return Ok(());
    };
    let whole: String = (0..60).map(|n| format!("word-{n} ")).collect();
    for (version, other) in [
        (AgUiVersion::V1_0, AgUiVersion::V0_0_59),
        (AgUiVersion::V0_0_59, AgUiVersion::V1_0),
    ] {
        let found = AgUiCheck::find(name, version).zip(AgUiCheck::find(name, other));
        let Some((first, late)) = found else {
            continue;
        };
        let user = format!("{version:?}");
        let mut input = input("t", "r");
        input
            .as_object_mut()
            .expect("an object")
            .remove("protocolVersion");
        let mut screen = RawSse::connect(
            server.address(),
            &format!("/agui?user={user}&thread=t"),
            &[],
        )
        .await?;
        let run_url = server.url(&format!("/agui/run/words?user={user}"));
        let connect_url = server.url(&format!("/agui/connect?user={user}"));
        let (first, late) = (
            first.reading_time(Duration::from_secs(40)),
            late.reading_time(Duration::from_secs(40)),
        );
        // Its process is killed when the future is dropped.
        let asking = first.run_agent(&run_url, &input);
        let killed = async {
            tokio::select! {
                ended = asking => Err(io::Error::other(format!("it ended by itself: {ended:?}"))),
                words = async {
                    for _ in 0..8 {
                        read_to(&mut screen, "TEXT_MESSAGE_CONTENT").await?;
                    }
                    Ok::<_, io::Error>(())
                } => words,
            }
        };
        killed.await?;
        let verdict = late.run_agent(&connect_url, &input).await?;
        assert!(verdict.is_clean(), "{other:?}: {:?}", verdict.refusals());
        let held = verdict.agent().and_then(|agent| agent.messages.clone());
        let held = held.unwrap_or_default();
        let texts: Vec<_> = held.as_array().into_iter().flatten().collect();
        let text = texts.iter().find(|message| message["role"] == "assistant");
        assert_eq!(
            text.map(|text| &text["content"]),
            Some(&json!(whole)),
            "{held}"
        );
        assert!(held.to_string().contains("What is it?"), "{held}");
        assert_eq!(thread(&server, &user, "t").await?["status"], "finished");
    }
    // The plain way, too: asked, left, joined.
    let input = input("u", "r");
    let mut caller = run(&server, "words", "ada", &input).await?;
    read_to(&mut caller, "TEXT_MESSAGE_CONTENT").await?;
    caller.reset()?;
    let mut late = connect(&server, "ada", &input).await?;
    let end = read_all(&mut late).await?;
    assert_eq!(
        end.last().map(|end| &end["type"]),
        Some(&json!("RUN_FINISHED"))
    );
    Ok(())
}
