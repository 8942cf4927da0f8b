//! A value of whatever type is expected, read in place of a wrong value.

use std::iter;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
};
use serde_json::Value;

use super::form_error::FormError;
use crate::error::nearest;

/// Texts that are also URLs, names and patterns.
const TEXTS: [&str; 2] = ["https://a.invalid", "https://b.invalid"];
/// The shortest and the longest time that a policy may name.
const PERIODS: [&str; 2] = ["1s", "90d"];
/// Sizes that are also names of claims.
const SIZES_OR_CLAIMS: [&str; 2] = ["1k", "1m"];

/// Which of two values stands in. A mistake that is only found with one of them is the consequence of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    First,
    Second,
}

impl Kind {
    fn of<T: Copy>(self, [first, second]: [T; 2]) -> T {
        match self {
            Self::First => first,
            Self::Second => second,
        }
    }
}

/// The value that stands in for another one, or for a part of it. It is complete: every key of a
/// mapping is there, so no error says that one is missing. The types of a policy do not contain
/// themselves, so it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct StandIn<'d> {
    kind: Kind,
    /// The wrong value. `None`: this stands in for a part of it.
    written: Option<&'d Value>,
}

impl<'d> StandIn<'d> {
    /// For a wrong value.
    pub(super) fn of(written: &'d Value, kind: Kind) -> Self {
        let written = Some(written);
        Self { kind, written }
    }

    fn part(self) -> Self {
        let written = None;
        Self { written, ..self }
    }

    /// The variant that the author most likely meant, or any.
    fn variant(self, variants: &'static [&'static str]) -> &'static str {
        let written = self.written.and_then(Value::as_str);
        let meant = written.and_then(|written| nearest(written, variants.iter().copied()));
        let any = self.kind.of([variants.first(), variants.last()]);
        meant.or(any.copied()).unwrap_or_default()
    }
}

impl<'de> Deserializer<'de> for StandIn<'_> {
    type Error = FormError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        visitor.visit_str(self.kind.of(SIZES_OR_CLAIMS))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        visitor.visit_bool(self.kind.of([false, true]))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        visitor.visit_str(self.kind.of(PERIODS))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        visitor.visit_str(self.kind.of(TEXTS))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        visitor.visit_unit()
    }

    /// A checked text ([`crate::checked_text`]).
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        example: &'static str,
        visitor: V,
    ) -> Result<V::Value, FormError> {
        visitor.visit_newtype_struct(example.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        visitor.visit_seq(SeqDeserializer::new(iter::once(self.part())))
    }

    /// Other sections refer to the keys of a mapping such as `roles`, and these are not known.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        if self.written.is_some() {
            return Err(FormError::value("no stand-in for a mapping of names"));
        }
        visitor.visit_map(MapDeserializer::new(iter::empty::<(&str, &str)>()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormError> {
        let members = keys.iter().map(|key| (*key, self.part()));
        visitor.visit_map(MapDeserializer::new(members))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormError> {
        visitor.visit_enum(StandInVariant {
            name: self.variant(variants),
            content: self.part(),
        })
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit_struct tuple tuple_struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, FormError> for StandIn<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct StandInVariant<'d> {
    name: &'static str,
    content: StandIn<'d>,
}

impl<'de> EnumAccess<'de> for StandInVariant<'_> {
    type Error = FormError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), FormError> {
        Ok((seed.deserialize(self.name.into_deserializer())?, self))
    }
}

impl<'de> VariantAccess<'de> for StandInVariant<'_> {
    type Error = FormError;

    fn unit_variant(self) -> Result<(), FormError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, FormError> {
        seed.deserialize(self.content)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, FormError> {
        self.content.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormError> {
        self.content.deserialize_struct("", keys, visitor)
    }
}
