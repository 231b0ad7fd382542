//! Revocations where several hubs share a log.

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    middleware,
};
use events_router::MemoryLog;
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::*;
use crate::hub_router;

/// How long what must happen may take.
const PATIENCE: Duration = Duration::from_secs(10);

struct Replicas {
    log: MemoryLog,
    clock: Arc<ManualClock>,
    work: JoinSet<()>,
}

impl Replicas {
    /// Hubs on a log that keeps so many events.
    fn on_log_of(n_events: usize) -> Self {
        Self {
            log: MemoryLog::new(n_events),
            clock: Arc::new(ManualClock::new(NOW * 1_000)),
            work: JoinSet::new(),
        }
    }

    fn add(&mut self) -> Router {
        let config = RouterConfig {
            clock: Arc::clone(&self.clock) as _,
            ..RouterConfig::default()
        };
        let (router, replica) = EventRouter::on_log(config, Arc::new(self.log.clone()));
        self.work.spawn(replica.run());
        let state = StreamState::new(router);
        self.work.spawn(state.follow_revocations());
        let config = AuthConfig {
            secret: Some(Secret::new(SECRET).unwrap()),
            ..AuthConfig::default()
        };
        let auth = Auth::new(state.clone(), config);
        let app = hub_router(state).merge(auth.router());
        app.layer(middleware::from_fn_with_state(auth, authenticate))
    }
}

fn token(user: &str, role: Role) -> String {
    let grant = Grant {
        user: user.to_owned(),
        role,
        users: Vec::new(),
        issued_ms: NOW * 1_000,
        expires_ms: (NOW + 600) * 1_000,
    };
    grant.sign(&Secret::new(SECRET).unwrap(), None, None)
}

async fn ask(app: &Router, method: &str, path: &str, token: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {token}"));
    let request = request.body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_revocation_holds_on_every_replica_and_on_those_that_start_later() {
    let mut replicas = Replicas::on_log_of(1_000);
    let (one, two) = (replicas.add(), replicas.add());
    let (ada, root) = (
        token("ada", Role::Subscriber),
        token("root", Role::Operator),
    );
    let stream = ask(&two, "GET", "/agui", &ada).await;
    assert_eq!(stream.status(), 200);
    let revoked = ask(&one, "DELETE", "/connections?user=ada", &root).await;
    assert_eq!(revoked.status(), 200);
    let rest = tokio::time::timeout(PATIENCE, stream.into_body().collect());
    let said = rest.await.expect("it ends in time").unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&said).contains("{\"reason\":\"revoked\"}"));
    for replica in [&one, &two] {
        assert_eq!(ask(replica, "GET", "/agui", &ada).await.status(), 401);
        assert_eq!(ask(replica, "GET", "/agui", &root).await.status(), 200);
    }
    let three = replicas.add();
    let first = ask(&three, "GET", "/analytics", &ada).await;
    assert_eq!(first.status(), 401, "it knows before it answers");
    let listed = ask(&three, "GET", "/connections", &root).await;
    let listed = listed.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&listed).contains("revocations"));
}

#[tokio::test(start_paused = true)]
async fn who_is_only_closed_comes_back_once_to_whichever_replica() {
    let mut replicas = Replicas::on_log_of(1_000);
    let (one, two) = (replicas.add(), replicas.add());
    let (ada, root) = (
        token("ada", Role::Subscriber),
        token("root", Role::Operator),
    );
    let stream = ask(&two, "GET", "/agui", &ada).await;
    replicas.clock.advance(1);
    let closed = ask(&one, "DELETE", "/connections?user=ada&only=close", &root).await;
    assert_eq!(closed.status(), 200);
    let rest = tokio::time::timeout(PATIENCE, stream.into_body().collect());
    let said = rest.await.expect("it ends in time").unwrap().to_bytes();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("{\"reason\":\"max_age\"}"), "{said}");
    // The one that was asked reads its own words in the log, and sends nobody away again.
    replicas.clock.advance(1);
    let mut again = ask(&one, "GET", "/agui", &ada).await.into_body();
    let first = again.frame().await.expect("the first bytes").unwrap();
    assert!(first.into_data().unwrap().starts_with(b"retry:"));
    ask(&two, "DELETE", "/connections?user=bob", &root).await;
    let bob = token("bob", Role::Subscriber);
    let is_told = async {
        while ask(&one, "GET", "/connections", &bob).await.status() != 401 {
            tokio::task::yield_now().await;
        }
    };
    is_told.await;
    let more = tokio::time::timeout(Duration::from_secs(1), again.frame()).await;
    assert!(more.is_err(), "{more:?}");
}

/// Revokes users through one of the replicas, and waits until what it knows is saved, if that is wanted.
async fn revoke_ten(replicas: &mut Replicas, is_saved: bool) -> Vec<String> {
    let one = replicas.add();
    let root = token("root", Role::Operator);
    let mut tokens = Vec::new();
    for n in 0..10 {
        let user = format!("u{n}");
        let path = format!("/connections?user={user}");
        assert_eq!(ask(&one, "DELETE", &path, &root).await.status(), 200);
        tokens.push(token(&user, Role::Subscriber));
    }
    if is_saved {
        // Nothing tells when it is: the time is the only sign, and it is paused.
        let _elapsed = tokio::time::timeout(PATIENCE, std::future::pending::<()>()).await;
    }
    tokens
}

#[tokio::test(start_paused = true)]
async fn a_revocation_outlives_its_record() {
    for is_saved in [true, false] {
        // A log that keeps the last two.
        let mut replicas = Replicas::on_log_of(2);
        let tokens = revoke_ten(&mut replicas, is_saved).await;
        let later = replicas.add();
        for token in &tokens {
            let answer = ask(&later, "GET", "/agui/threads", token).await;
            assert_eq!(answer.status(), 401, "by the first answer");
        }
        // Where some are lost, nobody is let in with what was issued before; that is never the wrong way round.
        let other = ask(
            &later,
            "GET",
            "/agui/threads",
            &token("other", Role::Subscriber),
        )
        .await;
        assert_eq!(other.status(), if is_saved { 200 } else { 401 });
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_is_not_known_who_was_revoked_nobody_is_let_in() {
    let (router, replica) = EventRouter::on_log(
        RouterConfig {
            clock: Arc::new(ManualClock::new(NOW * 1_000)),
            ..RouterConfig::default()
        },
        Arc::new(MemoryLog::new(10)),
    );
    let state = StreamState::new(router);
    let following = state.follow_revocations();
    let config = AuthConfig {
        secret: Some(Secret::new(SECRET).unwrap()),
        ..AuthConfig::default()
    };
    let auth = Auth::new(state.clone(), config);
    let app = hub_router(state).layer(middleware::from_fn_with_state(auth, authenticate));
    let ada = token("ada", Role::Subscriber);
    let told = ask(&app, "GET", "/agui/threads", &ada).await;
    assert_eq!(told.status(), 503);
    assert_eq!(ask(&app, "GET", "/health/ready", &ada).await.status(), 503);
    assert_eq!(ask(&app, "GET", "/health/live", &ada).await.status(), 200);
    // A browser would never come back after an error.
    let stream = ask(&app, "GET", "/agui", &ada).await;
    assert_eq!(stream.status(), 200);
    let said = stream.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&said).contains("closing"));
    let mut work = JoinSet::new();
    work.spawn(replica.run());
    work.spawn(following);
    assert_eq!(ask(&app, "GET", "/agui/threads", &ada).await.status(), 200);
}

/// Fetches a ticket from a replica.
async fn ticket(app: &Router, token: &str) -> String {
    let answer = ask(app, "POST", "/ticket", token).await;
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    body["ticket"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_taken_once_by_all_replicas_together() {
    let mut replicas = Replicas::on_log_of(1_000);
    let apps = [replicas.add(), replicas.add(), replicas.add()];
    let ada = token("ada", Role::Subscriber);
    let open = async |app: Router, ticket: String| {
        let request = Request::get(format!("/agui?ticket={ticket}"));
        let request = request.body(Body::empty()).unwrap();
        app.oneshot(request).await.unwrap().status().as_u16()
    };
    for turn in 0..20 {
        let ticket = ticket(&apps[turn % 3], &ada).await;
        // Each of them twice, at the same time.
        let asked = (0..6).map(|n| open(apps[n % 3].clone(), ticket.clone()));
        let mut answers = futures_util::future::join_all(asked).await;
        answers.sort_unstable();
        assert_eq!(answers, [200, 401, 401, 401, 401, 401], "in turn {turn}");
        // Nor by one that starts later.
        if turn == 19 {
            assert_eq!(open(replicas.add(), ticket).await, 401);
        }
    }
}
