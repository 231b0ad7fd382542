//! Durable appends: by one and by 64 publishers at once, beside the same rows written with redb alone; and reads.

use std::sync::Arc;

use divan::{Bencher, counter::ItemsCount};
use events_core::{Channel, EventLog as _, Record, UserId};
use events_log_disk::{DiskConfig, DiskLog};
use redb::{Database, TableDefinition};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};

const JSON_BYTES: usize = 512;
const N_USERS: u64 = 1_000;
const TABLE: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("entries");

fn main() {
    divan::main();
}

fn record() -> Record {
    Record {
        channel: Channel::new(0),
        scope: None,
        name: None,
        json: vec![b'x'; JSON_BYTES].into(),
        tag: 1,
        key: None,
        note: Default::default(),
    }
}

fn open() -> (TempDir, Runtime, DiskLog) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Runtime::new().expect("a runtime");
    let log = DiskLog::open(DiskConfig::new(folder.path().join("log"))).expect("a log");
    (folder, runtime, log)
}

/// Each publisher waits for the answer before its next append.
#[divan::bench(args = [1, 64, 256], sample_count = 5, sample_size = 1)]
fn log_appends(bencher: Bencher<'_, '_>, n_publishers: u64) {
    let (_folder, runtime, log) = open();
    let n_each = if n_publishers == 1 { 100 } else { 30 };
    bencher
        .counter(ItemsCount::new(n_publishers * n_each))
        .bench(|| {
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for publisher in 0..n_publishers {
                    let log = log.clone();
                    tasks.spawn(async move {
                        for n in 0..n_each {
                            let user =
                                UserId::from(format!("user {}", (publisher + 64 * n) % N_USERS));
                            log.append(&user, &[record()], 1_763_750_000_000, None)
                                .await
                                .expect("an append");
                        }
                    });
                }
                tasks.join_all().await;
            });
        });
}

/// Rows of the same size, so many in each transaction, with what makes opening quick and without.
#[divan::bench(args = [(1, false), (1, true), (64, false), (64, true), (256, true)], sample_count = 5, sample_size = 1)]
fn bare_redb(bencher: Bencher<'_, '_>, (n_rows, is_quick): (u64, bool)) {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::create(folder.path().join("bare.redb")).expect("a database");
    let (value, mut seq) = (vec![0_u8; JSON_BYTES + 50], 0);
    let n_commits = if n_rows == 1 { 100 } else { 30 };
    bencher
        .counter(ItemsCount::new(n_rows * n_commits))
        .bench_local(|| {
            for _ in 0..n_commits {
                let mut txn = database.begin_write().expect("a transaction");
                txn.set_quick_repair(is_quick);
                {
                    let mut table = txn.open_table(TABLE).expect("a table");
                    for _ in 0..n_rows {
                        seq += 1;
                        table
                            .insert((seq % N_USERS, seq), value.as_slice())
                            .expect("a row");
                    }
                }
                txn.commit().expect("a commit");
            }
        });
}

/// Opening a file of about so many MiB that was not closed, with and without what makes that quick.
#[divan::bench(args = [(64, false), (256, false), (256, true)], sample_count = 3, sample_size = 1)]
fn opens_after_a_crash(bencher: Bencher<'_, '_>, (n_mib, is_quick): (u64, bool)) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Runtime::new().expect("a runtime");
    let mut config = DiskConfig::new(folder.path().join("log"));
    config.quick_open_above = if is_quick { 0 } else { u64::MAX };
    let log = DiskLog::open(config).expect("a log");
    let batch: Vec<Record> = (0..1_000).map(|_| record()).collect();
    for n in 0..n_mib * 2 {
        let user = UserId::from(format!("user {n}"));
        let append = log.append(&user, &batch, 1_763_750_000_000, None);
        runtime.block_on(append).expect("an append");
    }
    // What is on the disk now is what a crash would leave.
    let crashed = folder.path().join("crashed");
    std::fs::create_dir(&crashed).expect("a folder");
    let copy = || {
        let name = "events.redb";
        std::fs::copy(folder.path().join("log").join(name), crashed.join(name)).expect("a copy");
        DiskConfig::new(&crashed)
    };
    bencher
        .with_inputs(copy)
        .bench_local_values(|config| DiskLog::open(config).expect("a log"));
}

/// A page of the log of a user, of so many records, from memory.
#[divan::bench(args = [1, 100, 1_000], sample_count = 200, sample_size = 1)]
fn log_reads(bencher: Bencher<'_, '_>, n_records: usize) {
    let (_folder, runtime, log) = open();
    let ada = UserId::new("ada");
    runtime.block_on(async {
        let batch: Vec<Record> = (0..10).map(|_| record()).collect();
        let mut tasks = JoinSet::new();
        let log = Arc::new(log.clone());
        for _ in 0..n_records.div_ceil(10) {
            let (log, ada, batch) = (Arc::clone(&log), ada.clone(), batch.clone());
            tasks.spawn(async move { log.append(&ada, &batch, 0, None).await });
        }
        for done in tasks.join_all().await {
            done.expect("an append");
        }
    });
    bencher.counter(ItemsCount::new(n_records)).bench_local(|| {
        runtime
            .block_on(log.read(&ada, 0, 1 << 30))
            .expect("a page")
            .records
            .len()
    });
}
