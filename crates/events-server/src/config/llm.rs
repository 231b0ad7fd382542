//! Settings of the LLM gateway.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use events_llm::{
    AlertLimits, NoPrices, PriceBook, PriceList, PriceSource, ReaderLimits, RegistryLimits,
    TapLimits, Usd,
    gateway::{GatewayConfig, GatewayLimits, GatewayTimeouts, ProviderConfig},
};

use super::ConfigError;

/// Everything that can be set of the LLM gateway; see [`KEYS`](super::KEYS) and
/// [`PROVIDER_KEYS`](super::PROVIDER_KEYS).
#[derive(Clone, Debug)]
pub struct LlmSettings {
    /// The providers by their names. One without an address is none yet.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// How long a connection to a provider may take.
    pub connect_timeout: Duration,
    /// How long a provider may take to begin its answer.
    pub header_timeout: Duration,
    /// How long a provider may be silent in the middle of its answer.
    pub idle_timeout: Duration,
    /// The largest body of a request, in bytes.
    pub body_bytes: usize,
    /// Requests at the same time.
    pub streams: usize,
    /// What tokens cost.
    pub prices: Prices,
    /// A file of certificates in PEM that are trusted beside those of the system.
    pub ca: Option<PathBuf>,
    /// Above which cost of one request there is an alert.
    pub stream_cost: Option<Usd>,
    /// Above which cost of an hour there is an alert.
    pub hourly_cost: Option<Usd>,
    /// From which share of failed requests there is an alert, in percent.
    pub error_rate: Option<u8>,
    /// Over how long that share is taken.
    pub error_window: Duration,
    /// Of how many requests at least.
    pub error_requests: usize,
}

impl Default for LlmSettings {
    fn default() -> Self {
        let (timeouts, limits) = (GatewayTimeouts::default(), GatewayLimits::default());
        let alerts = AlertLimits::default();
        Self {
            providers: BTreeMap::new(),
            connect_timeout: timeouts.connect,
            header_timeout: timeouts.answer_head,
            idle_timeout: timeouts.answer_idle,
            body_bytes: usize::try_from(limits.max_request_bytes).unwrap_or(usize::MAX),
            streams: 512,
            prices: Prices::Builtin,
            ca: None,
            stream_cost: None,
            hourly_cost: None,
            error_rate: None,
            error_window: alerts.error_window,
            error_requests: usize::try_from(alerts.error_requests).unwrap_or(usize::MAX),
        }
    }
}

/// Where prices of tokens come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Prices {
    /// From those that are built in.
    #[default]
    Builtin,
    /// There are none.
    None,
    /// From a file and, for what is not in it, from those that are built in.
    File(PathBuf),
}

impl fmt::Display for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("builtin"),
            Self::None => f.write_str("none"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The largest file of certificates or prices, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// AG-UI events of one run that wait for the log, in bytes; the log is in this process and takes them at once.
const RUN_QUEUE_BYTES: usize = 256 << 10;

/// The largest event of an answer that is read, in bytes.
const ANSWER_EVENT_BYTES: usize = 2 << 20;

/// What a running answer holds beside that: connections on both sides, a decoder's window, its summary.
const ANSWER_BYTES: usize = 1 << 20;

/// Bodies that are read before they are sent on, in bytes of all of them.
const BUFFERED_BYTES: usize = 64 << 20;

/// The built-in prices, once they are read.
const PRICE_BYTES: usize = 16 << 20;

impl LlmSettings {
    /// The most screens that read `/llm/streams` at the same time.
    pub(crate) const MAX_WATCHERS: usize = 32;

    /// Makes what the gateway is told, with the files that are named read.
    ///
    /// # Errors
    ///
    /// The file of certificates cannot be read.
    pub fn gateway_config(&self) -> Result<GatewayConfig, ConfigError> {
        let authorities_pem = match &self.ca {
            Some(path) => read_file(path, "llm.ca")?,
            None => Vec::new(),
        };
        Ok(GatewayConfig {
            providers: self.providers.clone(),
            limits: GatewayLimits {
                max_streams: self.streams,
                max_detached: self.streams.div_ceil(2),
                max_runs: self.streams,
                max_run_queue_bytes: RUN_QUEUE_BYTES,
                max_request_bytes: self.body_bytes as u64,
                max_buffered_bytes: BUFFERED_BYTES,
                ..GatewayLimits::default()
            },
            timeouts: GatewayTimeouts {
                connect: self.connect_timeout,
                answer_head: self.header_timeout,
                answer_idle: self.idle_timeout,
                ..GatewayTimeouts::default()
            },
            authorities_pem,
        })
    }

    /// Makes the source of prices. With `further` entries in front, such as those of a demo.
    ///
    /// # Errors
    ///
    /// The file of prices cannot be read, or is none.
    pub fn price_source(
        &self,
        further: Option<PriceList>,
    ) -> Result<Arc<dyn PriceSource>, ConfigError> {
        let mut sources: Vec<Arc<dyn PriceSource>> = Vec::new();
        sources.extend(further.map(|list| Arc::new(list) as Arc<dyn PriceSource>));
        match &self.prices {
            Prices::None if sources.is_empty() => return Ok(Arc::new(NoPrices)),
            Prices::None => {}
            Prices::Builtin => sources.push(Arc::new(PriceBook::with_defaults(None))),
            Prices::File(path) => {
                let bytes = read_file(path, "llm.prices")?;
                let list = String::from_utf8(bytes)
                    .map_err(|_not_utf8| "it is not UTF-8".to_owned())
                    .and_then(|text| {
                        let list = PriceList::from_toml(&text);
                        list.map_err(|error| error.to_string().replace('\n', " "))
                    });
                let list = list.map_err(|reason| ConfigError::BadFile {
                    key: "llm.prices",
                    path: path.clone(),
                    reason,
                })?;
                sources.push(Arc::new(PriceBook::with_defaults(Some(list))));
            }
        }
        Ok(Arc::new(PriceBook::new(sources)))
    }

    /// Returns when the operator wants to be told.
    #[must_use]
    pub const fn alert_limits(&self) -> AlertLimits {
        AlertLimits {
            stream_cost: self.stream_cost,
            hourly_cost: self.hourly_cost,
            error_percent: self.error_rate,
            error_window: self.error_window,
            error_requests: self.error_requests as u64,
        }
    }

    /// Returns the bounds of reading answers.
    #[must_use]
    pub fn tap_limits() -> TapLimits {
        TapLimits {
            reader: ReaderLimits {
                max_event_bytes: ANSWER_EVENT_BYTES,
            },
            ..TapLimits::default()
        }
    }

    /// Returns the bounds of what is kept of requests.
    #[must_use]
    pub fn registry_limits(&self) -> RegistryLimits {
        RegistryLimits {
            max_active: self.streams,
            ..RegistryLimits::default()
        }
    }

    /// Computes the most bytes that the gateway and its screens can take. The parts are named.
    #[must_use]
    pub fn worst_case_parts(&self) -> [(&'static str, usize); 2] {
        // An event is held as it came and as it is read.
        let per_stream = 2 * ANSWER_EVENT_BYTES + ANSWER_BYTES + RUN_QUEUE_BYTES;
        let registry = self.registry_limits();
        let n_listed = registry.max_active + registry.max_finished;
        // A listed request and its JSON, which may be longer than its text.
        let per_watcher = n_listed.saturating_mul(4 * registry.max_text_bytes);
        let gateway = if self.providers.is_empty() {
            0
        } else {
            self.streams
                .saturating_mul(per_stream)
                .saturating_add(BUFFERED_BYTES + PRICE_BYTES)
        };
        let watchers = (Self::MAX_WATCHERS + 1).saturating_mul(per_watcher);
        [("llm gateway", gateway), ("llm screens", watchers)]
    }
}

pub(super) fn read_file(path: &PathBuf, key: &'static str) -> Result<Vec<u8>, ConfigError> {
    let bad = |reason: String| ConfigError::BadFile {
        key,
        path: path.clone(),
        reason,
    };
    let size = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?;
    if size.len() > MAX_FILE_BYTES {
        return Err(bad(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    std::fs::read(path).map_err(|error| bad(error.to_string()))
}
