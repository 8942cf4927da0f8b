//! The id of a message that is refused, as far as it can be read.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// The id of a message that may not be strict JSON-RPC. Its answer needs the id, or else the client waits in
/// vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadableId {
    /// Of a request of the client, as JSON.
    Request(Vec<u8>),
    /// Of a request of the server that the message answers, as JSON.
    Response(Vec<u8>),
}

/// The members that were read.
#[derive(Default)]
struct Found {
    id: Option<Value>,
    has_other_id: bool,
    has_method: bool,
    answers: usize,
}

struct FoundVisitor<'f>(&'f mut Found);

impl ReadableId {
    /// Reads the id of a message up to its first error of syntax. `None`: there is none, or there are several,
    /// or the kind of the message is unknown.
    pub fn of(body: &[u8]) -> Option<Self> {
        let mut found = Found::default();
        let mut reader = serde_json::Deserializer::from_slice(body);
        // A syntax error ends the search.
        let _ = reader.deserialize_map(FoundVisitor(&mut found));
        let id = match found.id? {
            _ if found.has_other_id => return None,
            Value::Number(number) if !number.is_f64() => number.to_string(),
            text @ Value::String(_) => text.to_string(),
            _ => return None,
        };
        match (found.has_method, found.answers) {
            (true, 0) => Some(Self::Request(id.into_bytes())),
            (false, 1) => Some(Self::Response(id.into_bytes())),
            _ => None,
        }
    }
}

impl<'de> Visitor<'de> for FoundVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(found) = self;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => {
                    let id = map.next_value()?;
                    found.has_other_id |= found.id.replace(id).is_some();
                    continue;
                }
                "method" => found.has_method = true,
                "result" | "error" => found.answers = found.answers.saturating_add(1),
                _ => {}
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str) -> Option<ReadableId> {
        Some(ReadableId::Request(id.as_bytes().to_vec()))
    }

    #[test]
    fn r6_the_id_of_a_refused_request_is_read() {
        for (body, id) in [
            (r#"{"method":"x","params":7,"id":1}"#, "1"),
            (r#"{"id":"a\"b","method":"x","jsonrpc":"1.0"}"#, r#""a\"b""#),
            (r#"{"method":"x","params":{"a":1,"a":2},"id":-3}"#, "-3"),
            (r#"{"id":1,"method":"x","params":{"a":}}"#, "1"),
            (r#"{"id":1,"method":"x","params":{"a""#, "1"),
            (r#"{"method":"x","params":{"a":NaN},"id":1}"#, ""),
        ] {
            let expected = request(id).filter(|_| !id.is_empty());
            assert_eq!(ReadableId::of(body.as_bytes()), expected, "{body}");
        }
        let deep = format!(
            r#"{{"method":"x","params":{}{},"id":1}}"#,
            "[".repeat(5000),
            "]".repeat(5000)
        );
        assert_eq!(ReadableId::of(deep.as_bytes()), request("1"));
    }

    #[test]
    fn r6_an_id_that_is_unclear_is_not_read() {
        for body in [
            r#"{"id":1,"id":2,"method":"x"}"#,
            r#"{"id":1.5,"method":"x"}"#,
            r#"{"id":null,"method":"x"}"#,
            r#"{"id":{"a":1},"method":"x"}"#,
            r#"{"id":1}"#,
            r#"{"id":1,"method":"x","result":{}}"#,
            r#"{"id":1,"result":{},"error":{}}"#,
            r#"[{"id":1,"method":"x"}]"#,
            r#"{"id":99999999999999999999999,"method":"x"}"#,
            "7",
            "",
        ] {
            assert_eq!(ReadableId::of(body.as_bytes()), None, "{body}");
        }
        assert_eq!(
            ReadableId::of(br#"{"id":4,"result":{"a":1,"a":2}}"#),
            Some(ReadableId::Response(b"4".to_vec()))
        );
    }
}
