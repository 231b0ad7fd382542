//! `events bench`, as a person starts it against a hub that runs.

use std::io;

use events_tests::{
    deadline::{PATIENCE, within},
    server_process::{ServerProcess, events_binary},
};
use serde_json::Value;
use tokio::process::Command;

/// Runs the bench and returns its code, its output, and what it said on standard error.
async fn bench(url: &str, args: &[&str]) -> io::Result<(Option<i32>, String, String)> {
    let running = Command::new(events_binary().await?)
        .args(["bench", "--url", url])
        .args(args)
        .kill_on_drop(true)
        .output();
    let output = within("its end", PATIENCE, running).await?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok((
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    ))
}

#[tokio::test]
async fn a_second_of_load_is_published_seen_and_timed() -> io::Result<()> {
    let hub = ServerProcess::dev(&[]).await?;
    let pid = hub.id().expect("it runs").to_string();
    let args = [
        "--users",
        "40",
        "--watched",
        "5",
        "--connections-per-user",
        "2",
        "--slow",
        "2",
        "--stalled",
        "1",
        "--focus",
        "50",
        "--rate",
        "2000/s",
        "--duration",
        "1s",
        "--pid",
        &pid,
        "--json",
    ];
    let (code, output, errors) = bench(&hub.url(""), &args).await?;
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{output}");
    let report: Value = serde_json::from_str(&output)?;
    // As many as the rate says, in requests of ten.
    assert_eq!(report["published"], 2_000, "{report}");
    // Half of them are for the eight users with readers, five of whom have two ordinary ones.
    assert_eq!(report["ordinary"]["connections"], 10);
    let delivered = report["delivered"].as_u64().unwrap_or_default();
    assert!((1_100..=1_400).contains(&delivered), "{report}");
    for readers in ["ordinary", "slow", "stalled"] {
        for fault in ["lost", "duplicated", "out_of_order", "strangers"] {
            assert_eq!(report[readers][fault], 0, "{readers} {fault}: {report}");
        }
    }
    let latency = |name: &str| report["latency_us"][name].as_u64().unwrap_or_default();
    assert!(
        latency("p50") > 0 && latency("p50") <= latency("p99"),
        "{report}"
    );
    assert!(latency("p99") <= latency("max"), "{report}");
    let peak = report["hub"]["peak"].as_u64().unwrap_or_default();
    assert!(peak > 1 << 20, "{report}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_done_is_one_line() -> io::Result<()> {
    let hub = ServerProcess::dev(&[]).await?;
    let url = hub.url("");
    for (args, code, told) in [
        (
            &["--users", "9000000", "--events", "1"][..],
            2,
            "limit of open files",
        ),
        (
            &["--connections-per-user", "11", "--users", "1"],
            1,
            "error: the hub refuses: status 429: {",
        ),
        (&["--pid", "4194304"], 2, "error: --pid 4194304: "),
    ] {
        let (found, output, errors) = bench(&url, args).await?;
        assert_eq!((found, output.as_str()), (Some(code), ""), "{errors}");
        assert!(errors.contains(told), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    Ok(())
}

#[tokio::test]
async fn a_signal_prints_what_is_known() -> io::Result<()> {
    let hub = ServerProcess::dev(&[]).await?;
    let bench = Command::new(events_binary().await?)
        .args([
            "bench",
            "--url",
            &hub.url(""),
            "--duration",
            "1h",
            "--rate",
            "100",
        ])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let id = bench.id().expect("it runs").to_string();
    // It publishes when its first user has a log.
    within("a log", PATIENCE, async {
        loop {
            let metrics = events_tests::raw_client::get(hub.address(), "/metrics", &[]).await?;
            if metrics.text().contains("events_log_users 100") {
                return Ok(());
            }
        }
    })
    .await?;
    let sent = Command::new("kill").args(["-INT", &id]).status().await?;
    assert!(sent.success());
    let output = within("its end", PATIENCE, bench.wait_with_output()).await?;
    let line = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{line}");
    assert!(line.starts_with("published "), "{line}");
    assert!(line.trim_end().ends_with("; interrupted"), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_closed_loop_loses_nothing_and_readers_that_come_and_go_leave_nothing() -> io::Result<()>
{
    let hub = ServerProcess::dev(&[]).await?;
    let pid = hub.id().expect("it runs").to_string();
    let args = [
        "--users",
        "20",
        "--connections-per-user",
        "3",
        "--window",
        "8",
        "--batch",
        "4",
        "--events",
        "4000",
        "--churn",
        "200/s",
        "--pid",
        &pid,
        "--json",
    ];
    let (code, output, errors) = bench(&hub.url(""), &args).await?;
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{output}");
    let report: Value = serde_json::from_str(&output)?;
    // Whole requests for each of the users, and each event to three readers.
    assert_eq!(report["published"], 4_000, "{report}");
    assert_eq!(report["delivered"], 12_000, "{report}");
    assert_eq!(report["ordinary"]["gaps"], 0, "{report}");
    let churn = &report["churn"];
    assert!(churn["came"].as_u64() > Some(10), "{report}");
    assert_eq!(
        (&churn["refused"], &churn["counted"]),
        (&0.into(), &60.into()),
        "{report}"
    );
    assert!(churn["gone_after_ms"].is_u64(), "{report}");
    let per_second = report["hub"]["delivered_per_cpu_second"].as_f64();
    assert!(per_second > Some(100.0), "{report}");
    Ok(())
}
