//! Undoes a body's content-encoding beside the stream, piece by piece and within bounds.

mod gzip;
#[cfg(test)]
mod tests;

use std::fmt;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation as _, OutBuffer};

use crate::GiveUp;
use gzip::Gzip;

/// How much is decoded at a time, in bytes.
const OUTPUT: usize = 16 << 10;

/// The largest window of zstd that is accepted, as a power of two: 8 MiB, what browsers accept.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A content-encoding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    /// Reads a `Content-Encoding`; `None` if it is unknown or more than one.
    pub(crate) fn of_header(value: &str) -> Option<Self> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Decodes one body: encoded bytes in, cut anywhere, plain bytes out as soon as they are known.
pub(crate) struct ContentDecoder {
    codec: Codec,
    output: Box<[u8]>,
    n_decoded: u64,
    max_decoded: u64,
}

enum Codec {
    Identity,
    Gzip(Gzip),
    Deflate(Deflate),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(ZstdDecoder<'static>),
}

/// `deflate` is zlib by the standard, and raw deflate by some servers; the first two bytes tell.
struct Deflate {
    first: Option<u8>,
    inflate: Option<Decompress>,
}

/// What one step of a codec did.
struct Step {
    n_read: usize,
    n_written: usize,
}

impl ContentDecoder {
    /// Makes a decoder that gives up after so many decoded bytes.
    pub(crate) fn new(encoding: Encoding, max_decoded: u64) -> Result<Self, GiveUp> {
        let codec = match encoding {
            Encoding::Identity => Codec::Identity,
            Encoding::Gzip => Codec::Gzip(Gzip::default()),
            Encoding::Deflate => Codec::Deflate(Deflate {
                first: None,
                inflate: None,
            }),
            Encoding::Brotli => Codec::Brotli(Box::new(BrotliState::new_strict(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ))),
            Encoding::Zstd => {
                let mut decoder = ZstdDecoder::new().map_err(|_| GiveUp::BadEncoding)?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
                    .map_err(|_| GiveUp::BadEncoding)?;
                Codec::Zstd(decoder)
            }
        };
        let n_output = if encoding == Encoding::Identity {
            0
        } else {
            OUTPUT
        };
        Ok(Self {
            codec,
            output: vec![0; n_output].into_boxed_slice(),
            n_decoded: 0,
            max_decoded,
        })
    }

    /// Decodes the next bytes.
    ///
    /// # Errors
    ///
    /// The bytes are not what they should be, or decode to more than is allowed. Nothing can be decoded after that.
    pub(crate) fn decode(
        &mut self,
        mut input: &[u8],
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), GiveUp> {
        if matches!(self.codec, Codec::Identity) {
            self.n_decoded = self.n_decoded.saturating_add(input.len() as u64);
            sink(input);
            return Ok(());
        }
        loop {
            let step = self.codec.step(input, &mut self.output)?;
            input = input.get(step.n_read..).unwrap_or_default();
            if step.n_written > 0 {
                self.n_decoded = self.n_decoded.saturating_add(step.n_written as u64);
                if self.n_decoded > self.max_decoded {
                    return Err(GiveUp::TooLong {
                        limit: self.max_decoded,
                    });
                }
                sink(self.output.get(..step.n_written).unwrap_or_default());
            }
            // A codec that filled the output may hold more, also without input.
            let may_hold_more = step.n_written == self.output.len();
            let has_moved = step.n_read > 0 || step.n_written > 0;
            if !has_moved || (input.is_empty() && !may_hold_more) {
                return Ok(());
            }
        }
    }
}

impl Codec {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, GiveUp> {
        match self {
            Self::Identity => Ok(Step {
                n_read: input.len(),
                n_written: 0,
            }),
            Self::Gzip(gzip) => gzip.step(input, output),
            Self::Deflate(deflate) => deflate.step(input, output),
            Self::Brotli(state) => brotli(state, input, output),
            Self::Zstd(decoder) => {
                let mut from = InBuffer::around(input);
                let mut to = OutBuffer::around(output);
                decoder
                    .run(&mut from, &mut to)
                    .map_err(|_| GiveUp::BadEncoding)?;
                Ok(Step {
                    n_read: from.pos(),
                    n_written: to.pos(),
                })
            }
        }
    }
}

impl Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, GiveUp> {
        if let Some(decoder) = &mut self.inflate {
            return inflate(decoder, input, output).map(|(step, _)| step);
        }
        let Some((byte, _)) = input.split_first() else {
            return Ok(Step {
                n_read: 0,
                n_written: 0,
            });
        };
        let Some(first) = self.first else {
            self.first = Some(*byte);
            return Ok(Step {
                n_read: 1,
                n_written: 0,
            });
        };
        let is_zlib = first & 0x0F == 8 && (u16::from(first) << 8 | u16::from(*byte)) % 31 == 0;
        let mut decoder = Decompress::new(is_zlib);
        // The byte that was held back decodes to nothing by itself.
        inflate(&mut decoder, &[first], output)?;
        let decoder = self.inflate.insert(decoder);
        inflate(decoder, input, output).map(|(step, _)| step)
    }
}

/// Inflates once; also tells whether the end was reached.
fn inflate(
    decoder: &mut Decompress,
    input: &[u8],
    output: &mut [u8],
) -> Result<(Step, bool), GiveUp> {
    let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
    let status = decoder
        .decompress(input, output, FlushDecompress::None)
        .map_err(|_| GiveUp::BadEncoding)?;
    let moved = |before: u64, after: u64| usize::try_from(after - before).unwrap_or(usize::MAX);
    let step = Step {
        n_read: moved(before_in, decoder.total_in()),
        n_written: moved(before_out, decoder.total_out()),
    };
    Ok((step, status == Status::StreamEnd))
}

fn brotli(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    input: &[u8],
    output: &mut [u8],
) -> Result<Step, GiveUp> {
    let (mut n_left, mut n_read) = (input.len(), 0);
    let (mut n_room, mut n_written) = (output.len(), 0);
    let mut total = 0;
    let result = BrotliDecompressStream(
        &mut n_left,
        &mut n_read,
        input,
        &mut n_room,
        &mut n_written,
        output,
        &mut total,
        state,
    );
    match result {
        BrotliResult::ResultFailure => Err(GiveUp::BadEncoding),
        _ => Ok(Step { n_read, n_written }),
    }
}

impl fmt::Debug for ContentDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentDecoder")
            .field("n_decoded", &self.n_decoded)
            .finish_non_exhaustive()
    }
}
