//! Where in a message of the server its data stand, and in what form.

use crate::mcp::json::tree::{Child, Node, Value};

/// A place where data stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON that is the answer itself.
    Answer,
    /// Other JSON: `_meta`, the data of an error or a log message.
    Data,
    /// A text that is the answer itself, or a part of it; it may be JSON once more.
    Text,
    /// A text about the answer, such as a title.
    Label,
    /// The same as [`Form::Text`], in base64.
    Blob,
}

/// Calls `visit` with every place of a message where data stand.
pub(super) fn places<'n>(message: &'n Node, visit: &mut dyn FnMut(&'n Node, Form)) {
    for member in message.children() {
        match member.key.as_str() {
            "result" => result(&member.node, visit),
            "error" => error(&member.node, visit),
            "params" => params(&member.node, visit),
            _ => {}
        }
    }
}

/// A result, or the result of a task inside one.
fn result<'n>(node: &'n Node, visit: &mut dyn FnMut(&'n Node, Form)) {
    for Child { key, node, .. } in node.children() {
        match key.as_str() {
            "structuredContent" => visit(node, Form::Answer),
            "content" => blocks(node, visit),
            "contents" => each(node, visit, contents),
            "messages" => each(node, visit, prompt_message),
            "completion" => each_text(node.member("values"), visit),
            "result" | "task" => result(node, visit),
            "error" => error(node, visit),
            "inputRequests" => {
                for request in node.children() {
                    request
                        .node
                        .member("params")
                        .into_iter()
                        .for_each(|node| params(node, visit));
                }
            }
            "description" | "statusMessage" => visit(node, Form::Label),
            // Lists are filtered as lists, and the protocol's own members are no data.
            "tools" | "prompts" | "resources" | "resourceTemplates" | "resultType" | "isError"
            | "nextCursor" | "taskId" | "requestState" | "ttlMs" | "cacheScope" | "status"
            | "createdAt" | "lastUpdatedAt" | "ttl" | "pollInterval" | "pollIntervalMs"
            | "protocolVersion" | "supportedVersions" | "capabilities" | "serverInfo"
            | "instructions" => {}
            _ => visit(node, Form::Data),
        }
    }
}

fn error<'n>(node: &'n Node, visit: &mut dyn FnMut(&'n Node, Form)) {
    for Child { key, node, .. } in node.children() {
        match key.as_str() {
            "message" => visit(node, Form::Text),
            "data" => visit(node, Form::Data),
            _ => {}
        }
    }
}

/// The parameters of a notification or a request of the server.
fn params<'n>(node: &'n Node, visit: &mut dyn FnMut(&'n Node, Form)) {
    for Child { key, node, .. } in node.children() {
        match key.as_str() {
            "message" | "systemPrompt" => visit(node, Form::Text),
            "messages" => each(node, visit, prompt_message),
            "content" => blocks(node, visit),
            "result" => result(node, visit),
            "error" => error(node, visit),
            "statusMessage" => visit(node, Form::Label),
            "progressToken" | "progress" | "total" | "level" | "logger" | "uri" | "taskId"
            | "requestId" | "mode" | "url" | "elicitationId" | "status" | "createdAt"
            | "lastUpdatedAt" | "ttl" | "pollInterval" | "requestedSchema" | "maxTokens"
            | "modelPreferences" => {}
            _ => visit(node, Form::Data),
        }
    }
}

fn prompt_message<'n>(node: &'n Node, visit: &mut dyn FnMut(&'n Node, Form)) {
    node.member("content")
        .into_iter()
        .for_each(|content| blocks(content, visit));
}

/// Content: one block, a list of them, or a plain text.
fn blocks<'n>(node: &'n Node, visit: &mut dyn FnMut(&'n Node, Form)) {
    match &node.value {
        Value::Array(_) => each(node, visit, block),
        Value::Object(_) => block(node, visit),
        _ => visit(node, Form::Text),
    }
}

fn block<'n>(node: &'n Node, visit: &mut dyn FnMut(&'n Node, Form)) {
    for Child { key, node, .. } in node.children() {
        match key.as_str() {
            "text" => visit(node, Form::Text),
            "resource" => contents(node, visit),
            "name" | "title" | "description" => visit(node, Form::Label),
            // Pictures and sounds are no text.
            "data" | "type" | "mimeType" | "uri" | "size" | "icons" | "annotations" => {}
            "content" => blocks(node, visit),
            _ => visit(node, Form::Data),
        }
    }
}

/// The contents of a resource.
fn contents<'n>(node: &'n Node, visit: &mut dyn FnMut(&'n Node, Form)) {
    for Child { key, node, .. } in node.children() {
        match key.as_str() {
            "text" => visit(node, Form::Text),
            "blob" => visit(node, Form::Blob),
            "uri" | "mimeType" => {}
            _ => visit(node, Form::Data),
        }
    }
}

fn each<'n>(
    node: &'n Node,
    visit: &mut dyn FnMut(&'n Node, Form),
    of_one: fn(&'n Node, &mut dyn FnMut(&'n Node, Form)),
) {
    for child in node.children() {
        of_one(&child.node, visit);
    }
}

fn each_text<'n>(node: Option<&'n Node>, visit: &mut dyn FnMut(&'n Node, Form)) {
    for child in node.into_iter().flat_map(Node::children) {
        visit(&child.node, Form::Text);
    }
}
