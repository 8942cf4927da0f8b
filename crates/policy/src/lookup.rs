//! Ownership that is looked up before a call: the server itself is asked for the record that the call names.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::Value as Json;
use thiserror::Error;

use super::condition::Misspelled;
use super::document::{Document, IdentityField, OperationDocument};
use super::error::{Errors, PolicyError};
use super::results::{FieldPath, Mask, Missing, Otherwise, OwnerRule, ResultRule, TextRule};
use super::value::Period;
use super::{Operation, Policy};
use base::json::tree::{Node, Value};
use base::json::{JsonError, Reader, Span};
use mcp::argument_names::fold;
use oauth::Identity;

/// The prefix of a value that is an argument of the call.
const ARGUMENT: &str = "args.";
/// The maximum number of records that one call may name.
const MAX_RECORDS: usize = 16;
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

/// A text, a number or a boolean.
#[derive(Debug, Clone)]
pub struct Scalar(Json);

struct ScalarVisitor;

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

impl Visitor<'_> for ScalarVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number or a boolean")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    /// A protobuf `Struct` has no integers: Envoy writes 5 as 5.0.
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        match value.fract() == 0.0 && value.abs() < 9e15 {
            true => Ok((value as i64).into()),
            false => Ok(value.into()),
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]
        })
    }
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

/// A value of a look-up for one record.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordValue {
    /// An argument of the call, in JSON as the call writes it: a text or a number.
    Argument(String),
    /// A value of the policy.
    Constant(Json),
}

/// Why the arguments of a call name no record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoRecord {
    /// The argument is missing, empty, or neither a text nor a number, nor a list of these.
    #[error("`{0}` must be a text or a number, or a list of these with at least one")]
    Argument(String),
    /// A server could read another argument in its place.
    #[error(transparent)]
    Misspelled(#[from] Misspelled),
    /// Several arguments are lists.
    #[error("only one of the arguments that name records may be a list")]
    Lists,
    /// The call names more records than are asked for.
    #[error("the call names {0} records, and at most {MAX_RECORDS} are checked; send fewer")]
    TooMany(usize),
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

    /// The records that a call names: for each one, the values of the look-up in order. `arguments` is the
    /// object of the call's arguments, as the server will read it.
    ///
    /// # Errors
    ///
    /// The call names no record, or too many.
    pub fn records(&self, arguments: &[u8]) -> Result<Vec<Vec<RecordValue>>, NoRecord> {
        let mut found: Vec<Vec<RecordValue>> = Vec::new();
        let mut records = 1_usize;
        for value in self.values() {
            let values = match value {
                LookupValue::Constant(value) => vec![RecordValue::Constant(value.clone())],
                LookupValue::Argument(path) => arguments_at(path, arguments)?,
            };
            match (values.len(), records) {
                (1, _) => {}
                (many, 1) => records = many,
                _ => return Err(NoRecord::Lists),
            }
            found.push(values);
        }
        if records > MAX_RECORDS {
            return Err(NoRecord::TooMany(records));
        }
        let record = |at: usize| {
            let value = |values: &Vec<RecordValue>| values.get(at).or(values.first()).cloned();
            found.iter().filter_map(value).collect()
        };
        Ok((0..records).map(record).collect())
    }
}

/// The values of one argument, each once.
fn arguments_at(path: &[String], arguments: &[u8]) -> Result<Vec<RecordValue>, NoRecord> {
    let missing = || NoRecord::Argument(path.join("."));
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let folded = fold(first);
    // Other arguments may be large. They are not read.
    let (mut at, mut other) = (None, false);
    let mut reader = Reader::new(arguments, usize::MAX);
    let read = reader.object(|reader, member| {
        let key = &*member.key.value;
        let value = reader.skip()?;
        match key == first {
            true => at = Some(value),
            false => other |= may_be_read_as(key, &folded),
        }
        Ok::<(), JsonError>(())
    });
    if other {
        return Err(Misspelled::Otherwise(first.clone()).into());
    }
    let text = read.ok().and(at).and_then(|span| arguments.get(span));
    let text = text.ok_or_else(missing)?;
    let node = Node::read(text, usize::MAX).map_err(|_| missing())?;
    let mut found: Vec<Span> = Vec::new();
    collect(rest, &node, &mut found)?.ok_or_else(missing)?;
    let mut known = HashSet::new();
    let texts = found.into_iter().filter_map(|span| text.get(span));
    let texts = texts.filter(|text| known.insert(*text));
    let values =
        texts.map(|text| RecordValue::Argument(String::from_utf8_lossy(text).into_owned()));
    let values: Vec<_> = values.collect();
    match values.is_empty() {
        true => Err(missing()),
        false => Ok(values),
    }
}

/// Collects the values at a path. A list stands for its elements. `None`: an element has none.
fn collect(path: &[String], node: &Node, found: &mut Vec<Span>) -> Result<Option<()>, Misspelled> {
    match (&node.value, path.split_first()) {
        (Value::Array(elements), _) => {
            for element in elements {
                if collect(path, &element.node, found)?.is_none() {
                    return Ok(None);
                }
            }
            Ok((!elements.is_empty()).then_some(()))
        }
        (Value::Object(members), Some((step, rest))) => {
            let folded = fold(step);
            let others = members.iter().filter(|member| member.key != *step);
            if others
                .into_iter()
                .any(|member| may_be_read_as(&member.key, &folded))
            {
                return Err(Misspelled::Otherwise(step.clone()));
            }
            match node.member(step) {
                Some(value) => collect(rest, value, found),
                None => Ok(None),
            }
        }
        (Value::Text(_) | Value::Number(_), None) => {
            found.push(node.span.clone());
            Ok(Some(()))
        }
        _ => Ok(None),
    }
}

/// Whether a server could read a key as this name, although it is spelled otherwise.
pub fn may_be_misread(key: &str, name: &str) -> bool {
    key != name && may_be_read_as(key, &fold(name))
}

/// Whether a server could read a key as the name that folds to this: it ignores case or separators, or reads
/// the key as a path.
fn may_be_read_as(key: &str, folded: &str) -> bool {
    let is_separator =
        |character: char| !character.is_alphanumeric() && !matches!(character, '_' | '-');
    let start = key.trim_start_matches(is_separator);
    let ends = [start.find(is_separator), start.find("__")];
    let mut firsts = ends
        .into_iter()
        .flatten()
        .filter_map(|end| start.get(..end));
    fold(key) == folded || firsts.any(|first| fold(first) == folded)
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
