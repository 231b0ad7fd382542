//! An issuer of tokens: its keys, and a server over TLS that may fail in every way.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use events_tests::deadline::{PATIENCE, within};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::interval;

/// A key that signs tokens.
pub(super) struct Signer {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

impl Signer {
    pub(super) fn new(kid: &'static str) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random);
        let pair = pair.expect("its own form");
        Self { pair, kid }
    }

    pub(super) fn jwks(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({ "kty": "EC", "crv": "P-256", "kid": self.kid, "alg": "ES256", "use": "sig",
                          "x": part(&point[1..33]), "y": part(&point[33..]) });
        json!({ "keys": [key] }).to_string()
    }

    /// A token for so many seconds, that names the key, or another one.
    pub(super) fn token(&self, user: &str, seconds: u64, kid: Option<&str>) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs();
        let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let header = json!({ "alg": "ES256", "kid": kid.unwrap_or(self.kid) });
        let claims = json!({ "sub": user, "iat": now, "exp": now + seconds });
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.expect("a signature");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What the server answers.
#[derive(Clone, Debug)]
pub(super) enum Mood {
    /// 200 with this body.
    Says(String),
    /// This status, and where to go instead.
    Fails(&'static str),
    /// Nothing, for as long as it is waited for.
    Silent,
    /// A body that never ends.
    Endless,
    /// The connection is cut before any answer.
    Cuts,
}

/// The server; dropping it ends it.
pub(super) struct KeyServer {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    _work: JoinSet<()>,
}

struct Shared {
    mood: Mutex<Mood>,
    n_asked: AtomicUsize,
}

impl KeyServer {
    pub(super) async fn start(mood: Mood) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            mood: Mutex::new(mood),
            n_asked: AtomicUsize::new(0),
        });
        let mut work = JoinSet::new();
        let serving = Arc::clone(&shared);
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // The hub may leave in the middle.
                connections.spawn(async move { drop(answer(stream, &shared).await) });
            }
        });
        Ok(Self {
            address,
            shared,
            _work: work,
        })
    }

    pub(super) fn turn(&self, mood: Mood) {
        *self
            .shared
            .mood
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = mood;
    }

    pub(super) fn n_asked(&self) -> usize {
        self.shared.n_asked.load(Ordering::Relaxed)
    }

    /// Waits until it was asked so many times more.
    pub(super) async fn until_asked(&self, n_more: usize) -> io::Result<()> {
        let wanted = self.n_asked() + n_more;
        let mut ticks = interval(Duration::from_millis(10));
        within("a question for keys", PATIENCE, async {
            while self.n_asked() < wanted {
                ticks.tick().await;
            }
            Ok(())
        })
        .await
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    shared.n_asked.fetch_add(1, Ordering::Relaxed);
    let mood = shared
        .mood
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    match mood {
        Mood::Says(body) => {
            let n_bytes = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {n_bytes}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Mood::Fails(status) => {
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Mood::Silent => std::future::pending().await,
        Mood::Endless => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"keys\":[")
                .await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
            }
        }
        Mood::Cuts => Ok(()),
    }
}
