//! The tables of objects are written once; these macros make struct, reader, writer and checker of them.

/// An object of described members: a struct, `new` from its required members, reader, writer, checker.
///
/// `kind` is what 0.3 calls it; what has one can be an event. `hooks` read and write what the tables cannot say.
macro_rules! a2a_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(kind $kind:literal)? $(hooks $after_read:path, $before_end:path)? {
            required { $( $(#[$rmeta:meta])* $rfield:ident: $rty:ty = $rwire:literal, )* }
            optional { $( $(#[$ometa:meta])* $ofield:ident: $oty:ty = $owire:literal, )* }
            $(hooked { $( $(#[$hmeta:meta])* $hfield:ident: $hty:ty = $hwire:literal, )* })?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug)]
        pub struct $name {
            $( $(#[$rmeta])* pub $rfield: $rty, )*
            $( $(#[$ometa])* pub $ofield: $oty, )*
            $( $( $(#[$hmeta])* pub $hfield: $hty, )* )?
            /// The members that no version describes.
            pub unknown: $crate::a2a::UnknownMembers,
            $(
                /// If this is an event: the members that no version describes and that 1.0 has beside the one that
                /// says what the event is.
                ///
                #[doc = concat!("0.3 has them among those of the `", $kind, "`, unless they mean something there.")]
                pub beside: $crate::a2a::UnknownMembers,
            )?
        }

        impl $name {
            /// Makes a value of its required members, without the optional ones.
            #[must_use]
            pub fn new($($rfield: impl Into<$rty>),*) -> Self {
                Self {
                    $( $rfield: $rfield.into(), )*
                    $( $ofield: <$oty>::default(), )*
                    $( $( $hfield: <$hty>::default(), )* )?
                    unknown: $crate::a2a::UnknownMembers::default(),
                    $( beside: $crate::a2a::macros::a2a_struct!(@none $kind), )?
                }
            }

            /// Tells whether a version gives a meaning to a member of that name.
            pub(super) fn is_described(name: &str) -> bool {
                match name {
                    $( $rwire => true, )*
                    $( $owire => true, )*
                    $( $( $hwire => true, )* )?
                    $( _ if name == $crate::a2a::macros::a2a_struct!(@kind $kind) => true, )?
                    _ => $crate::a2a::codec::is_snake_case_of_any(name, &[$($rwire,)* $($owire,)*]),
                }
            }

            pub(super) fn read_members(
                members: &$crate::wire::Members<'_>,
                version: $crate::a2a::A2AVersion,
            ) -> Result<Self, $crate::InvalidEvent> {
                use $crate::a2a::codec;

                $(
                    if version == $crate::a2a::A2AVersion::V0_3 {
                        codec::check_kind(members, $kind)?;
                    }
                )?
                let value = Self {
                    $( $rfield: codec::read_required(members, $rwire, version)?, )*
                    $( $ofield: codec::read_member(members, $owire, version)?, )*
                    $( $( $hfield: <$hty>::default(), )* )?
                    unknown: $crate::a2a::UnknownMembers::of(members.iter(), Self::is_described)?,
                    $( beside: $crate::a2a::macros::a2a_struct!(@none $kind), )?
                };
                $( let value = $after_read(value, members, version)?; )?
                Ok(value)
            }

            /// Writes what is described.
            pub(super) fn write_members<M: serde::ser::SerializeMap>(
                &self,
                map: &mut M,
                version: $crate::a2a::A2AVersion,
            ) -> Result<(), M::Error> {
                use $crate::a2a::codec;

                $(
                    if version == $crate::a2a::A2AVersion::V0_3 {
                        map.serialize_entry("kind", $kind)?;
                    }
                )?
                $( codec::write_member(map, $rwire, &self.$rfield, version)?; )*
                $( codec::write_member(map, $owire, &self.$ofield, version)?; )*
                $( $before_end(self, map, version)?; )?
                Ok(())
            }
        }

        impl $crate::a2a::codec::Coded for $name {
            fn read(
                raw: &serde_json::value::RawValue,
                version: $crate::a2a::A2AVersion,
            ) -> Result<Self, $crate::InvalidEvent> {
                Self::read_members(&$crate::wire::Members::of(raw)?, version)
            }

            fn write<S: serde::Serializer>(
                &self,
                version: $crate::a2a::A2AVersion,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                self.write_members(&mut map, version)?;
                self.unknown.write(&mut map, Self::is_described)?;
                serde::ser::SerializeMap::end(map)
            }

            fn check(&self) -> Result<(), $crate::InvalidEvent> {
                use $crate::a2a::codec;

                $(
                    codec::check_set(&self.$rfield, $rwire)?;
                    codec::Coded::check(&self.$rfield).map_err(|error| error.in_member($rwire))?;
                )*
                $( codec::Coded::check(&self.$ofield).map_err(|error| error.in_member($owire))?; )*
                self.unknown.check(Self::is_described)
            }
        }

        $crate::a2a::macros::a2a_serde!($name);
    };
    (@none $kind:literal) => { $crate::a2a::UnknownMembers::default() };
    (@kind $kind:literal) => { "kind" };
}

/// serde's traits, for the form of 1.0.
macro_rules! a2a_serde {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::a2a::codec::Coded::write(self, $crate::a2a::A2AVersion::V1_0, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            /// Reads the value from a JSON deserializer; other formats have no raw text.
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
                $crate::a2a::codec::Coded::read(&raw, $crate::a2a::A2AVersion::V1_0)
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(super) use {a2a_serde, a2a_struct};
