//! Settings of the authentication.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use events_axum::auth::{AuthConfig, Secret};

use super::ConfigError;
use crate::auth_keys;

/// Who may ask, and from which pages.
#[derive(Clone)]
pub struct AuthSettings {
    /// Signs and checks tokens.
    pub secret: Option<String>,
    /// A file or an address of public keys.
    pub keys: Option<String>,
    /// Authorities that are trusted for the address besides the system's.
    pub ca: Option<PathBuf>,
    /// How often the keys are read again.
    pub refresh: Duration,
    /// What a token's `aud` names.
    pub audience: Option<String>,
    /// What a token's `iss` is.
    pub issuer: Option<String>,
    /// How far ahead an issuer's clock may be.
    pub leeway: Duration,
    /// The longest life of a token.
    pub max_ttl: Duration,
    /// Signs tickets and stream cookies.
    pub ticket_secret: Option<String>,
    /// Pages of other origins that may ask.
    pub origins: Vec<String>,
}

impl Default for AuthSettings {
    fn default() -> Self {
        let config = AuthConfig::default();
        Self {
            secret: None,
            keys: None,
            ca: None,
            refresh: config.refresh,
            audience: None,
            issuer: None,
            leeway: config.leeway,
            max_ttl: config.max_ttl,
            ticket_secret: None,
            origins: Vec::new(),
        }
    }
}

impl AuthSettings {
    /// Tells whether there is anything to check tokens with.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.secret.is_some() || self.keys.is_some()
    }

    /// Returns the secret that signs tokens.
    ///
    /// # Errors
    ///
    /// It is too short.
    pub fn secret(&self) -> Result<Option<Secret>, ConfigError> {
        secret("auth.secret", self.secret.as_deref())
    }

    /// Makes the settings of the authentication.
    ///
    /// # Errors
    ///
    /// A secret is too short, or the address of the keys cannot be asked safely.
    pub fn config(&self) -> Result<AuthConfig, ConfigError> {
        let source = match &self.keys {
            None => None,
            Some(place) => {
                let source = auth_keys::source(place, self.ca.as_deref());
                Some(source.map_err(|error| ConfigError::Auth("auth.keys", error))?)
            }
        };
        Ok(AuthConfig {
            secret: self.secret()?,
            source: source.map(Arc::from),
            audience: self.audience.clone(),
            issuer: self.issuer.clone(),
            leeway: self.leeway,
            max_ttl: self.max_ttl,
            refresh: self.refresh,
            ticket_secret: secret("auth.ticket_secret", self.ticket_secret.as_deref())?,
            origins: self.origins.clone(),
        })
    }
}

fn secret(name: &'static str, text: Option<&str>) -> Result<Option<Secret>, ConfigError> {
    text.map(|text| Secret::new(text.as_bytes()))
        .transpose()
        .map_err(|error| ConfigError::Auth(name, error))
}

impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSettings")
            .field("has_secret", &self.secret.is_some())
            .field("keys", &self.keys)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}
