//! From a path to a provider and what is asked of it.

use percent_encoding::percent_decode_str;

/// What all paths of a gateway begin with.
pub(crate) const PREFIX: &str = "/llm/";

/// A path of the gateway, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route<'p> {
    /// The provider's name.
    pub(crate) provider: &'p str,
    /// The rest from the slash on, byte for byte; empty if there is none.
    pub(crate) path: &'p str,
}

impl<'p> Route<'p> {
    /// Reads a path.
    pub(crate) fn of(path: &'p str) -> Option<Self> {
        let rest = path.strip_prefix(PREFIX)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (provider, path) = rest.split_at(end);
        Some(Self { provider, path })
    }

    /// Whether a server may take this path for one outside of where the provider is mounted: a segment is `..`,
    /// encoded or not, whatever kind of slash stands around it.
    pub(crate) fn is_escaping(&self) -> bool {
        let decoded: Vec<u8> = percent_decode_str(self.path).collect();
        decoded
            .split(|byte| matches!(byte, b'/' | b'\\'))
            .any(|segment| {
                // Some servers cut what follows a semicolon off first.
                let end = segment.iter().position(|byte| *byte == b';');
                segment.get(..end.unwrap_or(segment.len())) == Some(b"..")
            })
    }
}
