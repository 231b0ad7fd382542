//! Browsers on a hub that wants tokens: a page's own EventSource with a ticket, and the client with a hook.

use std::{io, time::Duration};

use events_tests::{
    devtools::DrivenPage,
    raw_client::Request,
    report_server::ReportServer,
    sample,
    server_process::ServerProcess,
    tokens::{hub, token},
};
use serde_json::json;

/// How long a stream lives before it is cut; `EVENTS_CUT_AFTER` says how many seconds, such as 60.
fn cut_after() -> Duration {
    let seconds = std::env::var("EVENTS_CUT_AFTER").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

async fn publish(server: &ServerProcess, token: &str, run: &str) -> io::Result<Vec<String>> {
    let lines = sample::run("t", run, 5).join("\n");
    let request = Request::post("/publish/agui/ada", "application/x-ndjson", lines);
    let request = request.header("authorization", &format!("Bearer {token}"));
    let answer = request.send(server.address()).await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Ok(serde_json::from_value(answer.json()?["ids"].take())?)
}

#[tokio::test]
async fn a_stream_opened_with_a_ticket_comes_back_by_itself() -> io::Result<()> {
    let server = hub().await?;
    let name = "a_stream_opened_with_a_ticket_comes_back_by_itself";
    // Between page and hub, on the page's own origin, so that connections can be cut.
    let front = ReportServer::start().await?;
    front.page("/", "<!doctype html><title>ticket</title>");
    front.proxy("/hub", server.address());
    let Some(mut page) = DrivenPage::open(name, &front.url("/")).await? else {
        return Ok(());
    };
    page.wait_until("location.protocol === 'http:' && document.readyState === 'complete'")
        .await?;
    let ada = token("ada", &[]).await?;
    let publisher = token("agent", &["--role", "publisher", "--for", "ada"]).await?;
    let script = format!(
        "fetch('/hub/ticket', {{ method: 'POST', headers: {{ authorization: 'Bearer {ada}' }} }}).then((answer) => \
         answer.json()).then(({{ ticket }}) => {{ window.seen = []; window.nOpened = 0; window.source = new \
         EventSource(`/hub/agui?ticket=${{ticket}}`); source.onopen = () => (nOpened += 1); source.onmessage = (event) \
         => seen.push(event.lastEventId); }})"
    );
    page.evaluate(&script).await?;
    page.wait_until("nOpened === 1").await?;
    let mut ids = publish(&server, &publisher, "first").await?;
    page.wait_until(&format!("seen.length === {}", ids.len()))
        .await?;
    tokio::time::timeout(cut_after(), std::future::pending::<()>())
        .await
        .ok();
    front.cut_streams();
    ids.extend(publish(&server, &publisher, "second").await?);
    page.wait_until(&format!("nOpened === 2 && seen.length === {}", ids.len()))
        .await?;
    assert_eq!(page.evaluate("seen").await?, json!(ids));
    Ok(())
}

#[tokio::test]
async fn the_client_asks_for_a_new_token_when_the_old_one_ends() -> io::Result<()> {
    let server = hub().await?;
    let name = "the_client_asks_for_a_new_token_when_the_old_one_ends";
    let Some(mut page) = DrivenPage::open(name, &server.url("/tabs.css")).await? else {
        return Ok(());
    };
    let tokens = [
        "not a token".to_owned(),
        token("ada", &["--ttl", "8s"]).await?,
        token("ada", &[]).await?,
    ];
    let script = format!(
        "import('/events.js').then(({{ connect }}) => {{ window.seen = []; window.whys = []; const tokens = {}; \
         window.stream = connect('/agui', {{ user: 'ada', token: async (why) => {{ whys.push(why); return \
         tokens.shift(); }}, onEvent: ({{ id }}) => seen.push(id), onGap: () => seen.push('gap') }}); }})",
        json!(tokens)
    );
    page.wait_until("location.protocol === 'http:' && document.readyState === 'complete'")
        .await?;
    page.evaluate(&script).await?;
    page.wait_until("stream.state === 'open'").await?;
    let publisher = token("agent", &["--role", "publisher", "--for", "ada"]).await?;
    let mut ids = publish(&server, &publisher, "first").await?;
    page.wait_until("whys.length === 3").await?;
    ids.extend(publish(&server, &publisher, "second").await?);
    page.wait_until(&format!("seen.length === {}", ids.len()))
        .await?;
    assert_eq!(page.evaluate("seen").await?, json!(ids));
    let whys = json!(["first", "refused", "expired"]);
    assert_eq!(page.evaluate("whys").await?, whys);
    Ok(())
}
