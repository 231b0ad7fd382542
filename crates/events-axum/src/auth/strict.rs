//! JSON as it is written in the standards of tokens: derived readers also take an object as a list of its values, and
//! a word as an object with that one member.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, IntoDeserializer, MapAccess, Visitor,
        value::{CowStrDeserializer, MapAccessDeserializer},
    },
};

/// Reads an object, and nothing around it.
pub(super) fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Option<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = object(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(read)
}

/// Reads an object, for a member of one.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}

/// Reads a word out of a list of words.
pub(super) fn word<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    let word: CowStrDeserializer<'_, D::Error> = text.into_deserializer();
    T::deserialize(word).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        #[serde(deserialize_with = "word")]
        word: Word,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        #[serde(deserialize_with = "object")]
        inner: Inner,
    }

    #[test]
    fn an_object_is_an_object_and_a_word_a_word() {
        let inner = Inner { word: Word::One };
        let good = br#" {"inner":{"word":"one"}} "#;
        assert_eq!(read(good), Some(Outer { inner }));
        for bad in [
            r#"[{"word":"one"}]"#,
            r#"{"inner":["one"]}"#,
            r#"{"inner":{"word":{"one":null}}}"#,
            r#"{"inner":{"word":"two"}}"#,
            r#"{"inner":{"word":"one","word":"one"}}"#,
            r#"{"inner":{"word":"one"}} {}"#,
            r#"{"inner":{"word":"one"}"#,
        ] {
            assert_eq!(read::<Outer>(bad.as_bytes()), None, "{bad}");
        }
    }
}
