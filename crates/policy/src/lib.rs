#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod arguments;
mod builtin;
mod checked_text;
mod compile;
mod condition;
mod connections;
pub mod document;
mod dpop;
mod endpoint;
mod error;
mod issuers;
mod known_tools;
mod lint;
mod local;
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
mod view;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

pub use arguments::ArgumentRule;
pub use builtin::builtin_arguments;
pub use condition::{Condition, ConditionError, Misspelled};
pub use connections::{ClientSharing, Connection, Conversation, OperationConnection, SignIn};
pub use document::{BrokenPin, Hold, IdentityField, Mode, Refusals, ServerErrors, Subject};
pub use error::{PolicyError, report};
pub use known_tools::KnownTools;
pub use metadata::Metadata;
pub use origins::Origins;
pub use own_tools::OwnTool;
pub use owner::{NamedOwner, NotOwned};
pub use pattern::Pattern;
pub use plain::is_plain_uri;
pub use policies::Policies;
pub use resources::ResourceRule;
pub use results::{Detector, FieldPath, Mask, Missing, Otherwise, OwnerRule, ResultRule, TextRule};
pub use roles::{Grant, Role};
pub use scopes::ScopeHierarchy;
pub use upstream::{Authorization, StaticCredential, Upstream};
pub use view::{TestUser, ViewAs, ViewGrants};

use base::store::etcd::Etcd;
use mcp::argument_names::{Begun, NameId, NameTable};
use mcp::pin::Pin;
use oauth::{Identity, ProofRules, TrustedIssuer};

/// A policy that was checked as a whole.
#[derive(Debug)]
pub struct Policy {
    /// Its name in logs, where the plugin has a list of policies.
    pub label: Option<String>,
    /// This server's own name.
    pub resource: String,
    /// Where MCP requests arrive.
    pub path: String,
    /// Whether decisions take effect.
    pub mode: Mode,
    /// Who may vouch for a caller.
    pub issuers: Vec<TrustedIssuer>,
    /// In their place: who is calling, whoever calls on this machine.
    pub local: Option<Rc<Identity>>,
    /// What proofs have to say; `None` if bound tokens are refused.
    pub dpop: Option<ProofRules>,
    /// Scopes every request needs.
    pub scopes: Vec<String>,
    /// Which scopes stand for others too.
    pub scope_hierarchy: ScopeHierarchy,
    /// What the metadata document says of the server besides.
    pub metadata: Metadata,
    /// Roles by name.
    pub roles: HashMap<String, Role>,
    /// How a caller asks to act as somebody else, and the test users.
    pub view_as: ViewAs,
    /// What anybody may do without signing in.
    pub anonymous: Option<Role>,
    /// Every argument name any rule is about.
    pub names: NameTable,
    /// What happens to an argument unless its operation says otherwise.
    arguments: HashMap<NameId, ArgumentRule>,
    /// Conditions for tools, the most specific first.
    pub tools: Vec<Operation>,
    /// What users can connect.
    pub connections: Vec<Connection>,
    /// How users of browsers sign in, by issuer.
    pub sign_ins: Vec<Option<SignIn>>,
    /// What a conversation is.
    pub conversation: Conversation,
    /// Whether clients of a user share linked accounts and agreements.
    pub client_sharing: ClientSharing,
    /// What happens to a listed tool that is not as its pin says.
    pub broken_pin: BrokenPin,
    /// Conditions for prompts, the most specific first.
    pub prompts: Vec<Operation>,
    /// Conditions for resources; each that is for a resource counts.
    pub resources: Vec<ResourceRule>,
    /// Rules for what comes back.
    pub results: Vec<ResultRule>,
    /// How a call that no role allows is answered.
    pub refusals: Refusals,
    /// What of the texts of the server's errors callers receive.
    pub errors: ServerErrors,
    /// Every tool the policy names.
    pub known_tools: KnownTools,
    /// Whether the filter's own tools are there.
    pub auth_tools: bool,
    /// Accepted values of `Origin`.
    pub origins: Origins,
    /// Request headers that pages of these origins may send besides those of MCP clients.
    pub origin_headers: Vec<String>,
    /// The headers that carry the identity.
    pub headers: document::IdentityHeaders,
    /// What of the client's headers reaches the server, and what is put in their place.
    pub upstream: Upstream,
    /// What the access log says of the caller.
    pub audit: document::Audit,
    /// How the server's handles are bound to their callers.
    pub seal: Option<document::Seal>,
    /// The etcd that keeps what outlasts a request; `None` for the proxy's memory.
    pub store: Option<Etcd>,
    /// Known deviations of clients that are put right.
    pub compat: document::Compat,
    /// The largest inspected request body, in bytes.
    pub max_body: usize,
    /// The largest inspected list answer or event, in bytes.
    pub max_response: usize,
    /// How long a client may keep a list.
    pub max_list_ttl: Duration,
    /// What the server says of itself to models; `None` leaves it to the server.
    pub instructions: Option<String>,
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
    /// Whether what authorizes a call is good for one only.
    pub single_use: bool,
    /// Whether the user has to agree to each call.
    pub confirm: bool,
    /// What must hold.
    pub when: Option<Condition>,
    /// What the server gets of a user's own accounts.
    pub connection: OperationConnection,
    /// What the tool has to be.
    pub pin: Option<PinRule>,
    /// Arguments that headers mirror.
    pub param_headers: Vec<ParamHeader>,
    /// Argument rules, with the name as written.
    pub arguments: Vec<(NameId, String, ArgumentRule)>,
}

impl Operation {
    /// Whether it cannot be done without a token, whatever nobody may do.
    pub fn needs_token(&self) -> bool {
        self.max_token_age.is_some() || self.single_use
    }
}

/// What a tool has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinRule {
    /// What it was when somebody read it.
    As(Pin),
    /// What it was when this worker first saw it listed.
    FirstSeen,
}

/// An argument that a header mirrors (MCP 2026-07-28 "Custom Headers").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// Where the argument stands: the keys on the way to it, and its own.
    pub argument: Vec<String>,
    /// The whole name of the header, in lower case.
    pub header: String,
}

impl Policy {
    /// Reads a policy from JSON: what Envoy hands to the filter, or what the command line made of
    /// YAML.
    ///
    /// # Errors
    ///
    /// Every mistake found, each with its path.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<PolicyError>> {
        read::policy(&read::strict(json)?)
    }

    /// What happens to an argument. The operations are those the call falls under, the most
    /// specific first.
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

    /// The policy's spelling of a name that a key says, unless it is unknown or to be kept.
    pub fn ruled_name(&self, key: &str, operations: &[&Operation]) -> Option<&str> {
        let said = self.names.find_member(&Begun::NONE, key).spoken;
        let mut names = said.iter().map(|spoken| spoken.name);
        let name = names.find(|name| *self.argument_rule(*name, operations) != ArgumentRule::Keep);
        name.map(|name| self.names.name(name))
    }

    /// What a tool has to be, if it is pinned: the most specific rule says.
    pub fn pin(&self, tool: &str) -> Option<PinRule> {
        let pinned = self.tools.iter().filter(|operation| {
            // Placeholders are for resources only.
            operation.pattern.matches(tool, Identity::anonymous())
        });
        pinned.filter_map(|operation| operation.pin).next()
    }

    /// Whether pages of this origin may call the server.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.origins.allows(origin)
    }

    /// Where the protected resource metadata of this server is published (RFC 9728 section 3.1).
    pub fn metadata_url(&self) -> String {
        let (scheme, rest) = self.resource.split_once("://").unwrap_or(("https", ""));
        let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
        let path = self.resource_path().trim_end_matches('/');
        format!("{scheme}://{host}{METADATA_PATH}{path}")
    }

    /// Whether the metadata is published at a path: the well-known one alone, or with the path of
    /// the server behind it, as clients know it or as requests arrive.
    pub fn is_metadata_path(&self, path: &str) -> bool {
        path.strip_prefix(METADATA_PATH)
            .is_some_and(|suffix| suffix.is_empty() || self.metadata_suffixes().contains(&suffix))
    }

    /// What may stand behind the well-known path. Clients differ about a slash at the end.
    fn metadata_suffixes(&self) -> [&str; 4] {
        let (public, own) = (self.resource_path(), self.path.as_str());
        [
            public,
            public.trim_end_matches('/'),
            own,
            own.trim_end_matches('/'),
        ]
    }

    /// The scopes a client asks for at first: the fewest that are of use (MCP 2026-07-28 "Scope
    /// Selection Strategy"). What more a tool needs is asked for when it is called.
    pub fn scopes_supported(&self) -> &[String] {
        let written = self.metadata.scopes_supported.as_ref();
        written.unwrap_or(&self.scopes)
    }

    /// The path of `resource`, as it is written.
    fn resource_path(&self) -> &str {
        let (_, rest) = self.resource.split_once("://").unwrap_or_default();
        let (_, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        path
    }
}

/// The well-known path of protected resource metadata (RFC 9728 section 3).
pub const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// What this filter's own pages are under, at the origin of `resource`.
pub const PAGES: &str = "/.mcp-auth/";

#[cfg(test)]
mod tests;
