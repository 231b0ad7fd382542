//! Reading and checking of values that no event has in such a form.

use serde_json::json;

use super::*;

#[test]
fn small_integers_have_their_own_ranges() {
    for (number, is_i32, is_u32) in [
        ("-2147483649", false, false),
        ("-1", true, false),
        ("2147483648", false, true),
        ("4294967296", false, false),
    ] {
        assert_eq!(
            from_json::<i32>(number.as_bytes()).is_ok(),
            is_i32,
            "{number}"
        );
        assert_eq!(
            from_json::<u32>(number.as_bytes()).is_ok(),
            is_u32,
            "{number}"
        );
    }
}

#[test]
fn open_json_is_equal_by_value() {
    let one = AnyJson::from_json(r#"{"a":1,"b":[ null ]}"#).unwrap();
    let two = AnyJson::from_json(r#"{"b":[null],"a":1}"#).unwrap();
    assert_eq!(one, two);
    assert_ne!(one, AnyJson::from(json!({"a": 1})));
    assert!(AnyJson::default().is_null());
    assert!(AnyJson::from_json("[").unwrap_err().is_syntax());
    assert_eq!(one.as_str(), r#"{"a":1,"b":[ null ]}"#);
}

#[test]
fn an_open_object_is_an_object() {
    let object = OpenObject::try_from(json!({"a": 1})).unwrap();
    assert_eq!(object.to_map().unwrap()["a"], 1);
    assert_eq!(OpenObject::default().as_str(), "{}");
    let error = OpenObject::try_from(json!([])).unwrap_err();
    assert_eq!(error.to_string(), "$: expected an object, found an array");
}

#[test]
fn a_mistake_in_json_is_placed_by_its_column_and_by_its_line_if_there_are_several() {
    let why = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(why("{} x"), "$: not JSON: trailing characters at column 4");
    let several = why("{\n  \"a\": 1,\n}");
    assert_eq!(
        several,
        "$: not JSON: key must be a string at line 3 column 1"
    );
}
