//! How long reading a chunk takes: a histogram that streams share without waiting for each other.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// The upper ends of the buckets, in nanoseconds; one more bucket takes the rest.
const BOUNDS_NS: [u64; 9] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000, 10_000_000,
];

const N_BUCKETS: usize = BOUNDS_NS.len() + 1;

/// After so many chunks a stream hands its times over.
const BATCH: u32 = 256;

/// The times of one stream that are not handed over yet; plain numbers, since nobody else has them.
#[derive(Debug, Default)]
pub(crate) struct LocalTimes {
    counts: [u32; N_BUCKETS],
    n_chunks: u32,
    sum_ns: u64,
}

impl LocalTimes {
    /// Adds a time, and tells whether it is time to hand them over.
    pub(crate) fn add(&mut self, time: Duration) -> bool {
        let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let index = BOUNDS_NS.partition_point(|bound| *bound < time_ns);
        if let Some(count) = self.counts.get_mut(index) {
            *count += 1;
        }
        self.n_chunks += 1;
        self.sum_ns = self.sum_ns.saturating_add(time_ns);
        self.n_chunks >= BATCH
    }
}

/// The times of all streams; a cheap handle.
#[derive(Clone, Debug, Default)]
pub(super) struct ChunkTimes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    counts: [AtomicU64; N_BUCKETS],
    sum_ns: AtomicU64,
}

impl ChunkTimes {
    pub(super) fn take(&self, times: &mut LocalTimes) {
        for (shared, local) in self.0.counts.iter().zip(times.counts) {
            if local > 0 {
                shared.fetch_add(u64::from(local), Ordering::Relaxed);
            }
        }
        self.0.sum_ns.fetch_add(times.sum_ns, Ordering::Relaxed);
        *times = LocalTimes::default();
    }
}

impl TypedMetric for ChunkTimes {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for ChunkTimes {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let bounds = BOUNDS_NS
            .iter()
            .map(|ns| seconds(*ns))
            .chain([f64::INFINITY]);
        let counts = self
            .0
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let n_chunks = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.0.sum_ns.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, n_chunks, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
