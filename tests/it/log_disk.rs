//! The log on disk keeps every promise that applies to it.

mod crash;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use events_core::EventLog;
use events_log_disk::{DiskConfig, DiskLog, DiskOpenError};
use events_tests::conformance::{self, Bounds, Engine};
use tempfile::TempDir;

/// A log in a folder that goes with the test, and others beside it.
struct Disk {
    folder: TempDir,
    log: Mutex<Option<DiskLog>>,
    n_bounded: Mutex<usize>,
}

impl Disk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            log: Mutex::default(),
            n_bounded: Mutex::default(),
        }
    }

    fn config(&self, name: &str) -> DiskConfig {
        let mut config = DiskConfig::new(self.folder.path().join(name));
        config.max_events = 1_000_000;
        config.max_bytes = 1 << 40;
        config.max_age = Duration::from_secs(20_000 * 24 * 3_600);
        config
    }

    fn current(&self) -> Arc<dyn EventLog> {
        let mut log = self.log.lock().unwrap();
        let open = || DiskLog::open(self.config("log")).unwrap();
        Arc::new(log.get_or_insert_with(open).clone())
    }

    fn close(&self) {
        drop(self.log.lock().unwrap().take());
    }
}

#[async_trait]
impl Engine for Disk {
    async fn open(&self) -> Arc<dyn EventLog> {
        self.current()
    }

    async fn reopen(&self) -> Option<Arc<dyn EventLog>> {
        self.close();
        Some(self.current())
    }

    async fn recreate(&self) -> Option<Arc<dyn EventLog>> {
        self.close();
        std::fs::remove_dir_all(self.folder.path().join("log")).unwrap();
        Some(self.current())
    }

    async fn bounded(&self, bounds: Bounds) -> Option<Arc<dyn EventLog>> {
        let name = {
            let mut n_bounded = self.n_bounded.lock().unwrap();
            *n_bounded += 1;
            format!("bounded-{n_bounded}")
        };
        let mut config = self.config(&name);
        config.max_events = bounds.events.unwrap_or(config.max_events);
        config.max_bytes = bounds.bytes.unwrap_or(config.max_bytes);
        config.max_age = bounds.age.unwrap_or(config.max_age);
        Some(Arc::new(DiskLog::open(config).unwrap()))
    }

    fn has_replicas(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_log_keeps_every_promise() {
    let report = conformance::report(&Disk::new(), |_| true).await;
    assert!(report.broken.is_empty(), "{report}");
    // Its disk cannot be away here; what happens then is tested in its own crate.
    let not_there: Vec<&str> = report.not_there.iter().map(|(name, _)| *name).collect();
    let outages = ["outage::answers", "outage::told", "outage::nothing_lost"];
    assert_eq!(not_there, outages);
}

#[test]
fn a_second_log_on_the_same_file_is_refused_by_name() {
    let disk = Disk::new();
    let first = DiskLog::open(disk.config("log")).unwrap();
    let error = DiskLog::open(disk.config("log")).unwrap_err();
    assert!(matches!(error, DiskOpenError::InUse { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("log/events.redb is in use"), "{text}");
    drop(first);
    DiskLog::open(disk.config("log")).unwrap();
}
