//! Ids in a message of the server that name something it keeps: tasks and request states. Knowing
//! such an id is enough to use it.

use memchr::memmem;

use super::message::MessageError;
use super::message::params::RELATED_TASK;
use base::json::tree::{Node, Value};

/// What a handle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handle {
    /// A task.
    Task,
    /// What a server wants back with the retry of a request.
    RequestState,
}

/// A message of the server, as far as handles go.
#[derive(Debug)]
pub struct Handed<'n> {
    /// The method; `None` for an answer.
    pub method: Option<&'n str>,
    /// The handles, as the server wrote them.
    pub handles: Vec<(Handle, &'n Node)>,
}

/// Where handles stand (MCP 2026-07-28 "Multi Round-Trip Requests", tasks extension; MCP 2025-11-25
/// "Tasks").
const PLACES: &[(&[&str], Handle)] = &[
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

impl<'n> Handed<'n> {
    /// Finds the handles in a message.
    ///
    /// # Errors
    ///
    /// The message is a batch.
    pub fn of(message: &'n Node) -> Result<Self, MessageError> {
        if matches!(message.value, Value::Array(_)) {
            return Err(MessageError::Batch);
        }
        let method = message.member("method").and_then(Node::text);
        let mut handles = Vec::new();
        for (path, handle) in PLACES {
            let place = path.iter().try_fold(message, |node, key| node.member(key));
            let alone = place.into_iter();
            let listed = alone
                .clone()
                .flat_map(Node::children)
                .map(|child| &child.node);
            for node in alone.chain(listed) {
                if node.text().is_some() {
                    handles.push((*handle, node));
                }
            }
        }
        Ok(Self { method, handles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handles(message: &str) -> Vec<(Handle, String)> {
        let message = Node::read(message.as_bytes(), 32).unwrap();
        let handed = Handed::of(&message).unwrap();
        let found = handed.handles.into_iter();
        let text = |node: &Node| node.text().unwrap().to_owned();
        found.map(|(handle, node)| (handle, text(node))).collect()
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
                (Handle::RequestState, "s".to_owned()),
                (Handle::Task, "t1".to_owned()),
                (Handle::Task, "t2".to_owned()),
                (Handle::Task, "t3".to_owned()),
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
