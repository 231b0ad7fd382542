//! Finds whole JSON values in a body that is cut anywhere.

/// What the splitter found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'s> {
    /// One object.
    Whole(&'s [u8]),
    /// An object over the cap was skipped.
    TooLong {
        /// Its length in bytes.
        bytes: u64,
    },
}

/// Cuts a body into its top-level objects: one, several on lines, or the elements of an array as they come.
///
/// It counts brackets outside of strings and checks nothing else; whether an object is JSON is for the caller to
/// see. Bytes between objects are skipped.
#[derive(Debug)]
pub(crate) struct Splitter {
    max_bytes: usize,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    held: Vec<u8>,
    /// Bytes of the current object, held or not.
    n_bytes: u64,
    /// The buffer was lent to the caller and is to be cleared.
    is_lent: bool,
}

impl Splitter {
    pub(crate) const fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            depth: 0,
            is_in_string: false,
            is_escaped: false,
            held: Vec::new(),
            n_bytes: 0,
            is_lent: false,
        }
    }

    /// Reads from the front of `input` up to the end of the next object; `None` means that more is needed.
    pub(crate) fn split(&mut self, input: &mut &[u8]) -> Option<Value<'_>> {
        if std::mem::take(&mut self.is_lent) {
            self.held.clear();
        }
        let bytes = *input;
        let mut start = 0;
        for (index, byte) in bytes.iter().enumerate() {
            if self.is_in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'{' | b'[' if self.depth > 0 => self.depth += 1,
                b'{' => {
                    self.depth = 1;
                    start = index;
                }
                b'"' if self.depth > 0 => self.is_in_string = true,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' if self.depth == 1 => {
                    self.depth = 0;
                    self.hold(&bytes[start..=index]);
                    *input = &bytes[index + 1..];
                    return Some(self.end());
                }
                _ => {}
            }
        }
        if self.depth > 0 {
            self.hold(&bytes[start..]);
        }
        *input = &[];
        None
    }

    /// Whether the body ends inside of an object.
    pub(crate) const fn is_inside(&self) -> bool {
        self.depth > 0
    }

    fn hold(&mut self, part: &[u8]) {
        self.n_bytes = self.n_bytes.saturating_add(part.len() as u64);
        if self.n_bytes <= self.max_bytes as u64 {
            self.held.extend_from_slice(part);
        } else {
            self.held = Vec::new();
        }
    }

    fn end(&mut self) -> Value<'_> {
        let bytes = std::mem::take(&mut self.n_bytes);
        self.is_lent = true;
        if bytes > self.max_bytes as u64 {
            return Value::TooLong { bytes };
        }
        Value::Whole(&self.held)
    }
}
