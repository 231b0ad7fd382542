//! Looking into values, and finding them in a body.

use super::*;

fn split_all(chunks: &[&[u8]], max_bytes: usize) -> Vec<String> {
    let mut splitter = Splitter::new(max_bytes);
    let mut found = Vec::new();
    for chunk in chunks {
        let mut rest = *chunk;
        while let Some(value) = splitter.split(&mut rest) {
            found.push(match value {
                SplitValue::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                SplitValue::TooLong { bytes } => format!("too long: {bytes}"),
            });
        }
    }
    found
}

#[test]
fn a_member_of_another_type_is_absent_and_the_rest_is_read() {
    let json = Json::parse(r#"{"a":[1],"b":{"c":"x\n","c":"y"},"n":-1,"f":5.0,"g":0.5}"#).unwrap();
    assert_eq!(json.get("a").text(), None);
    assert_eq!(json.get("b").get("c").text(), Some("y"));
    assert_eq!(json.get("nothing").get("deeper"), &Json::Null);
    assert_eq!(json.get("n").count(), None);
    assert_eq!(json.get("f").count(), Some(5));
    assert_eq!(json.get("g").count(), None);
}

#[test]
fn a_count_that_no_reader_has_exactly_is_absent() {
    for (number, count) in [
        ("1125899906842624", Some(1 << 50)),
        ("1125899906842624.0", Some(1 << 50)),
        ("1125899906842625", None),
        ("9007199254740993", None),
        ("1e300", None),
    ] {
        assert_eq!(Json::parse(number).unwrap().count(), count, "{number}");
    }
}

#[test]
fn what_is_written_is_what_was_read_without_its_blanks() {
    let text = "{ \"z\": 1, \"a\": [true, null, -2, 1.5, \"\u{e9}\\\"\\n\"], \"b\": {} }";
    let compact = "{\"z\":1,\"a\":[true,null,-2,1.5,\"\u{e9}\\\"\\n\"],\"b\":{}}";
    assert_eq!(Json::parse(text).unwrap().to_string(), compact);
}

#[test]
fn objects_are_found_wherever_the_body_is_cut() {
    let body = br#" [{"a":"}]{\\\""}, {"b":[{},[1]]}] "#;
    let whole = split_all(&[body], 100);
    assert_eq!(whole, [r#"{"a":"}]{\\\""}"#, r#"{"b":[{},[1]]}"#]);
    for cut in 0..body.len() {
        let (left, right) = body.split_at(cut);
        assert_eq!(split_all(&[left, right], 100), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(split_all(&bytes, 100), whole);
}

#[test]
fn an_object_over_the_cap_is_skipped_and_the_next_one_is_found() {
    let body = br#"{"a":"0123456789"}{"b":1}"#;
    assert_eq!(split_all(&[body], 10), ["too long: 18", r#"{"b":1}"#]);
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(split_all(&bytes, 10), ["too long: 18", r#"{"b":1}"#]);
}
