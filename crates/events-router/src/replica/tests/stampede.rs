//! Everybody comes back at once, and the log is asked for a few histories at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use events_core::{Checkpoint, Epoch, EventResult, Page, Record, Tail};

use super::*;

/// A log that takes its time, and counts who waits for it.
#[derive(Clone, Debug)]
struct SlowLog {
    inner: MemoryLog,
    /// Histories that are being read: now, at most so far, and over all.
    reading: Arc<[AtomicUsize; 3]>,
}

#[async_trait]
impl EventLog for SlowLog {
    fn engine(&self) -> &'static str {
        "slow"
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }

    fn max_record_bytes(&self) -> usize {
        self.inner.max_record_bytes()
    }

    fn is_dense(&self) -> bool {
        true
    }

    async fn append(
        &self,
        user: &UserId,
        records: &[Record],
        at_ms: i64,
        expected_last: Option<u64>,
    ) -> EventResult<u64> {
        self.inner.append(user, records, at_ms, expected_last).await
    }

    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page> {
        let [now, most, all] = &*self.reading;
        let n_reading = now.fetch_add(1, Ordering::Relaxed) + 1;
        most.fetch_max(n_reading, Ordering::Relaxed);
        all.fetch_add(1, Ordering::Relaxed);
        tokio::time::advance(Duration::from_millis(1)).await;
        let page = self.inner.read(user, after, max_bytes).await;
        now.fetch_sub(1, Ordering::Relaxed);
        page
    }

    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
        self.inner.save(user, parts).await
    }

    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>> {
        self.inner.load(user).await
    }

    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64> {
        self.inner.erase(user, marker, at_ms).await
    }

    fn tail(&self) -> Tail {
        self.inner.tail()
    }
}

#[tokio::test(start_paused = true)]
async fn a_stampede_reads_a_few_histories_at_a_time_and_each_of_them_once() {
    let log = SlowLog {
        inner: MemoryLog::new(1_000),
        reading: Arc::default(),
    };
    let config = RouterConfig {
        catch_ups: 3,
        ..RouterConfig::default()
    };
    let (router, replica) = EventRouter::on_log(config, Arc::new(log.clone()));
    let mut work = JoinSet::new();
    work.spawn(replica.run());
    let mut opening = JoinSet::new();
    // Ten connections of each of 200 users.
    for number in 0..2_000 {
        let router = router.clone();
        opening.spawn(async move {
            let user = UserId::new(format!("user-{}", number % 200));
            within(router.open_user(&user, None)).await
        });
    }
    let mut open = Vec::new();
    while let Some(opened) = opening.join_next().await {
        open.push(opened.unwrap().expect("all are let in"));
    }
    assert_eq!(open.len(), 2_000);
    let [_, most, all] = &*log.reading;
    assert_eq!(most.load(Ordering::Relaxed), 3);
    assert_eq!(all.load(Ordering::Relaxed), 200);
}
