//! A log that has gone back to an earlier state, with hubs and readers on it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use events_tests::deadline::PATIENCE;
use events_tests::nats_server::NatsServers;
use events_tests::raw_client::{RawFrame, RawSse, Request};
use events_tests::resume::hubs::Hubs;
use tokio::time::{Instant, interval};

/// Publishes until it is taken, and returns the id.
async fn publish(hub: SocketAddr, name: &str) -> io::Result<String> {
    let event =
        format!(r#"{{"type":"CONTEXT_UPDATED","timestamp":1,"contextId":"c","name":"{name}"}}"#);
    let key = name.replace(' ', "-");
    let path = format!("/publish/system/ada?user=ada&msg_id={key}");
    let request = Request::post(&path, "application/json", event);
    let (begun_at, mut ticks) = (Instant::now(), interval(Duration::from_millis(100)));
    loop {
        ticks.tick().await;
        let answer = request.send(hub).await?;
        if answer.status() == 200 {
            return Ok(answer.json()?["ids"][0]
                .as_str()
                .unwrap_or_default()
                .to_owned());
        }
        if begun_at.elapsed() > PATIENCE {
            let text = format!("{} {}", answer.status(), answer.text());
            return Err(io::Error::other(text));
        }
    }
}

/// Reads up to an event, and returns the names of all; there is no gap among them.
async fn read(screen: &mut RawSse, name: &str) -> io::Result<Vec<String>> {
    let mut told = Vec::new();
    loop {
        let frame = screen.next_frame(PATIENCE).await?;
        let frame = frame.ok_or(io::ErrorKind::UnexpectedEof)?;
        if frame.data.is_none() {
            continue;
        }
        let json = frame.json()?;
        assert_ne!(frame.event.as_deref(), Some("gap"), "{}", frame.raw);
        if let Some(text) = json["event"]["name"].as_str() {
            told.push(text.to_owned());
            if text == name {
                return Ok(told);
            }
        }
    }
}

/// Reads up to the end of a stream, which tells no more events.
async fn until_end(screen: &mut RawSse) -> io::Result<()> {
    while let Some(frame) = screen.next_frame(PATIENCE).await? {
        assert_eq!(frame.id, None, "{}", frame.raw);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_went_back_is_told_and_nothing_of_what_it_lost_is_shown() -> io::Result<()> {
    let Some(servers) = NatsServers::start("a_log_that_went_back", 1).await else {
        return Ok(());
    };
    let arguments = || vec!["--log".to_owned(), servers.url()];
    let hubs = Hubs::start(vec![arguments(), arguments()]).await?;
    let (one, other) = (hubs.board().address(0), hubs.board().address(1));
    let mut screens = Vec::new();
    for hub in [one, other] {
        screens.push(RawSse::connect(hub, "/contexts?user=ada", &[]).await?);
    }
    let kept_id = publish(one, "kept").await?;
    let state = servers.keep_state(0).await?;
    let first_lost_id = publish(one, "lost").await?;
    let lost_id = publish(other, "lost too").await?;
    for screen in &mut screens {
        assert_eq!(
            read(screen, "lost too").await?,
            ["kept", "lost", "lost too"]
        );
    }
    servers.go_back(0, &state).await?;
    for (screen, hub) in screens.iter_mut().zip([one, other]) {
        // What was told is gone from the log, so the stream ends and its client comes back with its cursor.
        until_end(screen).await?;
        let header = [("last-event-id", lost_id.as_str())];
        *screen = RawSse::connect(hub, "/contexts?user=ada", &header).await?;
        screen
            .read_until(PATIENCE, |frame| frame.event.as_deref() == Some("gap"))
            .await?;
    }
    let new_id = publish(one, "new").await?;
    publish(other, "new too").await?;
    for screen in &mut screens {
        assert_eq!(read(screen, "new too").await?, ["new", "new too"]);
    }
    // The number is the one that a lost event had, and the id is another.
    let number = |id: &str| id.split('.').nth(1).map(str::to_owned);
    assert_eq!(number(&new_id), number(&first_lost_id));
    assert_ne!(new_id, first_lost_id);
    // Clients that come back: with a place that was lost, and with one that is still there.
    for hub in [one, other] {
        let header = [("last-event-id", lost_id.as_str())];
        let mut screen = RawSse::connect(hub, "/contexts?user=ada", &header).await?;
        let frames = screen
            .read_until(PATIENCE, |frame| frame.event.as_deref() == Some("gap"))
            .await?;
        let shows_lost = |frame: &RawFrame| frame.raw.contains(r#""name":"lost"#);
        assert!(!frames.iter().any(shows_lost), "{frames:?}");
        let header = [("last-event-id", kept_id.as_str())];
        let mut screen = RawSse::connect(hub, "/contexts?user=ada", &header).await?;
        assert_eq!(read(&mut screen, "new too").await?, ["new", "new too"]);
    }
    Ok(())
}
