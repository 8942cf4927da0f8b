//! The places of data in a message of the server, and their forms. Parts that do not have the protocol's
//! form are answers as a whole.

use std::collections::BTreeMap;

use base::json::tree::{Child, Node, NodeId, Value};
use mcp::argument_names::fold;

/// The form of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataForm {
    /// The answer.
    Answer,
    /// Data with the answer: `_meta`, the data of an error or a log message. Prose in it is a text.
    Data,
    /// The server's description of itself. Prose in it is for all callers.
    Presented,
    /// A text. It may hold JSON.
    Text,
    /// A text in base64.
    Blob,
    /// An image or audio in base64, if it is valid.
    Media,
    /// A value that the protocol needs unchanged: a URI, a cursor, a state.
    Link,
}

/// A place of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct DataPlace<'n> {
    /// Its key, if the protocol does not define it.
    pub(super) key: &'n str,
    pub(super) node: &'n Node,
    pub(super) form: DataForm,
    /// The content block of this text: some servers write one block for each item of a list.
    pub(super) block: Option<&'n Child>,
}

/// The kind of request that a message answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::response) enum AnswerTo {
    /// A call of a tool, or another request for data.
    Call,
    /// A request for a list. Other rules filter the list itself.
    List,
    /// Another request about the server.
    Server,
    /// Unknown.
    Anything,
}

type Visit<'v, 'n> = &'v mut dyn FnMut(&'n str, &'n Node, DataForm);

/// All places of data in a message, in order.
pub(super) fn places(message: &Node, to: AnswerTo) -> Vec<DataPlace<'_>> {
    let content = message
        .member("result")
        .and_then(|result| result.member("content"));
    let blocks: BTreeMap<NodeId, &Child> = content
        .into_iter()
        .flat_map(Node::children)
        .filter_map(|block| Some((block.node.member("text")?.id(), block)))
        .collect();
    let mut found: Vec<DataPlace<'_>> = Vec::new();
    envelope(message, to, &mut |key, node, form| {
        let block = blocks.get(&node.id()).copied();
        let place = DataPlace {
            key,
            node,
            form,
            block,
        };
        found.push(place);
    });
    found
}

/// The protocol's keys for data. Some clients ignore their case.
const KEYS: &[&str] = &[
    "completion",
    "content",
    "contents",
    "description",
    "error",
    "inputRequests",
    "message",
    "messages",
    "params",
    "requestedSchema",
    "resource",
    "result",
    "statusMessage",
    "structuredContent",
    "systemPrompt",
    "task",
    "text",
    "title",
    "values",
];

/// The protocol's key that a client may read this key as.
fn known(key: &str) -> &str {
    if KEYS.contains(&key) {
        return key;
    }
    let folded = fold(key);
    let mut keys = KEYS.iter();
    let same = keys.find(|known| known.eq_ignore_ascii_case(&folded));
    same.copied().unwrap_or(key)
}

fn envelope<'n>(message: &'n Node, to: AnswerTo, visit: Visit<'_, 'n>) {
    let own = ["jsonrpc", "method", "id", "result", "error", "params"];
    let children = message.children().iter();
    if children
        .clone()
        .any(|child| !own.contains(&child.key.as_str()))
    {
        // Not a message of the protocol.
        visit("", message, DataForm::Answer);
    }
    for Child { key, node, .. } in members(message, visit) {
        match known(key) {
            "jsonrpc" | "method" | "id" if is_scalar(node) => {}
            "result" if to == AnswerTo::Call => result(node, visit),
            "result" => presentation(node, to, visit),
            "error" => error(node, visit),
            "params" => params(node, visit),
            _ => visit(key, node, DataForm::Answer),
        }
    }
}

/// A result about the server: its lists and its initialization.
fn presentation<'n>(node: &'n Node, to: AnswerTo, visit: Visit<'_, 'n>) {
    for child in members(node, visit) {
        let node = &child.node;
        match known(&child.key) {
            "tools" | "prompts" | "resources" | "resourceTemplates" => match to {
                // The list filter has read it.
                AnswerTo::List => {}
                AnswerTo::Anything => visit("", node, DataForm::Presented),
                AnswerTo::Call | AnswerTo::Server => visit(&child.key, node, DataForm::Data),
            },
            "protocolVersion" if is_scalar(node) => visit("", node, DataForm::Link),
            "instructions" if is_scalar(node) => visit("", node, DataForm::Presented),
            "capabilities" | "supportedVersions" => visit("", node, DataForm::Presented),
            "serverInfo" => server_info(node, visit),
            _ => result_member(child, visit),
        }
    }
}

fn server_info<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "name" | "title" | "version" | "description" | "websiteUrl" if is_scalar(node) => {
                visit("", node, DataForm::Link);
            }
            _ => visit(key, node, DataForm::Presented),
        }
    }
}

/// A result, or the result of a task inside one.
fn result<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for child in members(node, visit) {
        result_member(child, visit);
    }
}

fn result_member<'n>(Child { key, node, .. }: &'n Child, visit: Visit<'_, 'n>) {
    match known(key) {
        "structuredContent" => visit("", node, DataForm::Answer),
        "content" => blocks(node, visit),
        "contents" => each(node, visit, contents),
        "messages" => each(node, visit, prompt_message),
        "completion" => completion(node, visit),
        "result" | "task" => result(node, visit),
        "error" => error(node, visit),
        "inputRequests" => input_requests(node, visit),
        "description" | "statusMessage" => text(node, visit),
        "taskId" | "requestState" | "resultType" | "isError" if is_scalar(node) => {}
        "nextCursor" | "ttlMs" | "cacheScope" | "status" | "createdAt" | "lastUpdatedAt"
        | "ttl" | "pollInterval" | "pollIntervalMs"
            if is_scalar(node) =>
        {
            visit("", node, DataForm::Link);
        }
        _ => visit(key, node, DataForm::Data),
    }
}

fn error<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "message" => text(node, visit),
            "code" if matches!(node.value, Value::Number(_)) => {}
            _ => visit(key, node, DataForm::Data),
        }
    }
}

/// The parameters of a notification or a request of the server.
fn params<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "message" | "systemPrompt" | "statusMessage" => text(node, visit),
            "messages" => each(node, visit, prompt_message),
            "content" => blocks(node, visit),
            "result" => result(node, visit),
            "error" => error(node, visit),
            "taskId" | "requestId" | "progressToken" if is_scalar(node) => {}
            "progress" | "total" | "level" | "logger" | "uri" | "mode" | "url"
            | "elicitationId" | "status" | "createdAt" | "lastUpdatedAt" | "ttl" | "ttlMs"
            | "pollInterval" | "pollIntervalMs" | "maxTokens"
                if is_scalar(node) =>
            {
                visit("", node, DataForm::Link);
            }
            "requestedSchema" => schema("", node, visit),
            "includeContext" | "temperature" if is_scalar(node) => {
                visit("", node, DataForm::Link);
            }
            "stopSequences" if is_plain(node) => visit("", node, DataForm::Link),
            "modelPreferences" => model_preferences(node, visit),
            "toolChoice" => plain_members(node, &["mode"], visit),
            "tools" => each(node, visit, tool_of_sampling),
            _ => visit(key, node, DataForm::Data),
        }
    }
}

/// Which model a server prefers (`sampling/createMessage`).
fn model_preferences<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "hints" => each(node, visit, |hint, visit| {
                plain_members(hint, &["name"], visit);
            }),
            "costPriority" | "speedPriority" | "intelligencePriority" if is_scalar(node) => {
                visit("", node, DataForm::Link);
            }
            _ => visit(key, node, DataForm::Data),
        }
    }
}

/// An object whose members of these names are the protocol's.
fn plain_members<'n>(node: &'n Node, own: &[&str], visit: Visit<'_, 'n>) {
    for Child { key, node, .. } in members(node, visit) {
        match own.contains(&known(key)) && is_scalar(node) {
            true => visit("", node, DataForm::Link),
            false => visit(key, node, DataForm::Data),
        }
    }
}

/// A tool that the server gives to the client's model (`sampling/createMessage`).
fn tool_of_sampling<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "name" if is_scalar(node) => visit("", node, DataForm::Link),
            _ => visit("", node, DataForm::Presented),
        }
    }
}

/// The form of an elicitation. Its choices are the protocol's: the server accepts no other value. A default
/// that is no choice may be data: the current value of a hidden field.
fn schema<'n>(property: &'n str, node: &'n Node, visit: Visit<'_, 'n>) {
    let is_choice = |key: &str| matches!(known(key), "enum" | "oneOf" | "anyOf" | "items");
    let has_choices = node.members().iter().any(|member| is_choice(&member.key));
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "default" | "examples" if !has_choices => plain_or_data(property, node, visit),
            "properties" => {
                for Child { key, node, .. } in members(node, visit) {
                    schema(key, node, visit);
                }
            }
            "items" | "oneOf" | "anyOf" => match &node.value {
                Value::Array(items) => {
                    for item in items {
                        schema(property, &item.node, visit);
                    }
                }
                _ => schema(property, node, visit),
            },
            "title" | "description" => text(node, visit),
            _ if is_plain(node) => visit("", node, DataForm::Link),
            _ => visit(key, node, DataForm::Data),
        }
    }
}

/// A value of the protocol, if it is plain; otherwise data.
fn plain_or_data<'n>(key: &'n str, node: &'n Node, visit: Visit<'_, 'n>) {
    let form = match is_plain(node) {
        true => DataForm::Link,
        false => DataForm::Data,
    };
    visit(key, node, form);
}

/// Whether a value is a scalar or a list of scalars.
fn is_plain(node: &Node) -> bool {
    match &node.value {
        Value::Array(items) => items.iter().all(|item| is_scalar(&item.node)),
        _ => is_scalar(node),
    }
}

fn input_requests<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for request in members(node, visit) {
        for Child { key, node, .. } in members(&request.node, visit) {
            match known(key) {
                "method" if is_scalar(node) => {}
                "params" => params(node, visit),
                _ => visit(key, node, DataForm::Data),
            }
        }
    }
}

fn prompt_message<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "role" if is_scalar(node) => {}
            "content" => blocks(node, visit),
            _ => visit(key, node, DataForm::Data),
        }
    }
}

fn completion<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "values" => each(node, visit, text),
            "total" | "hasMore" if is_scalar(node) => {}
            _ => visit(key, node, DataForm::Data),
        }
    }
}

/// Content: one block, a list of blocks, or a plain text.
fn blocks<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    each(node, visit, block);
}

fn block<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    let kind = node.member("type").and_then(Node::text);
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "id" | "name" if kind == Some("tool_use") && is_scalar(node) => {
                visit("", node, DataForm::Link);
            }
            "toolUseId" | "isError" if kind == Some("tool_result") && is_scalar(node) => {
                visit("", node, DataForm::Link);
            }
            "structuredContent" if kind == Some("tool_result") => {
                visit("", node, DataForm::Answer);
            }
            "text" | "name" | "title" | "description" => text(node, visit),
            "resource" => each(node, visit, contents),
            "content" => blocks(node, visit),
            "data" => in_form(node, DataForm::Media, visit),
            "type" | "size" if is_scalar(node) => {}
            "mimeType" | "uri" if is_scalar(node) => visit("", node, DataForm::Link),
            _ => visit(key, node, DataForm::Data),
        }
    }
}

/// The contents of a resource.
fn contents<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    for Child { key, node, .. } in members(node, visit) {
        match known(key) {
            "text" => text(node, visit),
            "blob" => in_form(node, DataForm::Blob, visit),
            "uri" | "mimeType" if is_scalar(node) => visit("", node, DataForm::Link),
            _ => visit(key, node, DataForm::Data),
        }
    }
}

/// The members of an object. Another value is visited as a whole.
fn members<'n>(node: &'n Node, visit: Visit<'_, 'n>) -> &'n [Child] {
    match &node.value {
        Value::Object(members) => members,
        Value::Text(_) => {
            visit("", node, DataForm::Text);
            &[]
        }
        _ => {
            visit("", node, DataForm::Answer);
            &[]
        }
    }
}

/// The elements of a list. Another value is its only element.
fn each<'n>(node: &'n Node, visit: Visit<'_, 'n>, of_one: fn(&'n Node, Visit<'_, 'n>)) {
    match &node.value {
        Value::Array(items) => items.iter().for_each(|item| of_one(&item.node, visit)),
        _ => of_one(node, visit),
    }
}

fn text<'n>(node: &'n Node, visit: Visit<'_, 'n>) {
    in_form(node, DataForm::Text, visit);
}

fn in_form<'n>(node: &'n Node, form: DataForm, visit: Visit<'_, 'n>) {
    let is_text = matches!(node.value, Value::Text(_));
    visit("", node, if is_text { form } else { DataForm::Answer });
}

fn is_scalar(node: &Node) -> bool {
    !matches!(node.value, Value::Array(_) | Value::Object(_))
}
