//! Tokens of every algorithm, and those that must not pass.

mod bad_tokens;
mod hostile;
mod matrix;
mod oracle;
mod replicas;
mod requests;
mod rotation;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use events_core::ManualClock;
use events_router::{EventRouter, RouterConfig};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

use super::{jwt::encode, *};
use crate::Role;

/// The present, in seconds since the Unix epoch.
const NOW: i64 = 1_800_000_000;

const SECRET: &[u8] = b"correct horse battery staple, and some more of it";

const RSA_PEM: &str = include_str!("tests/rsa.pub.pem");

/// The keys of an issuer.
struct Issuer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let p256 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            rsa: RsaKeyPair::from_der(include_bytes!("tests/rsa.der")).unwrap(),
            p256: EcdsaKeyPair::from_pkcs8(algorithm, p256.as_ref(), &random).unwrap(),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
        }
    }

    /// The public keys, whose names begin with `prefix`.
    fn jwks(&self, prefix: &str) -> Value {
        let rsa = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let point = self.p256.public_key().as_ref();
        json!({ "keys": [
            { "kty": "RSA", "kid": format!("{prefix}rsa"), "use": "sig", "alg": "RS256",
              "n": encode(&rsa.n), "e": encode(&rsa.e) },
            { "kty": "EC", "crv": "P-256", "kid": format!("{prefix}ec"),
              "x": encode(&point[1..33]), "y": encode(&point[33..]) },
            { "kty": "OKP", "crv": "Ed25519", "kid": format!("{prefix}ed"),
              "x": encode(self.ed25519.public_key().as_ref()), "key_ops": ["verify"] },
            { "kty": "oct", "kid": format!("{prefix}oct"), "k": encode(SECRET) },
        ] })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let random = SystemRandom::new();
        let signature = match header["alg"].as_str().unwrap() {
            "RS256" => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(
                        &RSA_PKCS1_SHA256,
                        &random,
                        signed.as_bytes(),
                        &mut signature,
                    )
                    .unwrap();
                signature
            }
            "ES256" => {
                let signature = self.p256.sign(&random, signed.as_bytes()).unwrap();
                signature.as_ref().to_vec()
            }
            _ => self.ed25519.sign(signed.as_bytes()).as_ref().to_vec(),
        };
        format!("{signed}.{}", encode(&signature))
    }
}

/// A set of keys that the test changes.
#[derive(Default)]
struct Shelf {
    set: Mutex<Option<String>>,
    n_reads: Mutex<usize>,
}

impl Shelf {
    fn put(&self, set: impl Into<Option<String>>) {
        *self.set.lock().unwrap() = set.into();
    }
}

#[async_trait]
impl KeySource for Shelf {
    async fn read(&self) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        *self.n_reads.lock().unwrap() += 1;
        let set = self.set.lock().unwrap().clone();
        set.map(String::into_bytes)
            .ok_or_else(|| "out of reach".into())
    }
}

fn good_claims() -> Value {
    json!({ "sub": "ada", "iat": NOW - 10, "exp": NOW + 600, "aud": ["x", "hub"], "iss": "us",
            "events": { "role": "publisher", "users": ["team-*"] } })
}

fn sign_hs256(header: &Value, claims: &str) -> String {
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.as_bytes())
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET);
    let signature = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(signature.as_ref()))
}

fn state() -> StreamState {
    let clock = Arc::new(ManualClock::new(NOW * 1_000));
    StreamState::new(EventRouter::new(RouterConfig {
        clock,
        ..RouterConfig::default()
    }))
}

/// An authentication with the secret and the keys of a shelf, for the audience `hub` and from the issuer `us`.
fn auth(shelf: Arc<Shelf>) -> Auth {
    let config = AuthConfig {
        secret: Some(Secret::new(SECRET).unwrap()),
        source: Some(shelf),
        audience: Some("hub".to_owned()),
        issuer: Some("us".to_owned()),
        ..AuthConfig::default()
    };
    Auth::new(state(), config)
}

#[tokio::test]
async fn tokens_of_all_four_algorithms_are_taken() {
    let (issuer, shelf) = (Issuer::new(), Arc::new(Shelf::default()));
    shelf.put(issuer.jwks("a-").to_string());
    let auth = auth(shelf);
    auth.load().await.unwrap();
    for (alg, kid) in [("RS256", "a-rsa"), ("ES256", "a-ec"), ("EdDSA", "a-ed")] {
        for header in [json!({ "alg": alg, "kid": kid }), json!({ "alg": alg })] {
            let token = issuer.sign(&header, &good_claims());
            let context = auth.check_token(&token).await.expect(alg);
            assert_eq!(context.user_id().as_str(), "ada");
            assert_eq!(context.role(), Role::Publisher);
            assert_eq!(context.expires_ms(), Some((NOW + 600) * 1_000));
            assert!(context.may_publish_for(&"team-7".into()));
            assert!(!context.may_publish_for(&"bob".into()));
        }
    }
    let grant = Grant {
        user: "ada".to_owned(),
        role: Role::Operator,
        users: Vec::new(),
        issued_ms: NOW * 1_000,
        expires_ms: (NOW + 1) * 1_000,
    };
    let token = grant.sign(&Secret::new(SECRET).unwrap(), Some("hub"), Some("us"));
    assert!(auth.check_token(&token).await.unwrap().is_operator());
}

#[test]
fn keys_in_pem_are_read_and_what_is_none_is_named() {
    assert_eq!(KeySet::parse(RSA_PEM.as_bytes()).unwrap().keys.len(), 1);
    let two = format!("{RSA_PEM}\n{RSA_PEM}");
    assert_eq!(KeySet::parse(two.as_bytes()).unwrap().keys.len(), 2);
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let error = |bytes: &[u8]| KeySet::parse(bytes).unwrap_err();
    assert!(matches!(error(private.as_bytes()), KeyError::Private));
    assert!(matches!(error(b"hello"), KeyError::Form(_)));
    assert!(matches!(error(b"{\"keys\":[]}"), KeyError::None));
    assert!(matches!(error(b"{\"keys\":7}"), KeyError::Form(_)));
    assert!(matches!(error(&vec![b' '; 300 << 10]), KeyError::TooLarge));
    let many = json!({ "keys": vec![json!({}); 65] }).to_string();
    assert!(matches!(error(many.as_bytes()), KeyError::TooLarge));
    assert!(matches!(
        Secret::new(b"short"),
        Err(KeyError::ShortSecret(5))
    ));
}
