//! Handles in a message of the server: names of something it keeps, which whoever knows them could
//! use.

use std::borrow::Cow;

use memchr::memmem;

use super::json::{Kind, Reader, Text};
use super::message::MessageError;
use super::message::params::RELATED_TASK;

/// What a handle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handle {
    /// A task.
    Task,
    /// What a server wants back with the retry of a request.
    RequestState,
}

/// A message of the server, as far as handles go.
#[derive(Debug, Default)]
pub struct Handed<'a> {
    /// The method; `None` for an answer.
    pub method: Option<Cow<'a, str>>,
    /// The handles, in their order.
    pub handles: Vec<(Handle, Text<'a>)>,
}

/// A place in a message: the keys on the way.
type Place = (&'static [&'static str], Handle);

/// Where handles stand (MCP 2026-07-28 "Multi Round-Trip Requests", tasks extension; MCP 2025-11-25
/// "Tasks").
const PLACES: &[Place] = &[
    (&["result", "requestState"], Handle::RequestState),
    (&["result", "taskId"], Handle::Task),
    (&["result", "task", "taskId"], Handle::Task),
    (&["result", "_meta", RELATED_TASK, "taskId"], Handle::Task),
    (&["params", "taskId"], Handle::Task),
    (&["params", "_meta", RELATED_TASK, "taskId"], Handle::Task),
    (&["params", "notifications", "taskIds"], Handle::Task),
];

/// Whether a message may have handles: their keys stand in it, or could, spelled with escapes.
pub fn may_have_handles(body: &[u8]) -> bool {
    let keys: [&[u8]; 3] = [b"requestState", b"taskId", b"\\u"];
    keys.iter().any(|key| memmem::find(body, key).is_some())
}

impl<'a> Handed<'a> {
    /// Finds the handles in a message.
    ///
    /// # Errors
    ///
    /// The message is not strict JSON, or is a batch.
    pub fn read(body: &'a [u8], max_depth: usize) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body, max_depth);
        let mut handed = Self::default();
        if reader.kind()? == Kind::Array {
            return Err(MessageError::Batch);
        }
        reader.object(|reader, member| {
            if member.key.value == "method" && reader.kind()? == Kind::String {
                handed.method = Some(reader.string()?.value);
                return Ok(());
            }
            handed.walk(reader, &below(PLACES, &member.key.value))
        })?;
        reader.end()?;
        Ok(handed)
    }

    fn walk(&mut self, reader: &mut Reader<'a>, places: &[Place]) -> Result<(), MessageError> {
        let here = places.iter().find(|(path, _)| path.is_empty());
        match (reader.kind()?, here) {
            (Kind::String, Some((_, handle))) => self.handles.push((*handle, reader.string()?)),
            (Kind::Array, Some(_)) => {
                reader.array(|reader| self.walk(reader, places))?;
            }
            (Kind::Object, None) if !places.is_empty() => {
                reader.object(|reader, member| {
                    self.walk(reader, &below(places, &member.key.value))
                })?;
            }
            _ => {
                reader.skip()?;
            }
        }
        Ok(())
    }
}

fn below(places: &[Place], key: &str) -> Vec<Place> {
    let below = |(path, handle): &Place| {
        let (first, rest) = path.split_first()?;
        (*first == key).then_some((rest, *handle))
    };
    places.iter().filter_map(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handles(message: &str) -> Vec<(Handle, String)> {
        let handed = Handed::read(message.as_bytes(), 32).unwrap();
        let text = |(handle, text): (_, Text<'_>)| (handle, text.value.into_owned());
        handed.handles.into_iter().map(text).collect()
    }

    #[test]
    fn a_message_without_the_keys_of_handles_has_none() {
        for message in [
            r#"{"result":{"taskId":"t"}}"#,
            r#"{"result":{"request\u0053tate":"t"}}"#,
            r#"{"params":{"notifications":{"taskIds":["a"]}}}"#,
        ] {
            assert!(may_have_handles(message.as_bytes()), "{message}");
            assert!(!handles(message).is_empty(), "{message}");
        }
        assert!(!may_have_handles(
            br#"{"result":{"structuredContent":{"a":"b"}}}"#
        ));
    }

    #[test]
    fn handles_are_found_where_the_protocol_has_them() {
        let related = r#""_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t3"}}"#;
        assert_eq!(
            handles(&format!(
                r#"{{"result":{{"taskId":"t1","task":{{"taskId":"t2","x":{{"taskId":"no"}}}},{related},"requestState":"s"}}}}"#
            )),
            [
                (Handle::Task, "t1".to_owned()),
                (Handle::Task, "t2".to_owned()),
                (Handle::Task, "t3".to_owned()),
                (Handle::RequestState, "s".to_owned()),
            ]
        );
        assert_eq!(
            handles(
                r#"{"method":"x","params":{"taskId":"t","notifications":{"taskIds":["a","b",1]}}}"#
            )
            .len(),
            3
        );
        assert_eq!(
            handles(r#"{"result":{"structuredContent":{"taskId":"data"},"requestState":null}}"#),
            []
        );
    }
}
