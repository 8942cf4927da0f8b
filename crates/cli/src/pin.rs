//! `mcp-auth pin`: the pins of the tools in a saved list, for a policy, or the tools that changed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use base::json::tree::Node;
use clap::Args;
use mcp::message::MessageError;
use mcp::method::List;
use mcp::pin::Pin;
use mcp::server_list::{Item, Listing};
use mcp::sse::{self, EventStream};
use mcp_auth_filter::authorize::{Target, is_for_a_role, is_for_anonymous};
use oauth::Identity;
use policy::{PinRule, Policy};
use serde_json::{Map, Value, json};

use crate::terminal_text::printable;
use crate::{CommandOutput, Failure, files, policy_file};

/// The nesting depth that the filter reads in lists.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Args)]
pub(crate) struct PinArguments {
    /// The server's own answer to `tools/list`, not the filter's, as JSON or as an event stream. `-` reads
    /// standard input. Several files are pages of one list.
    #[arg(long, required = true, value_name = "LIST")]
    tools: Vec<PathBuf>,
    /// Pin only tools that a role of this policy allows, and list the tools that differ from its pins.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// The policy to use if there are several, by its path or its `resource`.
    #[arg(long, requires = "policy")]
    path: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &PinArguments) -> Result<CommandOutput, Failure> {
    let mut tools = BTreeMap::new();
    for path in &arguments.tools {
        read(path, &mut tools)?;
    }
    let mut differences = Vec::new();
    if let Some(path) = &arguments.policy {
        let (policy, _) = policy_file::load(path)?.single(arguments.path.as_deref())?;
        differences = changed(&policy, &tools);
        tools.retain(|name, _| may_be_called(&policy, name));
    }
    let status = u8::from(!differences.is_empty());
    if arguments.json {
        let pins = tools
            .iter()
            .map(|(name, pin)| (name.clone(), Value::from(pin.to_string())));
        let differences = differences.iter();
        let differences = differences.map(|(name, what)| json!({"tool": name, "difference": what}));
        let all = json!({"pins": pins.collect::<Map<_, _>>(), "differences": differences.collect::<Vec<_>>()});
        return Ok(CommandOutput {
            stdout: format!("{all:#}\n"),
            status,
            ..CommandOutput::default()
        });
    }
    let line = |(name, what): &(String, &str)| format!("mcp-auth: `{}` {what}\n", printable(name));
    Ok(CommandOutput {
        stdout: yaml(&tools),
        stderr: differences.iter().map(line).collect(),
        status,
    })
}

/// Whether a role of the policy allows a tool. Placeholders match no name of a tool.
fn may_be_called(policy: &Policy, name: &str) -> bool {
    let (nobody, tool) = (Identity::anonymous(), Target::Tool(name));
    is_for_a_role(policy, nobody, tool) || is_for_anonymous(policy, nobody, tool)
}

/// The tools that differ from the policy's pins, and how.
fn changed(policy: &Policy, tools: &BTreeMap<String, Pin>) -> Vec<(String, &'static str)> {
    let mut changed = Vec::new();
    for operation in &policy.tools {
        let Some(PinRule::As(pin)) = operation.pin else {
            continue;
        };
        let name = operation.pattern.written();
        let what = match tools.get(name) {
            Some(found) if *found == pin => continue,
            Some(_) => "is not what was pinned; read it again before you take the new pin",
            None => "is pinned and not in the list",
        };
        changed.push((name.to_owned(), what));
    }
    changed
}

fn yaml(tools: &BTreeMap<String, Pin>) -> String {
    let mut out = "tools:\n".to_owned();
    for (name, pin) in tools {
        let _ = writeln!(out, "  {}: {{pin: \"{pin}\"}}", key(name));
    }
    out
}

/// A key of YAML. A key that YAML could read as another type is quoted as in JSON.
pub(crate) fn key(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let is_word =
        name.contains(['.', '_', '/']) && name.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_word && name.bytes().all(is_plain) {
        return name.to_owned();
    }
    let quoted = Value::from(name).to_string();
    let ascii = quoted.chars().map(|character| match character {
        ' '..='~' => character.to_string(),
        other => {
            let mut units = [0; 2];
            let units = other.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect()
        }
    });
    ascii.collect()
}

/// Reads the tools of one page.
fn read(path: &Path, tools: &mut BTreeMap<String, Pin>) -> Result<(), Failure> {
    let bytes = files::read(path)?;
    let messages = match bytes.trim_ascii_start().first() {
        Some(b'{') => vec![bytes],
        _ => messages(&bytes).ok_or_else(|| not_a_list(path, "an event in it does not end"))?,
    };
    let before = tools.len();
    for message in messages {
        let tree = Node::read(&message, MAX_DEPTH)
            .map_err(|error| not_a_list(path, &MessageError::from(error).to_string()))?;
        let listing = Listing::of(&tree).map_err(|error| not_a_list(path, &error.to_string()))?;
        for item in listing.items.iter().filter(|item| item.list == List::Tools) {
            let pin = pin(&message, item).map_err(|error| not_a_list(path, &error.to_string()))?;
            if tools
                .insert(item.name.to_owned(), pin)
                .is_some_and(|other| other != pin)
            {
                let message = format!("`{}` is in the list twice", printable(item.name));
                return Err(not_a_list(path, &message));
            }
        }
    }
    match tools.len() > before {
        true => Ok(()),
        false => Err(not_a_list(path, "there are no tools in it")),
    }
}

fn pin(message: &[u8], item: &Item<'_>) -> Result<Pin, base::json::JsonError> {
    let tool = message.get(item.item.node.span.clone());
    Pin::of(tool.unwrap_or_default(), MAX_DEPTH)
}

/// The messages in an event stream.
pub(crate) fn messages(stream: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = EventStream::new(usize::MAX);
    let mut events = reader.push(stream).ok()?;
    // A saved stream may lack the end of its last line.
    events.extend(reader.push(b"\n\n").ok()?);
    let data = events.iter().map(|event| sse::data(event));
    Some(data.filter(|data| !data.is_empty()).collect())
}

fn not_a_list(path: &Path, why: &str) -> Failure {
    Failure::usage(
        format!("{} holds no list of tools: {why}", files::name(path)),
        "save what the server answers to `tools/list`, as docs/pins.md says",
    )
}
