//! Public keys in PEM (RFC 7468, 13).

use rustls_pki_types::{
    SubjectPublicKeyInfoDer,
    pem::{PemObject as _, SectionKind},
};

use super::key::{Algorithm, Key, KeyError, MAX_KEYS};

// What is inside `AlgorithmIdentifier`, in DER.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const P256: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// Reads all keys that we know.
pub(super) fn read(pem: &[u8]) -> Result<Vec<Key>, KeyError> {
    let text = String::from_utf8_lossy(pem);
    if text.contains("PRIVATE KEY-----") {
        return Err(KeyError::Private);
    }
    let mut keys = Vec::new();
    for found in SubjectPublicKeyInfoDer::pem_slice_iter(pem) {
        let der = found.map_err(|error| KeyError::Form(error.to_string()))?;
        keys.extend(key(&der));
        if keys.len() > MAX_KEYS {
            return Err(KeyError::TooLarge);
        }
    }
    if keys.is_empty() && !text.contains("-----BEGIN PUBLIC KEY-----") {
        let kind = SectionKind::PublicKey;
        return Err(KeyError::Form(format!("no section of the kind {kind:?}")));
    }
    Ok(keys)
}

/// Reads a `SubjectPublicKeyInfo` (RFC 5280, 4.1): an algorithm and a string of bits.
fn key(der: &[u8]) -> Option<Key> {
    let (info, rest) = value(der, SEQUENCE)?;
    let (algorithm, bits) = value(info, SEQUENCE)?;
    let (bits, more) = value(bits, BIT_STRING)?;
    let (n_unused, bits) = bits.split_first()?;
    if !rest.is_empty() || !more.is_empty() || *n_unused != 0 {
        return None;
    }
    let algorithm = match algorithm {
        RSA => Algorithm::Rs256,
        P256 => Algorithm::Es256,
        ED25519 => Algorithm::EdDsa,
        _ => return None,
    };
    Key::of_public(algorithm, bits.to_vec())
}

/// Splits a value of this tag from what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
