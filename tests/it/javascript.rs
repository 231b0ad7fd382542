//! The client for browsers, `/events.js`, in a real browser over HTTP/1.1.

use std::{io, net::SocketAddr};

use events_tests::{
    deadline::{PATIENCE, within},
    devtools::DrivenPage,
    hub::ids_of,
    raw_client::{RawSse, get, post},
    sample,
    server_process::ServerProcess,
    skip::workspace_root,
};
use serde_json::{Value, json};

/// Tabs on one hub, over HTTP/1.1, of which a browser opens six connections to one host.
const N_TABS: usize = 12;

/// A page of the hub that does nothing by itself and has the hub's policy for pages.
const PAGE: &str = "/tabs.css";

/// Follows a stream in the page, and keeps what it is given.
const FOLLOW: &str = "import('/events.js').then(({ connect }) => { window.seen = []; window.gaps = []; window.states = \
                      []; window.stream = connect(ADDRESS, { user: 'ada', onEvent: (event) => \
                      seen.push(event.id), onGap: (gap) => gaps.push(gap.reason), onState: (state) => \
                      states.push(state.state) }); })";

async fn publish(address: SocketAddr, run: &str, n_deltas: usize) -> io::Result<Vec<String>> {
    let lines = sample::run("t", run, n_deltas).join("\n");
    let path = "/publish/agui/ada";
    let answer = post(address, path, "application/x-ndjson", lines).await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Ok(ids_of(&answer.json()?))
}

/// Whether the page is there, and no longer the blank one before it.
const IS_THERE: &str = "location.protocol === 'http:' && document.readyState === 'complete'";

async fn follow(page: &mut DrivenPage, address: &str) -> io::Result<()> {
    page.wait_until(IS_THERE).await?;
    let script = FOLLOW.replace("ADDRESS", &json!(address).to_string());
    page.evaluate(&script).await.map(drop)
}

/// Waits until a tab has seen the last of `ids`, and compares all that it has seen with them.
async fn has_seen(page: &mut DrivenPage, tab: usize, ids: &[String]) -> io::Result<()> {
    page.turn_to(tab);
    let last = json!(ids.last());
    page.wait_until(&format!("seen.at(-1) === {last}")).await?;
    let seen: Vec<String> = serde_json::from_value(page.evaluate("seen").await?)?;
    assert_eq!(seen, ids, "tab {tab}");
    assert_eq!(page.evaluate("gaps").await?, json!([]), "tab {tab}");
    Ok(())
}

/// Waits until so many connections are open.
async fn has_connections(address: SocketAddr, n: usize) -> io::Result<()> {
    within("the number of connections", PATIENCE, async {
        loop {
            let answer = get(address, "/connections?user=ada", &[]).await?.json()?;
            if answer.as_array().map(Vec::len) == Some(n) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// Finds the tab that leads, when one does.
async fn leader(page: &mut DrivenPage, tabs: &[usize]) -> io::Result<usize> {
    let roles = async {
        loop {
            for tab in tabs {
                page.turn_to(*tab);
                if page.evaluate("stream.role").await? == "leader" {
                    return Ok(*tab);
                }
            }
        }
    };
    within("a leader", PATIENCE, roles).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_tabs_have_one_connection_and_lose_nothing_when_the_leader_goes() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let address = server.address();
    let name = "twelve_tabs_have_one_connection_and_lose_nothing_when_the_leader_goes";
    let Some(mut page) = DrivenPage::open(name, &server.url(PAGE)).await? else {
        return Ok(());
    };
    follow(&mut page, "/agui").await?;
    for _ in 1..N_TABS {
        page.open_tab(&server.url(PAGE)).await?;
        follow(&mut page, "/agui").await?;
    }
    let mut tabs: Vec<usize> = (0..N_TABS).collect();
    for tab in &tabs {
        page.turn_to(*tab);
        page.wait_until("stream.state === 'open' && stream.cursor !== null")
            .await?;
    }
    has_connections(address, 1).await?;
    let mut ids = publish(address, "first", 20).await?;
    for tab in &tabs {
        has_seen(&mut page, *tab, &ids).await?;
    }
    for is_crash in [false, true] {
        let leading = leader(&mut page, &tabs).await?;
        tabs.retain(|tab| *tab != leading);
        // What is published before, while and after it goes.
        let publishing = async {
            let mut ids = Vec::new();
            for n in 0..40 {
                ids.extend(publish(address, &format!("{is_crash} {n}"), 2).await?);
            }
            io::Result::Ok(ids)
        };
        let going = async {
            if is_crash {
                page.crash_tab(leading).await
            } else {
                page.close_tab(leading).await
            }
        };
        let (more, gone) = tokio::join!(publishing, going);
        gone?;
        ids.extend(more?);
        for tab in &tabs {
            has_seen(&mut page, *tab, &ids).await?;
        }
        has_connections(address, 1).await?;
    }
    assert_eq!(tabs.len(), N_TABS - 2);
    Ok(())
}

#[tokio::test]
async fn tabs_of_a_thread_are_told_its_state_and_then_share() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let address = server.address();
    let name = "tabs_of_a_thread_are_told_its_state_and_then_share";
    publish(address, "before", 3).await?;
    let Some(mut page) = DrivenPage::open(name, &server.url(PAGE)).await? else {
        return Ok(());
    };
    for tab in 0..3 {
        if tab > 0 {
            page.open_tab(&server.url(PAGE)).await?;
        }
        follow(&mut page, "/agui?thread=t").await?;
        page.wait_until("stream.state === 'open' && seen.length > 0")
            .await?;
    }
    has_connections(address, 1).await?;
    let ids = publish(address, "then", 5).await?;
    for tab in 0..3 {
        page.turn_to(tab);
        page.wait_until(&format!("seen.at(-1) === {}", json!(ids.last())))
            .await?;
        let seen: Vec<Value> = serde_json::from_value(page.evaluate("seen").await?)?;
        let prelude = &seen[..seen.len() - ids.len()];
        assert_eq!(seen[prelude.len()..], *ids, "tab {tab}");
        // Of a prelude only the last frame has an id.
        let n_ids = prelude.iter().filter(|id| !id.is_null()).count();
        assert_eq!(n_ids, 1, "tab {tab}: {prelude:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reloaded_page_goes_on_from_its_cursor() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let address = server.address();
    let name = "a_reloaded_page_goes_on_from_its_cursor";
    let Some(mut page) = DrivenPage::open(name, &server.url(PAGE)).await? else {
        return Ok(());
    };
    follow(&mut page, "/agui").await?;
    page.wait_until("stream.state === 'open'").await?;
    let ids = publish(address, "first", 5).await?;
    has_seen(&mut page, 0, &ids).await?;
    page.command("Page.navigate", json!({ "url": "about:blank" }))
        .await?;
    page.wait_until("location.href === 'about:blank'").await?;
    has_connections(address, 0).await?;
    let missed = publish(address, "missed", 5).await?;
    page.command("Page.navigate", json!({ "url": server.url(PAGE) }))
        .await?;
    follow(&mut page, "/agui").await?;
    has_seen(&mut page, 0, &missed).await
}

#[tokio::test]
async fn tabs_come_back_to_a_hub_that_was_killed() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let log = format!("disk:{}", folder.path().join("log").display());
    let mut server = ServerProcess::dev(&["--log", &log]).await?;
    let address = server.address();
    let name = "tabs_come_back_to_a_hub_that_was_killed";
    let Some(mut page) = DrivenPage::open(name, &server.url(PAGE)).await? else {
        return Ok(());
    };
    for tab in 0..3 {
        if tab > 0 {
            page.open_tab(&server.url(PAGE)).await?;
        }
        follow(&mut page, "/agui").await?;
        page.wait_until("stream.state === 'open'").await?;
    }
    let mut ids = publish(address, "first", 5).await?;
    server.signal("KILL").await?;
    server.wait(PATIENCE).await?;
    let server = ServerProcess::events(
        &[
            "dev",
            "--no-demo",
            "--listen",
            &address.to_string(),
            "--log",
            &log,
        ],
        &[],
    )
    .await?;
    ids.extend(publish(address, "second", 5).await?);
    for tab in 0..3 {
        has_seen(&mut page, tab, &ids).await?;
    }
    has_connections(server.address(), 1).await
}

#[tokio::test]
async fn a_tab_over_the_cap_waits_and_gets_in() -> io::Result<()> {
    let server = ServerProcess::dev(&["--limits.connections_per_user", "1"]).await?;
    let name = "a_tab_over_the_cap_waits_and_gets_in";
    let other = RawSse::connect(server.address(), "/agui?user=ada", &[]).await?;
    let Some(mut page) = DrivenPage::open(name, &server.url(PAGE)).await? else {
        return Ok(());
    };
    follow(&mut page, "/agui").await?;
    page.wait_until("states.includes('waiting')").await?;
    drop(other);
    page.wait_until("stream.state === 'open'").await?;
    let ids = publish(server.address(), "first", 5).await?;
    has_seen(&mut page, 0, &ids).await
}

/// The block of the README's section on browsers, as a script that is evaluated.
fn of_the_readme() -> io::Result<String> {
    let readme = std::fs::read_to_string(workspace_root().join("README.md"))?;
    let section = readme.split("## In the browser").nth(1);
    let block = section.and_then(|section| section.split("```js\n").nth(1)?.split("```").next());
    let block = block.ok_or_else(|| io::Error::other("no block in the README's section"))?;
    let import = "import { connect } from \"/events.js\";";
    assert!(block.starts_with(import), "{block}");
    let import_here = "const { connect } = await import(\"/events.js\");";
    let block = block.replace(import, import_here);
    Ok(format!(
        "window.lines = []; console.log = (...words) => lines.push(words.join(' ')); (async () => {{ {block} }})(); 0"
    ))
}

#[tokio::test]
async fn the_block_of_the_readme_shows_a_run() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "the_block_of_the_readme_shows_a_run";
    let Some(mut page) = DrivenPage::open(name, &server.url(PAGE)).await? else {
        return Ok(());
    };
    page.wait_until(IS_THERE).await?;
    page.evaluate(&of_the_readme()?).await?;
    has_connections(server.address(), 1).await?;
    let lines = sample::run("t1", "r", 2).join("\n");
    let path = "/publish/agui/ada";
    let answer = post(server.address(), path, "application/x-ndjson", lines).await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    page.wait_until("lines.at(-1)?.startsWith('RUN_FINISHED')")
        .await?;
    let lines: Vec<String> = serde_json::from_value(page.evaluate("lines").await?)?;
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("TEXT_MESSAGE_CONTENT r 1")),
        "{lines:?}"
    );
    Ok(())
}

/// The page that shows how tabs share: what it says of itself, of the other tabs and of what comes.
#[tokio::test]
async fn the_page_of_tabs_shows_who_leads_and_what_came() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let name = "the_page_of_tabs_shows_who_leads_and_what_came";
    let page_url = server.url("/tabs?user=ada");
    let Some(mut page) = DrivenPage::open(name, &page_url).await? else {
        return Ok(());
    };
    page.wait_until("document.querySelector('#role')?.textContent === 'This tab leads'")
        .await?;
    let second = page.open_tab(&page_url).await?;
    const LEADERS: &str = "[...document.querySelectorAll('#rows tr')].filter((row) => \
                           row.cells[1].textContent === '★ leads').length";
    page.wait_until("document.querySelector('#role')?.textContent === 'This tab follows'")
        .await?;
    page.wait_until(&format!(
        "document.querySelectorAll('#rows tr').length === 2 && {LEADERS} === 1"
    ))
    .await?;
    let state = [
        json!({"type": "RUN_STARTED", "threadId": "t", "runId": "r"}),
        json!({"type": "STATE_SNAPSHOT", "snapshot": {"n": 0}}),
        json!({"type": "STATE_DELTA", "delta": [{"op": "replace", "path": "/n", "value": 1}]}),
    ];
    let lines = state.map(|event| event.to_string()).join("\n");
    let answer = post(
        server.address(),
        "/publish/agui/ada",
        "application/x-ndjson",
        lines,
    )
    .await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    page.wait_until(
        "document.querySelector('#events').textContent.includes('STATE_DELTA · [{\"op\":\"replace\"')",
    )
    .await?;
    page.close_tab(0).await?;
    page.turn_to(second);
    page.wait_until("document.querySelector('#role').textContent === 'This tab leads'")
        .await?;
    page.wait_until(&format!("{LEADERS} === 1")).await
}
