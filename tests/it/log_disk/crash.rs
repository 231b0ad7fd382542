//! A process that appends is killed at any moment, or may not write any more: what it was told is there.
//!
//! The process is this test binary, which runs the test `publisher` alone.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use events_core::{Channel, EventLog as _, Record, UserId};
use events_log_disk::{DiskConfig, DiskLog};
use events_tests::skip::{program, require};
use tokio::task::JoinSet;

/// Names the folder of the log, for the process that appends.
const FOLDER: &str = "EVENTS_TEST_DISK_FOLDER";

fn numbered(user: &UserId, n: u64, len: usize) -> Record {
    Record {
        channel: Channel::new(0),
        scope: Some("thread".into()),
        name: None,
        json: format!(
            "{{\"of\":\"{user}\",\"n\":{n},\"pad\":\"{}\"}}",
            "x".repeat(len)
        )
        .into(),
        tag: 1 + n as u32,
        key: None,
        note: Bytes::new(),
    }
}

/// Appends until it is killed or may not write any more, and prints what was acknowledged: user, place, records.
#[tokio::test(flavor = "multi_thread")]
async fn publisher() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut config = DiskConfig::new(folder);
    config.reopen_after = Duration::from_millis(10);
    let log = DiskLog::open(config).unwrap();
    println!("epoch {}", log.epoch());
    let mut publishers = JoinSet::new();
    for name in ["ada", "eve", "bob", "dan"] {
        let log = log.clone();
        publishers.spawn(async move {
            let user = UserId::new(name);
            let mut last = log.read(&user, u64::MAX, 1).await.unwrap().last;
            loop {
                let n_records = 1 + last % 5;
                let batch: Vec<Record> = (last + 1..=last + n_records)
                    .map(|n| numbered(&user, n, (n % 97 * 10) as usize))
                    .collect();
                match log
                    .append(&user, &batch, 1_763_750_000_000, Some(last))
                    .await
                {
                    Ok(first) => {
                        println!("ok {name} {first} {n_records}");
                        last = first + n_records - 1;
                    }
                    Err(error) => {
                        let n_read = log.read(&user, 0, 1 << 30).await.map(|page| page.last);
                        println!("failed {name} {n_read:?} {error:?}");
                        last = n_read.unwrap_or(last);
                        tokio::task::yield_now().await;
                    }
                }
            }
        });
    }
    publishers.join_all().await;
}

/// A process that appends, and the lines it prints.
struct Publisher {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Publisher {
    fn start(mut command: Command, folder: &Path) -> Self {
        command
            .args(["--exact", "log_disk::crash::publisher", "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that a publisher has printed.
    fn line(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.ok()?;
            let is_ours = ["epoch ", "ok ", "failed "]
                .iter()
                .any(|word| line.starts_with(word));
            if is_ours {
                return Some(line);
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Takes the place up to which an `ok` line acknowledges.
fn note_acked(acked: &mut HashMap<String, u64>, line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let ["ok", user, first, n_records] = words.as_slice() else {
        return false;
    };
    // The last line may be cut.
    let (Ok(first), Ok(n)) = (first.parse::<u64>(), n_records.parse::<u64>()) else {
        return false;
    };
    acked.insert((*user).to_owned(), first + n - 1);
    true
}

/// Opens the log and compares it with what was acknowledged. Returns how long opening took.
async fn check(folder: &Path, acked: &HashMap<String, u64>, epoch: &str) -> Duration {
    let begin = Instant::now();
    let log = DiskLog::open(DiskConfig::new(folder)).unwrap();
    let took = begin.elapsed();
    assert_eq!(log.epoch().to_string(), epoch);
    for (user, acked) in acked {
        let user = UserId::from(user.as_str());
        let page = log.read(&user, 0, 1 << 30).await.unwrap();
        assert!(
            page.last >= *acked,
            "{user}: {acked} is acknowledged, {} is last",
            page.last
        );
        assert_eq!(page.records.len() as u64, page.last - page.previous);
        for (logged, n) in page.records.iter().zip(page.previous + 1..) {
            let want = numbered(&user, n, (n % 97 * 10) as usize);
            assert_eq!((logged.seq, &logged.record.json), (n, &want.json), "{user}");
        }
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_every_kill() {
    let n_kills: usize = std::env::var("EVENTS_DISK_KILLS")
        .map_or(100, |n| n.parse().expect("EVENTS_DISK_KILLS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let (mut acked, mut first_epoch, mut slowest) = (HashMap::new(), None, Duration::ZERO);
    let mut n_acked = 0;
    for kill in 0..n_kills {
        let command = Command::new(std::env::current_exe().unwrap());
        let mut publisher = Publisher::start(command, &path);
        let epoch = publisher.line().expect("the publisher says its epoch");
        let epoch = epoch.strip_prefix("epoch ").unwrap().to_owned();
        let epoch = first_epoch.get_or_insert(epoch).clone();
        for _ in 0..fastrand::usize(0..40) {
            let line = publisher.line().expect("the publisher goes on");
            assert!(note_acked(&mut acked, &line), "{line}");
        }
        publisher.child.kill().unwrap();
        while let Some(line) = publisher.line() {
            note_acked(&mut acked, &line);
            n_acked += 1;
        }
        drop(publisher);
        // Every other time the next process finds the file as the kill left it.
        if kill % 2 == 0 {
            slowest = slowest.max(check(&path, &acked, &epoch).await);
        }
    }
    slowest = slowest.max(check(&path, &acked, first_epoch.as_deref().unwrap()).await);
    assert!(slowest < Duration::from_secs(2), "opening took {slowest:?}");
    assert!(
        n_acked > 0 && acked.len() == 4,
        "{n_acked} appends of {}",
        acked.len()
    );
}

/// The system lets the process write no more than so much of a file, as when the disk is full; then it does again.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_may_not_write_reads_on_and_recovers() {
    let name = "a_process_that_may_not_write_reads_on_and_recovers";
    let Some(prlimit) = require(name, "prlimit of util-linux", program("prlimit")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut command = Command::new("sh");
    // 1 KiB blocks in the shell's own ulimit would differ between shells; so the limit is set from outside.
    let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
    command
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap());
    let mut publisher = Publisher::start(command, &path);
    let pid = publisher.child.id().to_string();
    let limit = |bytes: &str| {
        let limit = format!("--fsize={bytes}:unlimited");
        let status = Command::new(&prlimit)
            .args(["--pid", &pid, &limit])
            .status();
        assert!(status.unwrap().success());
    };
    let epoch = publisher
        .line()
        .unwrap()
        .strip_prefix("epoch ")
        .unwrap()
        .to_owned();
    let mut acked = HashMap::new();
    for _ in 0..10 {
        assert!(note_acked(&mut acked, &publisher.line().unwrap()));
    }
    for _ in 0..3 {
        limit("8192");
        let (mut n_failed, mut n_lines) = (0, 0);
        while n_failed < 12 {
            let line = publisher.line().expect("the publisher lives on");
            n_lines += 1;
            assert!(n_lines < 20_000, "nothing fails");
            if note_acked(&mut acked, &line) {
                continue;
            }
            n_failed += 1;
            let words: Vec<&str> = line.split(' ').collect();
            let known = acked.get(words[1]).copied().unwrap_or(0);
            let read = words[2]
                .strip_prefix("Ok(")
                .and_then(|last| last.strip_suffix(')'));
            let read: u64 = read
                .unwrap_or_else(|| panic!("reads fail too: {line}"))
                .parse()
                .unwrap();
            assert!(read >= known, "{known} was acknowledged: {line}");
            assert!(
                line.contains("File too large") || line.contains("Timeout"),
                "{line}"
            );
        }
        limit("unlimited");
        let mut n_ok = 0;
        while n_ok < 20 {
            let line = publisher.line().expect("the publisher lives on");
            n_lines += 1;
            assert!(n_lines < 40_000, "it does not recover");
            n_ok += usize::from(note_acked(&mut acked, &line));
        }
    }
    publisher.child.kill().unwrap();
    while let Some(line) = publisher.line() {
        note_acked(&mut acked, &line);
    }
    drop(publisher);
    check(&path, &acked, &epoch).await;
}
