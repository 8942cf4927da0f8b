#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod approval;
mod arguments;
mod builtin;
mod checked_text;
mod client_auth;
mod compile;
mod condition;
mod connections;
mod decide;
pub mod document;
mod dpop;
mod endpoint;
mod error;
mod fingerprint;
mod issuers;
mod known_tools;
mod lint;
mod local;
mod lookup;
mod metadata;
mod origins;
mod own_tools;
mod owner;
mod param_headers;
mod pattern;
mod plain;
mod policies;
mod read;
mod resource;
mod resources;
mod results;
mod roles;
mod scopes;
mod store;
mod token_exchange;
mod upstream;
mod uri_names;
mod value;
mod vault;
mod view;
pub mod yaml;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

pub use approval::{ApprovalRule, Webhook, approval_for};
pub use arguments::ArgumentRule;
pub use builtin::builtin_arguments;
pub use condition::{Condition, ConditionError, ConditionRefusal, Misspelled};
pub use connections::{
    AccountKind, AccountSource, AppliedCredential, Apply, AssignedCredential, ClientSharing,
    Connection, ConnectionKind, Conversation, CredentialCheck, OAuthConnection,
    OperationConnection, SessionSharing, SignIn, SignInNeeds, TypedCredential, UnmetNeed,
    UnusableCredential, UsedCredential,
};
pub use decide::{
    ArgumentPath, Decide, DecidedResource, DecisionPoint, DecisionProtocol, QuestionTemplate,
    ResourceId, Unfilled,
};
pub use document::{
    BrokenPin, Hold, IdentityField, Mode, Observe, RecordLog, Refusals, ServerErrors, Streams,
    Subject,
};
pub use error::{PolicyError, report};
pub use fingerprint::{fingerprint, parts};
pub use known_tools::KnownTools;
pub use lookup::{Lookup, LookupValue, NoRecord, RecordOwner, RecordValue, may_be_misread};
pub use metadata::Metadata;
pub use origins::Origins;
pub use own_tools::OwnTool;
pub use owner::{NamedOwner, NotOwned};
pub use pattern::{HasPattern, Pattern, PatternList};
pub use plain::is_plain_uri;
pub use policies::Policies;
pub use resources::ResourceRule;
pub use results::{Detector, FieldPath, Mask, Missing, Otherwise, OwnerRule, ResultRule, TextRule};
pub use roles::{Grant, Role};
pub use scopes::ScopeHierarchy;
pub use upstream::{Authorization, ServerPlace, StaticCredential, Upstream};
pub use vault::{MAX_CONVERSATIONS, MetaKeys, Vault};
pub use view::{TestUser, ViewAs, ViewGrants};

use base::store::etcd::Etcd;
use mcp::argument_names::{Begun, NameId, NameTable};
use mcp::pin::Pin;
use oauth::{Identity, ProofRules, TrustedIssuer};

/// A checked policy.
#[derive(Debug)]
pub struct Policy {
    /// Its name in logs, if the plugin has a list of policies.
    pub label: Option<String>,
    /// The server's URL.
    pub resource: String,
    /// The path of MCP requests.
    pub path: String,
    /// Whether decisions take effect.
    pub mode: Mode,
    /// What is enforced although the mode is `observe`.
    pub observe: Observe,
    /// The trusted issuers.
    pub issuers: Vec<TrustedIssuer>,
    /// Instead of issuers: the caller of all requests from this machine.
    pub local: Option<Rc<Identity>>,
    /// The rules for proofs. `None`: bound tokens are refused.
    pub dpop: Option<ProofRules>,
    /// Scopes that all requests need.
    pub scopes: Vec<String>,
    /// The scopes that include others.
    pub scope_hierarchy: ScopeHierarchy,
    /// Further members of the metadata document.
    pub metadata: Metadata,
    /// Roles by name.
    pub roles: HashMap<String, Role>,
    /// How a caller asks to act with another identity, and the test users.
    pub view_as: ViewAs,
    /// The role of anonymous callers.
    pub anonymous: Option<Role>,
    /// The question to a decision point about all calls.
    pub decide: Option<Rc<Decide>>,
    /// All names of arguments with a rule.
    pub names: NameTable,
    /// The general argument rules. Rules of an operation precede them.
    arguments: BTreeMap<NameId, ArgumentRule>,
    /// Conditions for tools, the most specific first.
    pub tools: PatternList<Operation>,
    /// The connections of users.
    pub connections: Vec<Connection>,
    /// The sign-ins on pages, by issuer.
    pub sign_ins: Vec<Option<SignIn>>,
    /// What linked accounts belong to, and when they end together.
    pub vault: Vault,
    /// The rule for a listed tool that differs from its pin.
    pub broken_pin: BrokenPin,
    /// Conditions for prompts, the most specific first.
    pub prompts: PatternList<Operation>,
    /// Conditions for resources. All that match a resource apply.
    pub resources: Vec<ResourceRule>,
    /// Rules for results.
    pub results: Vec<ResultRule>,
    /// The answer to a call that no role allows.
    pub refusals: Refusals,
    /// The texts of the server's errors that callers receive.
    pub errors: ServerErrors,
    /// All tools that the policy names.
    pub known_tools: KnownTools,
    /// Whether the filter has its own tools.
    pub auth_tools: bool,
    /// Accepted values of `Origin`.
    pub origins: Origins,
    /// Request headers that pages of these origins may send, in addition to those of MCP clients.
    pub origin_headers: Vec<String>,
    /// The headers that carry the identity.
    pub headers: document::IdentityHeaders,
    /// The client's headers that reach the server, and the credential for the server.
    pub upstream: Upstream,
    /// The form of the caller in the access log.
    pub audit: document::Audit,
    /// How ids of the server are bound to their callers.
    pub seal: Option<document::Seal>,
    /// The etcd with records that outlast a request. `None`: the proxy's memory.
    pub store: Option<Etcd>,
    /// Known deviations of clients that the filter corrects.
    pub compat: document::Compat,
    /// The maximum size of a request body, in bytes.
    pub max_body: usize,
    /// The maximum size of an inspected answer or event, in bytes.
    pub max_response: usize,
    /// The smallest `max_result` of a tool, prompt or resource, in bytes.
    pub smallest_max_result: Option<usize>,
    /// How long a client may cache a list.
    pub max_list_ttl: Duration,
    /// The text that replaces the server's `instructions`. `None`: the server's stay.
    pub instructions: Option<String>,
    /// How the headers are held until the body is judged.
    pub hold: Hold,
    /// Event streams that are open when the token of their caller expires.
    pub streams: Streams,
}

/// Conditions for the tools or prompts that a pattern matches.
#[derive(Debug)]
pub struct Operation {
    /// The pattern.
    pub pattern: Pattern,
    /// Scopes that the token must have.
    pub scopes: Vec<String>,
    /// The maximum time since the caller signed in.
    pub max_token_age: Option<Duration>,
    /// Whether the token or its proof is valid for one call only.
    pub single_use: bool,
    /// Whether the user has to agree to each call.
    pub confirm: bool,
    /// The approval of each call by another person.
    pub approval: Option<ApprovalRule>,
    /// The largest result that the caller receives, in bytes.
    pub max_result: Option<usize>,
    /// The condition that must hold.
    pub when: Option<Condition>,
    /// The question to a decision point.
    pub decide: Option<Rc<Decide>>,
    /// The text for the model if the condition does not hold.
    pub message: Option<String>,
    /// The connection whose token the server receives.
    pub connection: OperationConnection,
    /// The owner that the record of a call must have.
    pub owner: Option<Rc<RecordOwner>>,
    /// The pin of the tool.
    pub pin: Option<PinRule>,
    /// Arguments that headers mirror.
    pub param_headers: Vec<ParamHeader>,
    /// Argument rules, with the name as written.
    pub arguments: Vec<(NameId, String, ArgumentRule)>,
}

impl HasPattern for Operation {
    fn pattern(&self) -> &Pattern {
        &self.pattern
    }
}

impl Operation {
    /// Whether it needs a token, also if anonymous callers may use it.
    pub fn needs_token(&self) -> bool {
        self.max_token_age.is_some() || self.single_use || self.approval.is_some()
    }
}

/// The pin of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinRule {
    /// The hash of the reviewed tool.
    As(Pin),
    /// The hash of the tool when this worker first saw it in a list.
    FirstSeen,
}

/// An argument that a header mirrors (MCP 2026-07-28 "Custom Headers").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The path of the argument.
    pub argument: Vec<String>,
    /// The full name of the header, in lower case.
    pub header: String,
}

/// The room that Envoy's buffer needs above the largest body, in bytes: for one more read of a connection (1 MiB),
/// which arrives before the filter can refuse it, and for what the filter adds to an answer.
const BUFFER_ROOM: usize = 2 * 1024 * 1024;

impl Policy {
    /// The smallest `per_connection_buffer_limit_bytes` of Envoy that this policy works with. With a smaller one
    /// Envoy answers 413 or 500 itself.
    pub fn envoy_buffer(&self) -> usize {
        let largest = self.max_body.max(self.max_response);
        largest.saturating_add(BUFFER_ROOM)
    }

    /// Reads a policy from JSON. Envoy or the command line makes the JSON from YAML.
    ///
    /// # Errors
    ///
    /// All mistakes, each with its path.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<PolicyError>> {
        read::policy(&read::strict(json)?)
    }

    /// The rule for an argument. `operations` are those that match the call, the most specific first.
    pub fn argument_rule<'p>(
        &'p self,
        name: NameId,
        operations: &[&'p Operation],
    ) -> &'p ArgumentRule {
        operations
            .iter()
            .flat_map(|operation| &operation.arguments)
            .find(|(id, _, _)| *id == name)
            .map(|(_, _, rule)| rule)
            .or_else(|| self.arguments.get(&name))
            .unwrap_or(&ArgumentRule::Keep)
    }

    /// The policy's spelling of a name in a key, unless the name is unknown or has the rule `keep`.
    pub fn ruled_name(&self, key: &str, operations: &[&Operation]) -> Option<&str> {
        let said = self.names.find_member(&Begun::NONE, key).spoken;
        let mut names = said.iter().map(|spoken| spoken.name);
        let name = names.find(|name| *self.argument_rule(*name, operations) != ArgumentRule::Keep);
        name.map(|name| self.names.name(name))
    }

    /// The pin of a tool, from the most specific rule with one.
    pub fn pin(&self, tool: &str) -> Option<PinRule> {
        // Placeholders are for resources only.
        let pinned = self.tools.matching(tool, Identity::anonymous());
        pinned.filter_map(|operation| operation.pin).next()
    }

    /// Whether a tool has a pin.
    pub fn has_pins(&self) -> bool {
        self.tools.iter().any(|operation| operation.pin.is_some())
    }

    /// Whether a list of tools may differ for two callers with the same roles, because they differ in this field of
    /// their identity.
    pub fn names_in_tool_lists(&self, field: IdentityField) -> bool {
        let names = |pattern: &Pattern| pattern.names(field);
        let mut roles = self.roles.values().chain(&self.anonymous);
        let by_role = roles.any(|role| {
            let mut grants = role.tools.iter().chain(&role.deny);
            grants.any(|grant| names(&grant.pattern))
        });
        let by_operation = self.tools.iter().any(|of| names(&of.pattern));
        // All rules for results apply to the texts of a list.
        let by_result = self.results.iter().any(|rule| {
            let is_owner = rule.owner.as_ref().is_some_and(|owner| owner.is == field);
            is_owner || rule.tools.iter().any(names)
        });
        by_role || by_operation || by_result
    }

    /// Whether requests without a valid token are refused, also in the mode `observe`.
    pub fn enforces_sign_in(&self) -> bool {
        self.mode == Mode::Enforce || self.observe.sign_in
    }

    /// Whether pages of this origin may call the server.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.origins.allows(origin)
    }

    /// The URL of the protected resource metadata (RFC 9728 section 3.1).
    pub fn metadata_url(&self) -> String {
        let (scheme, rest) = self.resource.split_once("://").unwrap_or(("https", ""));
        let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
        let path = self.resource_path().trim_end_matches('/');
        format!("{scheme}://{host}{METADATA_PATH}{path}")
    }

    /// Whether a path is one of the metadata: the well-known path, alone or followed by the server's path
    /// as clients or as Envoy know it.
    pub fn is_metadata_path(&self, path: &str) -> bool {
        path.strip_prefix(METADATA_PATH)
            .is_some_and(|suffix| suffix.is_empty() || self.metadata_suffixes().contains(&suffix))
    }

    /// The suffixes of the well-known path. Clients differ about a slash at the end.
    fn metadata_suffixes(&self) -> [&str; 4] {
        let (public, own) = (self.resource_path(), self.path.as_str());
        [
            public,
            public.trim_end_matches('/'),
            own,
            own.trim_end_matches('/'),
        ]
    }

    /// The scopes that a client requests first: the fewest useful ones (MCP 2026-07-28 "Scope Selection
    /// Strategy"). A tool that needs more asks for them when it is called.
    pub fn scopes_supported(&self) -> &[String] {
        let written = self.metadata.scopes_supported.as_ref();
        written.unwrap_or(&self.scopes)
    }

    /// The path of `resource`, as written.
    fn resource_path(&self) -> &str {
        let (_, rest) = self.resource.split_once("://").unwrap_or_default();
        let (_, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        path
    }
}

/// The well-known path of protected resource metadata (RFC 9728 section 3).
pub const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// The path prefix of the filter's pages, at the origin of `resource`.
pub const PAGES: &str = "/.mcp-auth/";

#[cfg(test)]
mod tests;
