//! The memory that the settings allow, part by part.

use std::{fmt, thread};

use crate::{LogSpec, Settings};

/// The most memory that a hub can take, in bytes, if every bound is reached at once.
///
/// It is meant for the resident memory of the process. What the system holds for its sockets is not in it.
#[derive(Clone, Debug)]
pub struct WorstCase {
    /// Each part's name and bytes.
    pub parts: Vec<(&'static str, usize)>,
}

/// What the process takes without any client, in bytes: 13 MiB resident were measured.
const PROCESS: usize = 32 << 20;

/// What a body costs while its events are read and appended, for each of its bytes: 28 were measured for a body of the
/// shortest events that there are, with what the log keeps of them. Each worker thread is at one body at a time, since
/// reading and appending do not wait for anything.
const BYTES_PER_BODY_BYTE: usize = 40;

/// What a log behind the hub takes: appends that are under way, pages of its file or of its answers.
const LOG: usize = 192 << 20;

/// What the allocator holds beside what is in use, in percent of it.
const ALLOCATOR_PERCENT: usize = 25;

impl WorstCase {
    /// Computes it for these settings on this machine.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let (router, streams) = (settings.router_config(), settings.stream_config());
        let connections = &settings.connections;
        let n_workers = thread::available_parallelism().map_or(1, usize::from);
        let largest_body = streams.ndjson_bytes.max(settings.limits.event_bytes);
        let of_reading = largest_body.saturating_mul(BYTES_PER_BODY_BYTE);
        let of_connection = connections.connection_bytes();
        let mut parts = router.worst_case_parts(streams.user_id_bytes).to_vec();
        parts.extend(streams.worst_case_parts(&settings.limits));
        parts.extend(settings.llm.worst_case_parts());
        let agents = &settings.agents;
        let of_agents = agents.worst_case(streams.ndjson_bytes, settings.limits.event_bytes);
        parts.extend([
            ("agents", of_agents),
            (
                "connections",
                connections.most().saturating_mul(of_connection),
            ),
            ("reading bodies", n_workers.saturating_mul(of_reading)),
            ("process", PROCESS),
        ]);
        if settings.log != LogSpec::Memory {
            parts.push(("reading the log", router.worst_case_reading()));
            parts.push(("log", LOG));
        }
        let in_use = parts
            .iter()
            .fold(0, |sum: usize, (_, n)| sum.saturating_add(*n));
        parts.push(("allocator", in_use.saturating_mul(ALLOCATOR_PERCENT) / 100));
        Self { parts }
    }

    /// Returns the sum of all parts, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.parts
            .iter()
            .fold(0, |sum, (_, n_bytes)| sum.saturating_add(*n_bytes))
    }
}

impl fmt::Display for WorstCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "worst-case memory: {}, if every bound were reached at once",
            Size(self.bytes())
        )?;
        for (index, (name, n_bytes)) in self.parts.iter().enumerate() {
            let mark = if index == 0 { " = " } else { " + " };
            write!(f, "{mark}{name} {}", Size(*n_bytes))?;
        }
        Ok(())
    }
}

/// Bytes for people, never less than there are.
pub(crate) struct Size(pub(crate) usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 10 << 30 {
            write!(f, "{} GiB", self.0.div_ceil(1 << 30))
        } else {
            write!(f, "{} MiB", self.0.div_ceil(1 << 20))
        }
    }
}
