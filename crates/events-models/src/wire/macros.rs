//! The tables of the protocol are written once; these macros make reader, writer and checker of them.

/// An object of described members: a struct, `new` from its required members, reader, writer, checker.
///
/// `also f` names a rule about the whole object; `via f` reads a member in a way of its own.
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(also $rule:path)? {
            required { $( $(#[$rmeta:meta])* $rfield:ident: $rty:ty = $rwire:literal, )* }
            optional { $( $(#[$ometa:meta])* $ofield:ident: $oty:ty = $owire:literal $(via $reader:path)?, )* }
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug)]
        pub struct $name {
            $( $(#[$rmeta])* pub $rfield: $rty, )*
            $( $(#[$ometa])* pub $ofield: $oty, )*
        }

        impl $name {
            /// Makes a value of its required members, without the optional ones.
            #[must_use]
            pub fn new($($rfield: impl Into<$rty>),*) -> Self {
                Self {
                    $( $rfield: $rfield.into(), )*
                    $( $ofield: <$oty>::default(), )*
                }
            }

            pub(crate) fn read_members(
                members: &$crate::wire::Members<'_>,
            ) -> Result<Self, $crate::InvalidEvent> {
                let value = Self {
                    $( $rfield: members.read($rwire)?, )*
                    $( $ofield: $crate::wire::wire_struct!(@read members, $owire $(, $reader)?), )*
                };
                $( $rule(&value)?; )?
                Ok(value)
            }

            /// Appends the members, a comma before each.
            pub(crate) fn append_members(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                $(
                    out.extend_from_slice(concat!(",\"", $rwire, "\":").as_bytes());
                    $crate::wire::Wire::write(&self.$rfield, out)?;
                )*
                $(
                    if !$crate::wire::Wire::is_absent(&self.$ofield) {
                        out.extend_from_slice(concat!(",\"", $owire, "\":").as_bytes());
                        $crate::wire::Wire::write(&self.$ofield, out)?;
                    }
                )*
                Ok(())
            }

            pub(crate) fn write_members<M: serde::ser::SerializeMap>(
                &self,
                map: &mut M,
            ) -> Result<(), M::Error> {
                $( map.serialize_entry($rwire, &self.$rfield)?; )*
                $(
                    if !$crate::wire::Wire::is_absent(&self.$ofield) {
                        map.serialize_entry($owire, &self.$ofield)?;
                    }
                )*
                Ok(())
            }
        }

        impl $crate::wire::Wire for $name {
            fn read(raw: &serde_json::value::RawValue) -> Result<Self, $crate::InvalidEvent> {
                Self::read_members(&$crate::wire::Members::of(raw)?)
            }

            fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                let start = out.len();
                self.append_members(out)?;
                match out.get_mut(start) {
                    Some(comma) => *comma = b'{',
                    None => out.push(b'{'),
                }
                out.push(b'}');
                Ok(())
            }

            fn check(&self) -> Result<(), $crate::InvalidEvent> {
                $( $crate::wire::Wire::check(&self.$rfield).map_err(|error| error.in_member($rwire))?; )*
                $( $crate::wire::Wire::check(&self.$ofield).map_err(|error| error.in_member($owire))?; )*
                $( $rule(self)?; )?
                Ok(())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                self.write_members(&mut map)?;
                serde::ser::SerializeMap::end(map)
            }
        }

        $crate::wire::wire_struct!(@deserialize $name);
        $crate::wire::wire_struct!(@default $name { $($rfield)* });
    };
    (@default $name:ident {}) => {
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
    (@default $name:ident { $($required:ident)+ }) => {};
    (@read $members:ident, $wire:literal) => { $members.read($wire)? };
    (@read $members:ident, $wire:literal, $reader:path) => { $reader($members, $wire)? };
    (@deserialize $name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            /// Reads the value from a JSON deserializer; other formats have no raw text.
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
                <Self as $crate::wire::Wire>::read(&raw).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A closed set of strings.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$vmeta:meta])* $variant:ident = $wire:literal, )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $( $(#[$vmeta])* $variant, )* }

        impl $name {
            /// Returns the name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $wire, )* }
            }

            /// Finds the value by its name on the wire.
            #[must_use]
            pub fn from_wire(name: &str) -> Option<Self> {
                match name {
                    $( $wire => Some(Self::$variant), )*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::wire::Wire for $name {
            fn read(raw: &serde_json::value::RawValue) -> Result<Self, $crate::InvalidEvent> {
                let name = $crate::wire::text_of(raw)?;
                Self::from_wire(&name).ok_or_else(|| {
                    $crate::InvalidEvent::new(format!(
                        "unknown value `{name}`: expected {}",
                        [$($wire),*].join(", "),
                    ))
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        $crate::wire::wire_struct!(@deserialize $name);
    };
}

/// A string that can have one value only.
macro_rules! wire_literal {
    ($(#[$meta:meta])* pub struct $name:ident = $wire:literal;) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
        pub struct $name;

        impl $crate::wire::Wire for $name {
            fn read(raw: &serde_json::value::RawValue) -> Result<Self, $crate::InvalidEvent> {
                match &*$crate::wire::text_of(raw)? {
                    $wire => Ok(Self),
                    other => Err($crate::InvalidEvent::new(format!(
                        "unknown value `{other}`: can only be `{}`", $wire,
                    ))),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($wire)
            }
        }
    };
}

/// Objects of several shapes, told apart by one member.
macro_rules! wire_union {
    (
        $(#[$meta:meta])*
        pub enum $name:ident by $tag:literal {
            shapes { $( $(#[$vmeta:meta])* $variant:ident($body:ty) = $wire:literal, )* }
            bare { $( $(#[$bmeta:meta])* $bare:ident = $bwire:literal, )* }
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug)]
        pub enum $name {
            $( $(#[$vmeta])* $variant($body), )*
            $( $(#[$bmeta])* $bare, )*
        }

        impl $crate::wire::Wire for $name {
            fn read(raw: &serde_json::value::RawValue) -> Result<Self, $crate::InvalidEvent> {
                let members = $crate::wire::Members::of(raw)?;
                match &*members.tag($tag)? {
                    $( $wire => <$body>::read_members(&members).map(Self::$variant), )*
                    $( $bwire => Ok(Self::$bare), )*
                    other => Err($crate::agui::unknown_tag(
                        $tag, other, &[$($wire,)* $($bwire,)*],
                    )),
                }
            }

            fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                match self {
                    $( Self::$variant(body) => {
                        out.extend_from_slice(
                            concat!("{\"", $tag, "\":\"", $wire, "\"").as_bytes(),
                        );
                        body.append_members(out)?;
                    } )*
                    $( Self::$bare => out.extend_from_slice(
                        concat!("{\"", $tag, "\":\"", $bwire, "\"").as_bytes(),
                    ), )*
                }
                out.push(b'}');
                Ok(())
            }

            fn check(&self) -> Result<(), $crate::InvalidEvent> {
                match self {
                    $( Self::$variant(body) => $crate::wire::Wire::check(body), )*
                    $( Self::$bare => Ok(()), )*
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                match self {
                    $( Self::$variant(body) => {
                        serde::ser::SerializeMap::serialize_entry(&mut map, $tag, $wire)?;
                        body.write_members(&mut map)?;
                    } )*
                    $( Self::$bare => {
                        serde::ser::SerializeMap::serialize_entry(&mut map, $tag, $bwire)?;
                    } )*
                }
                serde::ser::SerializeMap::end(map)
            }
        }

        $crate::wire::wire_struct!(@deserialize $name);
    };
}

/// Events with a time, told apart by `type`, whose members stand in the variants.
macro_rules! wire_flat_union {
    (
        $(#[$meta:meta])*
        pub enum $name:ident, $(#[$tmeta:meta])* $type_name:ident {
            $(
                $(#[$vmeta:meta])*
                $variant:ident = $wire:literal {
                    $( $(#[$fmeta:meta])* $field:ident: $fty:ty = $fwire:literal, )*
                }
            )*
        }
    ) => {
        $crate::wire::wire_enum! {
            $(#[$tmeta])*
            pub enum $type_name {
                $( #[doc = concat!("`", $wire, "`")] $variant = $wire, )*
            }
        }

        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug)]
        pub enum $name {
            $(
                $(#[$vmeta])*
                $variant {
                    /// When it happened, in milliseconds since the Unix epoch.
                    timestamp: i64,
                    $( $(#[$fmeta])* $field: $fty, )*
                },
            )*
        }

        impl $name {
            /// Reads one event. Members that are not described are left aside.
            ///
            /// # Errors
            ///
            /// The text is not JSON, or not one of these events.
            pub fn from_json(json: &[u8]) -> Result<Self, $crate::InvalidEvent> {
                $crate::wire::from_json(json)
            }

            /// Appends the event's JSON to `out`: one line, `type` first.
            ///
            /// # Errors
            ///
            /// None in practice: these events always have a JSON form.
            pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                serde_json::to_writer(out, self)
            }

            /// Returns the event's type.
            #[must_use]
            pub const fn event_type(&self) -> $type_name {
                match self { $( Self::$variant { .. } => $type_name::$variant, )* }
            }

            /// Returns when it happened, in milliseconds since the Unix epoch.
            #[must_use]
            pub const fn timestamp(&self) -> i64 {
                match self { $( Self::$variant { timestamp, .. } => *timestamp, )* }
            }
        }

        impl $crate::wire::Wire for $name {
            fn read(raw: &serde_json::value::RawValue) -> Result<Self, $crate::InvalidEvent> {
                let members = $crate::wire::Members::of(raw)?;
                match $type_name::from_wire(&members.tag("type")?) {
                    $( Some($type_name::$variant) => Ok(Self::$variant {
                        timestamp: members.read("timestamp")?,
                        $( $field: members.read($fwire)?, )*
                    }), )*
                    None => Err($crate::agui::unknown_tag(
                        "type", &members.tag("type")?, &[$($wire,)*],
                    )),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;

                let mut map = serializer.serialize_map(None)?;
                match self {
                    $( Self::$variant { timestamp, $( $field, )* } => {
                        map.serialize_entry("type", $wire)?;
                        map.serialize_entry("timestamp", timestamp)?;
                        $( if !$crate::wire::Wire::is_absent($field) {
                            map.serialize_entry($fwire, $field)?;
                        } )*
                    } )*
                }
                map.end()
            }
        }

        $crate::wire::wire_struct!(@deserialize $name);
    };
}

pub(crate) use {wire_enum, wire_flat_union, wire_literal, wire_struct, wire_union};
