//! The compact form of a token (RFC 7515, 7.1): three parts, the first of which says by which key it is signed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{key::Algorithm, strict};

/// The longest token, in bytes.
pub(super) const MAX_TOKEN: usize = 8 << 10;

/// The longest name of a key, in bytes.
const MAX_KID: usize = 256;

/// What a token says, not yet checked.
pub(super) struct Jwt<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    /// What the signature is of.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    /// The JSON of the claims.
    pub(super) claims: Vec<u8>,
}

/// What counts of a header. Members that name keys elsewhere (`jku`, `x5u`) or bring one along (`jwk`, `x5c`) are not
/// looked at (RFC 8725, 3.10); one that is there twice is an error.
#[derive(Deserialize)]
struct Header {
    #[serde(deserialize_with = "strict::word")]
    alg: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that have to be understood, of which we know none.
    crit: Option<Box<RawValue>>,
    /// Encryption and compression, which a signed token has not.
    enc: Option<Box<RawValue>>,
    zip: Option<Box<RawValue>>,
    b64: Option<Box<RawValue>>,
}

impl<'a> Jwt<'a> {
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        if claims.contains('.') {
            return None;
        }
        let header: Header = strict::read(&decode(header)?)?;
        let is_extended = header.crit.is_some()
            || header.enc.is_some()
            || header.zip.is_some()
            || header.b64.is_some();
        let is_jwt = header.typ.is_none_or(|typ| {
            let typ = typ.to_ascii_lowercase();
            matches!(typ.trim_start_matches("application/"), "jwt" | "at+jwt")
        });
        let is_short = header.kid.as_ref().is_none_or(|kid| kid.len() <= MAX_KID);
        if is_extended || !is_jwt || !is_short {
            return None;
        }
        Some(Self {
            algorithm: header.alg,
            kid: header.kid,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
            claims: decode(claims)?,
        })
    }
}

/// Decodes a part: no padding, and no bits that do not count.
pub(super) fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
