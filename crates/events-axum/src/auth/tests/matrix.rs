//! Who may do what to whom: three users, three roles, and everything of their own, of others, and of nobody.

use std::collections::HashSet;

use axum::{body::Body, http::Response};
use events_core::EventId;
use events_models::AgUiEventBuilder;
use http_body_util::BodyExt as _;

use super::{requests::Hub, *};

const USERS: [&str; 3] = ["ada", "bob", "team-7"];
const ROLES: [Role; 3] = [Role::Subscriber, Role::Publisher, Role::Operator];

/// What is in every log, and must be told to its user only.
const MARK: &str = "mark-of-";

/// Whose something is, seen from who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Own,
    Foreign,
    Unknown,
}

/// What an answer said within a second, or all of it.
pub(super) async fn said(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut text = String::new();
    let limit = Duration::from_secs(1);
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(limit, body.frame()).await {
        text.push_str(&String::from_utf8_lossy(
            &frame.into_data().unwrap_or_default(),
        ));
    }
    (status, text)
}

/// Takes out what differs between any two requests: drawn numbers, places in the own log, and the names that were asked
/// for.
fn alike(text: &str, names: &[&str]) -> String {
    let unnamed = |part: &str| {
        // An event's id may have the letters of a short name.
        let word = part.trim_end_matches([' ', '"', '\n']);
        if !names.contains(&word) && word.parse::<EventId>().is_ok() {
            return part.to_owned();
        }
        names
            .iter()
            .fold(part.to_owned(), |part, name| part.replace(name, "NAME"))
    };
    let text: String = text
        .split_inclusive([' ', '"', '\n'])
        .map(unnamed)
        .collect();
    let lines = text.lines().filter(|line| !line.starts_with("retry: "));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

async fn hub() -> (Hub, Vec<String>) {
    let hub = Hub::new();
    let mut cursors = Vec::new();
    for user in USERS {
        let thread = format!("{MARK}{user}");
        let router = hub.state.router();
        let event = AgUiEventBuilder::run_started(thread.as_str(), "r", None);
        let published = router.route_agui(&user.into(), event).await.unwrap();
        cursors.push(published.ids.iter().next().unwrap().to_string());
    }
    (hub, cursors)
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_at_what_is_anothers_or_learns_whether_it_is_there() {
    let (hub, cursors) = hub().await;
    let nobody = format!(
        "{}.9.0000000000000000",
        cursors[0].split('.').next().unwrap()
    );
    let mut n_checked = 0;
    for (own, user) in USERS.into_iter().enumerate() {
        let other = (own + 1) % USERS.len();
        for role in ROLES {
            let bearer = format!("Bearer {}", hub.token(user, role, &["team-*"]));
            let headers = [
                ("authorization", &*bearer),
                ("x-events-token", &bearer[7..]),
                ("content-type", "application/json"),
                ("a2a-version", "1.0"),
            ];
            let mut answers: Vec<(&str, Whose, u16, String)> = Vec::new();
            for (whose, target, cursor) in [
                (Whose::Own, user, &cursors[own]),
                (Whose::Foreign, USERS[other], &cursors[other]),
                (Whose::Unknown, "no-such", &nobody),
            ] {
                let thread = format!("{MARK}{target}");
                let names = [target, cursor.as_str()];
                for (what, method, path) in [
                    ("subscribe", "GET", format!("/agui?user={target}")),
                    (
                        "thread",
                        "GET",
                        format!("/agui?thread={thread}&control=off"),
                    ),
                    ("replay", "GET", format!("/agui?last_event_id={cursor}")),
                    ("tell", "GET", format!("/agui/threads/{thread}")),
                    ("list", "GET", format!("/agui/threads?user={target}")),
                    ("task", "GET", format!("/a2a/users/{target}/rest/tasks")),
                    ("publish", "POST", format!("/publish/agui/{target}")),
                    ("connections", "GET", format!("/connections?user={target}")),
                    (
                        "close",
                        "DELETE",
                        format!("/connections?user={target}&only=close"),
                    ),
                    ("ticket", "POST", format!("/ticket?user={target}")),
                    ("llm", "POST", "/llm/up/v1/messages".to_owned()),
                ] {
                    let (status, text) = said(hub.ask(method, &path, &headers).await).await;
                    assert!(status < 500, "{user} {role:?} {method} {path}: {text}");
                    if whose != Whose::Own && !matches!(what, "list" | "replay" | "connections") {
                        let other = text.replace(&thread, "");
                        assert!(!other.contains(MARK), "{role:?} {path}: {text}");
                    }
                    let expected = expected(what, role, whose, target);
                    assert_eq!(
                        status, expected,
                        "{user} {role:?} {whose:?} {method} {path}: {text}"
                    );
                    answers.push((what, whose, status, alike(&text, &names)));
                    n_checked += 1;
                }
            }
            no_oracle(&answers, role);
        }
    }
    assert_eq!(n_checked, 3 * 3 * 3 * 11);
}

/// The status that a request must have.
fn expected(what: &str, role: Role, whose: Whose, target: &str) -> u16 {
    let is_own = whose == Whose::Own;
    let may = match what {
        "publish" => match role {
            Role::Subscriber => false,
            Role::Publisher => is_own || target.starts_with("team-"),
            Role::Operator => true,
        },
        "connections" | "close" => role == Role::Operator,
        "llm" => role != Role::Subscriber,
        "task" => is_own,
        "tell" => return if is_own { 200 } else { 404 },
        _ => true,
    };
    if may { 200 } else { 403 }
}

/// Answers about what is another's and about what is nobody's are the same, unless the role sees all.
fn no_oracle(answers: &[(&str, Whose, u16, String)], role: Role) {
    let mut compared = HashSet::new();
    for (what, whose, status, text) in answers {
        let is_drawn = matches!(*what, "ticket" | "list" | "subscribe");
        if *whose != Whose::Foreign
            || is_drawn
            || (role == Role::Operator && *what == "connections")
        {
            continue;
        }
        // Publishing that is allowed by a pattern is no secret to whoever has the pattern.
        if *what == "publish" && *status == 200 {
            continue;
        }
        let unknown = answers
            .iter()
            .find(|(other, whose, ..)| other == what && *whose == Whose::Unknown)
            .expect("asked for");
        assert_eq!(
            (status, text),
            (&unknown.2, &unknown.3),
            "{what} as {role:?}"
        );
        compared.insert(*what);
    }
    assert!(
        compared.contains("replay") && compared.contains("tell"),
        "{compared:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_token_everything_but_what_is_public_is_401() {
    let (hub, _) = hub().await;
    for (method, path, status) in [
        ("GET", "/agui", 401),
        ("GET", "/agui?thread=t", 401),
        ("GET", "/a2a", 401),
        ("GET", "/contexts", 401),
        ("GET", "/analytics", 401),
        ("GET", "/agui/threads", 401),
        ("POST", "/agui/connect", 401),
        ("POST", "/publish/agui/ada", 401),
        ("POST", "/publish/agui/ada/live", 401),
        ("GET", "/connections", 401),
        ("DELETE", "/connections?user=ada", 401),
        ("DELETE", "/users/ada", 401),
        ("POST", "/ticket", 401),
        ("POST", "/a2a/rpc", 401),
        ("GET", "/a2a/rest/tasks", 401),
        ("POST", "/llm/up/v1/messages", 401),
        ("GET", "/health/live", 200),
        ("GET", "/health/ready", 200),
        ("GET", "/.well-known/agent-card.json", 200),
        ("GET", "/a2a/users/ada/.well-known/agent-card.json", 200),
    ] {
        let response = hub.ask(method, path, &[]).await;
        assert_eq!(response.status(), status, "{method} {path}");
        if status == 401 {
            let challenge = response.headers()["www-authenticate"].to_str().unwrap();
            assert!(challenge.starts_with("Bearer"), "{path}");
        }
        let bad = [("authorization", "Bearer x"), ("x-events-token", "x")];
        let response = hub.ask(method, path, &bad).await;
        assert_eq!(
            response.status(),
            status,
            "{method} {path} with a bad token"
        );
    }
}
