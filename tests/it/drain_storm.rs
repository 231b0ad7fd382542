//! All streams of a hub that goes away end in good order and evenly, and all clients come back without a loss.
//!
//! The short form runs with all other tests. With `EVENTS_SOAK=1` (`cargo xtask soak`) 5,000 streams end over ten
//! seconds, and the figures are printed.

use std::io;
use std::time::Duration;

use events_tests::resume::EngineKind;
use events_tests::rigs::{self, is_soak};
use events_tests::storm::Storm;

fn storm(engine: EngineKind, n_hubs: usize) -> Storm {
    let is_soak = is_soak();
    Storm {
        engine,
        n_hubs,
        n_streams: if is_soak { 5_000 } else { 400 },
        n_users: if is_soak { 100 } else { 20 },
        period: Duration::from_millis(if is_soak { 1_000 } else { 500 }),
        window: Duration::from_secs(if is_soak { 10 } else { 3 }),
    }
}

/// A second is the server's own; another is for a busy machine, which the long form does not need.
fn grace() -> Duration {
    Duration::from_secs(if is_soak() { 1 } else { 2 })
}

async fn check(test: &str, storm: Storm) -> io::Result<()> {
    let Some(report) = storm.run(test).await? else {
        return Ok(());
    };
    let (log, n_hubs) = (storm.engine, storm.n_hubs);
    rigs::say(&format_args!(
        "drain, {n_hubs} hubs on {log:?} | {}",
        report.line()
    ));
    assert!(report.status.success(), "{report}");
    assert!(report.ended_after <= storm.window + grace(), "{report}");
    assert_eq!(report.ends.len(), storm.n_streams, "{report}");
    assert_eq!(report.unclean, Vec::<String>::new(), "{report}");
    // The short form has few streams and many neighbours: three bins a second instead of ten.
    let n_bins = if is_soak() { 90 } else { 9 };
    assert!(report.peak(n_bins) <= 1.5, "{report}");
    assert_eq!(report.returns.len(), storm.n_streams, "{report}");
    assert_eq!(report.findings, [], "{report}");
    assert!(report.n_events.1 > storm.n_streams, "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_on_disk_goes_away_and_comes_back() -> io::Result<()> {
    check(
        "a_hub_on_disk_goes_away_and_comes_back",
        storm(EngineKind::Disk, 1),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_streams_of_a_hub_go_on_at_another() -> io::Result<()> {
    let engine = EngineKind::Nats { n_servers: 1 };
    check("the_streams_of_a_hub_go_on_at_another", storm(engine, 2)).await
}
