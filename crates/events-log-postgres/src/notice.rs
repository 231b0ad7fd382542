//! What replicas tell each other by NOTIFY: hints, and live events. Never what is kept.

use std::fmt::Write as _;

use bytes::Bytes;
use events_core::{Channel, MsgKey, Record, UserId};

/// A payload is below 8,000 bytes.
pub(crate) const MAX_BYTES: usize = 7_900;

/// A payload, read.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Users and the last places they have.
    Places(Vec<(UserId, u64)>),
    /// There is more news than can be told.
    LookAround,
    /// A tail listens whether it hears itself.
    Probe,
    /// A live event, and which log of which process passed it on.
    Live {
        origin: u64,
        user: UserId,
        record: Record,
    },
}

/// Puts places into as few payloads as they fit in.
pub(crate) fn of_places(places: impl IntoIterator<Item = (UserId, u64)>) -> Vec<String> {
    let mut payloads: Vec<String> = Vec::new();
    for (user, place) in places {
        // What `events_ring` writes too.
        let mut entry = String::new();
        let _ = write!(entry, "{place}:");
        put(&mut entry, user.as_str());
        match payloads.last_mut() {
            Some(payload) if payload.len() + entry.len() <= MAX_BYTES => payload.push_str(&entry),
            _ => payloads.push(format!("b{entry}")),
        }
    }
    payloads
}

pub(crate) fn look_around() -> String {
    "a".to_owned()
}

pub(crate) fn probe() -> String {
    "p".to_owned()
}

/// Writes a live event; none if its JSON is no text.
pub(crate) fn of_live(origin: u64, user: &str, record: &Record) -> Option<String> {
    let json = std::str::from_utf8(&record.json).ok()?;
    let mut out = format!(
        "l{origin:016x}{:02x}{:08x}",
        record.channel.number(),
        record.tag
    );
    put(&mut out, user);
    let scope = record.scope.as_deref().map(crate::value::to_column);
    put(
        &mut out,
        &scope.map_or_else(String::new, |scope| format!("+{scope}")),
    );
    let key = record.key.map(|key| format!("{:032x}", key.bits()));
    put(&mut out, &key.unwrap_or_default());
    let mut note = String::with_capacity(record.note.len() * 2);
    for byte in &record.note {
        let _ = write!(note, "{byte:02x}");
    }
    put(&mut out, &note);
    out.push_str(json);
    Some(out)
}

impl Notice {
    /// Reads a payload; none if it is not one of ours.
    pub(crate) fn read(payload: &str) -> Option<Self> {
        let mut rest = payload.get(1..)?;
        match payload.as_bytes().first()? {
            b'a' => Some(Self::LookAround),
            b'b' => {
                let mut places = Vec::new();
                while !rest.is_empty() {
                    let (place, after) = rest.split_once(':')?;
                    rest = after;
                    let user = take(&mut rest)?;
                    places.push((from_column(user), place.parse().ok()?));
                }
                Some(Self::Places(places))
            }
            b'p' => Some(Self::Probe),
            b'l' => {
                let origin = u64::from_str_radix(take_n(&mut rest, 16)?, 16).ok()?;
                let channel = u8::from_str_radix(take_n(&mut rest, 2)?, 16).ok()?;
                let tag = u32::from_str_radix(take_n(&mut rest, 8)?, 16).ok()?;
                let user = from_column(take(&mut rest)?);
                let scope = take(&mut rest)?
                    .strip_prefix('+')
                    .map(|scope| crate::value::from_column(scope).into());
                let key = match take(&mut rest)? {
                    "" => None,
                    hex => Some(MsgKey::from_bits(u128::from_str_radix(hex, 16).ok()?)),
                };
                let note = of_hex(take(&mut rest)?)?;
                let record = Record {
                    channel: Channel::from_number(channel)?,
                    scope,
                    name: None,
                    json: Bytes::copy_from_slice(rest.as_bytes()),
                    tag,
                    key,
                    note,
                };
                Some(Self::Live {
                    origin,
                    user,
                    record,
                })
            }
            _ => None,
        }
    }
}

fn from_column(user: &str) -> UserId {
    UserId::from(&*crate::value::from_column(user))
}

/// Writes a text with its length before it.
fn put(out: &mut String, text: &str) {
    let _ = write!(out, "{}:{text}", text.len());
}

fn take<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (len, after) = rest.split_once(':')?;
    *rest = after;
    take_n(rest, len.parse().ok()?)
}

fn take_n<'a>(rest: &mut &'a str, len: usize) -> Option<&'a str> {
    let (text, after) = (rest.get(..len)?, rest.get(len..)?);
    *rest = after;
    Some(text)
}

fn of_hex(hex: &str) -> Option<Bytes> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::to_column;

    proptest! {
        // Long payloads; the default number of cases takes a minute.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn places_come_back(users in proptest::collection::vec((".{0,300}", 1_u64..), 0..60)) {
            let places: Vec<_> = users
                .iter()
                .map(|(user, place)| (UserId::from(&*to_column(user)), *place))
                .collect();
            let payloads = of_places(places);
            let mut read = Vec::new();
            for payload in &payloads {
                prop_assert!(payload.len() <= MAX_BYTES);
                let Some(Notice::Places(places)) = Notice::read(payload) else {
                    return Err(TestCaseError::fail("no places"));
                };
                read.extend(places.into_iter().map(|(user, place)| (String::from(user), place)));
            }
            prop_assert_eq!(read, users);
        }
    }

    proptest! {
        #[test]
        fn a_live_event_comes_back(
            origin: u64,
            user in ".{0,9}",
            scope in proptest::option::of(".{0,9}"),
            json in ".{0,20}",
            key in proptest::option::of(any::<u128>()),
            note in proptest::collection::vec(any::<u8>(), 0..9),
            channel in 0_u8..16,
            tag: u32,
        ) {
            let record = Record {
                channel: Channel::new(channel),
                scope: scope.map(Into::into),
                name: None,
                json: json.into(),
                tag,
                key: key.map(MsgKey::from_bits),
                note: note.into(),
            };
            let payload = of_live(origin, &to_column(&user), &record).unwrap();
            let Some(Notice::Live { origin: from, user: to, record: read }) = Notice::read(&payload) else {
                return Err(TestCaseError::fail("no live event"));
            };
            prop_assert_eq!((from, to.as_str()), (origin, user.as_str()));
            prop_assert_eq!(format!("{read:?}"), format!("{record:?}"));
        }

        #[test]
        fn a_foreign_payload_is_no_panic(payload in ".{0,60}", kind in "[abpl]") {
            let _ = Notice::read(&payload);
            let _ = Notice::read(&format!("{kind}{payload}"));
        }
    }
}
