//! The keys of this moment: our own secret, and those of a source that are read again and again.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    jwt::Jwt,
    key::{Key, KeyError, KeySet, Secret},
};
use crate::{Bound, Edge};

/// A source is asked because of an unknown key at most once in this time, however many tokens name one.
const LEAST_PAUSE: Duration = Duration::from_secs(30);

/// How long a source may take.
const FETCH_TIME: Duration = Duration::from_secs(5);

/// How long a request waits for the keys to be read again.
const WAIT: Duration = Duration::from_secs(6);

/// Where keys are read: a file, or an address of an issuer.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// Reads the whole set; see [`KeySet::parse`].
    ///
    /// # Errors
    ///
    /// The set is not to be had now.
    ///
    /// # Cancel safety
    ///
    /// It is dropped after five seconds.
    async fn read(&self) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;
}

pub(super) struct Keys {
    own: Option<Key>,
    source: Option<Arc<dyn KeySource>>,
    read: Mutex<Arc<KeySet>>,
    /// A token names a key that is not known.
    wanted: Notify,
    /// When the source was last asked, whether or not it answered.
    asked: watch::Sender<Option<Instant>>,
}

impl Keys {
    pub(super) fn new(secret: Option<&Secret>, source: Option<Arc<dyn KeySource>>) -> Self {
        Self {
            own: secret.map(Key::of_secret),
            source,
            read: Mutex::default(),
            wanted: Notify::new(),
            asked: watch::Sender::new(None),
        }
    }

    /// Checks a signature. If no key is meant, the source is asked again, and others with tokens like this one wait for
    /// the same answer.
    pub(super) async fn verify(&self, jwt: &Jwt<'_>) -> bool {
        if let Some(is_good) = self.check(jwt) {
            return is_good;
        }
        if self.source.is_none() || jwt.kid.is_none() {
            return false;
        }
        let mut asked = self.asked.subscribe();
        let before = *asked.borrow_and_update();
        if before.is_none_or(|at| at.elapsed() >= LEAST_PAUSE) {
            self.wanted.notify_one();
            // At the end of the wait the keys are as they are.
            let _elapsed = timeout(WAIT, asked.changed()).await;
        }
        self.check(jwt).unwrap_or_default()
    }

    /// Checks a signature with the keys of this moment; `None` if none of them is meant.
    fn check(&self, jwt: &Jwt<'_>) -> Option<bool> {
        let read = self.lock().clone();
        let mut meant = (self.own.iter().chain(&read.keys))
            .filter(|key| key.is_meant(jwt))
            .peekable();
        meant.peek()?;
        Some(meant.any(|key| key.verify(jwt)))
    }

    pub(super) async fn load(&self, edge: &Edge) -> Result<(), KeyError> {
        let Some(source) = &self.source else {
            return Ok(());
        };
        let outcome = match timeout(FETCH_TIME, source.read()).await {
            Ok(read) => read.map_err(KeyError::Source),
            Err(elapsed) => Err(KeyError::Source(elapsed.into())),
        };
        let set = outcome.and_then(|bytes| KeySet::parse(&bytes));
        if matches!(set, Err(KeyError::TooLarge)) {
            edge.hit(Bound::Keys);
        }
        let loaded = set.map(|set| *self.lock() = Arc::new(set));
        self.asked.send_replace(Some(Instant::now()));
        loaded
    }

    pub(super) async fn run(&self, refresh: Duration, edge: &Edge) {
        loop {
            let asked = *self.asked.borrow();
            match asked.filter(|_| self.source.is_some()) {
                None => self.wanted.notified().await,
                Some(at) => {
                    sleep_until(at + LEAST_PAUSE.min(refresh)).await;
                    tokio::select! {
                        () = sleep_until(at + refresh) => {}
                        () = self.wanted.notified() => {}
                    }
                }
            }
            if let Err(error) = self.load(edge).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "keys not read; those that are known stay");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<KeySet>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("read", &*self.lock())
            .finish_non_exhaustive()
    }
}
