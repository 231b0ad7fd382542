//! Where the keys of other issuers are: in a file, or at an address.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use events_axum::auth::{KeyError, KeySource};
use rustls::{
    ClientConfig,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;

type BoxError = Box<dyn Error + Send + Sync>;

/// The most that is read of an answer, in bytes; what is more than the bound of a set is refused as too large.
const MAX_ANSWER: usize = (256 << 10) + 1;

/// Keys in a file, which may be replaced while the hub runs.
struct KeyFile(PathBuf);

/// Keys at an address.
struct KeyAddress {
    http: reqwest::Client,
    url: String,
}

/// Whether keys are at an address.
pub(crate) fn is_address(place: &str) -> bool {
    place.starts_with("https://") || place.starts_with("http://")
}

/// Makes the source of a file's name or an address.
pub(crate) fn source(place: &str, ca: Option<&Path>) -> Result<Box<dyn KeySource>, KeyError> {
    if !is_address(place) {
        return Ok(Box::new(KeyFile(place.into())));
    }
    let source = KeyAddress::new(place, ca).map_err(KeyError::Source)?;
    Ok(Box::new(source))
}

impl KeyAddress {
    fn new(url: &str, ca: Option<&Path>) -> Result<Self, BoxError> {
        let parsed = reqwest::Url::parse(url)?;
        let host = parsed.host_str().unwrap_or_default();
        let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if parsed.scheme() != "https" && !is_here {
            return Err(
                "whoever stands in between could put keys of their own there; use https://".into(),
            );
        }
        // Whoever has the address may not send us elsewhere.
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("events/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls(ca)?);
        if is_here {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build()?,
            url: url.to_owned(),
        })
    }
}

/// Makes what `https` is spoken with: ring, and the authorities of the system and of a file.
pub(crate) fn tls(ca: Option<&Path>) -> Result<ClientConfig, BoxError> {
    let pem = ca.map_or_else(|| Ok(Vec::new()), std::fs::read)?;
    let authorities: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>()?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities, Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[async_trait]
impl KeySource for KeyFile {
    async fn read(&self) -> Result<Vec<u8>, BoxError> {
        // Of a size that is read at once.
        std::fs::read(&self.0).map_err(|error| {
            let text = format!("{}: {error}", self.0.display());
            io::Error::new(error.kind(), text).into()
        })
    }
}

#[async_trait]
impl KeySource for KeyAddress {
    async fn read(&self) -> Result<Vec<u8>, BoxError> {
        let mut answer = self.http.get(&self.url).send().await?.error_for_status()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= MAX_ANSWER {
                break;
            }
        }
        Ok(bytes)
    }
}
