//! The versions of the protocol that are spoken.

use std::fmt;

use super::event::WRAPPERS;
use crate::wire::Members;

/// A version of the protocol, as far as it shows on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum A2AVersion {
    /// 0.3, in its JSON-RPC form: `{"kind":"status-update",…}`.
    V0_3,
    /// 1.0, in the form that JSON-RPC and REST share: `{"statusUpdate":{…}}`.
    V1_0,
}

impl A2AVersion {
    /// Returns the version's name: `1.0` or `0.3`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_3 => "0.3",
            Self::V1_0 => "1.0",
        }
    }

    /// Tells in which version's form a stream object is; none if it is in neither.
    ///
    /// It looks at the outermost members only, and so it promises nothing about what is in them.
    ///
    /// ```
    /// use events_models::a2a::A2AVersion;
    ///
    /// assert_eq!(A2AVersion::detect(br#"{"task":{"id":"t"}}"#), Some(A2AVersion::V1_0));
    /// assert_eq!(A2AVersion::detect(br#"{"kind":"task","id":"t"}"#), Some(A2AVersion::V0_3));
    /// assert_eq!(A2AVersion::detect(br#"{"id":"t"}"#), None);
    /// ```
    #[must_use]
    pub fn detect(json: &[u8]) -> Option<Self> {
        let members = serde_json::from_slice::<Members<'_>>(json).ok()?;
        Self::of(&members)
    }

    pub(super) fn of(members: &Members<'_>) -> Option<Self> {
        if WRAPPERS
            .iter()
            .any(|name| super::codec::find(members, name, Self::V1_0).is_some())
        {
            Some(Self::V1_0)
        } else {
            members.get("kind").map(|_| Self::V0_3)
        }
    }
}

impl fmt::Display for A2AVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
