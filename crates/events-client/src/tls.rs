//! TLS by rustls and ring, with the certificates that the system trusts.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;

use crate::error::Error;

/// Makes what `https` addresses are spoken with. Where the system has a file of authorities, the variables
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
pub(crate) fn config(authorities_pem: &[u8]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities(authorities_pem)?, provider.clone())
        .map_err(io::Error::other)
        .map_err(Error::Tls)?;
    let mut config = builder(provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Makes what stands in for it where no address is `https`: it trusts nobody, and needs no certificates to be there.
pub(crate) fn unused() -> Result<ClientConfig, Error> {
    Ok(builder(Arc::new(ring::default_provider()))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder(provider: Arc<rustls::crypto::CryptoProvider>) -> Result<Builder, Error> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)
        .map_err(Error::Tls)
}

fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let invalid = || Error::Invalid("the authority is no certificate in PEM");
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_unreadable| invalid())?;
    if certificates.is_empty() && !pem.is_empty() {
        return Err(invalid());
    }
    Ok(certificates)
}
