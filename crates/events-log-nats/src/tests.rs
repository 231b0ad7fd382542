//! Places, messages and names, which no server is needed for.

use bytes::Bytes;
use events_core::{Channel, Record, UserId};
use proptest::prelude::*;

use crate::{
    NatsLogConfig,
    config::Login,
    packet::{self, Assembly, Packet, Part},
    place::{MAX_RECORDS, end_of, floor_of, is_end, sequence_of},
    streams::epoch_bits,
    subject::{Names, token},
};

fn record(n: usize) -> Record {
    Record {
        channel: Channel::new(1),
        scope: None,
        name: None,
        json: n.to_string().into(),
        tag: 1,
        key: None,
        note: Bytes::new(),
    }
}

/// Writes an append in messages of so many records each, the first of which has this sequence.
fn written(first: u64, previous: u64, parts: &[usize], append_id: u128) -> Vec<Packet> {
    let records: Vec<Record> = (0..parts.iter().sum()).map(record).collect();
    let mut n_before = 0;
    let mut packets = Vec::new();
    for ((at, n_records), sequence) in parts.iter().enumerate().zip(first..) {
        let part = Part {
            append_id,
            is_continued: at > 0,
            n_parts_left: u16::try_from(parts.len() - at - 1).unwrap(),
            n_records_from_here: records.len() - n_before,
        };
        let of_part = &records[n_before..n_before + n_records];
        n_before += n_records;
        let user = UserId::new("a.b *");
        let bytes = packet::write(&user, part, previous, 7, of_part);
        let packet = packet::read(sequence, bytes).unwrap();
        assert_eq!(packet.user, user);
        packets.push(packet);
    }
    packets
}

#[test]
fn only_the_last_place_of_an_append_is_an_end() {
    assert!(is_end(0) && is_end(end_of(1)) && is_end(end_of(1 << 40)));
    assert!(!is_end(end_of(5) - 1) && !is_end(end_of(5) + 1) && !is_end(7));
    assert_eq!(sequence_of(end_of(5)), 5);
    assert_eq!(sequence_of(end_of(5) + 1 - MAX_RECORDS as u64), 5);
    assert_eq!((floor_of(0), floor_of(1), floor_of(2)), (0, 0, end_of(1)));
}

proptest! {
    #[test]
    fn an_append_in_messages_is_put_together(
        first in 1_u64..1 << 40,
        parts in proptest::collection::vec(1_usize..5, 1..6),
        skipped in 0_usize..5,
    ) {
        let packets = written(first, 3, &parts, 9);
        let n_records: usize = parts.iter().sum();
        let end = end_of(first + parts.len() as u64 - 1);
        let skipped = skipped.min(parts.len() - 1);
        let n_skipped: usize = parts[..skipped].iter().sum();
        let mut assembly = Assembly::default();
        let mut whole = None;
        for packet in packets.into_iter().skip(skipped) {
            prop_assert!(whole.is_none());
            whole = assembly.push(packet);
        }
        let whole = whole.unwrap();
        let places: Vec<u64> = whole.entry.records.iter().map(|logged| logged.seq).collect();
        let want: Vec<u64> = (end + 1 - n_records as u64..=end).skip(n_skipped).collect();
        prop_assert_eq!(&places, &want);
        let previous = if skipped == 0 { 3 } else { want[0] - 1 };
        prop_assert_eq!(whole.entry.previous, previous);
    }

    #[test]
    fn bytes_that_are_no_message_are_an_error_and_no_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        cut in 0_usize..80,
        at in 0_usize..80,
        flip: u8,
        sequence: u64,
    ) {
        let _ = packet::read(sequence, bytes.into());
        let part = Part { append_id: 1, is_continued: false, n_parts_left: 0, n_records_from_here: 1 };
        let mut bytes = packet::write(&"ada".into(), part, 0, 0, &[record(1)]).to_vec();
        let n_bytes = bytes.len();
        prop_assert!(packet::read(1, Bytes::copy_from_slice(&bytes[..cut.min(n_bytes - 1)])).is_err());
        bytes[at % n_bytes] ^= flip;
        let _ = packet::read(sequence, bytes.into());
    }
}

#[test]
fn what_was_open_ends_when_another_append_begins() {
    let mut assembly = Assembly::default();
    let broken = written(1, 0, &[1, 1], 1).remove(0);
    assert!(assembly.push(broken).is_none());
    let other = written(2, 0, &[2], 2).remove(0);
    assert_eq!(assembly.push(other).unwrap().entry.records.len(), 2);
}

#[test]
fn names_hold_no_id_and_differ() {
    let names = Names::new("EVENTS", "ev", "");
    let subject = names.of_user(&"ada.*".into());
    assert!(!subject.contains("ada"), "{subject}");
    assert_eq!(subject.len(), "ev.".len() + 26);
    assert!(
        subject[3..]
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    );
    assert_ne!(subject, names.of_user(&"ada.".into()));
    assert_ne!(
        subject,
        Names::new("EVENTS", "ev", "salt").of_user(&"ada.*".into())
    );
    assert_ne!(token(&[b"ab", b"c"]), token(&[b"a", b"bc"]));
    // What is stored under a name is found again by every later version.
    assert_eq!(token(&[b"", b"ada"]), "ygc434tkc6o6ay3jlzl6kljn7m");
}

#[test]
fn a_life_is_told_by_name_time_and_counter() {
    let life = epoch_bits("EVENTS", "2026-01-01T00:00:00Z", 0);
    assert_eq!(life, epoch_bits("EVENTS", "2026-01-01T00:00:00Z", 0));
    assert_ne!(life, epoch_bits("EVENTS2", "2026-01-01T00:00:00Z", 0));
    assert_ne!(life, epoch_bits("EVENTS", "2026-01-01T00:00:01Z", 0));
    assert_ne!(life, epoch_bits("EVENTS", "2026-01-01T00:00:00Z", 1));
}

#[test]
fn addresses_are_parted_from_their_secrets() {
    let config = NatsLogConfig::new("tls://ada:p%40ss@one:4223, nats://two");
    let addresses = config.check().unwrap();
    let servers: Vec<&str> = addresses
        .servers
        .iter()
        .map(|server| server.as_url_str())
        .collect();
    assert_eq!(servers, ["tls://one:4223", "nats://two"]);
    assert!(addresses.demands_tls);
    assert!(
        matches!(addresses.login, Some(Login::User(user, password)) if user == "ada" && password == "p@ss")
    );
    let token = NatsLogConfig::new("nats://t0ken@one").check().unwrap();
    assert!(matches!(token.login, Some(Login::Token(token)) if token == "t0ken"));
    assert!(!format!("{config:?}").contains("p%40ss"), "{config:?}");
    for wrong in [
        "",
        "one:x",
        "http://one",
        "nats://one,,nats://two",
        "nats://:pass@one",
        "ws://one",
    ] {
        assert!(NatsLogConfig::new(wrong).check().is_err(), "{wrong:?}");
    }
}

#[test]
fn bounds_are_named_when_they_are_passed() {
    let check = |change: fn(&mut NatsLogConfig), word: &str| {
        let mut config = NatsLogConfig::new("nats://one");
        change(&mut config);
        let error = config.check().err().unwrap().to_string();
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    };
    assert!(NatsLogConfig::new("nats://one").check().is_ok());
    check(|config| config.stream = "a.b".into(), "stream");
    check(|config| config.prefix = String::new(), "prefix");
    check(|config| config.replicas = 2, "replicas");
    check(
        |config| config.max_appends_per_user = 0,
        "max_appends_per_user",
    );
    check(|config| config.age = std::time::Duration::ZERO, "age");
    check(
        |config| config.idle_age = std::time::Duration::from_secs(5),
        "idle_age",
    );
    check(|config| config.max_bytes = u64::MAX, "max_bytes");
    check(
        |config| config.append_timeout = std::time::Duration::ZERO,
        "append_timeout",
    );
    check(|config| config.in_flight_bytes = 1, "in_flight_bytes");
}
