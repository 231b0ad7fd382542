//! Times as text.

use std::fmt;

use serde::Serializer;
use serde_json::value::RawValue;

use super::{A2AVersion, codec::Coded, macros::a2a_serde};
use crate::{InvalidEvent, wire::text_of};

const SECONDS_OF_DAY: i64 = 86_400;
/// 0001-01-01T00:00:00Z, the first second that can be written.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, the last second that can be written.
const LAST_SECOND: i64 = 253_402_300_799;

/// A point in time between the years 1 and 9999, with up to nine decimals of a second.
///
/// It is written as `"2026-11-21T08:00:02.001Z"`: always in UTC, with 0, 3, 6 or 9 decimals, as many as it was
/// read with.
///
/// ```
/// use events_models::a2a::Timestamp;
///
/// let time = Timestamp::from_millis(1_795_248_002_001);
/// assert_eq!(time.to_string(), "2026-11-21T08:00:02.001Z");
/// assert_eq!(Timestamp::parse("2026-11-21T10:00:02.001+02:00"), Some(time));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Timestamp {
    /// Since the Unix epoch, rounded down.
    seconds: i64,
    nanoseconds: u32,
    /// How many decimals are written: 0, 3, 6 or 9.
    n_decimals: u8,
}

impl Timestamp {
    /// Makes a time of milliseconds since the Unix epoch; beyond the years 1 to 9999 it is the nearest one.
    #[must_use]
    pub fn from_millis(milliseconds: i64) -> Self {
        let milliseconds = milliseconds.clamp(FIRST_SECOND * 1_000, LAST_SECOND * 1_000 + 999);
        Self {
            seconds: milliseconds.div_euclid(1_000),
            nanoseconds: u32::try_from(milliseconds.rem_euclid(1_000)).unwrap_or(0) * 1_000_000,
            n_decimals: 3,
        }
    }

    /// Returns the milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_millis(&self) -> i64 {
        self.seconds * 1_000 + self.nanoseconds as i64 / 1_000_000
    }

    /// Reads an RFC 3339 time, with any offset and up to nine decimals.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse(text, false)
    }

    /// Reads what ISO 8601 allows beyond RFC 3339, as far as it is seen in the wild: no zone (taken for UTC), no
    /// seconds, a date alone, a space for the `T`, any number of decimals.
    #[must_use]
    pub fn parse_iso_8601(text: &str) -> Option<Self> {
        parse(text, true)
    }
}

/// Walks through a text.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn digit(&mut self) -> Option<i64> {
        let (first, rest) = self.0.split_first()?;
        let digit = first.is_ascii_digit().then(|| i64::from(first - b'0'))?;
        self.0 = rest;
        Some(digit)
    }

    /// Reads a number of exactly so many digits and at most so large.
    fn number(&mut self, n_digits: usize, largest: i64) -> Option<i64> {
        let mut number = 0;
        for _ in 0..n_digits {
            number = number * 10 + self.digit()?;
        }
        (number <= largest).then_some(number)
    }

    /// Reads the decimals of a second, as nanoseconds and their count.
    fn decimals(&mut self, is_lenient: bool) -> Option<(u32, u8)> {
        let (mut nanoseconds, mut n_decimals) = (0, 0_u8);
        while let Some(digit) = self.digit() {
            if n_decimals < 9 {
                nanoseconds = nanoseconds * 10 + u32::try_from(digit).ok()?;
                n_decimals += 1;
            } else if !is_lenient {
                return None;
            }
        }
        nanoseconds *= 10_u32.pow(9 - u32::from(n_decimals));
        (n_decimals > 0).then_some((nanoseconds, n_decimals.div_ceil(3) * 3))
    }

    /// Reads a zone, as seconds to the east.
    fn offset(&mut self, is_lenient: bool) -> Option<i64> {
        if self.eat(b'Z') || (is_lenient && (self.0.is_empty() || self.eat(b'z'))) {
            return Some(0);
        }
        let is_east = self.eat(b'+');
        if !is_east && !self.eat(b'-') {
            return None;
        }
        let hours = self.number(2, 23)?;
        if !self.eat(b':') && !is_lenient {
            return None;
        }
        let seconds = (hours * 60 + self.number(2, 59)?) * 60;
        Some(if is_east { seconds } else { -seconds })
    }
}

fn parse(text: &str, is_lenient: bool) -> Option<Timestamp> {
    let mut cursor = Cursor(text.as_bytes());
    let year = cursor.number(4, 9_999)?;
    let month = cursor.eat(b'-').then(|| cursor.number(2, 12))??;
    let day = cursor.eat(b'-').then(|| cursor.number(2, 31))??;
    if month < 1 || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let mut seconds = days_before(year, month, day) * SECONDS_OF_DAY;
    let (mut nanoseconds, mut n_decimals) = (0, 0);
    if !(is_lenient && cursor.0.is_empty()) {
        if !(cursor.eat(b'T') || (is_lenient && (cursor.eat(b' ') || cursor.eat(b't')))) {
            return None;
        }
        seconds += cursor.number(2, 23)? * 3_600;
        seconds += cursor.eat(b':').then(|| cursor.number(2, 59))?? * 60;
        if cursor.eat(b':') {
            seconds += cursor.number(2, 59)?;
            if cursor.eat(b'.') {
                (nanoseconds, n_decimals) = cursor.decimals(is_lenient)?;
            }
        } else if !is_lenient {
            return None;
        }
        seconds -= cursor.offset(is_lenient)?;
    }
    let is_legal = cursor.0.is_empty() && (FIRST_SECOND..=LAST_SECOND).contains(&seconds);
    is_legal.then_some(Timestamp {
        seconds,
        nanoseconds,
        n_decimals,
    })
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts the days of the years from 1 to before this one.
const fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
}

/// Counts the days from the Unix epoch to a date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    days_before_year(year) - days_before_year(1970) + months + day - 1
}

/// Finds the date that is so many days after the Unix epoch.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + days_before_year(1970);
    // A year has 365.2425 days; the guess is at most one year too late.
    let guess = days * 400 / 146_097 + 1;
    let year = if days_before_year(guess) > days {
        guess - 1
    } else if days_before_year(guess + 1) <= days {
        guess + 1
    } else {
        guess
    };
    let (mut month, mut day) = (1, days - days_before_year(year));
    while day >= days_of_month(year, month) {
        day -= days_of_month(year, month);
        month += 1;
    }
    (year, month, day + 1)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.seconds.div_euclid(SECONDS_OF_DAY));
        let time = self.seconds.rem_euclid(SECONDS_OF_DAY);
        let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.n_decimals {
            0 => f.write_str("Z"),
            3 => write!(f, ".{:03}Z", self.nanoseconds / 1_000_000),
            6 => write!(f, ".{:06}Z", self.nanoseconds / 1_000),
            _ => write!(f, ".{:09}Z", self.nanoseconds),
        }
    }
}

impl Coded for Timestamp {
    fn read(raw: &RawValue, version: A2AVersion) -> Result<Self, InvalidEvent> {
        Self::read_optional(raw, version)?.ok_or_else(|| {
            InvalidEvent::new("expected an ISO 8601 time, such as 2026-11-21T08:00:02.001Z")
        })
    }

    /// 0.3 describes times as strings only, so what is none is left aside there.
    fn read_optional(raw: &RawValue, version: A2AVersion) -> Result<Option<Self>, InvalidEvent> {
        let text = text_of(raw)?;
        match version {
            A2AVersion::V0_3 => Ok(Self::parse_iso_8601(&text)),
            A2AVersion::V1_0 => Self::parse(&text).map(Some).ok_or_else(|| {
                InvalidEvent::new(format!(
                    "`{}` is not an RFC 3339 time, such as 2026-11-21T08:00:02.001Z",
                    text.chars().take(40).collect::<String>()
                ))
            }),
        }
    }

    fn write<S: Serializer>(&self, _version: A2AVersion, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

a2a_serde!(Timestamp);
