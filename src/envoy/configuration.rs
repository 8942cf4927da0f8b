//! The plugin's configuration, as the host delivers it.

use std::borrow::Cow;

use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::Value as Json;

/// The configuration as JSON. A `google.protobuf.StringValue` arrives as its text; a
/// `google.protobuf.Struct`, which is YAML in Envoy's YAML, arrives in protobuf's binary form.
pub(super) fn to_json(configuration: &[u8]) -> Cow<'_, [u8]> {
    if serde_json::from_slice::<serde::de::IgnoredAny>(configuration).is_ok() {
        return Cow::Borrowed(configuration);
    }
    match Struct::decode(configuration) {
        Ok(decoded) => Cow::Owned(object(decoded).to_string().into_bytes()),
        Err(_) => Cow::Borrowed(configuration),
    }
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
