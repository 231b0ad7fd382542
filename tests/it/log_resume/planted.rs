//! A log that breaks its promises is found out by the same comparison.
//!
//! Two routers in this process, one of them on a log that is changed on its way. Nothing in the product helps with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use events_broadcast::{Attach, Batch, Next};
use events_core::{Checkpoint, Epoch, EventLog, EventResult, Page, Record, Tail, Tailed, UserId};
use events_models::a2a::A2AVersion;
use events_router::{EventRouter, Item, MemoryLog, MsgId, RouterConfig};
use events_tests::resume::events::{Script, mark};
use events_tests::resume::verdict::Acked;
use events_tests::resume::{ClientRecord, Kind, PublisherRecord, Sight, What, check};
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::rest;

const EVENTS: usize = 120;

/// Which promise is broken, now and then, between one router and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    Nothing,
    /// The tail leaves an append out. The next one says what it stands after, so it is read.
    TailLeavesOut,
    /// The tail says an append twice. It has a place, so it counts once.
    TailRepeats,
    /// An append is acknowledged and not made.
    AcksWithoutKeeping,
    /// An append is made twice.
    AppendsTwice,
    /// The tail leaves an append out, and the next one does not say so.
    TailHides,
    /// The tail says an append again, as if it were the next.
    TailRepeatsAsNext,
    /// The tail gives the places of others.
    TailRenumbers,
    /// The tail leaves an append out, and so does the read that follows.
    ReadLeavesOut,
}

impl Plant {
    const fn is_of_tail(self) -> bool {
        !matches!(
            self,
            Self::Nothing | Self::AcksWithoutKeeping | Self::AppendsTwice
        )
    }
}

#[derive(Debug)]
pub(super) struct Planted {
    log: Arc<dyn EventLog>,
    plant: Plant,
    n_appends: AtomicUsize,
}

impl Planted {
    pub(super) fn new(log: MemoryLog, plant: Plant) -> Arc<Self> {
        Arc::new(Self {
            log: Arc::new(log),
            plant,
            n_appends: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl EventLog for Planted {
    fn engine(&self) -> &'static str {
        self.log.engine()
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    fn max_record_bytes(&self) -> usize {
        self.log.max_record_bytes()
    }

    fn is_dense(&self) -> bool {
        self.log.is_dense()
    }

    async fn append(
        &self,
        user: &UserId,
        records: &[Record],
        at_ms: i64,
        expected: Option<u64>,
    ) -> EventResult<u64> {
        let is_turn = self.n_appends.fetch_add(1, Ordering::Relaxed) % 10 == 5;
        if is_turn && self.plant == Plant::AcksWithoutKeeping {
            return Ok(expected.unwrap_or(0) + 1);
        }
        let first = self.log.append(user, records, at_ms, expected).await?;
        if is_turn && self.plant == Plant::AppendsTwice {
            self.log.append(user, records, at_ms, None).await?;
        }
        Ok(first)
    }

    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page> {
        let mut page = self.log.read(user, after, max_bytes).await?;
        if self.plant == Plant::ReadLeavesOut && after > 0 && page.records.len() > 1 {
            page.records.remove(0);
        }
        Ok(page)
    }

    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
        self.log.save(user, parts).await
    }

    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>> {
        self.log.load(user).await
    }

    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64> {
        self.log.erase(user, marker, at_ms).await
    }

    fn tail(&self) -> Tail {
        let (plant, mut n_heard, mut left_out) = (self.plant, 0, None);
        let changed = self.log.tail().flat_map(move |tailed| {
            let Tailed::Appended {
                user,
                mut previous,
                mut records,
            } = tailed
            else {
                return stream::iter(vec![tailed]);
            };
            n_heard += 1;
            let is_turn = n_heard % 10 == 5;
            if let Some(before) = left_out.take() {
                previous = before;
            }
            let appended = |previous, records| Tailed::Appended {
                user: user.clone(),
                previous,
                records,
            };
            stream::iter(match plant {
                Plant::TailLeavesOut | Plant::ReadLeavesOut if is_turn => Vec::new(),
                Plant::TailHides if is_turn => {
                    left_out = Some(previous);
                    Vec::new()
                }
                Plant::TailRepeats if is_turn => vec![
                    appended(previous, records.clone()),
                    appended(previous, records),
                ],
                Plant::TailRepeatsAsNext if is_turn => {
                    let last = records.last().map_or(previous, |logged| logged.seq);
                    let mut again = records.clone();
                    again.iter_mut().for_each(|logged| logged.seq = last + 1);
                    vec![appended(previous, records), appended(last, again)]
                }
                Plant::TailRenumbers if is_turn => {
                    records.iter_mut().for_each(|logged| logged.seq += 1);
                    vec![appended(previous, records)]
                }
                _ => vec![appended(previous, records)],
            })
        });
        changed.boxed()
    }
}

fn ada() -> UserId {
    UserId::new("ada")
}

/// Publishes events one after the other, mostly to the router that is planted, or only to the other one: then nothing
/// but the tail tells the planted one of them.
pub(super) async fn publish(
    routers: Vec<EventRouter>,
    plant: Plant,
    kind: Kind,
) -> PublisherRecord {
    let mut record = PublisherRecord {
        name: "publisher".to_owned(),
        ..PublisherRecord::default()
    };
    let mut script = Script::new(kind, "publisher");
    for n in 0..EVENTS {
        let (mark, json) = script.next_event();
        record.sent.push(mark.clone());
        record.events.insert(mark.clone(), json.clone());
        let sent_at = Instant::now();
        let mut is_taken = false;
        for attempt in 0..6 {
            let item = match kind {
                Kind::System => Item::system(json.as_bytes()),
                Kind::AgUi => Item::agui(json.as_bytes(), Some("t".into())),
                Kind::A2A => Item::a2a(json.as_bytes(), A2AVersion::V1_0),
            };
            let item = item.unwrap();
            let item = item.with_msg_id(MsgId::new(format!("m{n}")).unwrap());
            let is_other = plant.is_of_tail() || (n % 3 == 0) ^ (attempt % 2 == 1);
            let router = &routers[usize::from(is_other)];
            if let Ok(published) = router.publish_batch(&ada(), vec![item]).await {
                let (mark, id) = (mark.clone(), published.ids[0].to_string());
                record.acked.push(Acked { mark, id, sent_at });
                is_taken = true;
                break;
            }
        }
        if !is_taken {
            record.complaints.push(format!("{mark} was not taken"));
        }
        // A moment for everybody, which costs nothing.
        rest(Duration::from_millis(5)).await;
    }
    record
}

/// Reads now at one router, now at the other.
async fn read(
    routers: Vec<EventRouter>,
    mut at: usize,
    stay: Duration,
    is_over: watch::Receiver<bool>,
) -> ClientRecord {
    let mut record = ClientRecord {
        name: format!("client of {at}, {stay:?}"),
        ..ClientRecord::default()
    };
    let mut cursor: Option<String> = None;
    let mut batch = Batch::default();
    while !*is_over.borrow() {
        let router = &routers[at % 2];
        at += 1;
        let Ok(_open) = router.open_user(&ada(), cursor.as_deref()).await else {
            rest(stay).await;
            continue;
        };
        let attach = Attach::from_cursor(cursor.as_deref());
        let mut stream = router.contexts().connect(&ada(), attach).unwrap();
        if record.attached_at.is_none() {
            record.attached_at = Some(Instant::now());
            record.began = stream.primed().seq;
            cursor = Some(stream.primed().to_string());
        }
        let until = Instant::now() + stay;
        while let Ok(next) = timeout(
            until.saturating_duration_since(Instant::now()),
            stream.next(&mut batch),
        )
        .await
        {
            match next {
                Next::Events => {
                    for (id, frame) in &batch.events {
                        let id = id.unwrap().to_string();
                        let json: serde_json::Value = serde_json::from_slice(&frame.data).unwrap();
                        let inner = if json["event"].is_object() {
                            &json["event"]
                        } else {
                            &json
                        };
                        let mark = mark(inner);
                        cursor = Some(id.clone());
                        record.sights.push(Sight::Event { id, mark });
                    }
                }
                Next::Missed(missed) => {
                    cursor = Some(missed.to.to_string());
                    record.sights.push(Sight::Gap {
                        reason: format!("{:?}", missed.reason),
                        to: missed.to.seq,
                    });
                }
                Next::Closed(_) => break,
            }
        }
    }
    record
}

/// Runs a small trial and returns the kinds of what is found.
async fn found(plant: Plant) -> BTreeSet<What> {
    let log = MemoryLog::new(10_000);
    let mut work = JoinSet::new();
    let mut routers = Vec::new();
    for plant in [plant, Plant::Nothing] {
        let log = Planted::new(log.clone(), plant);
        let (router, replica) = EventRouter::on_log(RouterConfig::default(), log);
        work.spawn(replica.run());
        routers.push(router);
    }
    let is_over = watch::Sender::new(false);
    let mut clients = JoinSet::new();
    // Some stay where they are for the whole time, others move.
    for (at, stay) in [(0, 10_000), (1, 10_000), (0, 35), (1, 60), (0, 110)] {
        let (routers, stay) = (routers.clone(), Duration::from_millis(stay));
        clients.spawn(read(routers, at, stay, is_over.subscribe()));
    }
    rest(Duration::from_millis(1)).await;
    let publisher = publish(routers, plant, Kind::System).await;
    rest(Duration::from_secs(5)).await;
    is_over.send_replace(true);
    let clients = clients.join_all().await;
    let findings = check(&[publisher], &clients);
    if let Some(first) = findings.first() {
        println!("{plant:?}: {} findings; {first}", findings.len());
    }
    findings.iter().map(|finding| finding.what).collect()
}

#[tokio::test(start_paused = true)]
async fn what_the_routers_make_up_for_is_no_finding() {
    for plant in [Plant::Nothing, Plant::TailLeavesOut, Plant::TailRepeats] {
        assert_eq!(found(plant).await, BTreeSet::new(), "{plant:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_breaks_its_promises_is_found_out() {
    for (plant, what) in [
        (Plant::AcksWithoutKeeping, What::Differs),
        (Plant::AppendsTwice, What::Repeated),
        (Plant::TailHides, What::Lost),
        (Plant::TailRepeatsAsNext, What::Repeated),
        (Plant::TailRenumbers, What::Differs),
        (Plant::ReadLeavesOut, What::Lost),
    ] {
        let found = found(plant).await;
        assert!(found.contains(&what), "{plant:?}: {found:?}");
    }
}
