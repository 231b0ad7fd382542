//! The console in a real browser, before the program as a person starts it.

use std::io;

use events_tests::{devtools::DrivenPage, raw_client::get, sample, server_process::ServerProcess};
use serde_json::json;

/// Whether the chosen conversation has a text.
const READS: &str = "document.querySelector('#item-list').innerText.includes";

async fn connected(page: &mut DrivenPage) -> io::Result<()> {
    page.wait_until("document.querySelector('#connection').dataset.state === 'live' && document.querySelectorAll('#frame-list li').length >= 2")
        .await
}

#[tokio::test]
async fn the_console_shows_the_demo_of_a_fresh_hub() -> io::Result<()> {
    let server = ServerProcess::events(&["dev", "--listen", "127.0.0.1:0"], &[]).await?;
    let name = "the_console_shows_the_demo_of_a_fresh_hub";
    let Some(mut page) = DrivenPage::open(name, &server.url("/")).await? else {
        return Ok(());
    };
    page.wait_until("document.querySelector('.item.message .text').innerText.length > 5")
        .await?;
    page.wait_until("document.querySelector('#badge').innerText === 'finished'")
        .await?;
    page.wait_until("document.querySelector('#verdict').innerText === 'Nothing lost.'")
        .await?;
    page.wait_until("location.search === '?user=demo'").await
}

#[tokio::test]
async fn markup_in_a_models_text_stays_text() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "markup_in_a_models_text_stays_text";
    let Some(mut page) = DrivenPage::open(name, &server.url("/?user=ada")).await? else {
        return Ok(());
    };
    connected(&mut page).await?;
    let markup =
        "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">";
    let events = [
        json!({ "type": "RUN_STARTED", "threadId": markup, "runId": markup }),
        json!({ "type": "STEP_STARTED", "stepName": markup }),
        json!({ "type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant", "name": markup }),
        json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": markup }),
        json!({ "type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": markup }),
        json!({ "type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": markup }),
        json!({ "type": "TOOL_CALL_RESULT", "messageId": "r", "toolCallId": "c", "content": markup }),
        json!({ "type": "STATE_SNAPSHOT", "snapshot": { markup: markup } }),
        json!({ "type": "ACTIVITY_SNAPSHOT", "messageId": "a", "activityType": markup, "content": { markup: markup } }),
        json!({ "type": "CUSTOM", "name": markup, "value": markup }),
        json!({ "type": "RUN_ERROR", "message": markup, "code": markup }),
    ];
    server
        .publish("agui", "ada", &events.map(|event| event.to_string()))
        .await?;
    page.wait_until("document.querySelector('#badge').innerText === 'failed'")
        .await?;
    page.wait_until(
        "document.querySelector('.item.message .text').innerText.startsWith('<script>document')",
    )
    .await?;
    page.wait_until(
        "document.querySelector('.item.tool .result pre').textContent.includes('<img src=x')",
    )
    .await?;
    let n_elements = page
        .evaluate("document.body.querySelectorAll('script, img, [onerror]').length")
        .await?;
    assert_eq!(n_elements, 0);
    assert_eq!(
        page.evaluate("document.title").await?,
        "ada · events console"
    );
    Ok(())
}

#[tokio::test]
async fn a_cut_connection_is_resumed_and_nothing_is_lost() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "a_cut_connection_is_resumed_and_nothing_is_lost";
    let Some(mut page) = DrivenPage::open(name, &server.url("/?user=ada")).await? else {
        return Ok(());
    };
    connected(&mut page).await?;
    server
        .publish("agui", "ada", &sample::run("t", "first", 10))
        .await?;
    page.wait_until(&format!("{READS}('first 9')")).await?;
    page.evaluate("document.querySelector('#cut').click()")
        .await?;
    page.wait_until("document.querySelector('#connection').dataset.state === 'cut'")
        .await?;
    server
        .publish("agui", "ada", &sample::run("t", "second", 10))
        .await?;
    assert_eq!(page.evaluate(&format!("{READS}('second')")).await?, false);
    page.evaluate("document.querySelector('#cut').click()")
        .await?;
    page.wait_until(&format!("{READS}('second 9')")).await?;
    page.wait_until("document.querySelector('#verdict').innerText === 'Nothing lost.'")
        .await?;
    let counts = "28 events · numbers 1 to 28, strictly increasing · 1 resume · 0 gaps.";
    assert_eq!(
        page.evaluate("document.querySelector('#counts').innerText")
            .await?,
        counts
    );
    Ok(())
}

#[tokio::test]
async fn the_form_publishes_and_shows_the_servers_refusal() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "the_form_publishes_and_shows_the_servers_refusal";
    let Some(mut page) = DrivenPage::open(name, &server.url("/?user=ada")).await? else {
        return Ok(());
    };
    connected(&mut page).await?;
    let samples = [
        ("a tool call", "\"celsius\": 7"),
        ("an A2A task", "Three findings."),
        ("markup, shown as text", "<script>alert(2)</script>"),
    ];
    for (sample, shown) in samples {
        send(&mut page, sample).await?;
        page.wait_until("document.querySelector('#answer').dataset.tone === 'good'")
            .await?;
        page.wait_until(&format!("{READS}({})", json!(shown)))
            .await?;
    }
    send(&mut page, "state and a patch").await?;
    page.wait_until(
        "JSON.parse(document.querySelector('#state-text').textContent).cart[1] === 'milk'",
    )
    .await?;
    send(&mut page, "refused: not begun").await?;
    page.wait_until("document.querySelector('#answer').dataset.tone === 'bad'")
        .await?;
    let answer = page
        .evaluate("document.querySelector('#answer').textContent")
        .await?;
    let answer = answer.as_str().unwrap_or_default();
    assert!(
        answer.contains("422") && answer.contains("line2rule4detail"),
        "{answer}"
    );
    Ok(())
}

async fn send(page: &mut DrivenPage, sample: &str) -> io::Result<()> {
    let script = format!(
        "document.querySelector('#sample').value = {}; document.querySelector('#sample').dispatchEvent(new \
         Event('change')); document.querySelector('#send').click()",
        json!(sample)
    );
    page.evaluate(&script).await.map(drop)
}

#[tokio::test]
async fn patches_are_applied_as_a_whole_or_not_at_all() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "patches_are_applied_as_a_whole_or_not_at_all";
    let Some(mut page) = DrivenPage::open(name, &server.url("/?user=ada")).await? else {
        return Ok(());
    };
    connected(&mut page).await?;
    let cases = [
        (
            r#"{"a":[1,2]}"#,
            r#"[{"op":"add","path":"/a/1","value":9},{"op":"add","path":"/a/-","value":null}]"#,
            r#"{"a":[1,9,2,null]}"#,
        ),
        (
            r#"{"a/b":1,"c~d":2}"#,
            r#"[{"op":"remove","path":"/a~1b"},{"op":"replace","path":"/c~0d","value":3}]"#,
            r#"{"c~d":3}"#,
        ),
        (
            r#"{"a":{"b":1}}"#,
            r#"[{"op":"move","from":"/a/b","path":"/c"},{"op":"copy","from":"/c","path":"/a/d"}]"#,
            r#"{"a":{"d":1},"c":1}"#,
        ),
        (
            r#"{"a":1}"#,
            r#"[{"op":"replace","path":"","value":[1]}]"#,
            "[1]",
        ),
        (
            r#"{"a":{"x":1,"y":[2]}}"#,
            r#"[{"op":"test","path":"/a","value":{"y":[2],"x":1}},{"op":"remove","path":"/a"}]"#,
            "{}",
        ),
        (
            r#"{"a":1}"#,
            r#"[{"op":"add","path":"/b","value":1},{"op":"remove","path":"/nowhere"}]"#,
            r#""refused""#,
        ),
        (
            r#"{"a":[1]}"#,
            r#"[{"op":"add","path":"/a/01","value":1}]"#,
            r#""refused""#,
        ),
        (
            r#"{"a":[1]}"#,
            r#"[{"op":"remove","path":"/a/-"}]"#,
            r#""refused""#,
        ),
        (
            "{}",
            r#"[{"op":"add","path":"/__proto__/taken","value":1}]"#,
            r#""refused""#,
        ),
        (
            "{}",
            r#"[{"op":"add","path":"/constructor/prototype/taken","value":1}]"#,
            r#""refused""#,
        ),
    ];
    for (value, patch, expected) in cases {
        let script = format!(
            "import('/console-patch.js').then(({{ patched }}) => {{ const value = {value}; const before = \
             JSON.stringify(value); let result; try {{ result = patched(value, {patch}); }} catch {{ result = \
             'refused'; }} return JSON.stringify(value) === before ? result : 'changed in place'; }})"
        );
        let expected: serde_json::Value = serde_json::from_str(expected)?;
        assert_eq!(page.evaluate(&script).await?, expected, "{value} {patch}");
    }
    assert_eq!(page.evaluate("({}).taken === undefined").await?, true);
    Ok(())
}

#[tokio::test]
async fn the_page_does_not_grow_without_end() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "the_page_does_not_grow_without_end";
    let Some(mut page) = DrivenPage::open(name, &server.url("/?user=ada")).await? else {
        return Ok(());
    };
    connected(&mut page).await?;
    for n in 0..250 {
        server
            .publish("agui", "ada", &sample::run("t", &format!("run{n}"), 1))
            .await?;
    }
    page.wait_until(&format!("{READS}('run249 0')")).await?;
    let counts = "[document.querySelectorAll('.item').length, document.querySelectorAll('#frame-list \
                  li').length, document.querySelector('#dropped').hidden]";
    assert_eq!(page.evaluate(counts).await?, json!([200, 500, false]));
    for n in 0..50 {
        server
            .publish("agui", "ada", &sample::run(&format!("thread{n}"), "r", 1))
            .await?;
    }
    page.wait_until("document.querySelector('#conversations').textContent.includes('thread49')")
        .await?;
    let n_threads = "document.querySelectorAll('#conversations li').length";
    assert_eq!(page.evaluate(n_threads).await?, 40);
    page.wait_until("document.querySelector('#verdict').innerText === 'Nothing lost.'")
        .await
}

#[tokio::test]
async fn a_program_gets_the_plain_page() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let page = get(server.address(), "/", &[("Accept", "*/*")]).await?;
    assert!(page.text().contains("curl -N"), "{}", page.text());
    Ok(())
}
