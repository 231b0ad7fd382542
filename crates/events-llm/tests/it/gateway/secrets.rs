//! Keys and texts are in no log, no event and no error, at any level of logs.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing_subscriber::fmt::MakeWriter;

use super::{
    client::post,
    provider::{Step, answer, chunked, whole},
    publishing::Log,
    world::World,
};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What must not be seen, in places where keys and texts are.
const HEADERS: &str = "authorization: Bearer SECRET-1\r\nx-api-key: SECRET-2\r\ncookie: a=SECRET-3\r\n\
                       x-events-user: SECRET-4\r\nx-unknown: SECRET-5\r\nx-goog-api-key: SECRET-9\r\n";
const PATH: &str = "/llm/p/v1/messages?key=SECRET-6&alt=sse";
const BODY: &[u8] = br#"{"model":"asked","stream":true,"messages":[{"content":"SECRET-7"}]}"#;

/// Set in the process in which this test is the only one.
const ALONE: &str = "EVENTS_TEST_ALONE";

/// Runs in a process of its own: which places log is decided for all threads of a process at once.
#[test]
fn secrets_are_nowhere() {
    if std::env::var_os(ALONE).is_some() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        return runtime.block_on(look_everywhere());
    }
    let alone = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "gateway::secrets::secrets_are_nowhere"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(alone.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

async fn look_everywhere() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let secret_answer =
        "x-secret: SECRET-8\r\nset-cookie: SECRET-8\r\ncontent-type: text/event-stream\r\n";
    let said = b"event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"no\"}}\n\ndata: \"SECRET-8\n\n";
    let mut cut = answer(chunked(secret_answer, [&said[..]]));
    cut.pop();
    let scripts = [
        answer(whole(secret_answer, said)),
        cut,
        vec![Step::Request],
        vec![Step::Request, Step::Reset],
        answer(vec![Step::Send(
            b"HTTP/9.9 SECRET-8\r\nSECRET-8\r\n\r\n".to_vec(),
        )]),
        vec![
            Step::Request,
            Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
            Step::Flood(b"x-endless: SECRET-8\r\n".repeat(100), usize::MAX),
        ],
    ];
    let mut told = String::new();
    for steps in scripts {
        for is_secure in [false, true] {
            let log = Log::new();
            let scheme = |config: &mut events_llm::gateway::GatewayConfig| {
                let place = &mut config.providers.get_mut("p").unwrap().base_url;
                if is_secure {
                    // The provider knows no TLS and waits for more.
                    config.timeouts.connect = std::time::Duration::from_millis(100);
                    *place = place.replace("http:", "https:");
                }
            };
            let mut world = World::with(steps.clone(), scheme, log.hooks()).await;
            let reply = post(world.port, PATH, HEADERS, BODY).await;
            for event in world.events().await {
                told += &serde_json::to_string(&event).unwrap();
            }
            told += &format!(
                "{:?}{:?}{:?}",
                world.gateway,
                world.gateway.counts(),
                world.gateway.broadcaster().snapshot()
            );
            if reply.status >= 500 {
                told += &reply.detail();
            }
            for event in log.run().await {
                let mut json = Vec::new();
                event.write_json(&mut json).unwrap();
                told += &String::from_utf8(json).unwrap();
            }
        }
    }
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("a request is forwarded"),
        "the log was not caught"
    );
    for text in [log, told] {
        for line in text.lines() {
            assert!(!line.contains("SECRET"), "{line}");
        }
    }
}
