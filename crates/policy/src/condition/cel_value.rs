//! The values of conditions. Copies share their content.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::budget::{Budget, Stop};
use oauth::Identity;

/// The size of a value in a vector, in bytes, with the vector's growth.
pub(super) const VALUE_BYTES: usize = 32;
/// The size of a list or map without its values, in bytes.
pub(super) const CONTAINER_BYTES: usize = 64;

/// A value of CEL. There are no byte strings, times, types or messages.
#[derive(Debug, Clone)]
pub(super) enum CelValue<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(CelText<'a>),
    List(Rc<Vec<Self>>),
    Map(Rc<CelMap<'a>>),
}

/// A text. It is borrowed from the arguments, the identity or the expression, or was made.
#[derive(Debug, Clone)]
pub(super) enum CelText<'a> {
    Lent(&'a str),
    Made(Rc<str>),
}

/// A map. JSON has text keys only.
#[derive(Debug, Default)]
pub(super) struct CelMap<'a> {
    /// Sorted by key.
    texts: Vec<(CelText<'a>, CelValue<'a>)>,
    others: Vec<(CelValue<'a>, CelValue<'a>)>,
}

impl Deref for CelText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Lent(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> CelText<'a> {
    /// A text, borrowed or new.
    pub(super) fn of(text: Cow<'a, str>, budget: &Budget) -> Result<Self, Stop> {
        match text {
            Cow::Borrowed(text) => Ok(Self::Lent(text)),
            Cow::Owned(text) => {
                budget.bytes(text.len())?;
                Ok(Self::Made(text.into()))
            }
        }
    }
}

impl<'a> CelValue<'a> {
    /// A borrowed text.
    pub(super) fn lent(text: &'a str) -> Self {
        Self::Text(CelText::Lent(text))
    }

    /// A new text.
    pub(super) fn made(text: String, budget: &Budget) -> Result<Self, Stop> {
        budget.bytes(text.len())?;
        Ok(Self::Text(CelText::Made(text.into())))
    }

    /// A new list.
    pub(super) fn list(values: Vec<Self>) -> Self {
        Self::List(Rc::new(values))
    }

    /// The members of an object in JSON. The last one of a name counts, as in most readers of JSON: bodies with a
    /// repeated key are refused before.
    pub(super) fn of_members(texts: Vec<(CelText<'a>, Self)>) -> Self {
        let others = Vec::new();
        let mut map = CelMap { texts, others };
        map.sort();
        map.texts.reverse();
        map.texts.dedup_by(|(one, _), (two, _)| **one == **two);
        map.texts.reverse();
        Self::Map(Rc::new(map))
    }

    /// Reads JSON. Whole numbers become `int`.
    pub(super) fn of_json(json: &'a [u8], budget: &Budget) -> Result<Self, Stop> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let read = JsonReader(budget).deserialize(&mut reader);
        let read = read.and_then(|value| reader.end().map(|()| value));
        read.map_err(|_| match budget.is_spent() {
            true => Stop::Budget,
            false => Stop::Error,
        })
    }

    /// The variable `identity`. Fields that the token lacks are missing: to use one is an error, and it
    /// equals no value, not even null.
    pub(super) fn of_identity(identity: &'a Identity) -> Self {
        let list =
            |names: &'a [String]| Self::list(names.iter().map(|name| Self::lent(name)).collect());
        let mut map = CelMap::default();
        for (name, value) in [
            ("user", identity.user.as_deref().map(Self::lent)),
            (
                "organization",
                identity.organization.as_deref().map(Self::lent),
            ),
            ("roles", Some(list(&identity.roles))),
            ("scopes", Some(list(&identity.scopes))),
            ("actors", Some(list(&identity.actors))),
        ] {
            map.texts
                .extend(value.map(|value| (CelText::Lent(name), value)));
        }
        map.sort();
        Self::Map(Rc::new(map))
    }

    /// The variable `call`.
    pub(super) fn of_call(name: &'a str) -> Self {
        let texts = vec![(CelText::Lent("name"), Self::lent(name))];
        let others = Vec::new();
        Self::Map(Rc::new(CelMap { texts, others }))
    }

    /// Whether two values are equal. Numbers are equal by their value, whatever their types.
    pub(super) fn equals(&self, other: &Self, budget: &Budget) -> Result<bool, Stop> {
        budget.steps(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => {
                budget.text(one.len().min(two.len()))?;
                **one == **two
            }
            (Self::List(one), Self::List(two)) => {
                if one.len() != two.len() {
                    return Ok(false);
                }
                for (one, two) in one.iter().zip(two.iter()) {
                    if !one.equals(two, budget)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Self::Map(one), Self::Map(two)) => return one.equals(two, budget),
            (one, two) => one.compare_numbers(two) == Some(Ordering::Equal),
        })
    }

    /// The order of two values.
    ///
    /// # Errors
    ///
    /// The values have no order.
    pub(super) fn compare(&self, other: &Self, budget: &Budget) -> Result<Ordering, Stop> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => Ok(one.cmp(two)),
            (Self::Text(one), Self::Text(two)) => {
                budget.text(one.len().min(two.len()))?;
                Ok((**one).cmp(two))
            }
            (one, two) => one.compare_numbers(two).ok_or(Stop::Error),
        }
    }

    fn compare_numbers(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => Some(one.cmp(two)),
            (Self::UInt(one), Self::UInt(two)) => Some(one.cmp(two)),
            (Self::Int(one), Self::UInt(two)) => {
                Some(u64::try_from(*one).map_or(Ordering::Less, |one| one.cmp(two)))
            }
            (Self::UInt(one), Self::Int(two)) => {
                Some(u64::try_from(*two).map_or(Ordering::Greater, |two| one.cmp(&two)))
            }
            (one, two) => one.as_double()?.partial_cmp(&two.as_double()?),
        }
    }

    /// A number as the nearest `double`.
    pub(super) fn as_double(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::UInt(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }
}

impl<'a> CelMap<'a> {
    /// A map of these entries.
    ///
    /// # Errors
    ///
    /// A key is repeated, or is not a bool, number or text.
    pub(super) fn of_entries(
        entries: Vec<(CelValue<'a>, CelValue<'a>)>,
        budget: &Budget,
    ) -> Result<Self, Stop> {
        let mut map = Self::default();
        for (key, value) in entries {
            if map.get(&key, budget)?.is_some() {
                return Err(Stop::Error);
            }
            match key {
                CelValue::Text(key) => {
                    map.texts.push((key, value));
                    map.sort();
                }
                CelValue::Bool(_) | CelValue::Int(_) | CelValue::UInt(_) => {
                    map.others.push((key, value));
                }
                _ => return Err(Stop::Error),
            }
        }
        Ok(map)
    }

    fn sort(&mut self) {
        self.texts.sort_by(|(one, _), (two, _)| (**one).cmp(two));
    }

    /// The value of a key. A number finds the key that is equal to it.
    ///
    /// # Errors
    ///
    /// A map cannot have such a key.
    pub(super) fn get(
        &self,
        key: &CelValue<'a>,
        budget: &Budget,
    ) -> Result<Option<&CelValue<'a>>, Stop> {
        match key {
            CelValue::Text(key) => self.get_text(key, budget),
            CelValue::Bool(_) | CelValue::Int(_) | CelValue::UInt(_) | CelValue::Double(_) => {
                for (own, value) in &self.others {
                    if own.equals(key, budget)? {
                        return Ok(Some(value));
                    }
                }
                Ok(None)
            }
            CelValue::Null | CelValue::List(_) | CelValue::Map(_) => Err(Stop::Error),
        }
    }

    /// The value of a text.
    pub(super) fn get_text(
        &self,
        key: &str,
        budget: &Budget,
    ) -> Result<Option<&CelValue<'a>>, Stop> {
        budget.text(key.len())?;
        let place = self.texts.binary_search_by(|(own, _)| (**own).cmp(key));
        let found = place.ok().and_then(|place| self.texts.get(place));
        Ok(found.map(|(_, value)| value))
    }

    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.texts.len().saturating_add(self.others.len())
    }

    /// The keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = CelValue<'a>> {
        let texts = self
            .texts
            .iter()
            .map(|(key, _)| CelValue::Text(key.clone()));
        texts.chain(self.others.iter().map(|(key, _)| key.clone()))
    }

    fn equals(&self, other: &Self, budget: &Budget) -> Result<bool, Stop> {
        if self.len() != other.len() {
            return Ok(false);
        }
        let texts = self
            .texts
            .iter()
            .map(|(key, value)| (other.get_text(key, budget), value));
        let others = self
            .others
            .iter()
            .map(|(key, value)| (other.get(key, budget), value));
        for (found, value) in texts.chain(others) {
            match found? {
                Some(found) if value.equals(found, budget)? => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Reads JSON within a budget.
#[derive(Clone, Copy)]
struct JsonReader<'b>(&'b Budget);

impl JsonReader<'_> {
    fn spend<E: Error>(self, bytes: usize) -> Result<(), E> {
        let spent = self.0.bytes(bytes);
        spent.map_err(|_| E::custom("more than the budget"))
    }
}

impl<'de> DeserializeSeed<'de> for JsonReader<'_> {
    type Value = CelValue<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<CelValue<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonReader<'_> {
    type Value = CelValue<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<CelValue<'de>, E> {
        Ok(CelValue::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<CelValue<'de>, E> {
        Ok(CelValue::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<CelValue<'de>, E> {
        Ok(CelValue::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<CelValue<'de>, E> {
        Ok(i64::try_from(value).map_or(CelValue::UInt(value), CelValue::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<CelValue<'de>, E> {
        Ok(CelValue::Double(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<CelValue<'de>, E> {
        Ok(CelValue::lent(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CelValue<'de>, E> {
        self.spend(text.len())?;
        Ok(CelValue::Text(CelText::Made(text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<CelValue<'de>, A::Error> {
        self.spend(CONTAINER_BYTES)?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(self)? {
            self.spend(VALUE_BYTES)?;
            values.push(value);
        }
        Ok(CelValue::list(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<CelValue<'de>, A::Error> {
        self.spend(CONTAINER_BYTES)?;
        let mut texts = Vec::new();
        while let Some(key) = members.next_key_seed(self)? {
            self.spend(VALUE_BYTES.saturating_mul(2))?;
            let value = members.next_value_seed(self)?;
            if let CelValue::Text(key) = key {
                texts.push((key, value));
            }
        }
        Ok(CelValue::of_members(texts))
    }
}
