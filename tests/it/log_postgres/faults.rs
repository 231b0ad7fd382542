//! What breaks at run time: the listening connection, the primary.

use std::{io, time::Duration};

use events_core::{EventError, EventLog, Tailed, UserId};
use events_log_postgres::{PostgresConfig, PostgresLog};
use events_tests::{
    deadline::{PATIENCE, within},
    postgres_server::PostgresServer,
};
use tokio::time::interval;

use super::{advanced, config, open, record, server, started, until};

fn counter(log: &dyn EventLog, name: &str) -> u64 {
    let counters = log.counters();
    let counter = counters.iter().find(|counter| counter.name == name);
    format!("{}", counter.unwrap().value).parse().unwrap()
}

#[tokio::test]
async fn a_listener_that_is_cut_off_costs_no_event() -> io::Result<()> {
    let Some(server) = server("a_listener_that_is_cut_off").await else {
        return Ok(());
    };
    let (log, writer, ada) = (
        open(config(&server)).await,
        open(config(&server)).await,
        UserId::from("ada"),
    );
    log.follow(&ada);
    let mut tail = log.tail();
    started(&mut tail).await?;
    for round in 1..=5 {
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'events tail'";
        assert_eq!(server.psql("postgres", cut).await?, "1");
        let place = writer.append(&ada, &[record("1")], 0, None).await.unwrap();
        assert_eq!(place, round);
        advanced(&mut tail, &ada, place).await?;
        let again = async {
            let mut ticks = interval(Duration::from_millis(20));
            // It is polled for its work to be done.
            while counter(&*log, "events_log_postgres_listening") == 0
                || counter(&*log, "events_log_postgres_reconnects_total") < round
            {
                tokio::select! {
                    tailed = futures_util::StreamExt::next(&mut tail) => {
                        assert!(!matches!(tailed, Some(Tailed::Down(_)) | None), "{tailed:?}");
                    }
                    _ = ticks.tick() => {}
                }
            }
            Ok(())
        };
        within("another listener", PATIENCE, again).await?;
    }
    Ok(())
}

#[tokio::test]
async fn news_are_heard_long_before_the_next_poll() -> io::Result<()> {
    let Some(server) = server("news_are_heard_long_before_the_next_poll").await else {
        return Ok(());
    };
    let slow = PostgresConfig {
        poll: Duration::from_secs(10),
        ..config(&server)
    };
    let (log, writer, ada) = (
        open(slow.clone()).await,
        open(slow).await,
        UserId::from("ada"),
    );
    log.follow(&ada);
    let mut tail = log.tail();
    started(&mut tail).await?;
    for place in 1..=3 {
        writer.append(&ada, &[record("1")], 0, None).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), advanced(&mut tail, &ada, place)).await??;
    }
    Ok(())
}

/// Opens a log of a cluster, which is at whichever of two servers is the primary.
async fn of_cluster(
    primary: &PostgresServer,
    standby: &PostgresServer,
    keep_epoch: bool,
) -> PostgresLog {
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres",
        primary.port(),
        standby.port()
    );
    let config = PostgresConfig {
        url,
        keep_epoch,
        ..config(primary)
    };
    PostgresLog::open(config).await.unwrap()
}

#[tokio::test]
async fn a_promotion_is_another_life_unless_it_is_kept() -> io::Result<()> {
    let Some(mut primary) = server("a_promotion_is_another_life").await else {
        return Ok(());
    };
    let standby = PostgresServer::standby(&primary).await?;
    let alone = PostgresConfig {
        url: standby.url("postgres"),
        ..config(&standby)
    };
    let error = PostgresLog::open(alone).await.unwrap_err().to_string();
    assert!(error.contains("standby"), "{error}");

    let log = of_cluster(&primary, &standby, false).await;
    let kept = of_cluster(&primary, &standby, true).await;
    let ada = UserId::from("ada");
    for _ in 0..3 {
        log.append(&ada, &[record("1")], 0, None).await.unwrap();
    }
    let mut tails = [log.tail(), kept.tail()];
    for tail in &mut tails {
        started(tail).await?;
    }
    let arrived = async {
        let mut ticks = interval(Duration::from_millis(20));
        while standby
            .psql("postgres", "select max(seq) from events.log")
            .await?
            != "3"
        {
            ticks.tick().await;
        }
        Ok(())
    };
    within("the standby", PATIENCE, arrived).await?;
    let (of_log, of_kept) = (log.epoch(), kept.epoch());
    primary.kill().await?;
    standby.psql("postgres", "select pg_promote()").await?;

    let [tail, tail_of_kept] = &mut tails;
    until(tail, "Replaced", |tailed| {
        matches!(tailed, Tailed::Replaced)
    })
    .await?;
    assert_eq!(log.epoch(), of_log);
    is_over(&log, &ada).await;
    // Whoever opens it again has the new life, and goes on behind what the standby had.
    let again = of_cluster(&primary, &standby, false).await;
    assert_ne!(again.epoch(), of_log);
    let place = again.append(&ada, &[record("2")], 0, Some(3)).await;
    assert_eq!(place.unwrap(), 4);

    kept.follow(&ada);
    until(tail_of_kept, "the new record", |tailed| {
        assert!(!matches!(tailed, Tailed::Replaced));
        matches!(tailed, Tailed::Advanced { last: 4, .. })
    })
    .await?;
    assert_eq!(kept.epoch(), of_kept);
    Ok(())
}

/// A log that is made anew under a running replica is another one; numbers of it must not get the old epoch.
#[tokio::test]
async fn a_log_that_is_made_anew_is_noticed() -> io::Result<()> {
    let Some(server) = server("a_log_that_is_made_anew_is_noticed").await else {
        return Ok(());
    };
    let (log, ada) = (open(config(&server)).await, UserId::from("ada"));
    log.append(&ada, &[record("1")], 0, None).await.unwrap();
    let mut tail = log.tail();
    started(&mut tail).await?;
    let psql = server.psql("postgres", "drop schema events cascade");
    psql.await?;
    let error = log.append(&ada, &[record("1")], 0, None).await.unwrap_err();
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert!(text.contains("gone"), "{text}");
    let other = open(config(&server)).await;
    until(&mut tail, "Replaced", |tailed| {
        matches!(tailed, Tailed::Replaced)
    })
    .await?;
    assert_ne!(log.epoch(), other.epoch());
    is_over(&*log, &ada).await;
    assert_eq!(other.read(&ada, 0, 1_000).await.unwrap().last, 0);
    Ok(())
}

/// Checks that nothing is taken any more, and that the text says what to do.
async fn is_over(log: &dyn EventLog, user: &UserId) {
    let error = log.append(user, &[record("1")], 0, None).await.unwrap_err();
    assert!(matches!(error, EventError::Unavailable(_)), "{error:?}");
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert!(text.contains("restart"), "{text}");
}
