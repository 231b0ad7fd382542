//! Rates as text: `off`, `50`, `50/s`, `50/s burst 500`.

use events_axum::Rate;

use super::{read_bytes, show_bytes};

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Things,
    /// Bytes, which may have a unit.
    Bytes,
}

/// The most per second, and at once.
const MOST: u64 = 1 << 40;

/// Reads a rate. Without a burst it is what is given back in a second.
pub(super) fn read(text: &str, unit: Unit) -> Option<Rate> {
    if matches!(text.trim(), "off" | "0") {
        return Some(Rate::OFF);
    }
    let (per_second, burst) = match text.split_once("burst") {
        Some((per_second, burst)) => (per_second, Some(burst)),
        None => (text, None),
    };
    let number = |text: &str| {
        let number = match unit {
            Unit::Things => text.trim().parse().ok()?,
            Unit::Bytes => read_bytes(text.trim())?,
        };
        (1..=MOST).contains(&number).then_some(number)
    };
    let per_second = per_second.trim();
    let per_second = number(per_second.strip_suffix("/s").unwrap_or(per_second))?;
    let burst = match burst {
        Some(burst) => number(burst)?,
        None => per_second,
    };
    Some(Rate::new(per_second, burst))
}

/// Shows a rate in a form that is read back as the same.
pub(super) fn show(rate: Rate, unit: Unit) -> String {
    let number = |number: u64| match unit {
        Unit::Things => number.to_string(),
        Unit::Bytes => show_bytes(number),
    };
    if rate.is_off() {
        "off".to_owned()
    } else {
        format!("{}/s burst {}", number(rate.per_second), number(rate.burst))
    }
}

/// Says what is legal.
pub(super) fn expected(unit: Unit) -> String {
    let (one, burst) = match unit {
        Unit::Things => ("50", "500"),
        Unit::Bytes => ("8MiB", "64MiB"),
    };
    format!("\"off\", or how much each second and at once, such as \"{one}/s burst {burst}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_in_all_its_forms_and_shown_in_one() {
        for (text, unit, shown) in [
            ("off", Unit::Things, "off"),
            ("0", Unit::Bytes, "off"),
            ("50", Unit::Things, "50/s burst 50"),
            ("50/s", Unit::Things, "50/s burst 50"),
            ("50/s burst 500", Unit::Things, "50/s burst 500"),
            ("50 burst 500", Unit::Things, "50/s burst 500"),
            ("8MiB/s burst 64 MiB", Unit::Bytes, "8MiB/s burst 64MiB"),
            ("1000/s", Unit::Bytes, "1000B/s burst 1000B"),
        ] {
            let rate = read(text, unit);
            let rate = rate.unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                show(rate, unit).replace('B', ""),
                shown.replace('B', ""),
                "{text}"
            );
            assert_eq!(read(&show(rate, unit), unit), Some(rate), "{text}");
        }
        for text in [
            "",
            "-1",
            "1/m",
            "burst 5",
            "5/s burst",
            "5/s burst 0",
            "8MiB",
            "x",
            "1e9",
        ] {
            assert_eq!(read(text, Unit::Things), None, "{text}");
        }
    }
}
