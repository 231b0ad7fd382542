//! Values as the database keeps them.

use std::{borrow::Cow, error::Error};

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// 128 bits, as a `uuid`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Uuid(pub(crate) u128);

impl ToSql for Uuid {
    accepts!(UUID);
    to_sql_checked!();

    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u128(self.0);
        Ok(IsNull::No)
    }
}

impl<'a> FromSql<'a> for Uuid {
    accepts!(UUID);

    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(u128::from_be_bytes(raw.try_into()?)))
    }
}

/// Turns any text into one without NUL, which the database does not take: U+0001 is the escape. Other texts, so nearly
/// all, are what they are.
pub(crate) fn to_column(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte > 1) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\u{1}', "\u{1}1").replace('\0', "\u{1}0"))
}

/// Turns it back.
pub(crate) fn from_column(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1}') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}"))
}

/// Places are below 2^63, as nobody appends so much.
pub(crate) fn to_i64(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

pub(crate) fn to_u64(place: i64) -> u64 {
    u64::try_from(place).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_comes_back_and_two_stay_two(a in "[\0\u{1}01a]{0,8}", b in "[\0\u{1}01a]{0,8}") {
            let (column, other) = (to_column(&a), to_column(&b));
            prop_assert!(!column.contains('\0'));
            prop_assert_eq!(from_column(&column), a.as_str());
            prop_assert_eq!(column == other, a == b);
        }
    }
}
