//! TLS by rustls and ring, with the system's authorities and those of a file.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;

use crate::NatsLogOpenError;

/// Makes what TLS is spoken with. Without need of it, one that trusts nobody: a server that demands TLS is refused
/// then, instead of spoken to with a provider that chance has chosen.
pub(crate) fn config(
    ca_file: Option<&Path>,
    is_demanded: bool,
) -> Result<ClientConfig, NatsLogOpenError> {
    let provider = Arc::new(ring::default_provider());
    let unusable = |what: String| NatsLogOpenError::Config(format!("TLS cannot be used: {what}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    if !is_demanded && ca_file.is_none() {
        return Ok(builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth());
    }
    let authorities = ca_file.map_or(Ok(Vec::new()), authorities)?;
    let verifier = Verifier::new_with_extra_roots(authorities, provider)
        .map_err(|error| unusable(error.to_string()))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, NatsLogOpenError> {
    let unusable = |why: String| NatsLogOpenError::File {
        path: path.to_owned(),
        why,
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable("there is no certificate in it".to_owned()));
    }
    Ok(certificates)
}
