//! Applications that publish from SQL, in their own transactions.

use std::{io, time::Duration};

use events_core::{EventError, EventLog, UserId};
use events_tests::postgres_server::PostgresServer;

use super::{advanced, config, open, record, server, started};

/// What an application is granted, and a table of its own.
const APPLICATION: &str = "create role app login; grant usage on schema events to app; \
     grant execute on function events.events_publish(text, text, text[], text[], text[]), events.events_ring(text) to app; \
     create table orders (id integer primary key, state text); grant all on orders to app";

fn publish(user: &str, value: u64, msg_id: Option<&str>) -> String {
    let msg_ids = msg_id.map_or("null".to_owned(), |id| format!("array['{id}']"));
    format!(
        "select events.events_publish('{user}', 'thread-1', array['agui'], \
         array['{{\"type\":\"CUSTOM\",\"name\":\"n\",\"value\":{value}}}'], {msg_ids})"
    )
}

async fn bodies(log: &dyn EventLog, user: &UserId) -> Vec<String> {
    let page = log.read(user, 0, 1 << 20).await.unwrap();
    let places: Vec<u64> = page.records.iter().map(|logged| logged.seq).collect();
    let dense: Vec<u64> = (1..=page.last).collect();
    assert_eq!(places, dense, "a hole in what is read");
    page.records
        .iter()
        .map(|logged| String::from_utf8(logged.record.json.to_vec()).unwrap())
        .collect()
}

async fn psql(server: &PostgresServer, sql: &str) -> String {
    server.psql("app", sql).await.unwrap()
}

#[tokio::test]
async fn an_event_is_there_with_the_commit_and_not_with_a_rollback() -> io::Result<()> {
    let Some(server) = server("an_event_is_there_with_the_commit").await else {
        return Ok(());
    };
    let (log, ada) = (open(config(&server)).await, UserId::from("ada"));
    server.psql("postgres", APPLICATION).await?;
    log.follow(&ada);
    let mut tail = log.tail();
    started(&mut tail).await?;

    let undone = format!(
        "begin; insert into orders values (1, 'paid'); {}; rollback",
        publish("ada", 1, Some("m1"))
    );
    assert_eq!(psql(&server, &undone).await, "{1}");
    assert_eq!(psql(&server, "select count(*) from orders").await, "0");
    assert!(bodies(&*log, &ada).await.is_empty());

    let done = format!(
        "begin; insert into orders values (1, 'paid'); {}; commit",
        publish("ada", 2, Some("m1"))
    );
    assert_eq!(psql(&server, &done).await, "{1}");
    // Nobody rang, so it is found by a poll.
    advanced(&mut tail, &ada, 1).await?;
    let page = log.read(&ada, 0, 1 << 20).await.unwrap();
    let logged = &page.records[0].record;
    assert_eq!(
        &logged.json[..],
        br#"{"type":"CUSTOM","name":"n","value":2}"#
    );
    assert_eq!(logged.scope.as_deref(), Some("thread-1"));
    assert_eq!(logged.channel.number(), 0);
    assert!(logged.tag > 0 && logged.note.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_retry_with_the_same_message_id_is_one_event() -> io::Result<()> {
    let Some(server) = server("a_retry_with_the_same_message_id").await else {
        return Ok(());
    };
    let (log, ada) = (open(config(&server)).await, UserId::from("ada"));
    server.psql("postgres", APPLICATION).await?;
    assert_eq!(psql(&server, &publish("ada", 1, Some("abc"))).await, "{1}");
    assert_eq!(psql(&server, &publish("ada", 2, Some("abc"))).await, "{1}");
    assert_eq!(psql(&server, &publish("ada", 3, None)).await, "{2}");
    // The ids of another user are others.
    assert_eq!(psql(&server, &publish("eve", 4, Some("abc"))).await, "{1}");
    let several = "select events.events_publish('ada', null, array['system', 'a2a', 'system', 'system'], \
         array['1', E'[2,\\r\\n3]', '4', '5'], array['x', 'abc', 'x', null])";
    assert_eq!(psql(&server, several).await, "{3,1,3,4}");
    let page = log.read(&ada, 0, 1 << 20).await.unwrap();
    assert_eq!(page.last, 4);
    // The first 128 bits of the SHA-256 of "abc" (FIPS 180-4, appendix).
    let key = page.records[0].record.key.unwrap();
    assert_eq!(key.bits(), 0xba78_16bf_8f01_cfea_4141_40de_5dae_2223);
    let channels: Vec<u8> = page
        .records
        .iter()
        .map(|logged| logged.record.channel.number())
        .collect();
    assert_eq!(channels, [0, 0, 2, 2]);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_an_event_is_refused() -> io::Result<()> {
    let Some(server) = server("what_cannot_be_an_event_is_refused").await else {
        return Ok(());
    };
    let (log, ada) = (open(config(&server)).await, UserId::from("ada"));
    server.psql("postgres", APPLICATION).await?;
    for (arguments, word) in [
        (
            "'ada', null, array['agi'], array['1']",
            "unknown kind 'agi'",
        ),
        ("'ada', null, array['agui'], array['{a}']", "json"),
        ("'ada', null, array['agui'], array[null]", "bytes"),
        (
            "'ada', null, array['agui', 'agui'], array['1']",
            "as many kinds",
        ),
        (
            "'ada', null, array['agui'], array['1'], array['a', 'b']",
            "as many kinds",
        ),
        (
            "'ada', null, array[]::text[], array[]::text[]",
            "as many kinds",
        ),
        ("repeat('x', 1025), null, array['agui'], array['1']", "1024"),
        (
            "'ada', null, array['agui'], array[to_json(repeat('x', 1048576))::text]",
            "limit",
        ),
        ("null, null, array['agui'], array['1']", "null"),
    ] {
        let outcome = server
            .psql("app", &format!("select events.events_publish({arguments})"))
            .await;
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains(word), "{arguments}: {text}");
    }
    assert_eq!(log.read(&ada, 0, 1 << 20).await.unwrap().last, 0);
    // Without a grant nobody publishes, and nobody reads.
    server
        .psql(
            "postgres",
            "create role guest login; grant usage on schema events to guest",
        )
        .await?;
    for sql in [
        publish("ada", 1, None),
        "select * from events.log".to_owned(),
        "select events.events_ring('ada')".to_owned(),
    ] {
        let text = server.psql("guest", &sql).await.unwrap_err().to_string();
        assert!(text.contains("permission denied"), "{text}");
    }
    Ok(())
}

/// A number that was drawn early and committed late must not be skipped: here it cannot be, because the second of two
/// transactions for one user waits for the first one's commit.
#[tokio::test]
async fn numbers_are_seen_in_the_order_of_commits() -> io::Result<()> {
    let Some(server) = server("numbers_are_seen_in_the_order_of_commits").await else {
        return Ok(());
    };
    let (log, ada) = (open(config(&server)).await, UserId::from("ada"));
    server.psql("postgres", APPLICATION).await?;
    log.follow(&ada);
    let mut tail = log.tail();
    started(&mut tail).await?;
    let (mut early, mut late) = (server.session("app")?, server.session("app")?);
    assert_eq!(
        early
            .run(&format!("begin; {};", publish("ada", 1, None)))
            .await?,
        ["{1}"]
    );
    late.send(&format!("{};", publish("ada", 2, None))).await?;
    // Others are not held up, and the hub is told at once that this user is.
    assert_eq!(psql(&server, &publish("eve", 9, None)).await, "{1}");
    let outcome = log.append(&ada, &[record("0")], 0, None).await;
    assert!(
        matches!(outcome, Err(EventError::Unavailable(_))),
        "{outcome:?}"
    );
    assert!(bodies(&*log, &ada).await.is_empty());
    assert!(early.run("commit;").await?.is_empty());
    assert_eq!(late.rows().await?, ["{2}"]);
    advanced(&mut tail, &ada, 2).await?;
    assert_eq!(bodies(&*log, &ada).await.len(), 2);
    Ok(())
}

#[tokio::test]
async fn publishers_that_wait_for_a_lock_do_not_hold_up_news() -> io::Result<()> {
    let Some(server) = server("publishers_that_wait_for_a_lock").await else {
        return Ok(());
    };
    let mut config = config(&server);
    config.max_connections = 1;
    config.poll = Duration::from_millis(50);
    let (log, ada, eve) = (open(config).await, UserId::from("ada"), UserId::from("eve"));
    server.psql("postgres", APPLICATION).await?;
    log.follow(&eve);
    let mut tail = log.tail();
    started(&mut tail).await?;
    let mut session = server.session("app")?;
    session
        .run(&format!("begin; {};", publish("ada", 1, None)))
        .await?;
    let records = [record("0")];
    let waiting = log.append(&ada, &records, 0, None);
    let news = async {
        psql(&server, &publish("eve", 1, None)).await;
        advanced(&mut tail, &eve, 1).await
    };
    tokio::select! {
        outcome = waiting => panic!("the append came first: {outcome:?}"),
        heard = news => heard,
    }
}

#[tokio::test]
async fn two_applications_and_a_hub_publish_at_once_and_nothing_is_skipped() -> io::Result<()> {
    let Some(server) = server("two_applications_and_a_hub_publish_at_once").await else {
        return Ok(());
    };
    let (log, ada) = (open(config(&server)).await, UserId::from("ada"));
    server.psql("postgres", APPLICATION).await?;
    let script = |name: &str| -> String {
        let one = |n: u64| {
            let slow = if n.is_multiple_of(5) {
                "select pg_sleep(0.005);"
            } else {
                ""
            };
            let end = if n.is_multiple_of(4) {
                "rollback"
            } else {
                "commit"
            };
            format!(
                "begin; {}; {slow} {end};\n",
                publish("ada", n, Some(&format!("{name}-{n}")))
            )
        };
        (0..60).map(one).collect()
    };
    let (mut one, mut other) = (server.session("app")?, server.session("app")?);
    one.send(&script("one")).await?;
    other.send(&script("other")).await?;
    let mut seen = Vec::new();
    let mut n_own = 0;
    // Reads as it goes, as a replica does: what was read once must never change, and nothing comes before it.
    while seen.len() < 90 + 40 {
        if n_own < 40 {
            n_own += usize::from(log.append(&ada, &[record("1")], 0, None).await.is_ok());
        }
        let after = seen.len() as u64;
        let page = log.read(&ada, after, 1_000).await.unwrap();
        assert_eq!(page.previous, after);
        for logged in page.records {
            assert_eq!(logged.seq, seen.len() as u64 + 1);
            seen.push(logged.record.json);
        }
    }
    one.rows().await?;
    other.rows().await?;
    let page = log.read(&ada, 0, 1 << 20).await.unwrap();
    let all: Vec<_> = page
        .records
        .into_iter()
        .map(|logged| logged.record.json)
        .collect();
    assert_eq!(all, seen);
    Ok(())
}

#[tokio::test]
async fn an_application_that_rings_is_heard_at_once() -> io::Result<()> {
    let Some(server) = server("an_application_that_rings_is_heard_at_once").await else {
        return Ok(());
    };
    let mut config = config(&server);
    config.poll = Duration::from_secs(10);
    let (log, ada) = (open(config).await, UserId::from("ada \u{1f469}"));
    server.psql("postgres", APPLICATION).await?;
    log.follow(&ada);
    let mut tail = log.tail();
    started(&mut tail).await?;
    psql(&server, &publish(ada.as_str(), 1, None)).await;
    psql(&server, &format!("select events.events_ring('{ada}')")).await;
    tokio::time::timeout(Duration::from_secs(5), advanced(&mut tail, &ada, 1)).await??;
    Ok(())
}
