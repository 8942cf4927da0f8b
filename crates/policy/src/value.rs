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
