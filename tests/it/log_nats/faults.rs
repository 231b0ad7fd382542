//! Servers that die, stand still and lag, and answers that are lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use events_core::{EventError, EventLog as _, Tailed, UserId};
use events_log_nats::{NatsLog, NatsLogConfig};
use events_tests::fault_proxy::{FaultProxy, Faults};
use events_tests::nats_server::NatsServers;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::engine::{Away, Nats, open};
use super::samples::{counter, numbers, read_all, record, sized, started, until, user};

/// The number of the server that leads a stream.
async fn leader(servers: &NatsServers, ask: usize, stream: &str) -> Option<usize> {
    let answer = servers
        .ask(ask, &format!("$JS.API.STREAM.INFO.{stream}"), "")
        .await
        .ok()?;
    let info: serde_json::Value = serde_json::from_str(&answer).ok()?;
    let leader = info["cluster"]["leader"].as_str()?.to_owned();
    (0..servers.len()).find(|at| NatsServers::name(*at) == leader)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_stands_still_and_then_lags_hides_nothing() {
    let Some(nats) = Nats::start("log_nats", 3, Away::Stopped).await else {
        return;
    };
    let log = open(nats.config()).await;
    let ada = user("ada");
    let mut places = vec![log.append(&ada, &[record(0)], 1, Some(0)).await.unwrap()];
    let leads = leader(&nats.servers, 0, "EVENTS").await.unwrap();
    let follows = (0..3).find(|at| *at != leads).unwrap();
    let other = (0..3).find(|at| *at != leads && *at != follows).unwrap();
    let at_server = async |at: usize| {
        let mut config = nats.config();
        config.servers = format!("nats://{}", nats.servers.address(at));
        open(config).await
    };
    // A server answers its own clients itself.
    let (beside, behind) = (at_server(other).await, at_server(follows).await);
    nats.servers.signal(follows, "STOP").await;
    let begin = Instant::now();
    // Much to catch up with, in little time: a server that is away longer is left by its clients.
    for _ in 0..80 {
        let (records, last) = ([sized(400_000)], places.last().copied());
        places.push(beside.append(&ada, &records, 1, last).await.unwrap());
    }
    let read = async |log: &NatsLog| -> Vec<u64> {
        let page = read_all(log, &ada).await;
        page.records.iter().map(|logged| logged.seq).collect()
    };
    assert_eq!(read(&beside).await, places);
    nats.servers.signal(follows, "CONT").await;
    println!("it stood still for {:?}", begin.elapsed());
    // Now it answers again, and catches up: whoever asks it must get everything all the time.
    for _ in 0..50 {
        let page = behind.read(&ada, places[0], 1_000).await.unwrap();
        let place = page.records.first().map(|logged| logged.seq);
        assert_eq!((page.previous, place), (places[0], Some(places[1])));
        assert_eq!(Some(&page.last), places.last());
    }
    assert_eq!(read(&behind).await, places);
    let n_read = counter(&behind, "events_log_leader_reads_total");
    println!("{n_read} messages were read from the leader");
}

/// Publishes as the router does, and returns the numbers that were acknowledged or found.
async fn publish(log: NatsLog, user: UserId, mut is_over: watch::Receiver<bool>) -> Vec<u64> {
    let (mut acknowledged, mut last, mut ticks) =
        (Vec::new(), 0, interval(Duration::from_millis(10)));
    for n in 0.. {
        loop {
            if *is_over.borrow_and_update() {
                return acknowledged;
            }
            match log.append(&user, &[record(n)], 1, Some(last)).await {
                Ok(place) => {
                    last = place;
                    break;
                }
                Err(EventError::Timeout | EventError::Conflict { .. }) => {
                    let Ok(page) = log.read(&user, last, 1 << 20).await else {
                        continue;
                    };
                    last = page.records.last().map_or(last, |logged| logged.seq);
                    if numbers(&page.records).contains(&n) {
                        break;
                    }
                }
                Err(EventError::Unavailable(_) | EventError::Overloaded(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
            ticks.tick().await;
        }
        acknowledged.push(n);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_killed_leaders_once_and_in_order() {
    let Some(nats) = Nats::start("log_nats", 3, Away::Killed).await else {
        return;
    };
    let (writer, reader) = (open(nats.config()).await, open(nats.config()).await);
    let mut tail = started(&reader).await;
    let is_over = watch::Sender::new(false);
    let mut lanes = JoinSet::new();
    for lane in 0..64 {
        let (writer, user) = (writer.clone(), user(&format!("user {lane}")));
        let is_over = is_over.subscribe();
        lanes.spawn(async move { (user.clone(), publish(writer, user, is_over).await) });
    }
    let mut ticks = interval(Duration::from_millis(1_500));
    ticks.tick().await;
    for _ in 0..3 {
        ticks.tick().await;
        let mut leads = None;
        for at in 0..3 {
            leads = leads.or(leader(&nats.servers, at, "EVENTS").await);
        }
        let leads = leads.unwrap_or(0);
        nats.servers.kill(leads).await;
        ticks.tick().await;
        nats.servers.restart(leads).await;
        ticks.tick().await;
    }
    is_over.send_replace(true);
    let acknowledged: HashMap<UserId, Vec<u64>> = lanes.join_all().await.into_iter().collect();
    let mut want = BTreeMap::new();
    let mut n_acknowledged = 0;
    for (user, acknowledged) in &acknowledged {
        let page = read_all(&reader, user).await;
        let read = numbers(&page.records);
        // The last one may have got in without an answer before the end.
        assert!(
            read.starts_with(acknowledged),
            "{user}: acknowledged {acknowledged:?}, read {read:?}"
        );
        assert!(
            read.len() <= acknowledged.len() + 1,
            "{user} has records twice: {read:?}"
        );
        n_acknowledged += acknowledged.len();
        want.insert(user.as_str().to_owned(), read);
    }
    assert!(
        n_acknowledged > 500,
        "only {n_acknowledged} appends were made"
    );
    // Whoever heard `Started` once and never again has heard everything.
    let mut heard: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    until(&mut tail, "everything that was read", |tailed| {
        match tailed {
            Tailed::Appended { user, records, .. } => {
                heard
                    .entry(user.as_str().to_owned())
                    .or_default()
                    .extend(numbers(&records));
            }
            Tailed::Started => panic!("the tail has begun anew"),
            _ => {}
        }
        let n_heard: usize = heard.values().map(Vec::len).sum();
        (n_heard >= want.values().map(Vec::len).sum()).then_some(())
    })
    .await;
    assert_eq!(heard, want);
    println!(
        "{n_acknowledged} acknowledged; {} resent, {} duplicates, {} conflicts, {} reconnects, tail {} times",
        counter(&writer, "events_log_resent_total"),
        counter(&writer, "events_log_duplicates_total"),
        counter(&writer, "events_log_conflicts_total"),
        counter(&writer, "events_log_reconnects_total"),
        counter(&reader, "events_log_tail_attaches_total"),
    );
}

/// A log on one server, behind a proxy.
async fn behind_proxy(nats: &Nats) -> (FaultProxy, NatsLog, NatsLogConfig) {
    let proxy = FaultProxy::start(nats.servers.address(0)).await.unwrap();
    let mut config = nats.config();
    config.servers = format!("nats://{}", proxy.address());
    config.append_timeout = Duration::from_secs(15);
    (proxy, open(config.clone()).await, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_does_not_make_two_records() {
    let Some(nats) = Nats::start("log_nats", 1, Away::Killed).await else {
        return;
    };
    let (proxy, log, _) = behind_proxy(&nats).await;
    let ada = user("ada");
    let last = log.append(&ada, &[record(0)], 1, Some(0)).await.unwrap();
    let deaf = Faults {
        is_stalled_down: true,
        ..Faults::default()
    };
    proxy.set_faults(deaf);
    let appending = {
        let (log, ada) = (log.clone(), ada.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            log.append(&ada, &[record(1), record(2)], 1, Some(last))
                .await
        });
        task
    };
    // It is stored, seen by another replica, and the answer is lost with the connection.
    let other = open(nats.config()).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut ticks = interval(Duration::from_millis(10));
    while read_all(&other, &ada).await.records.len() < 3 {
        assert!(Instant::now() < deadline, "the append was not stored");
        ticks.tick().await;
    }
    proxy.cut_all();
    proxy.set_faults(Faults::default());
    let first = appending.join_all().await.remove(0).unwrap();
    let page = read_all(&other, &ada).await;
    assert_eq!(numbers(&page.records), [0, 1, 2]);
    assert_eq!(page.records[1].seq, first);
    assert_eq!(counter(&log, "events_log_duplicates_total"), 1);
    // Nobody was first; the log knew its own append.
    log.append(&ada, &[record(3)], 1, Some(first + 1))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_append_whose_answer_is_lost_is_found() {
    let Some(nats) = Nats::start("log_nats", 1, Away::Killed).await else {
        return;
    };
    let (proxy, log, _) = behind_proxy(&nats).await;
    let ada = user("ada");
    let last = log.append(&ada, &[record(0)], 1, Some(0)).await.unwrap();
    proxy.set_faults(Faults {
        is_stalled_down: true,
        ..Faults::default()
    });
    let large: Vec<_> = (1..4).map(|_| sized(700_000)).collect();
    let appending = {
        let (log, ada) = (log.clone(), ada.clone());
        let mut task = JoinSet::new();
        task.spawn(async move { log.append(&ada, &large, 1, Some(last)).await });
        task
    };
    let other = open(nats.config()).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut ticks = interval(Duration::from_millis(10));
    while read_all(&other, &ada).await.records.len() < 4 {
        assert!(Instant::now() < deadline, "the append was not stored");
        ticks.tick().await;
    }
    proxy.cut_all();
    proxy.set_faults(Faults::default());
    let first = appending.join_all().await.remove(0).unwrap();
    let page = read_all(&other, &ada).await;
    assert_eq!(page.records.len(), 4);
    assert_eq!(page.records[1].seq, first);
    log.append(&ada, &[record(3)], 1, Some(first + 2))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_begins_anew_when_messages_went_that_it_had_not_heard() {
    let Some(nats) = Nats::start("log_nats", 1, Away::Killed).await else {
        return;
    };
    let (proxy, log, _) = behind_proxy(&nats).await;
    let other = open(nats.config()).await;
    let (ada, eve) = (user("ada"), user("eve"));
    let mut tail = started(&log).await;
    other.append(&ada, &[record(0)], 1, Some(0)).await.unwrap();
    let is_appended = |tailed| match tailed {
        Tailed::Appended { records, .. } => Some(numbers(&records)),
        _ => None,
    };
    assert_eq!(until(&mut tail, "an append", is_appended).await, [0]);
    // A cut without loss is taken up where it was.
    proxy.cut_all();
    other.append(&eve, &[record(1)], 1, Some(0)).await.unwrap();
    let heard = until(&mut tail, "the append after a cut", |tailed| {
        assert!(!matches!(tailed, Tailed::Started), "nothing was lost");
        is_appended(tailed)
    })
    .await;
    assert_eq!(heard, [1]);
    proxy.set_faults(Faults {
        is_refusing: true,
        ..Faults::default()
    });
    proxy.cut_all();
    until(&mut tail, "Down", |tailed| {
        matches!(tailed, Tailed::Down(_)).then_some(())
    })
    .await;
    other.append(&ada, &[record(2)], 1, None).await.unwrap();
    let purged = nats
        .servers
        .ask(0, "$JS.API.STREAM.PURGE.EVENTS", "")
        .await
        .unwrap();
    assert!(purged.contains("\"success\":true"), "{purged}");
    proxy.set_faults(Faults::default());
    let mut said = Vec::new();
    until(&mut tail, "Started", |tailed| {
        said.push(format!("{tailed:?}"));
        matches!(tailed, Tailed::Started).then_some(())
    })
    .await;
    assert_eq!(said, ["Up", "Started"]);
    other.append(&ada, &[record(3)], 1, None).await.unwrap();
    assert_eq!(until(&mut tail, "an append", is_appended).await, [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_made_anew_is_told_and_not_written_to() {
    let Some(nats) = Nats::start("log_nats", 1, Away::Killed).await else {
        return;
    };
    let (proxy, log, _) = behind_proxy(&nats).await;
    let mut tail = started(&log).await;
    log.append(&user("ada"), &[record(0)], 1, None)
        .await
        .unwrap();
    let deleted = nats
        .servers
        .ask(0, "$JS.API.STREAM.DELETE.EVENTS", "")
        .await
        .unwrap();
    assert!(deleted.contains("\"success\":true"), "{deleted}");
    let anew = Arc::new(open(nats.config()).await);
    assert_ne!(anew.epoch(), log.epoch());
    proxy.cut_all();
    until(&mut tail, "Replaced", |tailed| {
        matches!(tailed, Tailed::Replaced).then_some(())
    })
    .await;
    let refused = log.append(&user("ada"), &[record(1)], 1, None).await;
    let text = format!("{refused:?}");
    assert!(text.contains("made anew; open the log again"), "{text}");
    assert!(
        anew.read(&user("ada"), 0, 100)
            .await
            .unwrap()
            .records
            .is_empty()
    );
}
