//! Writing one frame and reading a stream: time, allocations and throughput.

use std::{sync::Arc, time::Duration};

use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use events_core::{Envelope, Epoch, EventId, Frame};
use events_sse::{Decoder, DecoderOptions, encode_frame};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const CHUNK: usize = 16 << 10;
const STREAM: usize = 1 << 20;

fn main() {
    // Many samples of many runs: the minimum and the median then hold on a machine with neighbours.
    divan::Divan::default()
        .sample_count(500)
        .sample_size(64)
        .max_time(Duration::from_millis(1_500))
        .config_with_args()
        .main();
}

fn plain() -> Frame {
    let json = format!(
        r#"{{"type":"TEXT_MESSAGE_CONTENT","delta":"{}"}}"#,
        "x".repeat(155)
    );
    Frame::json(json)
}

fn wrapped() -> Frame {
    plain().wrapped(Envelope {
        protocol: "agui",
        thread: Some(Arc::from("0198f6d2-7a3c-7000-8000-1f2e3d4c5b6a")),
    })
}

fn id(seq: u64) -> EventId {
    EventId::new(Epoch::from_bits(0x12_3456_789a), seq, 0x12_3456)
}

/// Encodes into a buffer that is reused, as a connection does.
fn encode(bencher: Bencher<'_, '_>, frame: &Frame) {
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        encode_frame(Some(id(4_711)), black_box(frame), &mut out);
        out.len()
    });
}

#[divan::bench]
fn encode_plain(bencher: Bencher<'_, '_>) {
    encode(bencher, &plain());
}

#[divan::bench]
fn encode_wrapped(bencher: Bencher<'_, '_>) {
    encode(bencher, &wrapped());
}

/// A stream of 1 MiB, in chunks of 16 KiB.
#[divan::bench]
fn decode_stream(bencher: Bencher<'_, '_>) {
    let mut stream = Vec::with_capacity(STREAM + CHUNK);
    let mut n_written = 0;
    while stream.len() < STREAM {
        n_written += 1;
        encode_frame(Some(id(n_written)), &plain(), &mut stream);
    }
    bencher
        .counter(BytesCount::new(stream.len()))
        .bench_local(|| {
            let mut decoder = Decoder::new(DecoderOptions::default());
            let n_read: usize = stream
                .chunks(CHUNK)
                .map(|chunk| decoder.feed(black_box(chunk)).count())
                .sum();
            assert_eq!(n_read as u64, n_written);
        });
}
