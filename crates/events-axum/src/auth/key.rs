//! Keys, each of which has one algorithm.

use std::fmt;

use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    jwt::{Jwt, decode, encode},
    pem,
};

/// The keys that are taken of one set.
pub(super) const MAX_KEYS: usize = 64;

/// The largest set of keys, in bytes.
pub(super) const MAX_BYTES: usize = 256 << 10;

/// The shortest secret, in bytes: as long as what HS256 makes (RFC 7518, 3.2).
const MIN_SECRET: usize = 32;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A secret that could be guessed.
    #[error(
        "the secret has {0} bytes; use 32 random ones or more, such as those of \"openssl rand -hex 32\""
    )]
    ShortSecret(usize),
    /// The keys cannot be read.
    #[error("the keys cannot be read")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The source is neither a set of keys nor PEM.
    #[error("neither a JSON Web Key Set nor public keys in PEM: {0}")]
    Form(String),
    /// A private key in place of a public one.
    #[error("the file has a private key; tokens are checked with the public one")]
    Private,
    /// None of the keys is one of ours.
    #[error("no key for RS256 (2048 bits or more), ES256 or EdDSA (Ed25519) is among them")]
    None,
    /// The bound of a set.
    #[error("the set of keys is larger than {MAX_BYTES} bytes or {MAX_KEYS} keys")]
    TooLarge,
}

/// How a token is signed. Others do not exist for us, `none` first of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A key that tokens are checked with.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    material: Material,
}

enum Material {
    Secret(hmac::Key),
    Public(UnparsedPublicKey<Vec<u8>>),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
}

/// A secret that signs tokens by HS256.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// The public keys of a source.
#[derive(Default)]
pub struct KeySet {
    pub(super) keys: Vec<Key>,
}

// === impl Secret ===

impl Secret {
    /// Takes the bytes of a secret.
    ///
    /// # Errors
    ///
    /// [`KeyError::ShortSecret`].
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() < MIN_SECRET {
            return Err(KeyError::ShortSecret(bytes.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// Makes one of random bytes.
    ///
    /// # Panics
    ///
    /// The system has no randomness; there is nothing safe to go on with.
    pub(super) fn random() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the system gives random bytes"))
    }

    /// Makes another secret for another purpose, from which this one cannot be told.
    pub(super) fn derive(&self, purpose: &[u8]) -> Self {
        let derived = hmac::sign(&self.0, purpose);
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// Signs claims, which have to be a JSON object.
    #[must_use]
    pub(super) fn sign(&self, claims: &[u8]) -> String {
        let header = encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{header}.{}", encode(claims));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", encode(signature.as_ref()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

// === impl Key ===

impl Key {
    pub(super) fn of_secret(secret: &Secret) -> Self {
        Self {
            algorithm: Algorithm::Hs256,
            kid: None,
            material: Material::Secret(secret.0.clone()),
        }
    }

    /// Takes a public key as its algorithm has it: a point, or an RSA key of PKCS #1.
    pub(super) fn of_public(algorithm: Algorithm, bytes: Vec<u8>) -> Option<Self> {
        let material = match algorithm {
            Algorithm::Hs256 => return None,
            Algorithm::Rs256 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256 as _, bytes),
            Algorithm::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED as _, bytes),
            Algorithm::EdDsa => UnparsedPublicKey::new(&ED25519 as _, bytes),
        };
        Some(Self {
            algorithm,
            kid: None,
            material: Material::Public(material),
        })
    }

    /// Tells whether a token names this key, or names none.
    pub(super) fn is_meant(&self, jwt: &Jwt<'_>) -> bool {
        let is_named = match (&self.kid, &jwt.kid) {
            (Some(own), Some(named)) => own == named,
            _ => true,
        };
        self.algorithm == jwt.algorithm && is_named
    }

    pub(super) fn verify(&self, jwt: &Jwt<'_>) -> bool {
        let (signed, signature) = (jwt.signed, &*jwt.signature);
        match &self.material {
            // In constant time.
            Material::Secret(key) => hmac::verify(key, signed, signature).is_ok(),
            Material::Public(key) => key.verify(signed, signature).is_ok(),
            Material::Rsa(key) => key
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                .is_ok(),
        }
    }
}

// === impl KeySet ===

/// A JSON Web Key (RFC 7517), as far as it counts.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a JSON Web Key Set, or public keys in PEM. Keys of other kinds are passed over, shared secrets too: what is
    /// public cannot be one.
    ///
    /// # Errors
    ///
    /// Any [`KeyError`] but those of sources and secrets.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() > MAX_BYTES {
            return Err(KeyError::TooLarge);
        }
        let keys = if bytes.trim_ascii_start().starts_with(b"{") {
            let set: Jwks =
                serde_json::from_slice(bytes).map_err(|error| KeyError::Form(error.to_string()))?;
            if set.keys.len() > MAX_KEYS {
                return Err(KeyError::TooLarge);
            }
            set.keys
                .into_iter()
                .filter_map(|jwk| serde_json::from_value::<Jwk>(jwk).ok()?.into_key())
                .collect()
        } else {
            pem::read(bytes)?
        };
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Self { keys })
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("n_keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl Jwk {
    fn into_key(self) -> Option<Key> {
        let is_for_checking = self
            .purpose
            .as_deref()
            .is_none_or(|purpose| purpose == "sig")
            && self
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let part = |text: &Option<String>| decode(text.as_deref()?);
        let mut key = match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (part(&self.n)?, part(&self.e)?);
                // 2048 bits at least; what checks a signature refuses less, and here nobody waits for it.
                if n.iter().skip_while(|byte| **byte == 0).count() < 256 {
                    return None;
                }
                let strip = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0);
                Key {
                    algorithm: Algorithm::Rs256,
                    kid: None,
                    material: Material::Rsa(RsaPublicKeyComponents {
                        n: strip(n).collect(),
                        e: strip(e).collect(),
                    }),
                }
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (part(&self.x)?, part(&self.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                Key::of_public(Algorithm::Es256, [&[4], &*x, &*y].concat())?
            }
            ("OKP", Some("Ed25519")) => {
                let x = part(&self.x).filter(|x| x.len() == 32)?;
                Key::of_public(Algorithm::EdDsa, x)?
            }
            _ => return None,
        };
        let named = self.alg.map(serde_json::Value::from);
        let is_same = |alg| {
            serde_json::from_value::<Algorithm>(alg).is_ok_and(|named| named == key.algorithm)
        };
        if !is_for_checking || !named.is_none_or(is_same) {
            return None;
        }
        key.kid = self.kid;
        Some(key)
    }
}
