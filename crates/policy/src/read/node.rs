//! A value of a document as serde reads it. Unlike serde_json's own reader it takes no list for a mapping, and
//! its errors know their place.

use std::vec;

use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde_json::{Map, Value};

use super::form_error::{FormError, Step, in_words};
use super::repairs::{Repair, Repairs};
use super::stand_in::{Kind, StandIn};
use crate::document::Document;

/// A value as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'d> {
    value: &'d Value,
    repairs: Option<&'d Repairs>,
    kind: Kind,
}

/// A value inside another one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Child<'d> {
    Written(Node<'d>),
    Guessed(StandIn<'d>),
}

impl<'d> Child<'d> {
    /// `None`: it is left out.
    pub(super) fn of(value: &'d Value, repairs: Option<&'d Repairs>, kind: Kind) -> Option<Self> {
        match repairs.and_then(Repairs::here) {
            None => Some(Self::Written(Node {
                value,
                repairs,
                kind,
            })),
            Some(Repair::StandIn) => Some(Self::Guessed(StandIn::of(value, kind))),
            Some(Repair::LeaveOut) => None,
        }
    }

    /// Reads it as the whole document.
    pub(super) fn document(self) -> Result<Document, FormError> {
        match self {
            Self::Written(node) => Document::deserialize(node),
            Self::Guessed(stand_in) => Document::deserialize(stand_in),
        }
    }

    fn read<T: DeserializeSeed<'d>>(
        self,
        seed: T,
        step: impl Into<Step>,
    ) -> Result<T::Value, FormError> {
        match self {
            Self::Written(node) => seed.deserialize(node),
            Self::Guessed(stand_in) => seed.deserialize(stand_in),
        }
        .map_err(|error| error.inside(step))
    }
}

impl<'d> Node<'d> {
    fn child(self, step: impl Into<Step>, value: &'d Value) -> Option<Child<'d>> {
        let repairs = self.repairs.and_then(|repairs| repairs.at(&step.into()));
        Child::of(value, repairs, self.kind)
    }

    fn items(self, items: &'d [Value]) -> Items<'d> {
        let items = items.iter().enumerate();
        let items = items.filter_map(|(index, item)| Some((index, self.child(index, item)?)));
        Items(items.collect::<Vec<_>>().into_iter())
    }

    fn members(self, members: &'d Map<String, Value>) -> Vec<(&'d str, Child<'d>)> {
        let members = members.iter();
        let members = members
            .filter_map(|(key, value)| Some((key.as_str(), self.child(key.as_str(), value)?)));
        members.collect()
    }

    /// Keys that are missing in the document, and have to be there.
    fn missing(
        self,
        members: &'d Map<String, Value>,
    ) -> impl Iterator<Item = (&'d str, Child<'d>)> {
        let repaired = self.repairs.into_iter();
        let repaired = repaired.flat_map(Repairs::keys_with_stand_in);
        let missing = repaired.filter(|key| !members.contains_key(*key));
        missing.filter_map(move |key| Some((key, self.child(key, &Value::Null)?)))
    }

    fn found(self) -> Unexpected<'d> {
        match self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Unexpected::Unsigned(number),
                (None, Some(number)) => Unexpected::Signed(number),
                (None, None) => Unexpected::Float(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = FormError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        match (self.value, self.found()) {
            (Value::Array(items), _) => visitor.visit_seq(self.items(items)),
            (Value::Object(members), _) => {
                // The visitor may read a struct.
                let mut entries = self.members(members);
                entries.extend(self.missing(members));
                visitor.visit_map(Members::of(entries))
            }
            (Value::String(text), _) => visitor.visit_borrowed_str(text),
            (_, Unexpected::Bool(value)) => visitor.visit_bool(value),
            (_, Unexpected::Unsigned(number)) => visitor.visit_u64(number),
            (_, Unexpected::Signed(number)) => visitor.visit_i64(number),
            (_, Unexpected::Float(number)) => visitor.visit_f64(number),
            _ => visitor.visit_unit(),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FormError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormError> {
        let Value::Object(members) = self.value else {
            // Serde's visitors of structs would take a list, for the values of the keys in order.
            return Err(FormError::invalid_type(self.found(), &visitor));
        };
        let mut entries = self.members(members);
        entries.extend(self.missing(members));
        visitor.visit_map(Members::of(entries))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormError> {
        let (name, value) = match self.value {
            Value::String(name) => (name, None),
            Value::Object(members) => match members.iter().next() {
                Some((name, value)) if members.len() == 1 => (name, Some(value)),
                _ => return Err(FormError::value("found a mapping, expected one key")),
            },
            _ => {
                let found = in_words(self.found());
                return Err(FormError::value(format!("found {found}, expected a word")));
            }
        };
        visitor.visit_enum(Variant {
            name,
            value,
            content: self.child(name.as_str(), value.unwrap_or(&Value::Null)),
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The items of a list.
struct Items<'d>(vec::IntoIter<(usize, Child<'d>)>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = FormError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, FormError> {
        let next = self.0.next();
        next.map(|(index, item)| item.read(seed, index)).transpose()
    }
}

/// The keys of a mapping and their values.
struct Members<'d> {
    rest: vec::IntoIter<(&'d str, Child<'d>)>,
    /// The one whose key was read.
    next: Option<(&'d str, Child<'d>)>,
}

impl<'d> Members<'d> {
    fn of(members: Vec<(&'d str, Child<'d>)>) -> Self {
        Self {
            rest: members.into_iter(),
            next: None,
        }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = FormError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, FormError> {
        self.next = self.rest.next();
        let key = self.next.as_ref().map(|(key, _)| *key);
        key.map(|key| {
            seed.deserialize(BorrowedStrDeserializer::<FormError>::new(key))
                .map_err(|error| error.inside(key))
        })
        .transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, FormError> {
        match self.next.take() {
            Some((key, value)) => value.read(seed, key),
            None => Err(FormError::custom("a value without a key")),
        }
    }
}

/// A word, alone or as the only key of a mapping.
struct Variant<'d> {
    name: &'d str,
    value: Option<&'d Value>,
    content: Option<Child<'d>>,
}

impl Variant<'_> {
    fn refused<T>(&self, message: impl Into<String>) -> Result<T, FormError> {
        Err(FormError::value(message).inside(self.name))
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = FormError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), FormError> {
        let name = BorrowedStrDeserializer::<FormError>::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = FormError;

    fn unit_variant(self) -> Result<(), FormError> {
        match self.content {
            Some(Child::Written(node)) if !node.value.is_null() => {
                let found = in_words(node.found());
                self.refused(format!("found {found}, expected the word alone"))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, FormError> {
        match (self.content, self.value) {
            (Some(content @ Child::Guessed(_)), _) | (Some(content), Some(_)) => {
                content.read(seed, self.name)
            }
            _ => self.refused("found no value, expected one, as in `set: user`"),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, FormError> {
        let error = FormError::invalid_type(Unexpected::TupleVariant, &visitor);
        Err(error.inside(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormError> {
        let error = FormError::invalid_type(Unexpected::StructVariant, &visitor);
        Err(error.inside(self.name))
    }
}
