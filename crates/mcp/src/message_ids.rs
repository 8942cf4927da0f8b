//! Ids in a message of the server that the filter seals: task ids and request states. Anyone with such an
//! id could use it.

use super::message::MessageError;
use super::message::params::RELATED_TASK;
use base::json::tree::{Node, Value};
use base::needle::Needle;

/// The kinds of ids that the filter seals in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedIdKind {
    /// A task id.
    Task,
    /// `requestState`, which the client sends back when it retries the request.
    RequestState,
}

/// The ids in a message of the server.
#[derive(Debug)]
pub struct MessageIds<'n> {
    /// The method; `None` for a response.
    pub method: Option<&'n str>,
    /// The ids: their kinds, and the values as the server wrote them.
    pub ids: Vec<(SealedIdKind, &'n Node)>,
}

/// The places of ids (MCP 2026-07-28 "Multi Round-Trip Requests", tasks extension; MCP 2025-11-25
/// "Tasks").
const ID_PATHS: &[(&[&str], SealedIdKind)] = &[
    (&["result", "requestState"], SealedIdKind::RequestState),
    (&["result", "taskId"], SealedIdKind::Task),
    (&["result", "task", "taskId"], SealedIdKind::Task),
    (
        &["result", "_meta", RELATED_TASK, "taskId"],
        SealedIdKind::Task,
    ),
    (&["params", "taskId"], SealedIdKind::Task),
    (
        &["params", "_meta", RELATED_TASK, "taskId"],
        SealedIdKind::Task,
    ),
    (&["params", "notifications", "taskIds"], SealedIdKind::Task),
];

/// Whether a message may hold ids: it has their keys, or escapes that could spell them.
pub fn may_have_ids(body: &[u8]) -> bool {
    static KEYS: [Needle; 3] = [
        Needle::new("requestState"),
        Needle::new("taskId"),
        Needle::new("\\u"),
    ];
    KEYS.iter().any(|key| key.is_in(body))
}

impl<'n> MessageIds<'n> {
    /// Finds the ids in a message.
    ///
    /// # Errors
    ///
    /// The message is a batch.
    pub fn of(message: &'n Node) -> Result<Self, MessageError> {
        if matches!(message.value, Value::Array(_)) {
            return Err(MessageError::Batch);
        }
        let method = message.member("method").and_then(Node::text);
        let mut ids = Vec::new();
        for (path, kind) in ID_PATHS {
            let found = path.iter().try_fold(message, |node, key| node.member(key));
            let alone = found.into_iter();
            let listed = alone
                .clone()
                .flat_map(Node::children)
                .map(|child| &child.node);
            for node in alone.chain(listed) {
                if node.text().is_some() {
                    ids.push((*kind, node));
                }
            }
        }
        Ok(Self { method, ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(message: &str) -> Vec<(SealedIdKind, String)> {
        let message = Node::read(message.as_bytes(), 32).unwrap();
        let read = MessageIds::of(&message).unwrap();
        let found = read.ids.into_iter();
        let text = |node: &Node| node.text().unwrap().to_owned();
        found.map(|(kind, node)| (kind, text(node))).collect()
    }

    #[test]
    fn a_message_without_the_keys_of_ids_has_none() {
        for message in [
            r#"{"result":{"taskId":"t"}}"#,
            r#"{"result":{"request\u0053tate":"t"}}"#,
            r#"{"params":{"notifications":{"taskIds":["a"]}}}"#,
        ] {
            assert!(may_have_ids(message.as_bytes()), "{message}");
            assert!(!ids(message).is_empty(), "{message}");
        }
        assert!(!may_have_ids(
            br#"{"result":{"structuredContent":{"a":"b"}}}"#
        ));
    }

    #[test]
    fn ids_are_found_in_the_places_of_the_protocol_only() {
        let related = r#""_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t3"}}"#;
        assert_eq!(
            ids(&format!(
                r#"{{"result":{{"taskId":"t1","task":{{"taskId":"t2","x":{{"taskId":"no"}}}},{related},"requestState":"s"}}}}"#
            )),
            [
                (SealedIdKind::RequestState, "s".to_owned()),
                (SealedIdKind::Task, "t1".to_owned()),
                (SealedIdKind::Task, "t2".to_owned()),
                (SealedIdKind::Task, "t3".to_owned()),
            ]
        );
        assert_eq!(
            ids(
                r#"{"method":"x","params":{"taskId":"t","notifications":{"taskIds":["a","b",1]}}}"#
            )
            .len(),
            3
        );
        assert_eq!(
            ids(r#"{"result":{"structuredContent":{"taskId":"data"},"requestState":null}}"#),
            []
        );
    }
}
