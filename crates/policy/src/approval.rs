//! `confirm`: calls that the user agrees to, and calls that another person approves.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};

use super::checked_text::{ClusterName, EndpointPath, VariableName};
use super::document::{Document, Hold, RoleDocument};
use super::endpoint::compile_endpoint;
use super::error::{Errors, PolicyError, unknown};
use super::roles::with_extended;
use super::value::Period;
use super::{Operation, Policy};
use base::http::Endpoint;

/// How long a question to another person may wait for its answer, and how long the answer may be valid.
const VALID_FOR: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(600)..=Duration::from_secs(24 * 3600);

/// The text that the reader of policies takes in place of a wrong value (`read/stand_in.rs`). No policy has it.
const STAND_IN: &str = "\u{1}";

/// Whether calls are confirmed: `true` by the user, with `by` by another person.
#[derive(Debug, Clone, Default)]
pub enum ConfirmDocument {
    /// They are not.
    #[default]
    No,
    /// By the user of the call.
    User,
    /// By another person.
    Person(Box<ApprovalDocument>),
}

/// The approval of calls by another person.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApprovalDocument {
    /// The people who may approve.
    pub by: ApproversDocument,
    /// How long the question waits for an answer, and how long an approval is valid after it. 10m to 1d.
    #[serde(default = "default_valid_for")]
    pub valid_for: Period,
    /// The webhook that gets a message about each new question.
    pub notify: Option<NotifyDocument>,
}

/// The people who may approve calls: of the same issuer and organization as the caller, and never the caller.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApproversDocument {
    /// The role that they have, or one that extends it.
    pub role: String,
}

/// A webhook. Its messages have no arguments, and are signed (Standard Webhooks).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NotifyDocument {
    /// The Envoy cluster.
    pub cluster: ClusterName,
    /// The path on that cluster.
    pub path: EndpointPath,
    /// The `:authority` of the call. Default: the cluster's name.
    pub authority: Option<String>,
    /// The environment variable (of the Wasm VM) with the secret of the signature: at least 32 characters, or
    /// `whsec_` and base64.
    pub key_env: VariableName,
}

/// The approval of calls by another person, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRule {
    /// The role, as the policy writes it.
    pub role: String,
    /// This role and those that extend it.
    pub roles: Vec<String>,
    /// How long the question waits for an answer, and how long an approval is valid.
    pub valid_for: Duration,
    /// The webhook for new questions.
    pub webhook: Option<Webhook>,
}

/// A webhook of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its endpoint.
    pub endpoint: Endpoint,
    /// The environment variable with its secret.
    pub key_env: String,
}

impl Policy {
    /// Whether another person approves calls of a tool.
    pub fn has_approvals(&self) -> bool {
        self.approvals().next().is_some()
    }

    /// The rules for calls that another person approves.
    pub fn approvals(&self) -> impl Iterator<Item = &ApprovalRule> {
        self.tools.iter().filter_map(|tool| tool.approval.as_ref())
    }

    /// Whether a person with these roles may approve calls that need `role`.
    pub fn may_approve(&self, roles: &[String], role: &str) -> bool {
        let mut rules = self.approvals().filter(|rule| rule.role == role);
        rules.any(|rule| rule.roles.iter().any(|role| roles.contains(role)))
    }

    /// Those of a person's roles that approve calls.
    pub fn approving_roles(&self, roles: &[String]) -> Vec<String> {
        let approves = |role: &&String| self.approvals().any(|rule| rule.roles.contains(role));
        roles.iter().filter(approves).cloned().collect()
    }
}

/// The approval that a call needs. Of several rules, the most specific one counts.
pub fn approval_for<'p>(operations: &[&'p Operation]) -> Option<&'p ApprovalRule> {
    operations
        .iter()
        .find_map(|operation| operation.approval.as_ref())
}

/// The approval of a tool's calls.
pub(super) fn compile_approval(
    path: &str,
    confirm: &ConfirmDocument,
    roles: &BTreeMap<String, RoleDocument>,
    errors: &mut Errors,
) -> Option<ApprovalRule> {
    let ConfirmDocument::Person(document) = confirm else {
        return None;
    };
    let ApprovalDocument {
        by: ApproversDocument { role },
        valid_for,
        notify,
    } = &**document;
    let path = format!("{path}.confirm");
    if !VALID_FOR.contains(&valid_for.0) {
        let message = "expected 10m to 1d";
        errors.push(PolicyError::new(format!("{path}.valid_for"), message));
    }
    if !roles.contains_key(role) || role == "*" {
        let message = match role.as_str() {
            "*" => "found `*`, which every caller has".to_owned(),
            _ => unknown("role", role, roles.keys()),
        };
        errors.push(PolicyError::new(format!("{path}.by.role"), message));
    }
    let webhook = notify.as_ref().and_then(|notify| {
        let place = (&notify.cluster, &notify.path, &notify.authority);
        let host = Some(String::from(&notify.cluster));
        Some(Webhook {
            endpoint: compile_endpoint(&format!("{path}.notify"), place, host, errors)?,
            key_env: String::from(&notify.key_env),
        })
    });
    let extends = |name: &&String| with_extended(name, roles).contains(&role.as_str());
    Some(ApprovalRule {
        role: role.clone(),
        roles: roles.keys().filter(extends).cloned().collect(),
        valid_for: valid_for.0,
        webhook,
    })
}

/// Checks the settings that approvals need.
pub(super) fn check_approvals(document: &Document, errors: &mut Errors) {
    let is_by_person =
        |confirm: &ConfirmDocument| matches!(confirm, ConfirmDocument::Person(_document));
    let mut tools = document.tools.iter();
    let Some((tool, _)) = tools.find(|(_, operation)| is_by_person(&operation.confirm)) else {
        return;
    };
    let path = format!("tools.{tool}.confirm.by");
    let mut refuse = |key: String, message: String| errors.push(PolicyError::new(key, message));
    if document.hold == Hold::BufferFilter {
        let message = format!("`buffer_filter` does not go with `{path}`: there are no pages");
        refuse("hold".to_owned(), message);
    }
    if document.local.is_some() {
        refuse(
            "local".to_owned(),
            format!("does not go with `{path}`: no other person can sign in"),
        );
    }
    for (index, issuer) in document.issuers.iter().enumerate() {
        if issuer.sign_in.is_none() {
            let message = format!("`{path}` needs it: the people who approve sign in on a page");
            refuse(format!("issuers[{index}].sign_in"), message);
        }
        if issuer.identity.roles.is_none() {
            let message = format!("`{path}` needs it: it says who may approve");
            refuse(format!("issuers[{index}].identity.roles"), message);
        }
    }
}

fn default_valid_for() -> Period {
    Period(Duration::from_secs(3600))
}

impl<'de> Deserialize<'de> for ConfirmDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(STAND_IN, ConfirmVisitor)
    }
}

struct ConfirmVisitor;

impl<'de> Visitor<'de> for ConfirmVisitor {
    type Value = ConfirmDocument;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true, false, or a mapping with `by`")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        value: D,
    ) -> Result<ConfirmDocument, D::Error> {
        value.deserialize_any(Self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ConfirmDocument, E> {
        match text {
            STAND_IN => Ok(ConfirmDocument::No),
            _ => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }

    fn visit_bool<E: Error>(self, confirms: bool) -> Result<ConfirmDocument, E> {
        Ok(match confirms {
            true => ConfirmDocument::User,
            false => ConfirmDocument::No,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ConfirmDocument, A::Error> {
        let document = ApprovalDocument::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ConfirmDocument::Person(Box::new(document)))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ConfirmDocument {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ConfirmDocument".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let approval = generator.subschema_for::<ApprovalDocument>();
        schemars::json_schema!({
            "description": "Whether calls are confirmed: `true` by the user, with `by` by another person.",
            "anyOf": [{"type": "boolean"}, approval],
        })
    }
}
