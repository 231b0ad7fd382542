//! Our own client, against a hub, over connections that break.

use std::time::Duration;

use events_broadcast::Limits;
use events_client::{
    Cause, Client, Error, EventStream, Item, Publish, PublishKind, Receipt, StreamKind, Subscribe,
};
use events_tests::client_log::{ClientLog, Published, published, seq_of};
use events_tests::deadline::{PATIENCE, within};
use events_tests::fault_proxy::{FaultProxy, Faults, ProxyHandle};
use events_tests::hub::Hub;
use events_tests::raw_client::RawFrame;
use events_tests::sample;
use futures_util::StreamExt;
use tokio::task::JoinSet;

const CUTS: usize = 3;

fn client(url: &str) -> Client {
    let (base, cap) = (Duration::from_millis(10), Duration::from_millis(100));
    Client::builder(url)
        .user("ada")
        .backoff(base, cap)
        .build()
        .unwrap()
}

async fn next(stream: &mut EventStream) -> Item {
    let item = within("the next item", PATIENCE, async { Ok(stream.next().await) }).await;
    item.unwrap().expect("a stream without end").unwrap()
}

/// Breaks the next connection in the middle of the run, in one way or the other.
fn break_next(proxy: &ProxyHandle, random: &mut fastrand::Rng) {
    // The head and the first cursor are shorter than that.
    let limit = Some(random.u64(800..4_000));
    proxy.set_faults_of_new(if random.bool() {
        Faults {
            cut_after: limit,
            ..Faults::default()
        }
    } else {
        Faults {
            reset_after: limit,
            ..Faults::default()
        }
    });
}

/// Follows the stream until `last`, over connections of which the first few break.
async fn follow(proxy: FaultProxy, mut stream: EventStream, last: u64, seed: u64) -> ClientLog {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut log = ClientLog::default();
    log.begin_after(0);
    let mut n_cuts = 0;
    while log.last() != Some(last) {
        match next(&mut stream).await {
            Item::Event { id, data, .. } => {
                let frame = RawFrame {
                    id,
                    data: Some(data),
                    ..RawFrame::default()
                };
                log.take(&frame).unwrap();
            }
            Item::Connected { cursor } => {
                assert_eq!(cursor.is_some(), n_cuts > 0);
                n_cuts += 1;
                if n_cuts < CUTS {
                    break_next(&proxy, &mut random);
                } else {
                    proxy.set_faults_of_new(Faults::default());
                }
            }
            Item::Reconnecting { .. } => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(
        stream.cursor().map(|cursor| seq_of(cursor).unwrap()),
        Some(last)
    );
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_has_every_event_once_whatever_breaks() {
    let hub = Hub::plain().await.unwrap();
    let lines = sample::run("t", "r", 96);
    let mut followers = JoinSet::new();
    for seed in 0..8 {
        let proxy = FaultProxy::start(hub.address()).await.unwrap();
        break_next(&proxy, &mut fastrand::Rng::with_seed(seed));
        let stream = client(&proxy.url(""))
            .subscribe(Subscribe::to(StreamKind::AgUi))
            .unwrap();
        followers.spawn(follow(proxy, stream, 100, seed));
    }
    hub.wait_for_connections("ada", 8).await.unwrap();
    let mut ids = Vec::new();
    for event in sample::typed(&lines) {
        ids.extend(hub.publish("ada", event).await.unwrap());
    }
    let truth = published(&ids, &lines).unwrap();
    for log in followers.join_all().await {
        log.check(&truth).unwrap();
        assert_eq!((log.entries().len(), log.gaps().len()), (100, 0));
    }
}

/// Reads the log from its beginning.
async fn whole_log(hub: &Hub, n_events: u64) -> ClientLog {
    let state = hub.router().store().last(&"ada".into());
    let start = format!("{}.0.0", state.to_string().split('.').next().unwrap());
    let mut stream = hub.resume("/agui?user=ada", &start).await.unwrap();
    let mut log = ClientLog::default();
    while log.last() != Some(n_events) {
        let frame = stream.next_frame(PATIENCE).await.unwrap().unwrap();
        log.take(&frame).unwrap();
    }
    log
}

async fn hub_with_long_history() -> Hub {
    let limits = Limits {
        events: 20_000,
        bytes: 64 << 20,
        ..Limits::default()
    };
    Hub::with_limits(limits).await.unwrap()
}

async fn check_log(hub: &Hub, ids: &[String], lines: &[String]) {
    let truth: Published = published(ids, lines).unwrap();
    let log = whole_log(hub, lines.len() as u64).await;
    log.check(&truth).unwrap();
    assert_eq!(log.entries().len(), lines.len());
    assert_eq!(
        hub.router().store().last(&"ada".into()).seq,
        lines.len() as u64
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_events_are_published_in_batches_and_in_order() {
    let hub = hub_with_long_history().await;
    let lines = sample::run("t", "r", 4_996);
    let client = client(&format!("http://{}", hub.address()));
    let request = Publish::to(PublishKind::AgUi, "ada").thread("t");
    let published = client.publish(&request, &lines).await.unwrap();
    assert_eq!((published.ids.len(), published.duplicates), (5_000, 0));
    check_log(&hub, &published.ids, &lines).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_whose_answers_are_lost_is_sent_again_and_taken_once() {
    let hub = hub_with_long_history().await;
    let proxy = FaultProxy::start(hub.address()).await.unwrap();
    let lines = sample::run("t", "r", 2_496);
    let client = client(&proxy.url(""));
    let switches = proxy.handle();
    let mut breaking = JoinSet::new();
    // The first three answers are lost: before, in and after their head.
    proxy.set_faults_of_new(Faults {
        cut_after: Some(1),
        ..Faults::default()
    });
    breaking.spawn(async move {
        for (n_broken, limit) in [(1, Some(60)), (2, Some(400)), (3, None)] {
            let is_broken = |counters: &events_tests::fault_proxy::Counters| {
                counters.n_cut + counters.n_reset >= n_broken
            };
            switches.wait_for(PATIENCE, is_broken).await.unwrap();
            switches.set_faults_of_new(Faults {
                reset_after: limit,
                ..Faults::default()
            });
        }
    });
    let request = Publish::to(PublishKind::AgUi, "ada").thread("t");
    let published = client.publish(&request, &lines).await.unwrap();
    breaking.join_all().await;
    assert_eq!((published.ids.len(), published.duplicates), (2_500, 1_000));
    check_log(&hub, &published.ids, &lines).await;
}

#[tokio::test]
async fn a_refused_line_is_named_with_its_rule() {
    let hub = Hub::plain().await.unwrap();
    let client = client(&format!("http://{}", hub.address()));
    let mut lines = sample::run("t", "r", 3);
    lines.remove(1);
    let request = Publish::to(PublishKind::AgUi, "ada");
    let error = client.publish(&request, &lines).await.unwrap_err();
    let Error::Refused {
        line,
        problem,
        published,
    } = error
    else {
        panic!("unexpected {error:?}");
    };
    assert_eq!((line, published.ids.len()), (Some(2), 0));
    assert_eq!(
        (problem.status, problem.line),
        (Some(422), Some(2)),
        "{problem:?}"
    );
    assert!(problem.rule.is_some(), "{problem:?}");
}

#[tokio::test]
async fn live_lines_have_receipts_while_the_request_goes_on() {
    let hub = Hub::plain().await.unwrap();
    let client = client(&format!("http://{}", hub.address()));
    let mut stream = hub.stream("/agui?user=ada").await.unwrap();
    let mut publisher = client
        .publish_live(&Publish::to(PublishKind::AgUi, "ada"))
        .unwrap();
    let lines = sample::run("t", "r", 10);
    let out_of_order = r#"{"type":"TEXT_MESSAGE_END","messageId":"none"}"#.to_owned();
    let wanted = [&lines[..5], &[out_of_order], &lines[5..]].concat();
    for (index, line) in wanted.iter().enumerate() {
        let number = publisher.send(line).await.unwrap();
        let next = async { Ok(publisher.next().await) };
        let receipt = within("a receipt", PATIENCE, next)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!((number, receipt.line), (index as u64 + 1, number));
        match receipt.result {
            Ok(ids) => assert_eq!(
                stream.next_event(PATIENCE).await.unwrap().id.as_ref(),
                ids.first()
            ),
            Err(problem) => assert_eq!((number, problem.status), (6, Some(422)), "{problem:?}"),
        }
    }
    publisher.close();
    let end = within("the end", PATIENCE, async { Ok(publisher.next().await) })
        .await
        .unwrap();
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn a_drain_is_no_receipt_of_a_line_that_was_never_sent() {
    let mut hub = Hub::plain().await.unwrap();
    let client = client(&format!("http://{}", hub.address()));
    let mut publisher = client
        .publish_live(&Publish::to(PublishKind::AgUi, "ada"))
        .unwrap();
    publisher.send(&sample::run("t", "r", 0)[0]).await.unwrap();
    let mut receipts = Vec::new();
    for round in 0..3 {
        let next = async { Ok(publisher.next().await) };
        receipts.push(within("a receipt", PATIENCE, next).await.unwrap());
        if round == 0 {
            hub.signal();
        }
    }
    assert!(
        matches!(
            &receipts[..],
            [
                Some(Ok(Receipt {
                    line: 1,
                    result: Ok(_)
                })),
                Some(Err(Error::Live(Cause::Status { status: 503, .. }))),
                None
            ]
        ),
        "{receipts:?}"
    );
}
