//! Values with units.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// A length of time: `30s`, `5m`, `1h 30m`, `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

/// A number of bytes: `262144`, `256KiB`, `1MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub usize);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a length of time such as 5m")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
        humantime::parse_duration(text)
            .map(Period)
            .map_err(|error| {
                E::custom(format!(
                    "found `{text}`, expected a length of time such as 5m: {error}"
                ))
            })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a size such as 256KiB or a number of bytes")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
        let size = usize::try_from(bytes).map(Size);
        size.map_err(|_| E::invalid_value(Unexpected::Unsigned(bytes), &self))
    }

    /// A protobuf `Struct` has no integers: Envoy writes 262144 as 262144.0.
    fn visit_f64<E: Error>(self, bytes: f64) -> Result<Size, E> {
        if bytes >= 0.0 && bytes.fract() == 0.0 {
            // Larger numbers become the largest one, which is refused later.
            return self.visit_u64(bytes as u64);
        }
        Err(E::invalid_value(Unexpected::Float(bytes), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) => self.visit_u64(size.0),
            Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

/// A whole number from 1 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<const MAX: u16>(pub u16);

impl<'de, const MAX: u16> Deserialize<'de> for Count<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The example stands in for a value that is wrong (`read/stand_in.rs`).
        deserializer.deserialize_newtype_struct("1", CountVisitor)
    }
}

struct CountVisitor<const MAX: u16>;

impl<'de, const MAX: u16> Visitor<'de> for CountVisitor<MAX> {
    type Value = Count<MAX>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a number from 1 to {MAX}")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, number: D) -> Result<Count<MAX>, D::Error> {
        number.deserialize_any(self)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count<MAX>, E> {
        let count = u16::try_from(number).ok();
        let count = count.filter(|count| (1..=MAX).contains(count)).map(Count);
        count.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    /// A protobuf `Struct` has no integers: Envoy writes 1 as 1.0.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Count<MAX>, E> {
        if number >= 0.0 && number.fract() == 0.0 {
            return self.visit_u64(number as u64);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Count<MAX>, E> {
        match text.parse() {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(feature = "schema")]
impl<const MAX: u16> schemars::JsonSchema for Count<MAX> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("CountTo{MAX}").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": 1, "maximum": MAX})
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A length of time, such as 30s, 5m or 1h.",
            "type": "string",
            "pattern": "^([0-9]+ *[a-zA-Z]+ *)+$"
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of bytes, or a size such as 256KiB.",
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? *[kKmM]?i?[bB]?$"}
            ]
        })
    }
}
