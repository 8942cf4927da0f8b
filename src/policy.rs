//! The file users write: parsed, checked, compiled.

mod builtin;
mod compile;
mod condition;
pub mod document;
mod dpop;
mod error;
mod issuers;
mod lint;
mod pattern;
mod read;
mod roles;
mod value;

use std::collections::HashMap;
use std::time::Duration;

pub use builtin::builtin_arguments;
pub use condition::{Condition, ConditionError};
pub use document::{ArgumentRule, Authorization, Hold, IdentityField, Mode, Refusals, Subject};
pub use error::PolicyError;
pub use pattern::{Pattern, is_plain_uri};
pub use roles::{Grant, Role};

use crate::identity::{ProofRules, TrustedIssuer};
use crate::mcp::names::{NameId, NameTable};

/// A policy that was checked as a whole.
#[derive(Debug)]
pub struct Policy {
    /// This server's own name.
    pub resource: String,
    /// Where MCP requests arrive.
    pub path: String,
    /// Whether decisions take effect.
    pub mode: Mode,
    /// Who may vouch for a caller.
    pub issuers: Vec<TrustedIssuer>,
    /// What proofs have to say; `None` if bound tokens are refused.
    pub dpop: Option<ProofRules>,
    /// Scopes every request needs.
    pub scopes: Vec<String>,
    /// Roles by name.
    pub roles: HashMap<String, Role>,
    /// Every argument name any rule is about.
    pub names: NameTable,
    /// What happens to an argument unless its operation says otherwise.
    arguments: HashMap<NameId, ArgumentRule>,
    /// Conditions for tools, the most specific first.
    pub tools: Vec<Operation>,
    /// Conditions for prompts, the most specific first.
    pub prompts: Vec<Operation>,
    /// How a call that no role allows is answered.
    pub refusals: Refusals,
    /// Accepted values of `Origin`.
    pub origins: Vec<String>,
    /// The headers that carry the identity.
    pub headers: document::IdentityHeaders,
    /// What of the client's headers reaches the server.
    pub upstream: document::Upstream,
    /// What the access log says of the caller.
    pub audit: document::Audit,
    /// The largest inspected request body, in bytes.
    pub max_body: usize,
    /// The largest inspected list answer or event, in bytes.
    pub max_response: usize,
    /// How the headers are kept back until the body is judged.
    pub hold: Hold,
}

/// Conditions for the tools or prompts a pattern stands for.
#[derive(Debug)]
pub struct Operation {
    /// Which ones.
    pub pattern: Pattern,
    /// Scopes the token must have.
    pub scopes: Vec<String>,
    /// How long ago the caller may have signed in.
    pub max_token_age: Option<Duration>,
    /// What must hold.
    pub when: Option<Condition>,
    /// Argument rules, with the name as written.
    pub arguments: Vec<(NameId, String, ArgumentRule)>,
}

impl Policy {
    /// Reads a policy from JSON: what Envoy hands to the filter, or what the command line made of
    /// YAML.
    ///
    /// # Errors
    ///
    /// Every mistake found, each with its path.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<PolicyError>> {
        compile::compile(read::read(json)?)
    }

    /// What happens to an argument. The operations are those the call falls under, the most
    /// specific first.
    pub fn argument_rule(&self, name: NameId, operations: &[&Operation]) -> ArgumentRule {
        operations
            .iter()
            .flat_map(|operation| &operation.arguments)
            .find(|(id, _, _)| *id == name)
            .map(|(_, _, rule)| *rule)
            .or_else(|| self.arguments.get(&name).copied())
            .unwrap_or(ArgumentRule::Keep)
    }

    /// The policy's spelling of a folded name, unless it is unknown or to be kept.
    pub fn ruled_name(&self, folded: &str, operations: &[&Operation]) -> Option<&str> {
        let name = self.names.find(folded)?;
        let is_kept = self.argument_rule(name, operations) == ArgumentRule::Keep;
        (!is_kept).then(|| self.names.name(name))
    }

    /// Where the protected resource metadata of this server is published (RFC 9728 section 3.1).
    pub fn metadata_url(&self) -> String {
        let (scheme, rest) = self.resource.split_once("://").unwrap_or(("https", ""));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        let separator = if path.is_empty() { "" } else { "/" };
        format!("{scheme}://{host}{METADATA_PATH}{separator}{path}")
    }

    /// Every scope the policy mentions.
    pub fn all_scopes(&self) -> Vec<&str> {
        let of_operations = self
            .tools
            .iter()
            .chain(&self.prompts)
            .flat_map(|operation| &operation.scopes);
        let mut scopes: Vec<&str> = self
            .scopes
            .iter()
            .chain(of_operations)
            .map(String::as_str)
            .collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }
}

/// The well-known path of protected resource metadata (RFC 9728 section 3).
pub const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

#[cfg(test)]
mod tests;
