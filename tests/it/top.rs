//! `events top` in a terminal, as a person has it, against a server that knows nothing but frames.

mod naive_feed;

use std::{io, process::Stdio};

use events_models::{
    ActiveStreams, StreamFeedFrame, StreamState, StreamSummary, StreamTotals, TuiStreamEvent,
};
use events_tests::{
    deadline::{PATIENCE, within},
    server_process::events_binary,
    skip,
    terminal::Terminal,
};
use naive_feed::NaiveFeed;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (140, 40);
const NOW: i64 = 1_782_302_400_000;

fn running(id: &str, model: &str) -> StreamFeedFrame {
    let mut summary = StreamSummary::new(id.into(), model, NOW - 9_000);
    summary.state = StreamState::Streaming;
    summary.provider = Some("anthropic".to_owned());
    summary.text = "First, chop".to_owned();
    summary.text_bytes = 11;
    StreamFeedFrame::Active(ActiveStreams {
        at: NOW,
        since: NOW - 60_000,
        streams: vec![summary],
        totals: StreamTotals {
            started: 1,
            ..StreamTotals::default()
        },
        models: Vec::new(),
        alerts: Vec::new(),
        lost: 0,
    })
}

fn text(id: &str, text: &str) -> StreamFeedFrame {
    StreamFeedFrame::Event(TuiStreamEvent::TextDelta {
        request_id: id.into(),
        text: text.to_owned(),
        timestamp: Some(NOW),
    })
}

/// Starts `events top`, and after it a shell that says how it left and stays.
async fn top(url: &str, variables: &str, size: (u16, u16)) -> io::Result<Terminal> {
    let binary = events_binary().await?;
    let binary = binary.display();
    let command =
        format!("{variables} '{binary}' top --url {url}; echo \"left with $?\"; read stay");
    Terminal::start(&command, size).await
}

fn has_tmux(name: &str) -> bool {
    skip::require(name, "tmux", skip::program("tmux")).is_some()
}

#[tokio::test]
async fn the_screen_lives_through_a_restart_of_its_hub_and_leaves_with_zero() -> io::Result<()> {
    if !has_tmux("top") {
        return Ok(());
    }
    let feed = NaiveFeed::start("127.0.0.1:0", &running("req_1", "claude-opus")).await?;
    let address = feed.address();
    let mut terminal = top(&feed.url(), "", SMALL).await?;
    let screen = terminal
        .wait_for("the first picture", |screen| {
            screen.contains("claude-opus") && screen.contains("q quit")
        })
        .await?;
    assert!(screen.contains("● connected"), "{screen}");
    assert!(screen.contains("1 Active 1"), "{screen}");
    assert!(
        screen
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("q quit")),
        "{screen}"
    );

    feed.send(&text("req_1", " the 玉ねぎ \u{1b}[2J\u{1b}[31monions"));
    terminal
        .wait_for("the text as it comes", |screen| {
            screen.contains("玉ねぎ onions")
        })
        .await?;
    for (keys, seen) in [
        ("2", "nothing has ended yet"),
        ("?", "─ Help ─"),
        ("Escape", "nothing has ended yet"),
        ("1", "claude-opus"),
        ("Enter", "First, chop the 玉ねぎ onions"),
        ("Escape", "AGE▼"),
        ("/", "Filter"),
        ("g p t Enter", "nothing matches the filter"),
        ("Escape", "claude-opus"),
        ("Space", "  PAUSED"),
        ("Space", "AGE▼"),
    ] {
        terminal.press(keys).await?;
        // The line of the filter has no name, only its sign.
        let seen = if seen == "Filter" { "\n/" } else { seen };
        terminal
            .wait_for(&format!("{seen:?} after {keys}"), |screen| {
                screen.contains(seen)
            })
            .await?;
    }

    drop(feed);
    let screen = terminal
        .wait_for("the loss", |screen| screen.contains("reconnecting in"))
        .await?;
    assert!(
        screen.contains("claude-opus"),
        "the last picture stays: {screen}"
    );
    let feed = NaiveFeed::start(address, &running("req_2", "gpt-of-the-restart")).await?;
    let screen = terminal
        .wait_for("the next picture", |screen| {
            screen.contains("gpt-of-the-resta")
        })
        .await?;
    assert!(
        screen.contains("● connected") && !screen.contains("claude-opus"),
        "{screen}"
    );

    terminal.resize(LARGE).await?;
    let screen = terminal
        .wait_for("more columns", |screen| screen.contains("PROVIDER"))
        .await?;
    assert!(screen.contains("gpt-of-the-restart"), "{screen}");

    terminal.press("q").await?;
    let screen = terminal
        .wait_for("the end", |screen| screen.contains("left with"))
        .await?;
    // The screen from before is back.
    assert_eq!(screen.trim(), "left with 0");
    drop(feed);
    Ok(())
}

#[tokio::test]
async fn without_colours_nothing_is_coloured() -> io::Result<()> {
    if !has_tmux("top") {
        return Ok(());
    }
    let feed = NaiveFeed::start("127.0.0.1:0", &running("req_1", "claude-opus")).await?;
    for (variables, is_coloured) in [("NO_COLOR=1", false), ("NO_COLOR=", true)] {
        let mut terminal = top(&feed.url(), variables, SMALL).await?;
        terminal
            .wait_for("the picture", |screen| {
                screen.contains("claude-opus") && screen.contains("q quit")
            })
            .await?;
        let styled = terminal.screen(true).await?;
        let has_colours = styled.contains("[38;") || styled.contains("[48;");
        assert_eq!(has_colours, is_coloured, "{variables}: {styled:?}");
        terminal.press("C-c").await?;
        terminal
            .wait_for("the end", |screen| screen.contains("left with 0"))
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_the_hub_ends_for_good_is_told_on_the_screen_and_after_it() -> io::Result<()> {
    if !has_tmux("top") {
        return Ok(());
    }
    let feed = NaiveFeed::start("127.0.0.1:0", &running("req_1", "claude-opus")).await?;
    let mut terminal = top(&feed.url(), "", SMALL).await?;
    terminal
        .wait_for("the picture", |screen| screen.contains("claude-opus"))
        .await?;
    feed.write("event: closing\ndata: {\"reason\":\"revoked\"}\n\n");
    let screen = terminal
        .wait_for("the end of the stream", |screen| screen.contains("✗ over"))
        .await?;
    assert!(screen.contains("revoked by an operator"), "{screen}");
    assert!(screen.contains("claude-opus"), "{screen}");
    terminal.press("q").await?;
    let screen = terminal
        .wait_for("the end", |screen| screen.contains("left with"))
        .await?;
    assert!(
        screen
            .trim()
            .starts_with("error: the hub ended the stream: revoked"),
        "{screen}"
    );
    assert!(screen.contains("left with 1"), "{screen}");
    Ok(())
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_a_line_and_no_screen() -> io::Result<()> {
    if !has_tmux("top") {
        return Ok(());
    }
    let feed = NaiveFeed::start("127.0.0.1:0", &running("req_1", "m")).await?;
    let url = feed.url();
    drop(feed);
    let mut terminal = top(&url, "", LARGE).await?;
    let screen = terminal
        .wait_for("the end", |screen| screen.contains("left with"))
        .await?;
    assert!(
        screen.starts_with("error: no hub answers at http://127.0.0.1:"),
        "{screen}"
    );
    assert!(screen.contains("left with 1"), "{screen}");
    Ok(())
}

#[tokio::test]
async fn without_a_terminal_it_says_what_to_use_instead() -> io::Result<()> {
    let top = tokio::process::Command::new(events_binary().await?)
        .args(["top"])
        .stdin(Stdio::null())
        .output();
    let output = within("its end", PATIENCE, top).await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(
        errors,
        "error: standard output is no terminal that a screen could be drawn on; use 'events tail --stream llm', \
         with --json for a program\n"
    );
    assert!(output.stdout.is_empty());
    Ok(())
}

#[tokio::test]
async fn tail_shows_the_same_stream_line_by_line() -> io::Result<()> {
    let feed = NaiveFeed::start("127.0.0.1:0", &running("req_1", "claude-opus")).await?;
    let mut tail = tokio::process::Command::new(events_binary().await?)
        .args(["tail", "--stream", "llm", "--url", &feed.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let output = tail
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("no pipe"))?;
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(output));
    let line = within("the picture", PATIENCE, lines.next_line()).await?;
    assert_eq!(
        line.as_deref(),
        Some(
            "12:00:00.000 active               -            1 running; 1 started, 0 completed, 0 failed, $0.00"
        )
    );
    feed.send(&text("req_1", "onions"));
    let line = within("the text", PATIENCE, lines.next_line()).await?;
    assert_eq!(
        line.as_deref(),
        Some("12:00:00.000 text_delta           req_1        onions")
    );
    Ok(())
}
