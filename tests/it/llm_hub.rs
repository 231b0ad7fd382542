//! The LLM gateway in the program: what passes is on `/llm/streams`, on the page of metrics, and in users' logs.

use std::{io, time::Duration};

use events_tests::{
    agui_check::{AgUiCheck, AgUiVersion},
    deadline::PATIENCE,
    llm_upstream::LlmUpstream,
    raw_client::{RawFrame, RawSse, Request, get, post},
    server_process::ServerProcess,
};
use serde_json::{Value, json};

const JSON: &str = "application/json";

/// The program before a provider that plays recordings.
async fn hub(further: &[&str]) -> io::Result<(LlmUpstream, ServerProcess)> {
    let upstream = LlmUpstream::start().await?;
    let provider = format!("up={}", upstream.url());
    let server = ServerProcess::dev(&[&["--llm", &provider], further].concat()).await?;
    Ok((upstream, server))
}

fn body(model: &str) -> String {
    json!({ "model": model, "stream": true, "max_tokens": 9, "messages": [] }).to_string()
}

/// Asks for a recording and reads the whole answer.
async fn ask(server: &ServerProcess, model: &str) -> io::Result<Vec<u8>> {
    let path = "/llm/up/v1/messages";
    let answer = post(server.address(), path, JSON, &body(model)).await?;
    Ok(answer.body)
}

fn is(frame: &RawFrame, kind: &str) -> bool {
    frame.json().is_ok_and(|json| json["type"] == kind)
}

async fn metrics(server: &ServerProcess) -> io::Result<String> {
    Ok(get(server.address(), "/metrics", &[]).await?.text())
}

/// Reads frames up to the first of a kind, and returns their JSON.
async fn read_to(screen: &mut RawSse, kind: &str) -> io::Result<Vec<Value>> {
    let frames = screen.read_until(PATIENCE, |frame| is(frame, kind)).await?;
    let events = frames.iter().filter(|frame| frame.is_event());
    events.map(RawFrame::json).collect()
}

#[tokio::test]
async fn a_screen_sees_a_request_begin_speak_and_end_and_the_client_gets_every_byte()
-> io::Result<()> {
    let (_upstream, server) = hub(&[]).await?;
    let mut screen = RawSse::connect(server.address(), "/llm/streams", &[]).await?;
    let first = read_to(&mut screen, "active").await?;
    assert_eq!(first[0]["streams"], json!([]));
    assert!(
        screen
            .head()
            .header("cache-control")
            .is_some_and(|value| value.contains("no-store"))
    );
    let name = "anthropic/text_basic.sse";
    let passed = ask(&server, name).await?;
    let root = events_tests::skip::workspace_root();
    let recorded = std::fs::read(root.join("crates/events-llm/tests/fixtures/llm").join(name))?;
    assert!(passed == recorded);
    let told = read_to(&mut screen, "completed").await?;
    assert_eq!(told[0]["type"], "started");
    assert_eq!(told[0]["model"], name);
    assert!(
        told.iter().any(|event| event["type"] == "text_delta"),
        "{told:?}"
    );
    let last = told.last().expect("an end");
    assert!(last["input_tokens"].as_u64() > Some(0), "{last}");
    assert!(screen.last_id().is_none(), "it cannot be resumed");
    let page = metrics(&server).await?;
    for name in [
        "gen_ai_client_token_usage_bucket{",
        "gen_ai_client_operation_duration_seconds_bucket{",
        "gen_ai_server_time_to_first_token_seconds_bucket{",
        "events_llm_requests_total{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"anthropic\"",
        "events_llm_tap_chunk_seconds_count ",
        "events_llm_active 0",
        "events_llm_gateway_emissions_total{outcome=\"published\"} 0",
        "events_connections{stream=\"agui\"} 0",
    ] {
        assert!(page.contains(name), "{name} is not in\n{page}");
    }
    assert!(page.ends_with("# EOF\n") && page.matches("# EOF").count() == 1);
    Ok(())
}

#[tokio::test]
async fn a_late_screen_is_told_what_runs_and_then_how_it_ends() -> io::Result<()> {
    let (upstream, server) = hub(&[]).await?;
    let request = Request::post(
        "/llm/up/v1/messages",
        JSON,
        body("pause:anthropic/text_basic.sse"),
    )
    .header("x-events-agent", "planner");
    let mut client = RawSse::open(server.address(), &request).await?;
    let _first = client.next_event(PATIENCE).await?;
    let mut screen = RawSse::connect(server.address(), "/llm/streams", &[]).await?;
    let active = read_to(&mut screen, "active").await?.remove(0);
    let stream = &active["streams"][0];
    assert_eq!(
        stream["model"], "pause:anthropic/text_basic.sse",
        "{active}"
    );
    assert_eq!(stream["agent_type"], "planner", "{active}");
    assert_eq!(active["totals"]["started"], 1, "{active}");
    upstream.go_on();
    client.read_to_end(PATIENCE).await?;
    let told = read_to(&mut screen, "completed").await?;
    assert_eq!(
        told.last().map(|end| &end["request_id"]),
        Some(&stream["request_id"])
    );
    let mut again = RawSse::connect(server.address(), "/llm/streams", &[]).await?;
    let active = read_to(&mut again, "active").await?.remove(0);
    assert_eq!(active["totals"]["completed"], 1, "{active}");
    assert_eq!(
        active["models"][0]["model"], "pause:anthropic/text_basic.sse",
        "{active}"
    );
    Ok(())
}

#[tokio::test]
async fn an_answer_for_a_user_is_a_run_that_official_clients_accept_and_can_join() -> io::Result<()>
{
    let (_upstream, server) = hub(&[]).await?;
    let request = Request::post("/llm/up/v1/messages", JSON, body("anthropic/tool_use.sse"))
        .header("x-events-user", "ada")
        .header("x-events-thread", "t1");
    let answer = request.send(server.address()).await?;
    assert_eq!(answer.head.header("x-events-thread"), Some("t1"));
    let path = "/agui?thread=t1&user=ada";
    let mut screen = RawSse::connect(server.address(), path, &[]).await?;
    let events = read_to(&mut screen, "RUN_FINISHED").await?;
    assert_eq!(events[0]["type"], "RUN_STARTED");
    let page = metrics(&server).await?;
    assert!(
        page.contains("events_llm_gateway_emissions_total{outcome=\"published\"} 1"),
        "{page}"
    );
    let input = json!({
        "threadId": "t1", "runId": "joined", "messages": [], "tools": [], "context": [],
        "state": {}, "forwardedProps": {},
    });
    for version in AgUiVersion::ALL {
        let Some(check) = AgUiCheck::find("an_answer_for_a_user", version) else {
            continue;
        };
        let url = server.url("/agui/connect?user=ada");
        let verdict = check.order().post(&url, &input).await?;
        assert!(verdict.is_clean(), "{:?}", verdict.refusals());
        assert!(verdict.n_events >= 3, "{verdict:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_active_already_is_not_disturbed_and_the_answer_passes() -> io::Result<()> {
    let (_upstream, server) = hub(&[]).await?;
    let begun = r#"{"type":"RUN_STARTED","threadId":"t1","runId":"own"}"#;
    let path = "/publish/agui/ada?user=ada";
    assert_eq!(
        post(server.address(), path, JSON, begun).await?.status(),
        200
    );
    let request = Request::post(
        "/llm/up/v1/messages",
        JSON,
        body("anthropic/text_basic.sse"),
    )
    .header("x-events-user", "ada")
    .header("x-events-thread", "t1");
    let answer = request.send(server.address()).await?;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().contains("message_stop"));
    let ended = r#"{"type":"RUN_FINISHED","threadId":"t1","runId":"own"}"#;
    assert_eq!(
        post(server.address(), path, JSON, ended).await?.status(),
        200
    );
    let page = metrics(&server).await?;
    assert!(
        page.contains("events_llm_gateway_emissions_total{outcome=\"refused\"} 1"),
        "{page}"
    );
    Ok(())
}

#[tokio::test]
async fn alerts_are_raised_on_the_screen_and_on_the_page_of_metrics() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let prices = folder.path().join("prices.toml");
    std::fs::write(
        &prices,
        "[[price]]\nmodel = \"*\"\ninput = 100000\noutput = 100000\n",
    )?;
    let prices = prices.display().to_string();
    let (_upstream, server) = hub(&[
        "--llm.prices",
        &prices,
        "--llm.alerts.stream_cost=0.01",
        "--llm.alerts.hourly_cost=0.01",
        "--llm.alerts.error_rate=50%",
        "--llm.alerts.error_requests=2",
    ])
    .await?;
    let mut screen = RawSse::connect(server.address(), "/llm/streams", &[]).await?;
    let _active = read_to(&mut screen, "active").await?;
    let _answer = ask(&server, "anthropic/text_basic.sse").await?;
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let told = read_to(&mut screen, "alert").await?;
        kinds.extend(
            told.last()
                .and_then(|alert| alert["kind"].as_str().map(str::to_owned)),
        );
    }
    assert_eq!(kinds, ["stream_cost", "hourly_cost"]);
    for _ in 0..2 {
        let _error = ask(&server, "status:529").await?;
    }
    let told = read_to(&mut screen, "alert").await?;
    assert_eq!(
        told.last().map(|alert| &alert["kind"]),
        Some(&json!("error_rate"))
    );
    let mut late = RawSse::connect(server.address(), "/llm/streams", &[]).await?;
    let active = read_to(&mut late, "active").await?.remove(0);
    assert_eq!(
        active["alerts"].as_array().map(Vec::len),
        Some(3),
        "{active}"
    );
    let page = metrics(&server).await?;
    for kind in ["stream_cost", "hourly_cost", "error_rate"] {
        let line = format!("events_llm_alerts_raised_total{{kind=\"{kind}\"}} 1\n");
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
    Ok(())
}

#[tokio::test]
async fn a_running_answer_may_end_while_the_program_stops_and_screens_are_told() -> io::Result<()> {
    let (upstream, mut server) = hub(&["--drain.window=10s"]).await?;
    let mut screen = RawSse::connect(server.address(), "/llm/streams", &[]).await?;
    let _active = read_to(&mut screen, "active").await?;
    let request = Request::post(
        "/llm/up/v1/messages",
        JSON,
        body("pause:anthropic/text_basic.sse"),
    );
    let mut client = RawSse::open(server.address(), &request).await?;
    let _first = client.next_event(PATIENCE).await?;
    server.signal("TERM").await?;
    let told = screen.read_to_end(PATIENCE).await?;
    assert!(
        told.iter()
            .any(|frame| frame.event.as_deref() == Some("closing")),
        "{told:?}"
    );
    upstream.go_on();
    let rest = client.read_to_end(PATIENCE).await?;
    assert!(
        rest.iter().any(|frame| is(frame, "message_stop")),
        "{rest:?}"
    );
    assert!(server.wait(Duration::from_secs(12)).await?.success());
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_not_over_in_time_is_cut_and_the_program_ends() -> io::Result<()> {
    let (_upstream, mut server) = hub(&["--drain.window=0s"]).await?;
    let request = Request::post(
        "/llm/up/v1/messages",
        JSON,
        body("pause:anthropic/text_basic.sse"),
    )
    .header("x-events-detach", "true");
    let mut client = RawSse::open(server.address(), &request).await?;
    let _first = client.next_event(PATIENCE).await?;
    server.signal("TERM").await?;
    assert!(
        client.read_to_end(PATIENCE).await.is_err(),
        "a clean end would be a lie"
    );
    assert!(server.wait(Duration::from_secs(10)).await?.success());
    Ok(())
}

#[tokio::test]
async fn the_demo_provider_answers_and_a_screen_has_life_at_once() -> io::Result<()> {
    let server = ServerProcess::events(&["dev", "--listen", "127.0.0.1:0"], &[]).await?;
    let mut screen = RawSse::connect(server.address(), "/llm/streams", &[]).await?;
    let told = read_to(&mut screen, "completed").await?;
    assert!(
        told.iter().any(|event| event["type"] == "text_delta"),
        "{told:?}"
    );
    let asked = json!({ "model": "demo", "stream": true, "messages": [] }).to_string();
    let path = "/llm/demo/v1/chat/completions";
    let answer = post(server.address(), path, JSON, &asked).await?.text();
    assert!(
        answer.contains("\"model\":\"demo\"") && answer.contains("[DONE]"),
        "{answer}"
    );
    Ok(())
}
