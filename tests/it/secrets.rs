//! Whatever is asked, at the finest level of the log and in exported spans: no token, ticket, secret or body.

use std::io;
use std::net::SocketAddr;

use events_axum::Role;
use events_tests::deadline::PATIENCE;
use events_tests::llm_upstream::LlmUpstream;
use events_tests::raw_client::{RawSse, Request};
use events_tests::resume::{Engine, EngineKind};
use events_tests::scripted_agent::ScriptedAgent;
use events_tests::server_process::{ServerProcess, events_binary};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::revocation::world::token;
use crate::telemetry::collector;

/// As the tokens of the world of revocations are signed.
const SECRET: &str = "0123456789abcdef0123456789abcdef-for-tests";
const TICKET_SECRET: &str = "fedcba9876543210fedcba9876543210-for-tickets";

/// Stands in everything that is a body.
const BODY: &str = "mark-of-a-body-7f3a";
/// Stands in every secret that is not ours: keys of providers and agents, tokens that are none.
const FOREIGN: &str = "mark-of-a-foreign-secret-91c2";

/// Asks for everything, rightly and wrongly.
struct Tour {
    address: SocketAddr,
    user: String,
    root: String,
    expired: String,
    /// What was handed out on the way.
    secrets: Vec<String>,
    n_asked: usize,
}

impl Tour {
    async fn ask(&mut self, method: &str, path: &str, body: &str, token: &str) -> io::Result<u16> {
        let request = Request::post(path, "application/json", body);
        let mut request = if body.is_empty() {
            Request::new(method, path)
        } else {
            request
        };
        request = request
            .header("authorization", &format!("Bearer {token}"))
            .header("x-events-token", token)
            .header("x-api-key", FOREIGN)
            .header("a2a-version", "1.0")
            .header("idempotency-key", &format!("key-{}", self.n_asked));
        self.n_asked += 1;
        let answer = tokio::time::timeout(PATIENCE, request.send(self.address)).await;
        Ok(answer.expect("it is answered")?.status())
    }

    /// One that goes on: its first bytes are waited for.
    async fn stream(&mut self, path: &str, headers: &[(&str, &str)]) -> io::Result<RawSse> {
        self.n_asked += 1;
        let mut stream = RawSse::connect(self.address, path, headers).await?;
        stream.next_frame(PATIENCE).await?;
        Ok(stream)
    }

    async fn publishing(&mut self) -> io::Result<()> {
        let delta = |delta: &str| json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": delta });
        let started = json!({ "type": "RUN_STARTED", "threadId": "t", "runId": "r" }).to_string();
        let begun = json!({ "type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant" });
        let task = json!({ "task": { "id": "k", "contextId": "c", "status": { "state": "TASK_STATE_WORKING" },
                                      "metadata": { "x": BODY } } });
        let root = self.root.clone();
        let with = |body: &str| {
            format!("{{\"type\":\"{body}\",\"name\":\"{BODY}\",\"value\":\"{BODY}\"}}")
        };
        for (path, body, status) in [
            ("/publish/agui/ada", started.clone(), 200),
            ("/publish/agui/ada", begun.to_string(), 200),
            ("/publish/agui/ada", delta(BODY).to_string(), 200),
            ("/publish/agui/ada?thread=t", with("CUSTOM"), 200),
            // Against the order, not an event, not JSON, of no stream.
            (
                "/publish/agui/ada",
                json!({ "type": "RUN_STARTED", "threadId": "t", "runId": BODY }).to_string(),
                422,
            ),
            (
                "/publish/agui/ada",
                delta(BODY)
                    .to_string()
                    .replace("\"m\"", &format!("\"{BODY}\"")),
                422,
            ),
            ("/publish/agui/ada", with(BODY), 422),
            ("/publish/agui/ada", format!("{{\"type\": {BODY}"), 400),
            ("/publish/nothing/ada", BODY.to_owned(), 404),
            ("/publish/a2a/ada", task.to_string(), 200),
            (
                "/publish/a2a/ada",
                json!({ "task": { "id": BODY, "status": BODY } }).to_string(),
                422,
            ),
            (
                "/publish/system/ada",
                format!(
                    r#"{{"type":"CONTEXT_UPDATED","timestamp":1,"contextId":"c","name":"{BODY}"}}"#
                ),
                200,
            ),
            ("/publish/system/ada", with(BODY), 422),
            ("/publish/analytics/ada", with("CUSTOM"), 422),
            ("/publish/agui/ada", "x".repeat(2 << 20), 413),
        ] {
            let said = self.ask("POST", path, &body, &root).await?;
            assert_eq!(said, status, "{path}: {}", &body[..body.len().min(200)]);
        }
        let line = delta(BODY).to_string();
        self.ask(
            "POST",
            "/publish/agui/ada/live",
            &format!("{line}\n{BODY}\n"),
            &root,
        )
        .await?;
        Ok(())
    }

    async fn reading(&mut self) -> io::Result<()> {
        let (user, root, expired) = (self.user.clone(), self.root.clone(), self.expired.clone());
        let bearer = format!("Bearer {user}");
        let authorization = [("authorization", &*bearer)];
        for path in [
            "/agui",
            "/agui?thread=t",
            "/a2a",
            "/a2a?task=k",
            "/contexts",
            "/analytics",
        ] {
            drop(self.stream(path, &authorization).await?);
            let with_token = format!(
                "{path}{}access_token={user}",
                if path.contains('?') { '&' } else { '?' }
            );
            drop(self.stream(&with_token, &authorization).await?);
        }
        let input = json!({ "threadId": "t2", "runId": "r2", "state": { "x": BODY }, "tools": [], "context": [],
                            "messages": [{ "id": "u", "role": "user", "content": BODY }], "forwardedProps": {} });
        let rpc = |method: &str| json!({ "jsonrpc": "2.0", "id": BODY, "method": method, "params": { "id": BODY } });
        let message = json!({ "model": "anthropic/text_basic.sse", "stream": true, "messages": [{ "content": BODY }] });
        for token in [&*root, &user, &expired, FOREIGN] {
            for (method, path, body) in [
                ("POST", "/agui/connect?wait=0s", input.to_string()),
                ("POST", "/agui/connect", format!("{{\"threadId\": {BODY}")),
                ("POST", "/agui/run/whole", input.to_string()),
                (
                    "POST",
                    "/agui/run/broken",
                    input.to_string().replace("t2", "t3"),
                ),
                ("POST", "/agui/runs/r/stop", String::new()),
                ("GET", "/agui/threads", String::new()),
                ("GET", "/agui/threads/t", String::new()),
                ("POST", "/a2a/rpc", rpc("GetTask").to_string()),
                ("POST", "/a2a/rpc", rpc("SendMessage").to_string()),
                ("POST", "/a2a/rpc", format!("{BODY}{{")),
                ("GET", "/a2a/rest/tasks/k", String::new()),
                ("GET", "/a2a/rest/tasks", String::new()),
                ("POST", "/llm/up/v1/messages", message.to_string()),
                ("POST", "/llm/away/v1/messages", message.to_string()),
                ("POST", "/llm/up/v1/messages", BODY.to_owned()),
                ("GET", "/metrics", String::new()),
                ("GET", "/connections", String::new()),
                ("DELETE", "/connections?user=eve", String::new()),
                ("DELETE", "/users/eve", String::new()),
                ("GET", "/health/ready", String::new()),
                ("GET", "/", String::new()),
                ("PUT", "/agui", BODY.to_owned()),
            ] {
                self.ask(method, path, &body, token).await?;
            }
            let strange = format!("/nothing/{token}?token={token}&ticket={token}");
            self.ask("GET", &strange, "", token).await?;
        }
        Ok(())
    }

    /// Tickets and cookies, used rightly, twice, and where they are not taken.
    async fn tickets(&mut self) -> io::Result<()> {
        let request = Request::post("/ticket", "application/json", "");
        let request = request.header("authorization", &format!("Bearer {}", self.user));
        let answer = request.send(self.address).await?.json()?;
        let ticket = answer["ticket"].as_str().unwrap_or_default().to_owned();
        let path = format!("/agui?ticket={ticket}");
        let stream = self.stream(&path, &[]).await?;
        let cookie = stream.head().header("set-cookie").unwrap_or_default();
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        drop(stream);
        drop(self.stream(&path, &[("cookie", &cookie)]).await?);
        for (method, path) in [
            ("GET", &*path),
            ("POST", &*format!("/publish/agui/ada?ticket={ticket}")),
        ] {
            let request = Request::new(method, path).header("referer", &format!("http://h{path}"));
            let request = request
                .header("cookie", &cookie)
                .header("origin", "https://evil.example.org");
            assert!(request.send(self.address).await?.status() >= 400);
        }
        let value = cookie.split_once('=').map(|(_, value)| value.to_owned());
        self.secrets.extend([ticket, value.unwrap_or_default()]);
        Ok(())
    }

    /// What no client sends on purpose.
    async fn nonsense(&mut self) -> io::Result<()> {
        let (user, host) = (self.user.clone(), "host: h\r\n");
        for text in [
            format!(
                "GET /agui HTTP/1.1\r\n{host}authorization: Bearer {user}\r\nno colon {FOREIGN}\r\n\r\n"
            ),
            format!("GET /agui?ticket={user} HTTP/9.9\r\n{host}\r\n"),
            format!(
                "POST /publish/agui/ada HTTP/1.1\r\n{host}authorization: Bearer {user}\r\ncontent-length: x{FOREIGN}\r\n\r\n"
            ),
            format!(
                "POST /publish/agui/ada HTTP/1.1\r\n{host}authorization: Bearer {user}\r\ntransfer-encoding: chunked\r\n\r\n{BODY}\r\n"
            ),
            format!(
                "GET /agui HTTP/1.1\r\n{host}cookie: __Host-events={user}; __Host-events={FOREIGN}\r\nconnection: close\r\n\r\n"
            ),
            format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{FOREIGN}"),
        ] {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await?;
            let mut said = Vec::new();
            let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said));
            // A reset is an answer too.
            drop(reading.await.expect("it is answered or closed"));
            self.n_asked += 1;
        }
        Ok(())
    }
}

async fn trial(test: &str, kind: Option<EngineKind>) -> io::Result<()> {
    let engine = match kind {
        None => None,
        Some(kind) => match Engine::start(test, kind, 1).await? {
            None => return Ok(()),
            engine => engine,
        },
    };
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let (upstream, agent) = (LlmUpstream::start().await?, ScriptedAgent::start().await?);
    let mut tasks = JoinSet::new();
    let (spans_to, mut spans) = collector(&mut tasks).await?;
    let binary = events_binary().await?;
    let script = format!("exec \"$0\" \"$@\" 2>'{}'", log.display());
    let mut words: Vec<String> = [
        "-c",
        &script,
        &binary.display().to_string(),
        "serve",
        "--listen",
        "127.0.0.1:0",
    ]
    .map(str::to_owned)
    .into();
    let own = [
        "--llm".to_owned(),
        format!("up={}", upstream.url()),
        "--llm".to_owned(),
        "away=http://127.0.0.1:1".to_owned(),
        "--agui.agents.whole.url".to_owned(),
        agent.url("whole"),
        "--agui.agents.whole.headers.x-api-key".to_owned(),
        FOREIGN.to_owned(),
        "--agui.agents.broken.url".to_owned(),
        "http://127.0.0.1:1/".to_owned(),
        "--telemetry.otlp".to_owned(),
        spans_to,
    ];
    words.extend(own);
    words.extend(engine.iter().flat_map(|engine| engine.arguments(0)));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let environment = [
        ("EVENTS_AUTH__SECRET", SECRET),
        ("EVENTS_AUTH__TICKET_SECRET", TICKET_SECRET),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
    ];
    let mut hub = ServerProcess::start("sh", &words, &environment).await?;
    let mut tour = Tour {
        address: hub.address(),
        user: token("ada", Role::Publisher, -30),
        root: token("root", Role::Operator, -30),
        expired: token("ada", Role::Operator, -3_600),
        secrets: Vec::new(),
        n_asked: 0,
    };
    tour.publishing().await?;
    tour.tickets().await?;
    tour.reading().await?;
    tour.nonsense().await?;
    let revoked = tour
        .ask("DELETE", "/connections?user=ada", "", &tour.root.clone())
        .await?;
    assert_eq!(revoked, 200);
    hub.signal("TERM").await?;
    hub.wait(PATIENCE).await?;

    let logs = std::fs::read_to_string(&log)?;
    let mut exported = Vec::new();
    while let Ok(body) = spans.try_recv() {
        exported.extend_from_slice(&body);
    }
    println!(
        "{test}: {} requests, {} bytes of log, {} of spans",
        tour.n_asked,
        logs.len(),
        exported.len()
    );
    assert!(logs.contains("TRACE") && !exported.is_empty());
    let exported = String::from_utf8_lossy(&exported);
    let mut secrets = vec![
        SECRET.to_owned(),
        TICKET_SECRET.to_owned(),
        FOREIGN.to_owned(),
        BODY.to_owned(),
    ];
    secrets.extend([tour.user, tour.root, tour.expired]);
    secrets.extend(tour.secrets);
    for secret in &secrets {
        // Of a token also the part that proves something.
        for part in [
            secret.as_str(),
            secret.rsplit('.').next().unwrap_or_default(),
        ] {
            for (place, text) in [("log", &*logs), ("spans", &*exported)] {
                if let Some(at) = text.find(part) {
                    let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
                    let line: String = text[from..].chars().take(600).collect();
                    panic!("{part} in the {place}: {line}");
                }
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_secret_and_no_body_is_in_a_log_or_a_span() -> io::Result<()> {
    trial("no_secret_and_no_body_is_in_a_log_or_a_span", None).await
}

#[tokio::test]
async fn nor_is_one_with_nats_behind_the_hub() -> io::Result<()> {
    let name = "nor_is_one_with_nats_behind_the_hub";
    trial(name, Some(EngineKind::Nats { n_servers: 1 })).await
}

#[tokio::test]
async fn nor_is_one_with_postgresql_behind_the_hub() -> io::Result<()> {
    trial(
        "nor_is_one_with_postgresql_behind_the_hub",
        Some(EngineKind::Postgres),
    )
    .await
}

#[tokio::test]
async fn the_password_of_a_log_that_does_not_answer_is_not_shown() -> io::Result<()> {
    for log in [
        format!("postgres://hub:{FOREIGN}@127.0.0.1:1/events"),
        format!("nats://hub:{FOREIGN}@127.0.0.1:1"),
    ] {
        let program = tokio::process::Command::new(events_binary().await?)
            .args(["serve", "--listen", "127.0.0.1:0", "--log", &log])
            .env("EVENTS_AUTH__SECRET", SECRET)
            .env("RUST_LOG", "trace")
            .output();
        let output = tokio::time::timeout(PATIENCE * 2, program)
            .await
            .expect("it ends by itself")?;
        assert!(!output.status.success());
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains(FOREIGN), "{text}");
        }
    }
    Ok(())
}
