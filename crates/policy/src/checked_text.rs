//! Texts of a policy that are checked when they are read.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// Reads a text and checks it. `example` is a text that passes the check: the reader of policies takes it in place of
/// a value that is wrong (`read/stand_in.rs`).
pub(super) fn read_checked<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    example: &'static str,
    check: impl FnOnce(String) -> Result<T, String>,
) -> Result<T, D::Error> {
    let text = deserializer.deserialize_newtype_struct(example, TextVisitor)?;
    check(text).map_err(Error::custom)
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, text: D) -> Result<String, D::Error> {
        String::deserialize(text)
    }
}

macro_rules! checked_text {
    (
        $(#[$doc:meta])+ $name:ident, $is_sound:expr, $expected:literal,
        example: $example:literal, pattern: $pattern:literal
    ) => {
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[cfg_attr(
            feature = "schema",
            derive(schemars::JsonSchema),
            schemars(extend("pattern" = $pattern))
        )]
        pub struct $name(String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let is_sound: fn(&str) -> bool = $is_sound;
                read_checked(deserializer, $example, |text| match text.as_str() {
                    sound if is_sound(sound) => Ok(Self(text)),
                    "" => Err(format!("found none, expected {}", $expected)),
                    _ => Err(format!("found `{text}`, expected {}", $expected)),
                })
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<&$name> for String {
            fn from(text: &$name) -> Self {
                text.0.clone()
            }
        }
    };
}

checked_text!(
    /// The name of an Envoy cluster.
    ClusterName,
    |text| !text.is_empty(),
    "the name of an Envoy cluster",
    example: "a", pattern: "^.+$"
);

checked_text!(
    /// The path of an endpoint, with its query.
    EndpointPath,
    |text| text.starts_with('/'),
    "a path that starts with `/`",
    example: "/a", pattern: "^/"
);

checked_text!(
    /// The client id of this filter at an authorization server.
    ClientId,
    |text| !text.is_empty(),
    "a client id",
    example: "a", pattern: "^.+$"
);

checked_text!(
    /// The name of an environment variable of the Wasm VM.
    VariableName,
    |text| !text.is_empty(),
    "the name of an environment variable",
    example: "a", pattern: "^.+$"
);
