//! Cuts chunks of input into lines: what both decoders share.

use memchr::{memchr, memchr2};

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// CR, LF or CRLF, as in an event stream.
    Any,
    /// LF only, as in NDJSON, where a CR is white space.
    Lf,
}

/// What was found at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cut<'i> {
    /// There is no input left.
    Nothing,
    /// All that is left of the input, which has no line end: the line goes on in the next chunk.
    Part(&'i [u8]),
    /// The rest of the current line, without its line end, which is consumed too.
    End(&'i [u8]),
}

/// Finds line ends. A CR ends its line at once; the LF that may follow it, perhaps chunks later, is dropped.
#[derive(Debug)]
pub(crate) struct Cutter {
    line_end: LineEnd,
    is_after_cr: bool,
    /// Counts the bytes that were searched, so that a test can see that none is searched twice.
    #[cfg(test)]
    pub(crate) n_searched: usize,
}

impl Cutter {
    pub(crate) const fn new(line_end: LineEnd) -> Self {
        Self {
            line_end,
            is_after_cr: false,
            #[cfg(test)]
            n_searched: 0,
        }
    }

    /// Takes the next part of a line from the front of `input`.
    pub(crate) fn cut<'i>(&mut self, input: &mut &'i [u8]) -> Cut<'i> {
        if self.is_after_cr
            && let Some((first, rest)) = input.split_first()
        {
            self.is_after_cr = false;
            if *first == b'\n' {
                *input = rest;
            }
        }
        let all = *input;
        if all.is_empty() {
            return Cut::Nothing;
        }
        let found = match self.line_end {
            LineEnd::Any => memchr2(b'\r', b'\n', all),
            LineEnd::Lf => memchr(b'\n', all),
        };
        #[cfg(test)]
        {
            self.n_searched += found.map_or(all.len(), |at| at + 1);
        }
        let Some(at) = found else {
            *input = &[];
            return Cut::Part(all);
        };
        self.is_after_cr = all[at] == b'\r';
        *input = &all[at + 1..];
        Cut::End(&all[..at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(line_end: LineEnd, chunks: &[&str]) -> Vec<String> {
        let mut cutter = Cutter::new(line_end);
        let mut found = Vec::new();
        for chunk in chunks {
            let mut input = chunk.as_bytes();
            loop {
                match cutter.cut(&mut input) {
                    Cut::Nothing => break,
                    Cut::Part(part) => found.push(format!("{}…", part.escape_ascii())),
                    Cut::End(part) => found.push(part.escape_ascii().to_string()),
                }
            }
        }
        found
    }

    #[test]
    fn a_cr_ends_a_line_at_once_and_the_lf_after_it_ends_none() {
        assert_eq!(cuts(LineEnd::Any, &["a\r", "\n", "b"]), ["a", "b…"]);
        assert_eq!(cuts(LineEnd::Any, &["a\r", "", "\nb\n"]), ["a", "b"]);
        assert_eq!(cuts(LineEnd::Any, &["\r\r\n\n"]), ["", "", ""]);
        assert_eq!(cuts(LineEnd::Any, &["a\n\rb\r"]), ["a", "", "b"]);
    }

    #[test]
    fn a_cr_is_part_of_an_ndjson_line() {
        assert_eq!(
            cuts(LineEnd::Lf, &["a\r\nb\rc", "\n"]),
            ["a\\r", "b\\rc…", ""]
        );
    }
}
