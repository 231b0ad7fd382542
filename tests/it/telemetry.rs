//! Spans as a collector gets them, and the page of metrics against what hubs print.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use axum::{Router, body::Bytes, extract::State, routing::post};
use events_tests::deadline::{PATIENCE, within};
use events_tests::raw_client::{RawSse, Request, get};
use events_tests::resume::hubs::Hubs;
use events_tests::resume::{Engine, EngineKind};
use events_tests::sample;
use events_tests::server_process::ServerProcess;
use events_tests::skip::workspace_root;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector; what it gets comes out of the channel.
pub(crate) async fn collector(
    tasks: &mut JoinSet<()>,
) -> io::Result<(String, mpsc::Receiver<Bytes>)> {
    let (sender, receiver) = mpsc::channel(64);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let take = async |State(sender): State<mpsc::Sender<Bytes>>, body: Bytes| {
        drop(sender.send(body).await);
    };
    let app = Router::new()
        .route("/v1/traces", post(take))
        .with_state(sender);
    tasks.spawn(async move {
        drop(axum::serve(listener, app).await);
    });
    Ok((format!("http://{address}"), receiver))
}

/// The attributes of a span, as text.
fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value: &Option<Value>| match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(n)) => n.to_string(),
        Some(Value::DoubleValue(x)) => format!("{x:.3}"),
        other => format!("{other:?}"),
    };
    let pairs = span.attributes.iter();
    pairs
        .map(|pair| {
            let value = pair.value.as_ref().map(|value| value.value.clone());
            (pair.key.clone(), text(&value.flatten()))
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_collector_gets_a_span_of_each_stream_and_of_each_publish() -> io::Result<()> {
    let mut tasks = JoinSet::new();
    let (address, mut received) = collector(&mut tasks).await?;
    let words = [
        "dev",
        "--no-demo",
        "--listen",
        "127.0.0.1:0",
        "--telemetry.otlp",
        &address,
    ];
    let mut hub = ServerProcess::events(&words, &[("RUST_LOG", "error")]).await?;
    let mut taken_over = RawSse::connect(hub.address(), "/agui?user=ada", &[]).await?;
    let run = sample::run("t", "r", 3);
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let published = Request::post("/publish/agui/ada", "application/x-ndjson", run.join("\n"))
        .header("traceparent", &parent)
        .send(hub.address())
        .await?;
    assert_eq!(published.status(), 200, "{}", published.text());
    for _ in 0..run.len() {
        taken_over.next_event(PATIENCE).await?;
    }
    drop(taken_over);
    within("the stream's end", PATIENCE, async {
        loop {
            let metrics = get(hub.address(), "/metrics", &[]).await?;
            if metrics.text().contains(r#"reason="client_gone"} 1"#) {
                return Ok(());
            }
        }
    })
    .await?;
    let _drained = RawSse::connect(hub.address(), "/contexts?user=ada", &[]).await?;
    hub.signal("TERM").await?;
    let status = hub.wait(PATIENCE).await?;
    assert!(status.success(), "{status}");

    let mut spans = Vec::new();
    while let Ok(body) = received.try_recv() {
        let request = ExportTraceServiceRequest::decode(body).map_err(io::Error::other)?;
        for resource in request.resource_spans {
            let of_resource = resource.resource.clone().unwrap_or_default();
            let named = |key: &str| of_resource.attributes.iter().any(|pair| pair.key == key);
            assert!(named("service.name") && named("service.version"));
            spans.extend(
                resource
                    .scope_spans
                    .into_iter()
                    .flat_map(|scope| scope.spans),
            );
        }
    }
    let find = |key: &str, value: &str| {
        let mut found = spans.iter();
        found.find(|span| {
            attributes(span)
                .get(key)
                .is_some_and(|found| found == value)
        })
    };
    let gone = find("end", "client_gone").expect("the span of the stream");
    let of_gone = attributes(gone);
    let told = |key: &str| of_gone.get(key).map(String::as_str);
    assert_eq!(
        (gone.name.as_str(), told("stream")),
        ("stream", Some("agui"))
    );
    let n_events = run.len().to_string();
    assert_eq!(told("events"), Some(n_events.as_str()), "{of_gone:?}");
    assert_eq!(told("transport"), Some("taken_over"), "{of_gone:?}");
    assert!(told("seconds").is_some(), "{of_gone:?}");
    assert!(gone.end_time_unix_nano > gone.start_time_unix_nano);
    let drained = find("end", "draining").expect("the span of the drained stream");
    assert_eq!(attributes(drained)["stream"], "contexts");

    let publish = spans
        .iter()
        .find(|span| span.name == "publish")
        .expect("the span of the publish");
    assert_eq!(
        (hex(&publish.trace_id), hex(&publish.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    assert_eq!(attributes(publish)["status"], "200");
    // Who it was for is nobody's business but the hub's.
    let all = format!("{spans:?}");
    assert!(!all.contains("ada"), "{all}");
    Ok(())
}

/// The families of a page of metrics: name, kind and help.
fn families(page: &str) -> BTreeSet<String> {
    let mut kinds = BTreeMap::new();
    let mut helps = BTreeMap::new();
    for line in page.lines() {
        if let Some((name, help)) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
        {
            helps.insert(name, help.trim_end_matches('.'));
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            kinds.insert(name, kind);
        }
    }
    let row = |(name, kind): (&&str, &&str)| {
        let help = helps
            .get(name)
            .copied()
            .unwrap_or_default()
            .replace('|', "\\|");
        let suffix = if *kind == "counter" { "_total" } else { "" };
        format!("| `{name}{suffix}` | {kind} | {help} |")
    };
    kinds.iter().map(row).collect()
}

const BEFORE: &str = "<!-- the table is checked by the test `telemetry` -->\n";

/// `WRITE_DOCS=1` writes the table instead of comparing it.
#[tokio::test]
async fn every_metric_is_in_the_table_and_the_table_has_no_others() -> io::Result<()> {
    const TEST: &str = "every_metric_is_in_the_table_and_the_table_has_no_others";
    let mut printed = BTreeSet::new();
    let demo = ServerProcess::events(
        &["dev", "--listen", "127.0.0.1:0"],
        &[("RUST_LOG", "error")],
    )
    .await?;
    // What has labels is there once it was counted.
    let unknown = [("last-event-id", "of-another-hub")];
    let mut stream = RawSse::connect(demo.address(), "/agui?user=ada", &unknown).await?;
    stream.next_event(PATIENCE).await?;
    drop(stream);
    let event = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;
    let published = Request::post("/publish/agui/ada", "application/json", event);
    assert_eq!(published.send(demo.address()).await?.status(), 200);
    let wanted = [
        "gen_ai_client_token_usage_count{",
        "events_gaps_total{",
        "events_publishes_total{",
        "events_stream_ends_total{",
    ];
    within("what the demo does", PATIENCE, async {
        loop {
            let page = get(demo.address(), "/metrics", &[]).await?.text();
            if wanted.iter().all(|sample| page.contains(sample)) {
                printed.extend(families(&page));
                return Ok(());
            }
        }
    })
    .await?;
    let mut has_all = true;
    for kind in [
        EngineKind::Disk,
        EngineKind::Nats { n_servers: 1 },
        EngineKind::Postgres,
    ] {
        let Some(engine) = Engine::start(TEST, kind, 1).await? else {
            has_all = false;
            continue;
        };
        let hubs = Hubs::start(vec![engine.arguments(0)]).await?;
        let page = get(hubs.board().address(0), "/metrics", &[]).await?;
        printed.extend(families(&page.text()));
    }
    let path = workspace_root().join("docs/metrics.md");
    let text = std::fs::read_to_string(&path)?;
    let (prose, table) = text.split_once(BEFORE).expect("the mark before the table");
    if std::env::var_os("WRITE_DOCS").is_some_and(|value| value == "1") {
        let rows: Vec<&str> = printed.iter().map(String::as_str).collect();
        let head = "| metric | kind | what it is |\n| --- | --- | --- |";
        return std::fs::write(
            path,
            format!("{prose}{BEFORE}\n{head}\n{}\n", rows.join("\n")),
        );
    }
    let written: BTreeSet<String> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(str::to_owned)
        .collect();
    let missing: Vec<_> = printed.difference(&written).collect();
    assert!(
        missing.is_empty(),
        "not in docs/metrics.md (WRITE_DOCS=1 writes it): {missing:#?}"
    );
    let unknown: Vec<_> = written.difference(&printed).collect();
    assert!(
        !has_all || unknown.is_empty(),
        "in docs/metrics.md, but nobody prints it: {unknown:#?}"
    );
    Ok(())
}
