//! Every encoding, from pieces of any size, and bombs.

use std::io::Write as _;

use flate2::{Compression, GzBuilder, write};

use super::*;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new()
        .filename("answer")
        .comment("streamed")
        .extra(vec![1, 2, 3])
        .write(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn brotli_encoded(body: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    brotli::BrotliCompress(
        &mut &*body,
        &mut encoded,
        &brotli::enc::BrotliEncoderParams::default(),
    )
    .unwrap();
    encoded
}

fn encoded(body: &[u8]) -> Vec<(&'static str, Encoding, Vec<u8>)> {
    let mut zlib = write::ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(body).unwrap();
    let mut raw = write::DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(body).unwrap();
    let (left, right) = body.split_at(body.len() / 2);
    vec![
        ("plain", Encoding::Identity, body.to_vec()),
        ("gzip", Encoding::Gzip, gzip(body)),
        (
            "two members",
            Encoding::Gzip,
            [gzip(left), gzip(right)].concat(),
        ),
        ("zlib", Encoding::Deflate, zlib.finish().unwrap()),
        ("raw deflate", Encoding::Deflate, raw.finish().unwrap()),
        ("brotli", Encoding::Brotli, brotli_encoded(body)),
        ("zstd", Encoding::Zstd, zstd::encode_all(body, 3).unwrap()),
    ]
}

fn decode(encoding: Encoding, bytes: &[u8], size: usize, max: u64) -> Result<Vec<u8>, GiveUp> {
    let mut decoder = ContentDecoder::new(encoding, max)?;
    let mut plain = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.decode(piece, &mut |bytes| plain.extend_from_slice(bytes))?;
    }
    Ok(plain)
}

#[test]
fn every_encoding_decodes_from_pieces_of_any_size() {
    let body: Vec<u8> = (0..60_000_u32)
        .flat_map(|n| (n % 977).to_string().into_bytes())
        .collect();
    for (name, encoding, bytes) in encoded(&body) {
        for size in [1, 2, 7, 1_000, bytes.len()] {
            let plain = decode(encoding, &bytes, size, u64::MAX).unwrap();
            assert!(plain == body, "{name} in pieces of {size}");
        }
    }
}

#[test]
fn a_bomb_is_given_up_within_the_limit() {
    let body = vec![b'a'; 8 << 20];
    for (name, encoding, bytes) in encoded(&body).into_iter().skip(1) {
        let mut decoder = ContentDecoder::new(encoding, 1 << 20).unwrap();
        let mut n_plain = 0;
        let mut outcome = Ok(());
        for piece in bytes.chunks(64 << 10) {
            outcome = outcome.and(decoder.decode(piece, &mut |bytes| n_plain += bytes.len()));
        }
        assert_eq!(outcome, Err(GiveUp::TooLong { limit: 1 << 20 }), "{name}");
        assert!(n_plain <= 1 << 20, "{name}");
    }
}

#[test]
fn what_is_not_encoded_as_it_says_is_given_up() {
    for encoding in [
        Encoding::Gzip,
        Encoding::Zstd,
        Encoding::Brotli,
        Encoding::Deflate,
    ] {
        let outcome = decode(encoding, &[0xFF; 4_096], 10, u64::MAX);
        assert_eq!(outcome, Err(GiveUp::BadEncoding), "{encoding:?}");
    }
}

#[test]
fn what_was_flushed_is_decoded_before_the_end() {
    let event = b"data: {\"choices\":[]}\n\n";
    let mut gzip = write::GzEncoder::new(Vec::new(), Compression::default());
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4_096, 5, 20);
    gzip.write_all(event).unwrap();
    gzip.flush().unwrap();
    zstd.write_all(event).unwrap();
    zstd.flush().unwrap();
    brotli.write_all(event).unwrap();
    brotli.flush().unwrap();
    for (encoding, bytes) in [
        (Encoding::Gzip, gzip.get_ref().clone()),
        (Encoding::Zstd, zstd.get_ref().clone()),
        (Encoding::Brotli, brotli.get_ref().clone()),
    ] {
        assert_eq!(
            decode(encoding, &bytes, 5, 1_000).unwrap(),
            event,
            "{encoding:?}"
        );
    }
}

#[test]
fn a_header_names_the_encoding() {
    assert_eq!(Encoding::of_header(" GZIP"), Some(Encoding::Gzip));
    assert_eq!(Encoding::of_header(""), Some(Encoding::Identity));
    assert_eq!(Encoding::of_header("gzip, br"), None);
    assert_eq!(Encoding::of_header("compress"), None);
}
