//! Numbers in few columns.

use events_models::Usd;

/// What is shown where a number is not known.
pub(crate) const UNKNOWN: &str = "-";

/// A count in at most five columns: `999`, `1.2k`, `45.1k`, `340k`, `1.2M`.
pub(crate) fn count(number: u64) -> String {
    let mut unit = 1_000;
    for (name, next) in [
        ("k", 1_000_000),
        ("M", 1_000_000_000),
        ("G", 1_000_000_000_000),
    ] {
        if number < 1_000 {
            return number.to_string();
        }
        if number < next {
            let tenths = u128::from(number) * 10 / u128::from(unit);
            return if tenths < 1_000 {
                format!("{}.{}{name}", tenths / 10, tenths % 10)
            } else {
                format!("{}{name}", tenths / 10)
            };
        }
        unit = next;
    }
    let tera = number / unit;
    if tera < 1_000 {
        format!("{tera}T")
    } else {
        ">999T".to_owned()
    }
}

/// A number of a thing that may be unknown or a guess, which is marked by `~`.
pub(crate) fn guess(number: Option<(u64, bool)>) -> String {
    match number {
        None => UNKNOWN.to_owned(),
        Some((number, false)) => count(number),
        Some((number, true)) => format!("~{}", count(number)),
    }
}

/// A rate per second, given in thousandths.
pub(crate) fn rate(millis: u64) -> String {
    if millis < 100_000 {
        format!("{}.{}", millis / 1_000, millis % 1_000 / 100)
    } else {
        count(millis / 1_000)
    }
}

/// An amount in at most seven columns.
pub(crate) fn money(amount: Usd) -> String {
    /// Pico-dollars in a ten-thousandth of a dollar.
    const STEP: u128 = 100_000_000;
    let steps = amount.picos().saturating_add(STEP / 2) / STEP;
    let dollars = steps / 10_000;
    match dollars {
        0 if amount == Usd::ZERO => "$0".to_owned(),
        0 if steps == 0 => "<$.0001".to_owned(),
        0 => format!("$0.{steps:04}"),
        1..=99 => format!("${dollars}.{:02}", steps % 10_000 / 100),
        100..=99_999 => format!("${dollars}"),
        _ => format!("${}", count(u64::try_from(dollars).unwrap_or(u64::MAX))),
    }
}

/// A time that something has gone on, of milliseconds: `12s`, `3m05`, `2h14`, `3d04`.
pub(crate) fn age(millis: i64) -> String {
    let seconds = millis.max(0) / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}", seconds / 3_600, seconds % 3_600 / 60),
        86_400..86_400_000 => format!("{}d{:02}", seconds / 86_400, seconds % 86_400 / 3_600),
        _ => ">999d".to_owned(),
    }
}

/// A short time, of milliseconds, in at most five columns: `340ms`, `1.23s`, `12.3s`, `3m05`.
pub(crate) fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..10_000 => format!("{}.{:02}s", millis / 1_000, millis % 1_000 / 10),
        10_000..60_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        _ => age(i64::try_from(millis).unwrap_or(i64::MAX)),
    }
}

/// A number of bytes: `512 B`, `12.3 kB`.
pub(crate) fn bytes(number: u64) -> String {
    let text = count(number);
    match text.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        Some(digits) => format!("{digits} {}B", text.chars().next_back().unwrap_or(' ')),
        None => format!("{text} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_five_columns() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1.0k"),
            (45_190, "45.1k"),
            (340_999, "340k"),
            (1_234_567, "1.2M"),
            (999_999_999, "999M"),
            (5_000_000_000_000, "5T"),
            (u64::MAX, ">999T"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(guess(None), "-");
        assert_eq!(guess(Some((1_500, true))), "~1.5k");
        assert_eq!(rate(12_345), "12.3");
        assert_eq!(rate(1_234_567), "1.2k");
        assert_eq!(bytes(12_345), "12.3 kB");
        assert_eq!(bytes(12), "12 B");
    }

    #[test]
    fn money_is_never_rounded_to_nothing() {
        for (dollars, text) in [
            (0.0, "$0"),
            (0.000_01, "<$.0001"),
            (0.001_25, "$0.0013"),
            (0.999_99, "$1.00"),
            (12.345, "$12.34"),
            (1_234.5, "$1234"),
            (1_234_567.0, "$1.2M"),
        ] {
            assert_eq!(money(Usd::from_dollars(dollars).unwrap()), text);
        }
        assert_eq!(money(Usd::from_picos(u128::MAX)), "$>999T");
    }

    #[test]
    fn times_say_their_two_largest_parts() {
        for (seconds, text) in [
            (-5, "0s"),
            (59, "59s"),
            (185, "3m05"),
            (8_040, "2h14"),
            (273_600, "3d04"),
            (i64::MAX / 1_000, ">999d"),
        ] {
            assert_eq!(age(seconds * 1_000), text);
        }
        for (millis, text) in [
            (340, "340ms"),
            (1_239, "1.23s"),
            (12_345, "12.3s"),
            (185_000, "3m05"),
        ] {
            assert_eq!(span(millis), text);
        }
    }
}
