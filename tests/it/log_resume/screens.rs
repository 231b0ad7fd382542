//! A log that breaks its promises is found out by clients that only keep a screen: what a thread or the tasks have come
//! to, after whatever preludes.

use std::sync::Arc;
use std::time::Duration;

use events_broadcast::{Attach, Batch, Next};
use events_core::UserId;
use events_router::{EventRouter, MemoryLog, RouterConfig, ThreadNext};
use events_tests::resume::{ClientRecord, Kind, Screen, What, check};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::planted::{Plant, Planted, publish};
use super::rest;

/// A client at work.
struct Viewer {
    user: UserId,
    kind: Kind,
    record: ClientRecord,
    cursor: Option<String>,
}

impl Viewer {
    fn new(kind: Kind, name: String) -> Self {
        let screen = match kind {
            Kind::A2A => Screen::of_tasks(),
            Kind::AgUi | Kind::System => Screen::of_thread(),
        };
        let screen = Some(screen);
        Self {
            user: UserId::new("ada"),
            kind,
            record: ClientRecord {
                name,
                screen,
                ..ClientRecord::default()
            },
            cursor: None,
        }
    }

    /// Reads now at one router, now at the other.
    async fn run(
        mut self,
        routers: Vec<EventRouter>,
        mut at: usize,
        stay: Duration,
        is_over: watch::Receiver<bool>,
    ) -> ClientRecord {
        while !*is_over.borrow() {
            let router = &routers[at % 2];
            at += 1;
            let opened = router.open_user(&self.user, self.cursor.as_deref());
            let Ok(_open) = opened.await else {
                rest(stay).await;
                continue;
            };
            let reading = async {
                match self.kind {
                    Kind::A2A => self.follow_tasks(router).await,
                    Kind::AgUi | Kind::System => self.follow_thread(router).await,
                }
            };
            // It moves on by itself, and not at once where a stream ends by itself.
            let _elapsed = timeout(stay, reading).await;
            rest(Duration::from_millis(1)).await;
        }
        self.record
    }

    async fn follow_thread(&mut self, router: &EventRouter) {
        let wish = router.subscribe(&self.user);
        let wish = wish.from_cursor(self.cursor.as_deref());
        let mut stream = wish.thread("t").unwrap();
        let mut batch = Batch::default();
        while stream.next(&mut batch).await == ThreadNext::Events {
            self.show(&batch);
        }
    }

    async fn follow_tasks(&mut self, router: &EventRouter) {
        let attach = Attach::from_cursor(self.cursor.as_deref());
        let mut stream = router.a2a().connect(&self.user, attach).unwrap();
        if self.cursor.is_none() {
            self.record.attached_at = Some(Instant::now());
            self.record.began = stream.primed().seq;
            self.cursor = Some(stream.primed().to_string());
        }
        let mut batch = Batch::default();
        while matches!(stream.next(&mut batch).await, Next::Events) {
            self.show(&batch);
        }
    }

    fn show(&mut self, batch: &Batch) {
        for (id, frame) in &batch.events {
            if let Some(id) = id {
                self.record.attached_at.get_or_insert_with(Instant::now);
                self.cursor = Some(id.to_string());
            }
            let event: Value = serde_json::from_slice(&frame.data).unwrap();
            self.record.screen.as_mut().unwrap().apply(&event);
        }
    }
}

/// Runs a small trial and returns what is found.
async fn found(plant: Plant, kind: Kind) -> Vec<What> {
    let log = MemoryLog::new(10_000);
    let mut work = JoinSet::new();
    let mut routers = Vec::new();
    for plant in [plant, Plant::Nothing] {
        let log = Planted::new(log.clone(), plant);
        let (router, replica) = EventRouter::on_log(RouterConfig::default(), log as Arc<_>);
        work.spawn(replica.run());
        routers.push(router);
    }
    let is_over = watch::Sender::new(false);
    let mut viewers = JoinSet::new();
    for (at, stay) in [(0, 10_000), (1, 10_000), (0, 35), (1, 60)] {
        let viewer = Viewer::new(kind, format!("viewer at {at}, {stay} ms"));
        let stay = Duration::from_millis(stay);
        viewers.spawn(viewer.run(routers.clone(), at, stay, is_over.subscribe()));
    }
    rest(Duration::from_millis(1)).await;
    let publisher = publish(routers, plant, kind).await;
    rest(Duration::from_secs(5)).await;
    is_over.send_replace(true);
    let clients = viewers.join_all().await;
    let findings = check(&[publisher], &clients);
    for finding in findings.iter().take(2) {
        println!("{plant:?}, {kind:?}: {finding}");
    }
    findings.iter().map(|finding| finding.what).collect()
}

#[tokio::test(start_paused = true)]
async fn screens_are_alike_however_often_they_move() {
    for kind in [Kind::AgUi, Kind::A2A] {
        for plant in [Plant::Nothing, Plant::TailLeavesOut, Plant::TailRepeats] {
            assert_eq!(found(plant, kind).await, [], "{plant:?}, {kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_screen_shows_what_a_log_has_lost_or_told_twice() {
    for kind in [Kind::AgUi, Kind::A2A] {
        for plant in [
            Plant::AcksWithoutKeeping,
            Plant::TailHides,
            Plant::TailRepeatsAsNext,
            Plant::ReadLeavesOut,
        ] {
            let found = found(plant, kind).await;
            assert!(
                found.contains(&What::Screen),
                "{plant:?}, {kind:?}: {found:?}"
            );
        }
    }
}
