//! Keys at an address over TLS: new ones, and servers that fail.

mod issuer;

use std::io;
use std::time::Duration;

use events_axum::Role;
use events_axum::auth::{Grant, Secret};
use events_tests::deadline::{PATIENCE, within};
use events_tests::raw_client::{RawSse, Request};
use events_tests::server_process::{ServerProcess, events_binary};
use events_tests::tls_front::TlsFront;
use events_tests::tokens::SECRET;
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::time::{Instant, interval};

use issuer::{KeyServer, Mood, Signer};

/// An issuer's server behind TLS, whose authority only the hub is told of.
struct Issuer {
    server: KeyServer,
    front: TlsFront,
    folder: TempDir,
}

impl Issuer {
    async fn start(mood: Mood) -> io::Result<Self> {
        let server = KeyServer::start(mood).await?;
        let front = TlsFront::start(server.address).await?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), front.authority_pem())?;
        Ok(Self {
            server,
            front,
            folder,
        })
    }

    fn arguments(&self, refresh: &str, knows_authority: bool) -> Vec<String> {
        let ca = self.folder.path().join("ca.pem").display().to_string();
        let keys = format!("{}/jwks", self.front.url());
        let mut words = vec!["serve", "--listen", "127.0.0.1:0", "--auth.keys", &keys];
        words.extend(["--auth.refresh", refresh]);
        if knows_authority {
            words.extend(["--auth.ca", &ca]);
        }
        words.into_iter().map(str::to_owned).collect()
    }

    async fn hub(&self, refresh: &str) -> io::Result<ServerProcess> {
        let words = self.arguments(refresh, true);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let environment = [("EVENTS_AUTH__SECRET", SECRET), ("RUST_LOG", "error")];
        ServerProcess::events(&words, &environment).await
    }
}

fn signed(request: Request, token: &str) -> Request {
    request.header("authorization", &format!("Bearer {token}"))
}

async fn status(hub: &ServerProcess, token: &str) -> io::Result<u16> {
    let request = signed(Request::get("/agui/threads"), token);
    Ok(request.send(hub.address()).await?.status())
}

async fn open(hub: &ServerProcess, token: &str) -> io::Result<RawSse> {
    RawSse::open(hub.address(), &signed(Request::get("/contexts"), token)).await
}

/// Checks that the hub refuses tokens that name keys which nobody has, so many at once.
async fn refuses_made_up_keys(
    hub: &ServerProcess,
    key: &Signer,
    n_tokens: usize,
) -> io::Result<()> {
    let answers = join_all((0..n_tokens).map(|n| {
        let token = key.token("ada", 60, Some(&format!("made-up-{n}")));
        async move { status(hub, &token).await }
    }));
    for answer in answers.await {
        assert_eq!(answer?, 401);
    }
    Ok(())
}

/// Waits until the hub takes what a key has signed.
async fn until_taken(hub: &ServerProcess, key: &Signer) -> io::Result<()> {
    let mut ticks = interval(Duration::from_millis(10));
    within("the key", PATIENCE, async {
        while status(hub, &key.token("ada", 60, None)).await? != 200 {
            ticks.tick().await;
        }
        Ok(())
    })
    .await
}

/// Publishes for a user with a token of the hub's own secret.
async fn publish(hub: &ServerProcess, user: &str) -> io::Result<()> {
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = i64::try_from(now_ms.expect("after 1970").as_millis()).expect("a date");
    let grant = Grant {
        user: "agent".to_owned(),
        role: Role::Publisher,
        users: vec!["*".to_owned()],
        issued_ms: now_ms,
        expires_ms: now_ms + 60_000,
    };
    let token = grant.sign(&Secret::new(SECRET.as_bytes()).expect("long"), None, None);
    let event = r#"{"type":"CONTEXT_UPDATED","timestamp":1,"contextId":"c","name":"told"}"#;
    let path = format!("/publish/system/{user}");
    let request = signed(Request::post(&path, "application/json", event), &token);
    let answer = request.send(hub.address()).await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn keys_rotate_over_tls_and_no_failure_of_their_server_takes_one_away() -> io::Result<()> {
    /// The short tokens among those of the hundred streams end so late, in seconds.
    const SHORT: u64 = 22;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::start(Mood::Says(old.jwks())).await?;
    let hub = issuer.hub("1s").await?;
    let opened_at = Instant::now();
    let streams = (0..100).map(|n| {
        let seconds = if n % 2 == 0 { SHORT } else { 600 };
        let token = old.token(&format!("u{n}"), seconds, None);
        let hub = &hub;
        async move { open(hub, &token).await }
    });
    let mut streams: Vec<RawSse> = join_all(streams)
        .await
        .into_iter()
        .collect::<io::Result<_>>()?;

    let moods = [
        Mood::Fails("503 Service Unavailable"),
        Mood::Fails("302 Found\r\nlocation: http://127.0.0.1:1/"),
        Mood::Cuts,
        Mood::Says("<!doctype html><title>login</title>".to_owned()),
        Mood::Says(r#"{"keys":[]}"#.to_owned()),
        Mood::Says(r#"{"keys":7}"#.to_owned()),
        Mood::Endless,
        Mood::Silent,
    ];
    for mood in moods {
        let said = format!("{mood:?}");
        issuer.server.turn(mood);
        issuer.server.until_asked(1).await?;
        let known = status(&hub, &old.token("ada", 60, None)).await?;
        assert_eq!(known, 200, "the keys that are known stay: {said}");
    }

    // The next question comes when the last has failed.
    issuer.server.until_asked(1).await?;
    assert_eq!(status(&hub, &old.token("ada", 60, None)).await?, 200);

    // However many tokens name keys that nobody has, the server is asked once in its time.
    issuer.server.turn(Mood::Says(new.jwks()));
    issuer.server.until_asked(1).await?;
    let (before, begun) = (issuer.server.n_asked(), Instant::now());
    refuses_made_up_keys(&hub, &old, 300).await?;
    let n_asked = issuer.server.n_asked() - before;
    let seconds = begun.elapsed().as_secs();
    println!(
        "300 unknown keys in {:?}: asked {n_asked} times",
        begun.elapsed()
    );
    assert!(n_asked as u64 <= seconds + 1, "{n_asked} in {seconds} s");

    // The new key opens, the old one does not any more.
    until_taken(&hub, &new).await?;
    assert_eq!(status(&hub, &old.token("ada", 60, None)).await?, 401);

    // Streams live as long as their own tokens.
    println!(
        "rotated {:?} after the streams were opened",
        opened_at.elapsed()
    );
    for (n, stream) in streams.iter_mut().enumerate() {
        if n % 2 == 0 {
            let frames = stream.read_to_end(PATIENCE).await?;
            let last = frames.last().expect("closing").json()?;
            assert_eq!(last["reason"], "token_expired");
        }
    }
    let lived = opened_at.elapsed();
    assert!(lived >= Duration::from_secs(SHORT - 1), "{lived:?}");
    for (n, stream) in streams.iter_mut().enumerate() {
        if n % 2 == 1 {
            publish(&hub, &format!("u{n}")).await?;
            let is_told =
                |frame: &events_tests::raw_client::RawFrame| frame.raw.contains("\"told\"");
            stream.read_until(PATIENCE, is_told).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn unknown_keys_do_not_make_the_hub_ask_more_often() -> io::Result<()> {
    let key = Signer::new("known");
    let issuer = Issuer::start(Mood::Says(key.jwks())).await?;
    let hub = issuer.hub("5m").await?;
    refuses_made_up_keys(&hub, &key, 200).await?;
    assert_eq!(status(&hub, &key.token("ada", 60, None)).await?, 200);
    assert_eq!(issuer.server.n_asked(), 1, "the one of the start");
    Ok(())
}

#[tokio::test]
async fn keys_that_cannot_be_read_at_the_start_are_said_or_asked_for_again() -> io::Result<()> {
    let key = Signer::new("key");
    // A server that is away may come back: the hub starts, takes nobody, and asks again.
    let issuer = Issuer::start(Mood::Fails("503 Service Unavailable")).await?;
    let hub = issuer.hub("1s").await?;
    assert_eq!(status(&hub, &key.token("ada", 60, None)).await?, 401);
    issuer.server.turn(Mood::Says(key.jwks()));
    until_taken(&hub, &key).await?;
    drop(hub);
    // What is there and wrong is a mistake of whoever wrote the settings.
    for (mood, words) in [
        (Mood::Says("<!doctype html>".to_owned()), "neither"),
        (Mood::Says(r#"{"keys":[]}"#.to_owned()), "no key"),
        (Mood::Endless, "large"),
    ] {
        issuer.server.turn(mood);
        let program = tokio::process::Command::new(events_binary().await?)
            .args(issuer.arguments("1m", true))
            .output();
        let output = tokio::time::timeout(PATIENCE, program)
            .await
            .expect("it ends by itself")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{said}");
        assert_eq!(output.status.code(), Some(2), "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("error: ") && last.contains(words),
            "{said}"
        );
    }
    // An authority that nobody has named vouches for nothing.
    issuer.server.turn(Mood::Says(key.jwks()));
    let n_asked = issuer.server.n_asked();
    let words = issuer.arguments("1m", false);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let hub = ServerProcess::events(&words, &[("RUST_LOG", "error")]).await?;
    assert_eq!(status(&hub, &key.token("ada", 60, None)).await?, 401);
    assert_eq!(issuer.server.n_asked(), n_asked);
    Ok(())
}
