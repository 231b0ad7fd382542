//! Times as text.

use proptest::prelude::*;

use crate::a2a::Timestamp;

#[test]
fn a_time_keeps_its_decimals_and_loses_its_offset() {
    for (text, written) in [
        ("2026-11-21T08:00:02Z", "2026-11-21T08:00:02Z"),
        ("2026-11-21T08:00:02.1Z", "2026-11-21T08:00:02.100Z"),
        ("2026-11-21T08:00:02.000Z", "2026-11-21T08:00:02.000Z"),
        ("2026-11-21T08:00:02.1234Z", "2026-11-21T08:00:02.123400Z"),
        (
            "2026-11-21T08:00:02.123456789Z",
            "2026-11-21T08:00:02.123456789Z",
        ),
        ("2026-11-21T01:30:00+02:00", "2026-11-20T23:30:00Z"),
        ("2024-02-28T23:30:00-00:30", "2024-02-29T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        (
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59.999999999Z",
        ),
    ] {
        let time = Timestamp::parse(text).unwrap_or_else(|| panic!("{text} is refused"));
        assert_eq!(time.to_string(), written);
        assert_eq!(Timestamp::parse_iso_8601(text), Some(time));
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T08:00Z",
        "2026-11-21T08:00:02",
        "2026-11-21 08:00:02Z",
        "2026-11-21T08:00:02.Z",
        "2026-11-21T08:00:02.1234567890Z",
        "2026-11-21T08:00:02+0200",
        "2026-11-21T08:00:02ZZ",
        "2026-02-29T08:00:02Z",
        "1900-02-29T08:00:02Z",
        "2026-13-01T08:00:02Z",
        "2026-00-01T08:00:02Z",
        "2026-01-00T08:00:02Z",
        "2026-04-31T08:00:02Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-12-31T00:00:00Z",
        "+2026-01-01T00:00:00Z",
    ] {
        assert_eq!(Timestamp::parse(text), None, "{text}");
    }
}

#[test]
fn what_iso_8601_allows_beyond_is_taken_for_utc() {
    for (text, written) in [
        ("2025-04-02T16:59:35.331844", "2025-04-02T16:59:35.331844Z"),
        ("2025-04-02 16:59:35", "2025-04-02T16:59:35Z"),
        ("2025-04-02T16:59", "2025-04-02T16:59:00Z"),
        ("2025-04-02T16:59z", "2025-04-02T16:59:00Z"),
        ("2025-04-02", "2025-04-02T00:00:00Z"),
        (
            "2025-04-02T16:59:35.1234567891+0200",
            "2025-04-02T14:59:35.123456789Z",
        ),
    ] {
        let time = Timestamp::parse_iso_8601(text).unwrap_or_else(|| panic!("{text} is refused"));
        assert_eq!(time.to_string(), written);
    }
    assert_eq!(Timestamp::parse_iso_8601("20250402T165935Z"), None);
}

#[test]
fn milliseconds_beyond_the_calendar_become_its_ends() {
    for (milliseconds, written) in [
        (i64::MIN, "0001-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (i64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(Timestamp::from_millis(milliseconds).to_string(), written);
    }
}

proptest! {
    #[test]
    fn every_millisecond_of_the_calendar_is_read_as_it_was_written(
        milliseconds in -62_135_596_800_000..=253_402_300_799_999_i64,
    ) {
        let time = Timestamp::from_millis(milliseconds);
        prop_assert_eq!(time.as_millis(), milliseconds);
        prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
    }
}

#[test]
fn every_first_and_last_day_of_a_year_is_itself() {
    for year in 1..=9_999 {
        for day in [
            format!("{year:04}-01-01T00:00:00Z"),
            format!("{year:04}-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::parse(&day).unwrap().to_string(), day);
        }
    }
}
