//! The plugin's configuration, as the host delivers it.

use std::borrow::Cow;

use policy::{PolicyError, yaml};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::Value as Json;

/// The configuration as JSON. A `google.protobuf.StringValue` arrives as its text, which is JSON or YAML. A
/// `google.protobuf.Struct`, which is YAML in Envoy's YAML, arrives in protobuf's binary form.
pub(super) fn to_json(configuration: &[u8]) -> Result<Cow<'_, [u8]>, PolicyError> {
    // A member of a Struct has a byte 0x12, which no text has.
    let is_text = !configuration.iter().any(|byte| is_control(*byte));
    match str::from_utf8(configuration) {
        Ok(text) if is_text && text.trim_start().starts_with('{') => {
            Ok(Cow::Borrowed(configuration))
        }
        Ok(text) if is_text => {
            let json = yaml::text_to_json(text)?;
            Ok(Cow::Owned(json.to_string().into_bytes()))
        }
        _ => match Struct::decode(configuration) {
            Ok(decoded) => Ok(Cow::Owned(object(decoded).to_string().into_bytes())),
            Err(_) => Ok(Cow::Borrowed(configuration)),
        },
    }
}

fn is_control(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')
}

fn object(decoded: Struct) -> Json {
    let member = |(key, value)| (key, json(value));
    Json::Object(decoded.fields.into_iter().map(member).collect())
}

fn json(value: Value) -> Json {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => Json::Bool(value),
        Some(Kind::NumberValue(value)) => Json::from(value),
        Some(Kind::StringValue(value)) => Json::String(value),
        Some(Kind::ListValue(list)) => Json::Array(list.values.into_iter().map(json).collect()),
        Some(Kind::StructValue(decoded)) => object(decoded),
    }
}
