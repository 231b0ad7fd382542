//! Money without rounding.

use std::{fmt, iter::Sum, ops::Add};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Pico-dollars in a dollar.
const PICOS: u128 = 1_000_000_000_000;

/// An amount of US dollars, in whole pico-dollars (10⁻¹² USD).
///
/// A price of one dollar per million tokens is 1,000,000 pico-dollars per token, so a sum of tokens is exact. On
/// the wire it is a plain number of dollars; one of less than 1,000 dollars is read back as it was.
///
/// `0.05754975`
///
/// ```
/// use events_models::Usd;
///
/// let cost = Usd::from_picos(57_549_750_000);
/// assert_eq!(serde_json::to_string(&cost).unwrap(), "0.05754975");
/// assert_eq!(cost.to_string(), "$0.05754975");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Usd(u128);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Makes an amount of pico-dollars.
    #[must_use]
    pub const fn from_picos(picos: u128) -> Self {
        Self(picos)
    }

    /// Returns the amount in pico-dollars.
    #[must_use]
    pub const fn picos(self) -> u128 {
        self.0
    }

    /// Makes an amount of a number of dollars, to the nearest pico-dollar. A negative number and what is no number
    /// give `None`.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the value is finite and not negative, and the cast saturates"
        )]
        (dollars.is_finite() && dollars >= 0.0).then(|| Self((dollars * 1e12).round() as u128))
    }

    /// Returns the amount in dollars, for a display or the wire. Do not add such numbers up: add amounts.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a double holds more digits than anybody is shown"
    )]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e12
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Usd {
    /// Writes all digits that are not zeros at the end, and at least two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:012}", self.0 % PICOS);
        let digits = fraction.trim_end_matches('0');
        let digits = fraction
            .get(..digits.len().max(2))
            .unwrap_or(fraction.as_str());
        write!(f, "${}.{digits}", self.0 / PICOS)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Self::from_dollars(dollars)
            .ok_or_else(|| D::Error::custom(format!("{dollars} is not an amount of dollars")))
    }
}
