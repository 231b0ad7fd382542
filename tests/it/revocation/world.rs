//! Hubs that want tokens on one log, and those who read there and publish.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use events_axum::Role;
use events_axum::auth::{Grant, Secret};
use events_tests::deadline::{PATIENCE, within};
use events_tests::raw_client::{self, RawSse, Request, Response};
use events_tests::resume::{Engine, EngineKind};
use events_tests::server_process::ServerProcess;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

const SECRET: &str = "0123456789abcdef0123456789abcdef-for-tests";

/// The present, in milliseconds since the Unix epoch.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since.expect("after 1970").as_millis();
    i64::try_from(ms).expect("a date of this age")
}

/// A token that was issued so many seconds from now.
pub(crate) fn token(user: &str, role: Role, seconds: i64) -> String {
    let grant = Grant {
        user: user.to_owned(),
        role,
        users: vec!["*".to_owned()],
        issued_ms: now_ms() + seconds * 1_000,
        expires_ms: now_ms() + 600_000,
    };
    grant.sign(&Secret::new(SECRET.as_bytes()).expect("long"), None, None)
}

pub(super) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
) -> io::Result<Response> {
    let request = Request::new(method, path).header("authorization", &format!("Bearer {token}"));
    request.send(address).await
}

/// Three hubs and their log.
pub(super) struct World {
    pub(super) engine: Engine,
    hubs: Vec<ServerProcess>,
    pub(super) root: String,
}

impl World {
    pub(super) async fn start(test: &str, kind: EngineKind) -> io::Result<Option<Self>> {
        let Some(engine) = Engine::start(test, kind, 3).await? else {
            return Ok(None);
        };
        let mut world = Self {
            engine,
            hubs: Vec::new(),
            root: token("root", Role::Operator, -60),
        };
        for at in 0..3 {
            let hub = world.spawn(at).await?;
            world.hubs.push(hub);
        }
        Ok(Some(world))
    }

    async fn spawn(&self, at: usize) -> io::Result<ServerProcess> {
        let mut words = vec!["serve", "--listen", "127.0.0.1:0"];
        let log = self.engine.arguments(at);
        words.extend(log.iter().map(String::as_str));
        let environment = [("EVENTS_AUTH__SECRET", SECRET), ("RUST_LOG", "error")];
        ServerProcess::events(&words, &environment).await
    }

    /// Kills a hub and starts it again.
    pub(super) async fn restart(&mut self, at: usize) -> io::Result<()> {
        self.hubs[at].signal("KILL").await?;
        self.hubs[at].wait(PATIENCE).await?;
        self.hubs[at] = self.spawn(at).await?;
        Ok(())
    }

    pub(super) fn address(&self, at: usize) -> SocketAddr {
        self.hubs[at].address()
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.hubs.iter().map(ServerProcess::address).collect()
    }

    pub(super) async fn revoke(&self, at: usize, user: &str) -> io::Result<u16> {
        let path = format!("/connections?user={user}");
        Ok(ask(self.address(at), "DELETE", &path, &self.root)
            .await?
            .status())
    }

    /// What a hub answers to whoever has this token and asks for something small.
    pub(super) async fn status(&self, at: usize, token: &str) -> io::Result<u16> {
        Ok(ask(self.address(at), "GET", "/agui/threads", token)
            .await?
            .status())
    }

    /// Waits until a hub says that it is ready, or that it is not.
    pub(super) async fn until_ready(&self, at: usize) -> io::Result<()> {
        let mut ticks = interval(Duration::from_millis(20));
        within("a hub that is ready", PATIENCE, async {
            while raw_client::get(self.address(at), "/health/ready", &[])
                .await?
                .status()
                != 200
            {
                ticks.tick().await;
            }
            Ok(())
        })
        .await
    }
}

/// Publishes numbered events for one user after another until it is told to end.
#[derive(Default)]
pub(super) struct Publisher {
    is_over: AtomicBool,
    n_published: AtomicU64,
    users: Mutex<Vec<String>>,
}

impl Publisher {
    pub(super) fn publish_for(&self, users: &[String]) {
        users.clone_into(&mut self.users.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn n_published(&self) -> u64 {
        self.n_published.load(Ordering::Relaxed)
    }

    pub(super) async fn run(self: Arc<Self>, address: SocketAddr) -> io::Result<()> {
        let token = token("agent", Role::Publisher, -60);
        while !self.is_over.load(Ordering::Relaxed) {
            let users = self
                .users
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if users.is_empty() {
                tokio::task::yield_now().await;
            }
            for user in users {
                let answer = publish(address, &user, &token).await?;
                assert_eq!(answer.status(), 200, "{}", answer.text());
                self.n_published.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// Publishes one event, which says when.
pub(super) async fn publish(address: SocketAddr, user: &str, token: &str) -> io::Result<Response> {
    let at = now_ms();
    let event = format!(
        r#"{{"type":"CONTEXT_UPDATED","timestamp":{at},"contextId":"c","name":"at-{at}"}}"#
    );
    let path = format!("/publish/system/{user}");
    let request = Request::post(&path, "application/json", event);
    let request = request.header("authorization", &format!("Bearer {token}"));
    request.send(address).await
}

/// What one stream was sent.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// When each event arrived, and what it says of when it was published.
    pub(super) events: Vec<(Instant, i64)>,
    /// Whether the log was said to be out of reach.
    pub(super) is_degraded: bool,
    /// Why the hub ended it, and when.
    pub(super) closed: Option<(Instant, String)>,
}

/// A stream that is read by a task of its own.
pub(super) struct Reader {
    heard: Arc<Mutex<Heard>>,
    _task: JoinSet<io::Result<()>>,
}

impl Reader {
    /// Opens a stream; an answer that is none is an error.
    pub(super) async fn open(address: SocketAddr, token: &str) -> io::Result<Self> {
        let request = Request::get("/contexts").header("authorization", &format!("Bearer {token}"));
        let stream = RawSse::open(address, &request).await?;
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let mut task = JoinSet::new();
        task.spawn(listen(stream, Arc::clone(&heard)));
        Ok(Self { heard, _task: task })
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until what was heard is as wanted.
    pub(super) async fn until(
        &self,
        what: &str,
        is_there: impl Fn(&Heard) -> bool,
    ) -> io::Result<()> {
        let mut ticks = interval(Duration::from_millis(2));
        within(what, PATIENCE, async {
            while !self.with(&is_there) {
                ticks.tick().await;
            }
            Ok(())
        })
        .await
    }
}

async fn listen(mut stream: RawSse, heard: Arc<Mutex<Heard>>) -> io::Result<()> {
    while let Some(frame) = stream.next_frame(PATIENCE * 10).await? {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_degraded |= frame.comments.iter().any(|said| said == "degraded");
        if frame.event.as_deref() == Some("closing") {
            let reason = frame.json()?["reason"].as_str().map(str::to_owned);
            heard.closed = Some((Instant::now(), reason.unwrap_or_default()));
        } else if let Some((_, at)) = frame.raw.split_once("\"name\":\"at-") {
            let at = at.split('"').next().unwrap_or_default();
            let at = at.parse().map_err(io::Error::other)?;
            heard.events.push((Instant::now(), at));
        }
    }
    Ok(())
}
