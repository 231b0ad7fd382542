//! What people and programs see while the log is away.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use events_tests::deadline::{PATIENCE, within};
use events_tests::raw_client::{self, RawFrame, RawSse, Request};
use events_tests::resume::hubs::Hubs;
use events_tests::resume::{Engine, EngineKind};
use tokio::time::{Instant, interval};

use super::{is_soak, rest, say};

/// A publisher knows after two seconds; the rest is for the way.
const ANSWER_TIME: Duration = Duration::from_millis(2_500);

async fn publish(address: SocketAddr, name: &str) -> io::Result<(u16, Duration)> {
    let event =
        format!(r#"{{"type":"CONTEXT_UPDATED","timestamp":1,"contextId":"c","name":"{name}"}}"#);
    let path = format!("/publish/system/ada?user=ada&msg_id={name}");
    let begun_at = Instant::now();
    let request = Request::post(&path, "application/json", event);
    let answer = request.send(address).await?;
    Ok((answer.status(), begun_at.elapsed()))
}

async fn ready(address: SocketAddr) -> io::Result<u16> {
    let answer = raw_client::get(address, "/health/ready", &[]).await?;
    Ok(answer.status())
}

fn says(comment: &'static str) -> impl FnMut(&RawFrame) -> bool {
    move |frame| frame.comments.iter().any(|said| said == comment)
}

/// The names of the events among frames; there may be nothing else with an id.
fn names(frames: &[RawFrame]) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for frame in frames.iter().filter(|frame| frame.is_event()) {
        assert_eq!(frame.event, None, "{}", frame.raw);
        let json = frame.json()?;
        if let Some(name) = json["event"]["name"].as_str() {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

async fn trial(name: &str, kind: EngineKind) -> io::Result<()> {
    let Some(mut engine) = Engine::start(name, kind, 2).await? else {
        return Ok(());
    };
    let hubs = Hubs::start(vec![engine.arguments(0), engine.arguments(1)]).await?;
    let addresses = [hubs.board().address(0), hubs.board().address(1)];
    let mut streams = Vec::new();
    for address in addresses {
        let stream = RawSse::connect(address, "/contexts?user=ada", &[]).await?;
        streams.push(stream);
        let mut ticks = interval(Duration::from_millis(20));
        within("a hub that is ready", PATIENCE, async {
            while ready(address).await? != 200 {
                ticks.tick().await;
            }
            Ok(())
        })
        .await?;
    }
    assert_eq!(publish(addresses[0], "before").await?.0, 200);
    for stream in &mut streams {
        let is_before = |frame: &RawFrame| frame.raw.contains("\"before\"");
        stream.read_until(PATIENCE, is_before).await?;
    }

    engine.kill(0).await?;
    let began_at = Instant::now();
    for stream in &mut streams {
        let frames = stream.read_until(PATIENCE, says("degraded")).await?;
        assert!(names(&frames)?.is_empty(), "{frames:?}");
    }
    println!("{name}: streams say so after {:?}", began_at.elapsed());
    for (at, address) in addresses.into_iter().enumerate() {
        let (status, took) = publish(address, &format!("away-{at}")).await?;
        println!("{name}: a publish gets {status} after {took:?}");
        assert!(matches!(status, 503 | 504), "{status}");
        assert!(took < limit(), "{took:?}");
        // A hub that has been without its log for a moment still serves those who are there.
        if began_at.elapsed() < Duration::from_secs(25) {
            assert_eq!(ready(address).await?, 200);
        }
    }
    if is_soak() {
        // Half a minute after the hub has noticed.
        rest(Duration::from_secs(30).saturating_sub(began_at.elapsed())).await;
        for (address, stream) in addresses.into_iter().zip(&mut streams) {
            let mut ticks = interval(Duration::from_millis(100));
            within("a hub that is not ready", PATIENCE, async {
                while ready(address).await? != 503 {
                    ticks.tick().await;
                }
                Ok(())
            })
            .await?;
            let beats = stream
                .read_until(PATIENCE, says(r#"{"type":"heartbeat"}"#))
                .await?;
            assert!(names(&beats)?.is_empty(), "{beats:?}");
        }
    }

    engine.restart(0).await?;
    let back_at = Instant::now();
    for stream in &mut streams {
        let frames = stream.read_until(PATIENCE, says("recovered")).await?;
        assert!(names(&frames)?.is_empty(), "{frames:?}");
    }
    println!(
        "{name}: streams say that it is back after {:?}",
        back_at.elapsed()
    );
    for (address, event) in addresses.into_iter().zip(["back-0", "back-1"]) {
        until_taken(address, event).await?;
        assert_eq!(ready(address).await?, 200);
    }
    say(format_args!(
        "{name} | its log was away for {:.0?} | published again {:.2?} after it was back | none lost",
        back_at - began_at,
        back_at.elapsed()
    ));
    for stream in &mut streams {
        let is_last = |frame: &RawFrame| frame.raw.contains("\"back-1\"");
        let frames = stream.read_until(PATIENCE, is_last).await?;
        assert_eq!(names(&frames)?, ["back-0", "back-1"]);
    }

    // It takes what it is sent and does not answer: nobody knows, and another try tells.
    engine.signal(0, "STOP").await?;
    let (status, took) = publish(addresses[0], "unknown").await?;
    println!("{name}: a publish gets {status} after {took:?} from a log that stands still");
    assert!(matches!(status, 503 | 504), "{status}");
    assert!(took < limit(), "{took:?}");
    engine.signal(0, "CONT").await?;
    until_taken(addresses[1], "unknown").await?;
    until_taken(addresses[0], "last").await?;
    for stream in &mut streams {
        let is_last = |frame: &RawFrame| frame.raw.contains("\"last\"");
        let frames = stream.read_until(PATIENCE, is_last).await?;
        assert_eq!(names(&frames)?, ["unknown", "last"]);
    }
    Ok(())
}

/// How long a publisher waits at most; other tests may have the machine as well.
fn limit() -> Duration {
    if is_soak() {
        ANSWER_TIME
    } else {
        2 * ANSWER_TIME
    }
}

async fn until_taken(address: SocketAddr, name: &str) -> io::Result<()> {
    let mut ticks = interval(Duration::from_millis(50));
    within("a publish that is taken", PATIENCE, async {
        while publish(address, name).await?.0 != 200 {
            ticks.tick().await;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_stay_and_publishers_know_while_nats_is_away() -> io::Result<()> {
    trial("log_resume_outage_nats", EngineKind::Nats { n_servers: 1 }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_stay_and_publishers_know_while_postgres_is_away() -> io::Result<()> {
    trial("log_resume_outage_postgres", EngineKind::Postgres).await
}
