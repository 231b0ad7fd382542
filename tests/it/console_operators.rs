//! The console's views for operators, in a real browser: users, models, agents and the hub.

use std::io;

use events_tests::{
    deadline::PATIENCE,
    devtools::DrivenPage,
    llm_upstream::LlmUpstream,
    raw_client::{RawSse, Request, post},
    sample,
    server_process::ServerProcess,
};
use serde_json::json;

const JSON: &str = "application/json";

/// A name that is markup, and one that would turn the text behind it round.
const HOSTILE: &str = "<img src=x onerror=\"document.title = 'taken'\">";
const TURNED: &str = "eve\u{202e}drowssap";

/// A user's name as it stands in an address.
fn encoded(name: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(letter).collect()
}

async fn text(page: &mut DrivenPage, selector: &str) -> io::Result<String> {
    let script = format!("document.querySelector({}).innerText", json!(selector));
    let text = page.evaluate(&script).await?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_operator_sees_who_is_connected_and_ends_them() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "an_operator_sees_who_is_connected_and_ends_them";
    let Some(mut page) = DrivenPage::open(name, &server.url("/#/users")).await? else {
        return Ok(());
    };
    page.wait_until("document.querySelector('#users-empty').innerText === 'Nobody is connected.'")
        .await?;
    let long = "x".repeat(256);
    let mut streams = Vec::new();
    for (path, user) in [
        ("/agui?thread=t&", HOSTILE),
        ("/contexts?", HOSTILE),
        ("/contexts?", "ada"),
        ("/contexts?", &long),
        ("/contexts?", TURNED),
    ] {
        let path = format!("{path}user={}", encoded(user));
        streams.push(RawSse::connect(server.address(), &path, &[]).await?);
    }
    page.wait_until(
        "document.querySelector('#users-count').innerText === '4 users, 5 connections'",
    )
    .await?;
    page.evaluate(
        "globalThis.row = [...document.querySelectorAll('.users > li')].find((row) => \
         row.querySelector('.name').textContent.startsWith('<img')); row.querySelector('details').open = true",
    )
    .await?;
    page.wait_until("row.querySelectorAll('.connections li').length === 2 && row.innerText.includes('agui, contexts')")
        .await?;
    // By which wire each goes, and how much; a rate is known from the second look on.
    page.wait_until(
        "[...row.querySelectorAll('.connections li')].every((one) => /own socket[^]*sent ?\\d+ B, \\d+ B\\/s/.test(one.innerText.replace(/\\s+/g, ' ')))",
    )
    .await?;
    let untaken = "document.querySelectorAll('img, [onerror]').length === 0 && document.title === 'Users · events \
                   console' && document.documentElement.scrollWidth <= innerWidth && \
                   document.body.textContent.includes('eve\u{fffd}drowssap')";
    assert_eq!(page.evaluate(untaken).await?, true);
    // Cancelled, nothing happens.
    end(&mut page, HOSTILE, "Cancel", false).await?;
    assert_eq!(text(&mut page, "#users-announcement").await?, "");
    for (user, is_revoked, told) in [
        (HOSTILE, false, "2 connections of <img"),
        ("ada", true, "1 connection of ada revoked"),
    ] {
        end(&mut page, user, "End", is_revoked).await?;
        let is_told = format!(
            "document.querySelector('#users-announcement').innerText.startsWith({})",
            json!(told)
        );
        page.wait_until(&is_told).await?;
        let stream = if is_revoked { 2 } else { 0 };
        let frames = streams[stream].read_to_end(PATIENCE).await?;
        let last = frames.iter().rev().find_map(|frame| frame.json().ok());
        let last = last.unwrap_or_default();
        let reason = if is_revoked { "revoked" } else { "max_age" };
        assert_eq!(last["reason"], reason, "{user}");
    }
    page.wait_until("document.querySelector('#users-count').innerText === '2 users, 2 connections'")
        .await
}

/// Opens a user's dialog and answers it.
async fn end(page: &mut DrivenPage, user: &str, answer: &str, is_revoked: bool) -> io::Result<()> {
    let label = json!(format!("End connections of {user}"));
    let script = format!(
        "(() => {{ [...document.querySelectorAll('.users button')].find((button) => button.ariaLabel === \
         {label}).click(); const dialog = document.querySelector('#users-dialog'); if (!dialog.open || \
         !dialog.innerText.includes({})) throw new Error('no dialog'); if ({is_revoked}) \
         document.querySelector('#users-revoke').click(); [...dialog.querySelectorAll('button')].find((button) => \
         button.innerText.startsWith('{answer}')).click(); }})()",
        json!(user)
    );
    page.evaluate(&script).await.map(drop)
}

#[tokio::test]
async fn many_users_are_cut_to_a_list_and_found_by_a_filter() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "many_users_are_cut_to_a_list_and_found_by_a_filter";
    let Some(mut page) = DrivenPage::open(name, &server.url("/#/users")).await? else {
        return Ok(());
    };
    let mut streams = Vec::new();
    for n in 0..150 {
        let path = format!("/contexts?user=user-{n:03}");
        streams.push(RawSse::connect(server.address(), &path, &[]).await?);
    }
    let shown = "document.querySelectorAll('.users > li').length";
    page.wait_until("document.querySelector('#users-count').innerText.startsWith('150 users')")
        .await?;
    assert_eq!(page.evaluate(shown).await?, 100);
    let more = text(&mut page, "#users-more").await?;
    assert_eq!(more, "and 50 more: a filter finds them");
    let filter = "(() => { const filter = document.querySelector('#users-filter'); filter.value = 'USER-14'; \
                  filter.dispatchEvent(new Event('input')); })()";
    page.evaluate(filter).await?;
    assert_eq!(page.evaluate(shown).await?, 10);
    let is_hidden = "document.querySelector('#users-more').hidden";
    assert_eq!(page.evaluate(is_hidden).await?, true);
    Ok(())
}

#[tokio::test]
async fn the_hubs_plots_move_and_a_restart_is_no_burst() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "the_hubs_plots_move_and_a_restart_is_no_burst";
    let Some(mut page) = DrivenPage::open(name, &server.url("/#/hub")).await? else {
        return Ok(());
    };
    let says =
        |what: &str| format!("document.querySelector('#hub-verdict').innerText === '{what}'");
    page.wait_until(&says("The hub is ready.")).await?;
    page.evaluate(
        "globalThis.plot = (title) => [...document.querySelectorAll('.plot')].find((plot) => \
         plot.querySelector('.plot-title').innerText === title)",
    )
    .await?;
    page.wait_until("plot('Published').querySelector('.most').innerText === 'at most 0 /s'")
        .await?;
    let reader = RawSse::connect(server.address(), "/contexts?user=ada", &[]).await?;
    server
        .publish("agui", "ada", &sample::run("t", "r", 20))
        .await?;
    page.wait_until("!plot('Published').querySelector('.most').innerText.endsWith(' 0 /s')")
        .await?;
    page.wait_until("plot('Connections').querySelector('strong').innerText === '1'")
        .await?;
    page.wait_until("!plot('Sent').querySelector('.most').innerText.endsWith(' 0 B /s')")
        .await?;
    page.wait_until("plot('Published').querySelector('.line-0').getAttribute('d').includes('L')")
        .await?;
    page.wait_until("document.querySelector('#hub-tallies').innerText.includes('200')")
        .await?;
    let most = "plot('Published').querySelector('.most').innerText";
    let before = page.evaluate(most).await?;
    let address = server.address().to_string();
    drop((reader, server));
    page.wait_until(&says("The hub is gone.")).await?;
    page.wait_until("document.querySelector('#hub-state').innerText === 'hub gone'")
        .await?;
    let _server = ServerProcess::events(&["dev", "--no-demo", "--listen", &address], &[]).await?;
    page.wait_until(&says("The hub is ready.")).await?;
    page.wait_until("plot('Published').querySelector('.restart').getAttribute('d') !== ''")
        .await?;
    assert_eq!(page.evaluate(most).await?, before);
    let label = "plot('Connections').querySelector('svg').getAttribute('aria-label')";
    let label = page.evaluate(label).await?;
    let label = label.as_str().unwrap_or_default();
    assert!(
        label.starts_with("Connections, the last ") && label.contains(": streams 0 now"),
        "{label}"
    );
    Ok(())
}

#[tokio::test]
async fn a_hub_that_drains_says_so_to_pages_that_are_open() -> io::Result<()> {
    let server = ServerProcess::dev(&["--drain.window", "1s"]).await?;
    let name = "a_hub_that_drains_says_so_to_pages_that_are_open";
    let Some(mut page) = DrivenPage::open(name, &server.url("/?user=ada")).await? else {
        return Ok(());
    };
    page.wait_until("document.querySelector('#connection').dataset.state === 'live'")
        .await?;
    page.evaluate("location.hash = '#/hub'").await?;
    page.wait_until("document.querySelector('#hub-verdict').innerText === 'The hub is ready.'")
        .await?;
    server.signal("TERM").await?;
    page.wait_until(
        "document.querySelector('#hub-verdict').innerText.startsWith('The hub is draining')",
    )
    .await?;
    page.wait_until("document.querySelector('#hub-state').innerText === 'hub draining'")
        .await
}

#[tokio::test]
async fn numbers_are_written_and_metrics_read_as_they_are_meant() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "numbers_are_written_and_metrics_read_as_they_are_meant";
    let Some(mut page) = DrivenPage::open(name, &server.url("/#/hub")).await? else {
        return Ok(());
    };
    page.wait_until("document.querySelector('#hub-verdict').innerText === 'The hub is ready.'")
        .await?;
    let numbers = "import('/console-numbers.js').then(({ count, rate, bytes, age, span, money }) => [ \
                   [0, 999, 1000, 45190, 340999, 1234567, 5e12].map(count), [0.55, 12.345, 1234].map(rate), \
                   [12, 12345].map(bytes), [-5, 59000, 185000, 8040000, 273600000].map(age), \
                   [340, 1239, 12345, 185000].map(span), [0, 0.00001, 0.00125, 0.99999, 12.345, 1234.5].map(money)])";
    let expected = json!([
        ["0", "999", "1.0k", "45.1k", "340k", "1.2M", "5T"],
        ["0.5", "12.3", "1.2k"],
        ["12 B", "12.3 kB"],
        ["0s", "59s", "3m05", "2h14", "3d04"],
        ["340ms", "1.23s", "12.3s", "3m05"],
        ["$0", "<$.0001", "$0.0013", "$1.00", "$12.34", "$1234"],
    ]);
    assert_eq!(page.evaluate(numbers).await?, expected);
    let metrics = r#"import('/console-metrics.js').then(({ parseMetrics, sum, tally }) => {
        const metrics = parseMetrics('# HELP a_total text\na_total{reason="x\\"y}",of="1"} 2\na_total{reason="z"} 5.5\nb 7\nbroken{');
        return [sum(metrics, ['a_total', 'b']), sum(metrics, ['none']) ?? null, tally(metrics, 'a_total', 'reason'), metrics.size];
    })"#;
    let expected = json!([14.5, null, [["z", 5.5], ["x\"y}", 2]], 2]);
    assert_eq!(page.evaluate(metrics).await?, expected);
    Ok(())
}

#[tokio::test]
async fn answers_of_models_are_read_as_they_come() -> io::Result<()> {
    let upstream = LlmUpstream::start().await?;
    let provider = format!("up={}", upstream.url());
    let server = ServerProcess::dev(&["--llm", &provider]).await?;
    let name = "answers_of_models_are_read_as_they_come";
    let Some(mut page) = DrivenPage::open(name, &server.url("/#/llm")).await? else {
        return Ok(());
    };
    page.wait_until("document.querySelector('#llm-contact').dataset.state === 'live'")
        .await?;
    let body = |model: &str| {
        json!({ "model": model, "stream": true, "max_tokens": 9, "messages": [] }).to_string()
    };
    let path = "/llm/up/v1/messages";
    let asked = Request::post(path, JSON, body("pause:anthropic/text_basic.sse"))
        .header("x-events-agent", HOSTILE);
    let answer = asked.send(server.address());
    let watched = async {
        page.wait_until("document.querySelector('#llm-badge').innerText === 'streaming'")
            .await?;
        page.wait_until("document.querySelector('#llm-text').innerText.length > 3")
            .await?;
        let row = text(&mut page, ".requests li").await?;
        assert!(row.contains("●") && row.contains(HOSTILE), "{row}");
        upstream.go_on();
        page.wait_until("document.querySelector('#llm-badge').innerText === 'completed'")
            .await
    };
    let (answer, watched) = tokio::join!(answer, watched);
    watched?;
    let answer = answer?.text();
    let said = text(&mut page, "#llm-text").await?;
    assert!(!said.is_empty() && answer.contains(said.split_whitespace().next().unwrap_or("?")));
    post(server.address(), path, JSON, &body("status:429")).await?;
    page.wait_until("document.querySelector('#llm-totals').innerText.replace(/\\s+/g, ' ').includes('errors 1')")
        .await?;
    page.wait_until("document.querySelectorAll('.requests li').length === 2 && document.querySelector('.requests \
                     li').innerText.includes('✗')")
        .await?;
    page.wait_until("document.querySelectorAll('#llm-models tr').length === 2")
        .await?;
    assert_eq!(page.evaluate("document.images.length").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_run_of_an_agent_is_begun_read_and_stopped() -> io::Result<()> {
    let server = ServerProcess::events(&["dev", "--listen", "127.0.0.1:0"], &[]).await?;
    let name = "a_run_of_an_agent_is_begun_read_and_stopped";
    let Some(mut page) = DrivenPage::open(name, &server.url("/?user=ada#/agents")).await? else {
        return Ok(());
    };
    let begin = "document.querySelector('#agents-form button').click()";
    page.wait_until("document.querySelector('#agents-thread').value !== ''")
        .await?;
    page.evaluate(begin).await?;
    page.wait_until("document.querySelector('.run-text').innerText.includes('You said')")
        .await?;
    page.evaluate("document.querySelector('.run .actions button').click()")
        .await?;
    page.wait_until("document.querySelector('.run .badge').innerText === 'stopped'")
        .await?;
    // An agent that is not there says so; the names that are, too.
    page.evaluate("document.querySelector('#agents-agent').value = 'nobody'")
        .await?;
    page.evaluate(begin).await?;
    page.wait_until("document.querySelector('.run .badge').innerText === 'refused'")
        .await?;
    let refusal = text(&mut page, ".run-text").await?;
    assert!(refusal.contains("there are demo"), "{refusal}");
    // The first run is in the log.
    page.evaluate(
        "document.querySelectorAll('.run')[1].querySelectorAll('.actions button')[1].click()",
    )
    .await?;
    page.wait_until(
        "document.querySelector('#badge').innerText === 'failed' && location.hash === '#/'",
    )
    .await
}

#[tokio::test]
async fn what_operators_see_does_not_grow_without_end() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "what_operators_see_does_not_grow_without_end";
    let Some(mut page) = DrivenPage::open(name, &server.url("/#/llm")).await? else {
        return Ok(());
    };
    page.wait_until("document.querySelector('#llm-contact').dataset.state === 'live'")
        .await?;
    // As many samples as there are in 13 minutes, and more requests than are kept.
    let fill = "Promise.all([import('/console-metrics.js'), import('/console-llm-model.js'), \
                fetch('/metrics').then((answer) => answer.text())]).then(([{ History }, { LlmModel }, text]) => { \
                globalThis.kept ??= [new History(), new LlmModel(), 0]; const [history, model] = kept; \
                for (let n = 0; n < 400; n += 1) history.take(text, kept[2] += 2000); \
                model.apply({ type: 'active', at: Date.now(), since: 0, streams: [], totals: {} }); \
                for (let n = 0; n < 1500; n += 1) { const request_id = `r${kept[2]}-${n}`; \
                model.apply({ type: 'started', request_id, model: `m${kept[2]}-${n}` }); \
                model.apply({ type: 'text_delta', request_id, text: 'x'.repeat(20000) }); \
                model.apply({ type: 'completed', request_id, output_tokens: 5 }); } \
                for (let n = 0; n < 4500; n += 1) model.apply({ type: 'started', request_id: `a${kept[2]}-${n}`, model: 'm' }); \
                return [history.samples.length, model.streams.length <= 4096 + 256, model.models.size, model.nRunning]; })";
    let bounds = json!([301, true, 512, 4_500]);
    assert_eq!(page.evaluate(fill).await?, bounds);
    let first = heap(&mut page).await?;
    for _ in 0..5 {
        assert_eq!(page.evaluate(fill).await?, bounds);
    }
    let last = heap(&mut page).await?;
    assert!(last < first + 8e6, "{first} bytes grew to {last}");
    Ok(())
}

/// What the page's objects take, once what is not needed is gone; bytes.
async fn heap(page: &mut DrivenPage) -> io::Result<f64> {
    page.command("HeapProfiler.collectGarbage", json!({}))
        .await?;
    let usage = page.command("Runtime.getHeapUsage", json!({})).await?;
    usage["usedSize"]
        .as_f64()
        .ok_or_else(|| io::Error::other("no size"))
}
