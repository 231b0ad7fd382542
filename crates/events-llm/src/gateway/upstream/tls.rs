//! TLS by rustls and ring, with the certificates that the system trusts and those that are given.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;

use super::GatewayError;

/// Makes what `https` addresses are spoken with. Where the system has a file of authorities, the variables
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
pub(super) fn config(authorities_pem: &[u8]) -> Result<ClientConfig, GatewayError> {
    let provider = Arc::new(ring::default_provider());
    let extra = authorities(authorities_pem)?;
    let verifier =
        Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(tls_error)?;
    Ok(builder(provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Makes what stands in for it where no address is `https`: it trusts nobody, and needs no certificates to be there.
pub(super) fn unused() -> Result<ClientConfig, GatewayError> {
    Ok(builder(Arc::new(ring::default_provider()))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder(provider: Arc<rustls::crypto::CryptoProvider>) -> Result<Builder, GatewayError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls_error)
}

fn tls_error(error: rustls::Error) -> GatewayError {
    GatewayError::Tls(io::Error::other(error))
}

fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, GatewayError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_unreadable| GatewayError::Authorities)?;
    if certificates.is_empty() && !pem.is_empty() {
        return Err(GatewayError::Authorities);
    }
    Ok(certificates)
}
