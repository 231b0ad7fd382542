//! What a record's event does not say of itself and a replica has to know.

use bytes::Bytes;

/// Kept beside a record in a log that replicas share.
///
/// Its written form is empty for most records; else one byte of flags, and the time-out if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// The event opens an item that is made of chunks, so the next event of its lane closes it.
    pub(crate) is_chunked: bool,
    /// How long the run that the event starts may be silent, in milliseconds.
    pub(crate) run_timeout_ms: Option<i64>,
}

const IS_CHUNKED: u8 = 1;
const HAS_TIMEOUT: u8 = 2;

impl Note {
    pub(crate) fn to_bytes(self) -> Bytes {
        match (self.is_chunked, self.run_timeout_ms) {
            (false, None) => Bytes::new(),
            (true, None) => Bytes::from_static(&[IS_CHUNKED]),
            (is_chunked, Some(timeout_ms)) => {
                let flags = HAS_TIMEOUT | if is_chunked { IS_CHUNKED } else { 0 };
                let mut bytes = vec![flags];
                bytes.extend_from_slice(&timeout_ms.to_be_bytes());
                bytes.into()
            }
        }
    }

    /// Reads a note. What a later version may have added is passed over.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let Some((flags, rest)) = bytes.split_first() else {
            return Self::default();
        };
        let timeout = rest.first_chunk().filter(|_| flags & HAS_TIMEOUT != 0);
        Self {
            is_chunked: flags & IS_CHUNKED != 0,
            run_timeout_ms: timeout.map(|bytes| i64::from_be_bytes(*bytes).max(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        for is_chunked in [false, true] {
            for run_timeout_ms in [None, Some(0), Some(900_000)] {
                let note = Note {
                    is_chunked,
                    run_timeout_ms,
                };
                assert_eq!(Note::read(&note.to_bytes()), note);
            }
        }
        assert!(Note::default().to_bytes().is_empty());
        for bytes in [&[2_u8][..], &[2, 1, 2], &[255; 20], &[0]] {
            let _note = Note::read(bytes);
        }
    }
}
