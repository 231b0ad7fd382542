//! Kinds of values: how each is read, shown and described.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use events_axum::{Rate, serve::Proxies};
use events_broadcast::CapPolicy;
use events_llm::Usd;

use super::{Prices, Settings, Unit, rate, read_bytes, show_bytes};
use crate::{
    log_spec::{LogSpec, LogSpecError},
    memory_budget::MemoryBudget,
};

/// What a key sets: a place in the [`Settings`], and the range that is legal there.
#[derive(Clone, Debug)]
pub enum Field {
    /// An address to listen on.
    Address(fn(&mut Settings) -> &mut SocketAddr),
    /// An address to listen on, or none.
    MaybeAddress(fn(&mut Settings) -> &mut Option<SocketAddr>),
    /// The log.
    Log(fn(&mut Settings) -> &mut LogSpec),
    /// What happens at the cap of connections.
    CapPolicy(fn(&mut Settings) -> &mut CapPolicy),
    /// A count of things.
    Count(fn(&mut Settings) -> &mut usize, RangeInclusive<u64>),
    /// A size, in bytes.
    Bytes(fn(&mut Settings) -> &mut usize, RangeInclusive<u64>),
    /// A length of time, in whole milliseconds; the range is in seconds.
    Time(fn(&mut Settings) -> &mut Duration, RangeInclusive<u64>),
    /// A short time, in whole milliseconds; so is the range.
    ShortTime(fn(&mut Settings) -> &mut Duration, RangeInclusive<u64>),
    /// On or off.
    Switch(fn(&mut Settings) -> &mut bool),
    /// The address of a PostgreSQL, or none.
    Database(fn(&mut Settings) -> &mut Option<LogSpec>),
    /// A line of text, not empty.
    Text(fn(&mut Settings) -> &mut String),
    /// A line of text that may be secret, or none.
    Line(fn(&mut Settings) -> &mut Option<String>),
    /// Origins of pages, with commas between them.
    Origins(fn(&mut Settings) -> &mut Vec<String>),
    /// An address of the web, or none.
    Url(fn(&mut Settings) -> &mut Option<String>),
    /// Where prices come from.
    Prices(fn(&mut Settings) -> &mut Prices),
    /// A file, or none.
    File(fn(&mut Settings) -> &mut Option<PathBuf>),
    /// An amount of US dollars, or none.
    Money(fn(&mut Settings) -> &mut Option<Usd>),
    /// A share in percent, or none.
    Percent(fn(&mut Settings) -> &mut Option<u8>),
    /// Yes or no.
    Truth(fn(&mut Settings) -> &mut bool),
    /// How much of something may be done in a time.
    Rate(fn(&mut Settings) -> &mut Rate, Unit),
    /// Proxies that are believed.
    Proxies(fn(&mut Settings) -> &mut Proxies),
    /// A budget of memory.
    Memory(fn(&mut Settings) -> &mut MemoryBudget),
}

/// The longest text, in bytes.
const MAX_TEXT: usize = 500;

/// Why a text is no value of a field.
#[derive(Debug)]
pub(super) enum Refused {
    /// Something else is expected.
    Expected(String),
    /// The log cannot be used.
    Log(LogSpecError),
}

impl Field {
    /// Reads a text and puts its value in place. On a refusal the settings are unchanged.
    pub(super) fn set(&self, settings: &mut Settings, text: &str) -> Result<(), Refused> {
        let expected = || Refused::Expected(self.expected());
        match self {
            Self::Address(place) => *place(settings) = read_address(text).ok_or_else(expected)?,
            Self::MaybeAddress(place) => {
                *place(settings) = read_or_none(text, read_address).ok_or_else(expected)?;
            }
            Self::Log(place) => *place(settings) = text.parse().map_err(Refused::Log)?,
            Self::CapPolicy(place) => {
                *place(settings) = match text {
                    "refuse" => CapPolicy::Refuse,
                    "replace" => CapPolicy::Replace,
                    _ => return Err(expected()),
                }
            }
            Self::Count(place, range) => {
                let count = text.parse().ok().and_then(|count| within(count, range));
                *place(settings) = count.ok_or_else(expected)?;
            }
            Self::Bytes(place, range) => {
                let bytes = read_bytes(text).and_then(|bytes| within(bytes, range));
                *place(settings) = bytes.ok_or_else(expected)?;
            }
            Self::Time(place, range) => {
                let time = humantime::parse_duration(text).ok();
                let legal = |time: &Duration| {
                    let (least, most) = (*range.start(), *range.end());
                    (Duration::from_secs(least)..=Duration::from_secs(most)).contains(time)
                };
                *place(settings) = time.filter(legal).ok_or_else(expected)?;
            }
            Self::ShortTime(place, range) => {
                let time = humantime::parse_duration(text).ok();
                let legal = |time: &Duration| {
                    let (least, most) = (*range.start(), *range.end());
                    (Duration::from_millis(least)..=Duration::from_millis(most)).contains(time)
                };
                *place(settings) = time.filter(legal).ok_or_else(expected)?;
            }
            Self::Switch(place) => *place(settings) = text.parse().map_err(|_| expected())?,
            Self::Database(place) => {
                *place(settings) = match text {
                    "" => None,
                    address => match address.parse() {
                        Ok(spec @ LogSpec::Postgres(_)) => Some(spec),
                        _ => return Err(expected()),
                    },
                };
            }
            Self::Text(place) => {
                if !is_line(text) {
                    return Err(expected());
                }
                *place(settings) = text.to_owned();
            }
            Self::Line(place) => {
                *place(settings) = match text {
                    "" => None,
                    line if is_line(line) => Some(line.to_owned()),
                    _ => return Err(expected()),
                };
            }
            Self::Origins(place) => {
                *place(settings) = read_origins(text).ok_or_else(expected)?;
            }
            Self::Url(place) => {
                let is_url = |text: &str| {
                    let host = text.strip_prefix("https://");
                    let host = host.or_else(|| text.strip_prefix("http://"));
                    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
                        && is_line(text)
                        && !text.contains([' ', '?', '#', '"'])
                };
                *place(settings) = match text {
                    "" => None,
                    url if is_url(url) => Some(url.to_owned()),
                    _ => return Err(expected()),
                };
            }
            Self::Prices(place) => {
                *place(settings) = match text {
                    "builtin" => Prices::Builtin,
                    "none" => Prices::None,
                    path if is_line(path) => Prices::File(path.into()),
                    _ => return Err(expected()),
                };
            }
            Self::File(place) => {
                *place(settings) = match text {
                    "" => None,
                    path if is_line(path) => Some(path.into()),
                    _ => return Err(expected()),
                };
            }
            Self::Money(place) => {
                *place(settings) = read_or_none(text, read_dollars).ok_or_else(expected)?;
            }
            Self::Percent(place) => {
                *place(settings) = read_or_none(text, read_percent).ok_or_else(expected)?;
            }
            Self::Truth(place) => *place(settings) = text.parse().map_err(|_| expected())?,
            Self::Rate(place, unit) => {
                *place(settings) = rate::read(text, *unit).ok_or_else(expected)?;
            }
            Self::Proxies(place) => *place(settings) = text.parse().map_err(|_| expected())?,
            Self::Memory(place) => {
                *place(settings) = MemoryBudget::read(text).ok_or_else(expected)?;
            }
        }
        Ok(())
    }

    /// Shows the value that is in place, in a form that is read back as the same.
    #[must_use]
    pub fn show(&self, settings: &mut Settings) -> String {
        match self {
            Self::Address(place) => place(settings).to_string(),
            Self::MaybeAddress(place) => {
                place(settings).map_or_else(String::new, |address| address.to_string())
            }
            Self::Log(place) => place(settings).to_string(),
            Self::CapPolicy(place) => match place(settings) {
                CapPolicy::Refuse => "refuse".to_owned(),
                CapPolicy::Replace => "replace".to_owned(),
            },
            Self::Count(place, _) => place(settings).to_string(),
            Self::Bytes(place, _) => {
                show_bytes(u64::try_from(*place(settings)).unwrap_or(u64::MAX))
            }
            Self::Time(place, _) | Self::ShortTime(place, _) => show_time(*place(settings)),
            Self::Switch(place) => place(settings).to_string(),
            Self::Database(place) => {
                let spec = place(settings).as_ref();
                spec.map_or_else(String::new, ToString::to_string)
            }
            Self::Text(place) => place(settings).clone(),
            Self::Line(place) | Self::Url(place) => place(settings).clone().unwrap_or_default(),
            Self::Origins(place) => place(settings).join(","),
            Self::Prices(place) => place(settings).to_string(),
            Self::File(place) => {
                let path = place(settings).as_ref();
                path.map_or_else(String::new, |path| path.display().to_string())
            }
            Self::Money(place) => {
                place(settings).map_or_else(String::new, |money| money.dollars().to_string())
            }
            Self::Percent(place) => {
                place(settings).map_or_else(String::new, |percent| format!("{percent}%"))
            }
            Self::Truth(place) => place(settings).to_string(),
            Self::Rate(place, unit) => rate::show(*place(settings), *unit),
            Self::Proxies(place) => place(settings).to_string(),
            Self::Memory(place) => place(settings).to_string(),
        }
    }

    /// Says what is legal.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Address(_) => "an address and a port such as \"127.0.0.1:4000\"".to_owned(),
            Self::MaybeAddress(_) => {
                "an address and a port such as \"127.0.0.1:9464\", or nothing".to_owned()
            }
            Self::Log(_) => "\"memory\"".to_owned(),
            Self::CapPolicy(_) => "\"refuse\" or \"replace\"".to_owned(),
            Self::Count(_, range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Self::Bytes(_, range) => format!(
                "a size such as \"4MiB\" or a number of bytes, from {} to {}",
                show_bytes(*range.start()),
                show_bytes(*range.end())
            ),
            Self::Time(_, range) => format!(
                "a duration with its unit such as \"10s\" or \"15min\", from {} to {}",
                show_time(Duration::from_secs(*range.start())),
                show_time(Duration::from_secs(*range.end()))
            ),
            Self::ShortTime(_, range) => format!(
                "a duration with its unit such as \"500ms\", from {} to {}",
                show_time(Duration::from_millis(*range.start())),
                show_time(Duration::from_millis(*range.end()))
            ),
            Self::Switch(_) => "\"true\" or \"false\"".to_owned(),
            Self::Database(_) => {
                "an address such as \"postgres://events@db.example/app\", or nothing".to_owned()
            }
            Self::Text(_) => format!("one line of 1 to {MAX_TEXT} bytes"),
            Self::Line(_) => format!("one line of at most {MAX_TEXT} bytes, or nothing"),
            Self::Origins(_) => {
                "origins such as \"https://app.example.org,http://localhost:3000\", or nothing; a star is none"
                    .to_owned()
            }
            Self::Url(_) => {
                "an address such as \"https://events.example.org\", or nothing".to_owned()
            }
            Self::Prices(_) => "\"builtin\", \"none\", or the name of a file".to_owned(),
            Self::File(_) => "the name of a file, or nothing".to_owned(),
            Self::Money(_) => {
                "US dollars such as \"12.50\", up to 1000000000, or nothing".to_owned()
            }
            Self::Percent(_) => "a share from \"1%\" to \"100%\", or nothing".to_owned(),
            Self::Truth(_) => "true or false".to_owned(),
            Self::Rate(_, unit) => rate::expected(*unit),
            Self::Proxies(_) => {
                "addresses such as \"10.0.0.0/8,192.0.2.1\", or nothing".to_owned()
            }
            Self::Memory(_) => MemoryBudget::EXPECTED.to_owned(),
        }
    }

    /// Names the kind of value in a line of help.
    pub(crate) const fn value_name(&self) -> &'static str {
        match self {
            Self::Address(_) | Self::MaybeAddress(_) => "ADDRESS",
            Self::Log(_) => "SPEC",
            Self::CapPolicy(_) => "POLICY",
            Self::Count(..) => "COUNT",
            Self::Bytes(..) => "SIZE",
            Self::Time(..) | Self::ShortTime(..) => "DURATION",
            Self::Switch(_) => "BOOL",
            Self::Database(_) => "URL",
            Self::Text(_) | Self::Line(_) => "TEXT",
            Self::Origins(_) => "ORIGINS",
            Self::Url(_) => "URL",
            Self::Prices(_) | Self::File(_) => "FILE",
            Self::Money(_) => "DOLLARS",
            Self::Percent(_) => "PERCENT",
            Self::Truth(_) => "BOOL",
            Self::Rate(..) => "RATE",
            Self::Proxies(_) => "ADDRESSES",
            Self::Memory(_) => "SIZE",
        }
    }
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}

/// Reads origins as browsers send them: scheme, host and port, in lower case, and nothing behind.
fn read_origins(text: &str) -> Option<Vec<String>> {
    let read = |origin: &str| {
        let origin = origin.trim();
        let host = origin.strip_prefix("https://");
        let host = host.or_else(|| origin.strip_prefix("http://"))?;
        let is_letter =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
        (!host.is_empty() && host.len() <= MAX_TEXT && host.chars().all(is_letter))
            .then(|| origin.to_owned())
    };
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(read).collect()
}

/// Reads a value that may be left empty; the outer `None` is no value.
#[expect(clippy::option_option, reason = "nothing at all is a value here")]
fn read_or_none<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() {
        Some(None)
    } else {
        read(text).map(Some)
    }
}

fn read_dollars(text: &str) -> Option<Usd> {
    let number: f64 = text.strip_prefix('$').unwrap_or(text).parse().ok()?;
    (number <= 1e9).then(|| Usd::from_dollars(number)).flatten()
}

fn read_percent(text: &str) -> Option<u8> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    number
        .parse()
        .ok()
        .filter(|percent| (1..=100).contains(percent))
}

fn within(number: u64, range: &RangeInclusive<u64>) -> Option<usize> {
    if range.contains(&number) {
        usize::try_from(number).ok()
    } else {
        None
    }
}

/// Reads `ADDRESS:PORT`; `localhost` stands for 127.0.0.1, so that nothing depends on a name server.
fn read_address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse().ok(),
        None => text.parse().ok(),
    }
}

fn show_time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}
