//! Arbitrary bytes, and fixtures with changed bytes.

use proptest::prelude::*;

use super::{event_as, lines_of, written_as};
use crate::a2a::{A2AEvent, A2AVersion, order::TaskOrder};

/// Any fixture with some of its bytes changed.
fn mutated_fixture() -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<String> = [
        "v1.0-events-valid",
        "v1.0-events-invalid",
        "v0.3-events-valid",
        "v0.3-events-invalid",
    ]
    .into_iter()
    .flat_map(|name| lines_of(&format!("{name}.jsonl")))
    .map(|line| line.text().to_owned())
    .filter(|text| text.len() < 2_000)
    .collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..6);
    (prop::sample::select(texts), edits).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (index, byte, what) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            let punctuation = b"{}[]\",:\\/0-e.nt_\xff \n";
            match what {
                0 => bytes[at] = byte,
                1 => bytes[at] = punctuation[usize::from(byte) % punctuation.len()],
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, punctuation[usize::from(byte) % punctuation.len()]),
            }
        }
        bytes
    })
}

/// Reads anything; what is accepted is written on one line in both versions, and read back as the same.
fn check_anything(bytes: &[u8]) {
    let _ = A2AVersion::detect(bytes);
    for version in [A2AVersion::V1_0, A2AVersion::V0_3] {
        let Ok(read) = A2AEvent::from_json_as(bytes, version) else {
            continue;
        };
        let json = written_as(&read, version);
        assert!(!json.contains(['\n', '\r']), "{json}");
        assert_eq!(event_as(&json, version), read);
        if version == A2AVersion::V1_0 {
            assert_eq!(read.validate(), Ok(()));
        }
        if read.validate().is_ok() {
            let mut new = event_as(&written_as(&read, A2AVersion::V1_0), A2AVersion::V1_0);
            if let (A2AEvent::StatusUpdate(new), A2AEvent::StatusUpdate(read)) = (&mut new, &read) {
                new.is_final = read.is_final;
            }
            assert_eq!(new, read);
        }
        let _ = event_as(&written_as(&read, A2AVersion::V0_3), A2AVersion::V0_3);
        let _ = TaskOrder::default().check(&read);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_anything(&bytes);
    }

    #[test]
    fn no_changed_fixture_makes_the_reader_panic(bytes in mutated_fixture()) {
        check_anything(&bytes);
    }
}
