//! What is another's and what is nobody's is answered alike: in status, body, headers, and time.

use std::time::Instant;

use axum::{
    Router,
    body::Body,
    extract::Request as Asked,
    http::{Request, Response},
    middleware::{self, Next},
};
use events_core::{TaskId, UserId};
use events_models::{A2AEvent, AgUiEventBuilder};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::{AgentPlace, AgentRefusal, Agents, agent_router, hub_router};

/// Who asks; whose things there are; and a name that nobody has. All are of one length, as lengths are no secret.
const ASKER: &str = "ada";
const FOREIGN: &str = "bob";
const UNKNOWN: &str = "zoe";

/// A drawn id of 16 letters stands behind this.
const CONNECTION: &str = "\"connectionId\":\"";

/// Agents that never have a place.
struct Busy;

impl Agents for Busy {
    fn names(&self) -> Vec<String> {
        vec!["busy".to_owned()]
    }

    fn reserve(&self, agent: &str, _user: &UserId) -> Result<Box<dyn AgentPlace>, AgentRefusal> {
        Err(match agent {
            "busy" => AgentRefusal::Full,
            _ => AgentRefusal::Unknown,
        })
    }

    fn stop_here(&self, _user: &UserId, _run: &TaskId) {}
}

/// One way to ask for something by its name.
struct Way {
    what: &'static str,
    method: &'static str,
    /// `NAME` stands for whose it is, `CURSOR` for a place in that log.
    path: &'static str,
    body: &'static str,
    /// Who can see all learns what is there, and may.
    is_open_to_operators: bool,
}

const fn way(
    what: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'static str,
) -> Way {
    Way {
        what,
        method,
        path,
        body,
        is_open_to_operators: false,
    }
}

const INPUT: &str = r#"{"threadId":"thread-of-NAME","runId":"new","state":{},"messages":[],"tools":[],"context":[],"forwardedProps":{}}"#;

const GET_TASK: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"task-of-NAME"}}"#;

/// Every way to name what may be another's.
fn ways() -> Vec<Way> {
    let mut ways = vec![
        way("thread", "GET", "/agui?thread=thread-of-NAME", ""),
        way(
            "thread from",
            "GET",
            "/agui?thread=thread-of-NAME&last_event_id=CURSOR",
            "",
        ),
        way("cursor", "GET", "/agui?last_event_id=CURSOR", ""),
        way("contexts from", "GET", "/contexts?last_event_id=CURSOR", ""),
        way("a2a from", "GET", "/a2a?last_event_id=CURSOR", ""),
        way("stream of", "GET", "/agui?user=NAME", ""),
        way("state", "GET", "/agui/threads/thread-of-NAME", ""),
        way("connect", "POST", "/agui/connect?wait=0s", INPUT),
        way("run", "POST", "/agui/run/busy", INPUT),
        way("no agent", "POST", "/agui/run/NAME", INPUT),
        way("stop", "POST", "/agui/runs/run-of-NAME/stop", ""),
        way("task", "GET", "/a2a?task=task-of-NAME", ""),
        way("rest task", "GET", "/a2a/rest/tasks/task-of-NAME", ""),
        way(
            "rest subscribe",
            "GET",
            "/a2a/rest/tasks/task-of-NAME:subscribe",
            "",
        ),
        way(
            "rest context",
            "GET",
            "/a2a/rest/tasks?contextId=context-of-NAME",
            "",
        ),
        way("rest of user", "GET", "/a2a/users/NAME/rest/tasks", ""),
        way("rpc of user", "POST", "/a2a/users/NAME/rpc", GET_TASK),
        way("rpc task", "POST", "/a2a/rpc", GET_TASK),
        way(
            "rpc subscribe",
            "POST",
            "/a2a/rpc",
            r#"{"jsonrpc":"2.0","id":1,"method":"SubscribeToTask","params":{"id":"task-of-NAME"}}"#,
        ),
        way(
            "rpc context",
            "POST",
            "/a2a/rpc",
            r#"{"jsonrpc":"2.0","id":1,"method":"ListTasks","params":{"contextId":"context-of-NAME"}}"#,
        ),
        way("model", "POST", "/llm/up/v1/messages?user=NAME", "{}"),
    ];
    for (what, method, path, body) in [
        (
            "stop of",
            "POST",
            "/agui/runs/run-of-NAME/stop?user=NAME",
            "",
        ),
        (
            "publish",
            "POST",
            "/publish/agui/NAME",
            r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
        ),
        ("publish live", "POST", "/publish/agui/NAME/live", ""),
        ("connections", "GET", "/connections?user=NAME", ""),
        ("close", "DELETE", "/connections?user=NAME&only=close", ""),
        ("erase", "DELETE", "/users/NAME", ""),
    ] {
        ways.push(Way {
            is_open_to_operators: true,
            ..way(what, method, path, body)
        });
    }
    ways
}

struct Hub {
    app: Router,
    tokens: Vec<(Role, String)>,
    foreign_cursor: String,
    unknown_cursor: String,
}

impl Hub {
    /// A hub at which two users have a thread, a run and a task each.
    async fn new() -> Self {
        let state = state();
        let router = state.router().clone();
        let mut cursor = String::new();
        for user in [ASKER, FOREIGN] {
            let thread = format!("thread-of-{user}");
            let run = format!("run-of-{user}");
            let event = AgUiEventBuilder::run_started(thread.as_str(), run.as_str(), None);
            let published = router.route_agui(&user.into(), event).await.unwrap();
            cursor = published.ids.iter().next().unwrap().to_string();
            let task = json!({ "task": { "id": format!("task-of-{user}"), "contextId": format!("context-of-{user}"),
                                          "status": { "state": "TASK_STATE_SUBMITTED" } } });
            let task = A2AEvent::from_json(task.to_string().as_bytes()).unwrap();
            router.publish(&user.into(), task).await.unwrap();
        }
        // As if it were of the same log, with another tag.
        let (place, tag) = cursor.rsplit_once('.').unwrap();
        let unknown_cursor = format!("{place}.{}", tag.chars().rev().collect::<String>());
        let config = AuthConfig {
            secret: Some(Secret::new(SECRET).unwrap()),
            ..AuthConfig::default()
        };
        let auth = Auth::new(state.clone(), config);
        let model = Router::new().route("/llm/up/v1/messages", axum::routing::post(async || "{}"));
        let app = hub_router(state.clone())
            .merge(agent_router(state, Arc::new(Busy)))
            .merge(model)
            .layer(middleware::from_fn_with_state(auth, authenticate));
        let token = |role| Grant {
            user: ASKER.to_owned(),
            role,
            users: Vec::new(),
            issued_ms: NOW * 1_000,
            expires_ms: (NOW + 600) * 1_000,
        };
        let roles = [Role::Subscriber, Role::Publisher, Role::Operator];
        let secret = Secret::new(SECRET).unwrap();
        Self {
            app,
            tokens: roles
                .map(|role| (role, token(role).sign(&secret, None, None)))
                .into(),
            foreign_cursor: cursor,
            unknown_cursor,
        }
    }

    fn cursor(&self, name: &str) -> &str {
        if name == FOREIGN {
            &self.foreign_cursor
        } else {
            &self.unknown_cursor
        }
    }

    fn request(&self, way: &Way, name: &str, token: &str) -> Request<Body> {
        let path = way
            .path
            .replace("NAME", name)
            .replace("CURSOR", self.cursor(name));
        Request::builder()
            .method(way.method)
            .uri(path)
            .header("host", "hub.example.org")
            .header("authorization", format!("Bearer {token}"))
            .header("x-events-token", token)
            .header("content-type", "application/json")
            .header("a2a-version", "1.0")
            .body(Body::from(way.body.replace("NAME", name)))
            .unwrap()
    }

    /// All that an answer says: status, headers and what it says within a second, without what is drawn or echoed.
    async fn answer(&self, way: &Way, name: &str, token: &str) -> (u16, Vec<String>, String) {
        let request = self.request(way, name, token);
        let response = self.app.clone().oneshot(request).await.unwrap();
        let headers = response.headers().iter();
        let mut headers: Vec<String> = headers
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        headers.sort_unstable();
        let (status, text) = super::matrix::said(response).await;
        let cursor = self.cursor(name);
        let mut text = text.replace(cursor, "CURSOR");
        if let Some(at) = text.find(CONNECTION) {
            let at = at + CONNECTION.len();
            text.replace_range(at..at + 16, "");
        }
        let own = cursor.split('.').next().unwrap_or_default();
        let is_drawn = |line: &&str| !line.starts_with("retry: ");
        let lines: Vec<&str> = text.lines().filter(is_drawn).collect();
        // Names are echoed where they were said; an id may have the letters of one.
        let words = lines.join("\n");
        let words = words
            .split_inclusive([' ', '"', '\n', '-', '/', '=', ':'])
            .map(|word| {
                if word.contains(own) {
                    word.to_owned()
                } else {
                    word.replace(name, "NAME")
                }
            });
        (status, headers, words.collect())
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_anothers_and_what_is_nobodys_are_answered_alike() {
    let mut n_compared = 0;
    for at in 0..3 {
        // What an owner has done is not seen by the next.
        let hub = Hub::new().await;
        let (role, token) = &hub.tokens[at];
        for way in ways() {
            if way.is_open_to_operators && *role == Role::Operator {
                continue;
            }
            let (foreign, unknown) = (
                hub.answer(&way, FOREIGN, token).await,
                hub.answer(&way, UNKNOWN, token).await,
            );
            assert_eq!(foreign, unknown, "{} as {role:?}", way.what);
            assert!(
                foreign.0 < 500 || way.what == "run",
                "{} as {role:?}: {foreign:?}",
                way.what
            );
            n_compared += 1;
            // What is compared is an answer about it, and not that the way is wrong.
            let is_refused = way.path.starts_with("/agui/run") && *role == Role::Subscriber;
            let is_about = way.path.contains("-of-NAME") || way.body.contains("-of-NAME");
            if is_about
                && !is_refused
                && !matches!(way.what, "run" | "no agent" | "rpc of user" | "stop of")
            {
                let own = hub.answer(&way, ASKER, token).await;
                assert_ne!(own, unknown, "{} as {role:?} to the owner", way.what);
            }
        }
    }
    assert_eq!(n_compared, 27 * 2 + 21);
}

/// How often each of the two is asked for.
const N_ASKED: usize = 2_000;

/// Between the medians, relative to them; and the least that anybody could measure from outside, in nanoseconds.
const MOST: f64 = 0.2;
const LEAST_NS: f64 = 20_000.0;

/// Asks for both in turns that are drawn, and returns what each took, in nanoseconds and sorted.
async fn times(hub: &Hub, app: &Router, way: &Way) -> [Vec<f64>; 2] {
    let token = &hub.tokens[1].1;
    let mut times = [Vec::with_capacity(N_ASKED), Vec::with_capacity(N_ASKED)];
    while times.iter().any(|taken| taken.len() < N_ASKED) {
        let first = fastrand::usize(..2);
        for at in [first, 1 - first] {
            let request = hub.request(way, [FOREIGN, UNKNOWN][at], token);
            let begun = Instant::now();
            let response: Response<Body> = app.clone().oneshot(request).await.unwrap();
            let mut body = response.into_body();
            // To the first that is said.
            let _said = body.frame().await;
            times[at].push(begun.elapsed().as_nanos() as f64);
        }
    }
    for taken in &mut times {
        taken.sort_unstable_by(f64::total_cmp);
    }
    times
}

/// Tells whether the two can be told apart: at the median, and at the quarters as well, which a busy machine does not
/// shift all in one direction.
fn differ([foreign, unknown]: &[Vec<f64>; 2]) -> bool {
    [1, 2, 3].into_iter().all(|quarter| {
        let at = N_ASKED * quarter / 4;
        let (one, other) = (foreign[at], unknown[at]);
        (one - other).abs() > LEAST_NS.max(MOST * one.min(other))
    })
}

#[tokio::test]
async fn what_is_anothers_takes_as_long_as_what_is_nobodys() {
    let hub = Hub::new().await;
    for what in ["thread", "cursor", "state", "rest task", "erase"] {
        let way = ways()
            .into_iter()
            .find(|way| way.what == what)
            .expect("one of them");
        let times = times(&hub, &hub.app, &way).await;
        let median = N_ASKED / 2;
        println!(
            "{what}: another's {:.0} µs, nobody's {:.0} µs",
            times[0][median] / 1e3,
            times[1][median] / 1e3
        );
        assert!(!differ(&times), "{what}: the two can be told apart");
    }
}

/// Looks up who is named, which takes time only for those who are there: what the test above has to find.
async fn look_up(request: Asked, next: Next) -> Response<Body> {
    if request.uri().to_string().contains(FOREIGN) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(300) {
            std::hint::spin_loop();
        }
    }
    next.run(request).await
}

#[tokio::test]
async fn a_look_up_of_those_who_are_there_is_found_out() {
    let hub = Hub::new().await;
    let app = hub.app.clone().layer(middleware::from_fn(look_up));
    let way = way("state", "GET", "/agui/threads/thread-of-NAME", "");
    assert!(differ(&times(&hub, &app, &way).await));
}
