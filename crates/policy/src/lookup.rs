//! Ownership that is looked up before a call: the server itself is asked for the record that the call names.

mod records;
mod scalar;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

pub use self::records::{NoRecord, RecordValue, may_be_misread};
use self::scalar::Scalar;
use super::document::{Document, IdentityField, OperationDocument};
use super::error::{Errors, PolicyError};
use super::results::{FieldPath, Mask, Missing, Otherwise, OwnerRule, ResultRule, TextRule};
use super::value::Period;
use super::{Operation, Policy};
use oauth::Identity;

/// The prefix of a value that is an argument of the call.
const ARGUMENT: &str = "args.";
/// The limits of `timeout` and `cache`. The worker gives up calls after ten seconds.
const MIN_TIMEOUT: Duration = Duration::from_millis(50);
const MAX_TIMEOUT: Duration = Duration::from_secs(8);
const MAX_CACHE: Duration = Duration::from_secs(600);

/// The owner that a record must have before the call passes. The filter reads the record with a tool or
/// resource of the server, as the caller.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordOwnerDocument {
    /// How the record is read.
    pub lookup: LookupDocument,
    /// The field of the record that names the owner, written as in `results`.
    pub field: FieldPath,
    /// The field of the caller's identity that it must name.
    pub is: IdentityField,
    /// Callers with one of these roles may use all records.
    #[serde(default)]
    pub unless_role: Vec<String>,
    /// How long a record that is the caller's is known to be, for the same caller and arguments. At most 10m.
    /// Default: each call asks.
    pub cache: Option<Period>,
    /// How long the server may take. 50ms to 8s.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// Arguments of the call that get the value of a field of the record, such as its version, so that the server
    /// refuses the call if the record has changed since. A different value of the client's refuses the call.
    #[serde(default)]
    pub expect: BTreeMap<String, FieldPath>,
}

/// How a record is read: with a tool or a resource.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LookupDocument {
    /// The tool that reads the record. It must not change anything.
    pub tool: Option<String>,
    /// The arguments of the tool: `args.ticket_id` is an argument of the call, other values are constants.
    #[serde(default)]
    pub arguments: BTreeMap<String, Scalar>,
    /// In place of a tool: the URI of the resource, such as `crm://tickets/{args.ticket_id}`.
    pub resource: Option<String>,
}

/// A checked rule for the owner of a record.
#[derive(Debug)]
pub struct RecordOwner {
    /// How the record is read.
    pub lookup: Lookup,
    /// The rule for the record.
    pub rule: ResultRule,
    /// How long a record is known to be the caller's.
    pub cache: Option<Duration>,
    /// How long the server may take.
    pub timeout: Duration,
    /// Arguments that get the value of a field of the record.
    pub expect: Vec<(String, FieldPath)>,
}

/// How a record is read.
#[derive(Debug)]
pub enum Lookup {
    /// With a tool.
    Tool {
        /// The tool.
        name: String,
        /// Its arguments.
        arguments: Vec<(String, LookupValue)>,
    },
    /// With a resource: the parts of its URI.
    Resource(Vec<LookupValue>),
}

/// A value of a look-up.
#[derive(Debug, Clone, PartialEq)]
pub enum LookupValue {
    /// An argument of the call, by the names on its path.
    Argument(Vec<String>),
    /// A value of the policy.
    Constant(Json),
}

impl Lookup {
    /// The tool, or the URI as the policy writes it.
    pub fn written(&self) -> String {
        match self {
            Self::Tool { name, .. } => name.clone(),
            Self::Resource(parts) => {
                let part = |part: &LookupValue| match part {
                    LookupValue::Argument(path) => format!("{{{ARGUMENT}{}}}", path.join(".")),
                    LookupValue::Constant(text) => text.as_str().unwrap_or_default().to_owned(),
                };
                parts.iter().map(part).collect()
            }
        }
    }

    fn values(&self) -> Vec<&LookupValue> {
        match self {
            Self::Tool { arguments, .. } => arguments.iter().map(|(_, value)| value).collect(),
            Self::Resource(parts) => parts.iter().collect(),
        }
    }
}

impl LookupValue {
    /// A value of the policy. `None`: the path of an argument has a step without a name.
    fn of(value: &Json) -> Option<Self> {
        match value.as_str().filter(|text| text.starts_with(ARGUMENT)) {
            Some(text) => argument(text),
            None => Some(Self::Constant(value.clone())),
        }
    }
}

/// An argument by its path: `args.ticket.id`.
fn argument(written: &str) -> Option<LookupValue> {
    let path = written.strip_prefix(ARGUMENT)?.split('.');
    let path: Vec<String> = path.map(str::to_owned).collect();
    let is_sound = path.iter().all(|step| !step.trim().is_empty());
    is_sound.then_some(LookupValue::Argument(path))
}

/// The parts of a URI with arguments in braces. `None`: a brace has no partner, or holds no argument.
fn uri_parts(written: &str) -> Option<Vec<LookupValue>> {
    let mut parts = Vec::new();
    let mut rest = written;
    while let Some((before, behind)) = rest.split_once('{') {
        let (inside, after) = behind.split_once('}')?;
        parts.push(LookupValue::Constant(before.into()));
        parts.push(argument(inside)?);
        rest = after;
    }
    parts.push(LookupValue::Constant(rest.into()));
    let has_brace = |part: &LookupValue| match part {
        LookupValue::Constant(text) => text.as_str().is_some_and(|text| text.contains(['{', '}'])),
        LookupValue::Argument(_) => false,
    };
    (!parts.iter().any(has_brace)).then_some(parts)
}

/// Checks the `owner` of a tool or prompt.
pub(super) fn compile_record_owner(
    path: &str,
    operation: &OperationDocument,
    has_organization: bool,
    errors: &mut Errors,
) -> Option<Rc<RecordOwner>> {
    let document = operation.owner.as_ref()?;
    let path = format!("{path}.owner");
    let mut refuse =
        |key: &str, message: &str| errors.push(PolicyError::new(format!("{path}{key}"), message));
    if document.is == IdentityField::Organization && !has_organization {
        let message = "`organization` needs `identity.organization` at every issuer";
        refuse(".is", message);
    }
    let timeout = document.timeout.0;
    if !(MIN_TIMEOUT..=MAX_TIMEOUT).contains(&timeout) {
        refuse(".timeout", "expected 50ms to 8s");
    }
    let cache = document.cache.map(|cache| cache.0);
    if cache.is_some_and(|cache| cache.as_secs() == 0 || cache > MAX_CACHE) {
        refuse(".cache", "expected 1s to 10m; without it each call asks");
    }
    if cache.is_some() && !document.expect.is_empty() {
        refuse(".expect", "excludes `cache`: the value has to be new");
    }
    let lookup = compile_lookup(&document.lookup, &mut refuse)?;
    let is_of_call = |value: &&LookupValue| matches!(value, LookupValue::Argument(_));
    if !lookup.values().iter().any(is_of_call) {
        let message = "found no argument of the call, expected one such as `args.ticket_id`: it names the \
                       record";
        refuse(".lookup", message);
    }
    Some(Rc::new(RecordOwner {
        lookup,
        rule: ResultRule {
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            owner: Some(OwnerRule {
                field: document.field.clone(),
                is: document.is,
                otherwise: Otherwise::Refuse,
                missing: Missing::Refuse,
                totals: Vec::new(),
            }),
            redact: Vec::new(),
            detect: Vec::new(),
            unless_role: document.unless_role.clone(),
            with: Mask::Mask,
            text: TextRule::Keep,
        },
        cache,
        timeout,
        expect: document.expect.clone().into_iter().collect(),
    }))
}

fn compile_lookup(
    document: &LookupDocument,
    refuse: &mut impl FnMut(&str, &str),
) -> Option<Lookup> {
    match (&document.tool, &document.resource) {
        (Some(name), None) => {
            if name.trim().is_empty() || name.trim() != name || name.contains('*') {
                refuse(".lookup.tool", "expected the full name of one tool");
            }
            let mut arguments = Vec::new();
            for (argument, value) in &document.arguments {
                match LookupValue::of(&value.0) {
                    Some(value) => arguments.push((argument.clone(), value)),
                    None => refuse(
                        &format!(".lookup.arguments.{argument}"),
                        "expected an argument of the call, such as `args.ticket_id`",
                    ),
                }
            }
            Some(Lookup::Tool {
                name: name.clone(),
                arguments,
            })
        }
        (None, Some(uri)) => {
            if !document.arguments.is_empty() {
                let message = "goes with `tool`: a resource has its arguments in its URI";
                refuse(".lookup.arguments", message);
            }
            let parts = uri_parts(uri);
            if parts.is_none() || !uri.contains(':') {
                let message = "expected a URI with arguments in braces, such as \
                               `crm://tickets/{args.ticket_id}`";
                refuse(".lookup.resource", message);
            }
            parts.map(Lookup::Resource)
        }
        _ => {
            refuse(".lookup", "expected either `tool` or `resource`");
            None
        }
    }
}

/// Checks that the policy names the cluster that look-ups go to.
pub(super) fn check_lookup_cluster(document: &Document, errors: &mut Errors) {
    if document.upstream.cluster.is_some() {
        return;
    }
    for (section, operations) in [("tools", &document.tools), ("prompts", &document.prompts)] {
        for (name, _) in operations.iter().filter(|(_, one)| one.owner.is_some()) {
            let message = "needs `upstream.cluster`, the Envoy cluster of the MCP server: it is asked for the record";
            errors.push(PolicyError::new(format!("{section}.{name}.owner"), message));
        }
    }
}

/// Checks that no rule for arguments would change an argument of a look-up: it would ask for another record.
pub(super) fn check_lookup_arguments(policy: &Policy, errors: &mut Errors) {
    for (section, operations) in [("tools", &policy.tools), ("prompts", &policy.prompts)] {
        for operation in operations {
            let expected = operation.owner.iter().flat_map(|owner| &owner.expect);
            for (argument, _) in expected {
                let headers = || operations.iter().flat_map(|other| &other.param_headers);
                let is_mirrored = headers().any(|header| header.argument == [argument.as_str()]);
                let is_ruled = policy.ruled_name(argument, &[operation]).is_some();
                let message = match (is_ruled, is_mirrored) {
                    (true, _) => "a rule under `arguments` sets or removes it",
                    (_, true) => {
                        "a header mirrors it (`param_headers`), and the client cannot know its value"
                    }
                    (false, false) => continue,
                };
                let pattern = operation.pattern.written();
                let path = format!("{section}.{pattern}.owner.expect.{argument}");
                errors.push(PolicyError::new(path, message));
            }
            let Some(Lookup::Tool { name, arguments }) =
                operation.owner.as_ref().map(|owner| &owner.lookup)
            else {
                continue;
            };
            let tools = policy.tools.iter();
            let of_tool = tools.filter(|tool| tool.pattern.matches(name, Identity::anonymous()));
            let of_tool: Vec<&Operation> = of_tool.collect();
            for (argument, _) in arguments {
                if policy.ruled_name(argument, &of_tool).is_none() {
                    continue;
                }
                let path = format!(
                    "{section}.{}.owner.lookup.arguments.{argument}",
                    operation.pattern.written()
                );
                let message = format!(
                    "a rule under `arguments` would change it, and the look-up would ask for another record; if \
                     it is data, give `{name}` `arguments: {{{argument}: keep}}`"
                );
                errors.push(PolicyError::new(path, message));
            }
        }
    }
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(2))
}

#[cfg(test)]
mod tests;
