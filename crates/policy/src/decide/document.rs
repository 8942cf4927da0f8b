//! The keys of `decide`, as they are written.

use serde::Deserialize;
use serde_json::Value;

use crate::checked_text::{ClusterName, EndpointPath, VariableName};
use crate::value::Period;

/// A server outside that decides about each call, in addition to the policy. It can only refuse more than the
/// policy. Of several sections that match a call, the most specific one is used; it replaces the others.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DecideDocument {
    /// A decision point that speaks AuthZEN (Authorization API 1.0).
    pub authzen: Option<PointDocument>,
    /// Open Policy Agent, by its data API. `path` names the rule, such as `/v1/data/mcp/allow`.
    pub opa: Option<PointDocument>,
    /// Another decision point. The policy has the template of the question.
    pub http: Option<HttpPointDocument>,
    /// The arguments that are sent: names, or names with dots between them. No others are.
    pub arguments: Vec<String>,
    /// The resource of the question. Default: the tool, prompt or resource itself.
    pub resource: Option<DecidedResourceDocument>,
    /// How long an answer is used again for exactly the same question, at most 5m. Default: not at all.
    pub cache: Option<Period>,
}

/// Where a decision point is asked.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PointDocument {
    /// The Envoy cluster.
    pub cluster: ClusterName,
    /// The path for one question. For AuthZEN most often `/access/v1/evaluation`.
    pub path: EndpointPath,
    /// With `authzen`: the path for many questions at once, most often `/access/v1/evaluations`. Lists then show
    /// what the decision point would allow.
    pub evaluations: Option<EndpointPath>,
    /// The `:authority` of the call. Default: the name of the cluster.
    pub authority: Option<String>,
    /// The time to answer: 10ms to 5s. Default: 1s.
    pub timeout: Option<Period>,
    /// The environment variable (of the Wasm VM) with the filter's credential there.
    pub credential_env: Option<VariableName>,
    /// The authentication scheme before the credential. Default: Bearer.
    pub scheme: Option<String>,
}

/// A decision point with a language of its own.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HttpPointDocument {
    /// The Envoy cluster.
    pub cluster: ClusterName,
    /// The path.
    pub path: EndpointPath,
    /// The JSON body of the POST request. `{subject.id}` and other paths in braces are replaced by this value of
    /// the AuthZEN question.
    pub body: Value,
    /// The place of the decision in the answer, as a JSON pointer.
    pub allow: String,
    /// The value there that allows the call. Any other value of its type refuses it.
    #[serde(default = "default_is")]
    pub is: Value,
    /// The `:authority` of the call. Default: the name of the cluster.
    pub authority: Option<String>,
    /// The time to answer: 10ms to 5s. Default: 1s.
    pub timeout: Option<Period>,
    /// The environment variable (of the Wasm VM) with the filter's credential there.
    pub credential_env: Option<VariableName>,
    /// The authentication scheme before the credential. Default: Bearer.
    pub scheme: Option<String>,
}

/// The resource of a question.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DecidedResourceDocument {
    /// Its type, such as `ticket`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id: an argument such as `args.ticket_id`, or a fixed text.
    pub id: String,
}

fn default_is() -> Value {
    Value::Bool(true)
}
