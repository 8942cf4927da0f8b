//! The policy file as its author writes it. Nothing here is trusted yet: [`super::Policy`] is the
//! checked form, and the only one the filter works with.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::arguments::ArgumentRule;
use super::checked_text::VariableName;
use super::connections::document::{ConnectionDocument, VaultDocument};
use super::issuers::document::IssuerDocument;
use super::local::LocalDocument;
use super::metadata::Metadata;
use super::resources::ResourceDocument;
use super::results::ResultDocument;
use super::store::StoreDocument;
use super::token_exchange::TokenExchangeDocument;
use super::value::{Period, Size};
use super::view::{ViewAs, ViewGrants};
use oauth::Identity;

/// One policy: who is believed, who may do what, and what happens to the arguments that say who is
/// calling.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// This MCP server's own name, an absolute URL as clients write it. Tokens must carry it as
    /// audience (RFC 8707 section 2), and the resource metadata document is published for it.
    pub resource: String,
    /// The path at which Envoy receives MCP requests. Default: the path of `resource`.
    pub path: Option<String>,
    /// Whether decisions are enforced, or only taken and logged.
    #[serde(default)]
    pub mode: Mode,
    /// Who may vouch for a caller. At least one, or `local`.
    #[serde(default)]
    pub issuers: Vec<IssuerDocument>,
    /// In place of `issuers`, for a server on one's own machine: who is calling, without any token.
    /// Requests are taken from loopback connections only.
    pub local: Option<LocalDocument>,
    /// Whether tokens are bound to a key that each request has to prove (DPoP, RFC 9449).
    #[serde(default)]
    pub dpop: Dpop,
    /// How far the clock of whoever makes a proof may be off, and so how long a proof counts. With
    /// `dpop` only. 1s to 10m; default: 5m.
    pub dpop_window: Option<Period>,
    /// Scopes every request needs, whatever it asks for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes that include others: a token with the one is as good as with those.
    #[serde(default)]
    pub scope_includes: BTreeMap<String, Vec<String>>,
    /// What the resource metadata document says of the server besides.
    #[serde(default)]
    pub metadata: Metadata,
    /// What each role may do. Nothing is allowed that no role allows. The role named `*` is every
    /// caller's.
    #[serde(default)]
    pub roles: BTreeMap<String, RoleDocument>,
    /// How a caller says that it wants to act with a lower role, or as a test user. Which of them it
    /// may is its role's `view_as`.
    #[serde(default)]
    pub view_as: ViewAs,
    /// What may be used without signing in, by anybody. Everything else then asks for a sign-in
    /// where it is used, as ChatGPT expects it, and lists say which is which.
    pub anonymous: Option<AnonymousDocument>,
    /// Argument names that say who is calling or whose something is, and what happens to them. They are matched whatever
    /// their case, separators or Unicode spelling, at any depth.
    #[serde(default)]
    pub arguments: BTreeMap<String, ArgumentRule>,
    /// Whether the built-in argument names are in force beside `arguments`.
    #[serde(default = "default_true")]
    pub builtin_arguments: bool,
    /// Further conditions for tools; the key is a tool name or a pattern with `*`.
    #[serde(default)]
    pub tools: BTreeMap<String, OperationDocument>,
    /// Resources behind the server at which users have accounts of their own. A tool with one gets
    /// the user's own token for it; the user connects the account once, in a browser.
    #[serde(default)]
    pub connections: BTreeMap<String, ConnectionDocument>,
    /// Where connections belong.
    #[serde(default)]
    pub vault: VaultDocument,
    /// What happens to a listed tool that is not as its `pin` says.
    #[serde(default)]
    pub pins: Pins,
    /// Further conditions for prompts; the key is a prompt name or a pattern with `*`.
    #[serde(default)]
    pub prompts: BTreeMap<String, OperationDocument>,
    /// Further conditions for resources; the key is a URI or a pattern with `*`.
    #[serde(default)]
    pub resources: BTreeMap<String, ResourceDocument>,
    /// What of the results callers receive.
    #[serde(default)]
    pub results: Vec<ResultDocument>,
    /// How a call that no role allows is answered.
    #[serde(default)]
    pub refusals: Refusals,
    /// What of the texts of the server's own errors callers receive.
    #[serde(default)]
    pub errors: ServerErrors,
    /// Whether this filter has tools of its own, `auth_whoami`, `auth_connections` and
    /// `auth_disconnect`, for every caller that signed in. Tools of the server with these names are
    /// then out of reach.
    #[serde(default)]
    pub auth_tools: bool,
    /// Values of the `Origin` header that are accepted besides the origin of `resource`. For an
    /// application's own scheme, `vscode-webview://*` accepts every host.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Request headers that pages of these origins may send besides those of MCP clients.
    #[serde(default)]
    pub origin_headers: Vec<String>,
    /// The headers that tell the server who is calling.
    #[serde(default)]
    pub headers: IdentityHeaders,
    /// What of the client's own headers reaches the server.
    #[serde(default)]
    pub upstream: UpstreamDocument,
    /// What the access log says of the caller.
    #[serde(default)]
    pub audit: Audit,
    /// How handles of the server (session ids, event ids, task ids, request states) are bound to
    /// the caller they were given to. Without it, none are handed out.
    pub seal: Option<Seal>,
    /// Where this filter keeps what outlasts a request, such as which tokens were used.
    #[serde(default)]
    pub store: StoreDocument,
    /// Known deviations of clients that are put right.
    #[serde(default)]
    pub compat: Compat,
    /// The largest request body that is inspected; larger ones are refused. At most 1 MiB.
    #[serde(default = "default_max_body")]
    pub max_body: Size,
    /// The largest list answer, or event of an event stream, that is inspected. At most 16 MiB.
    #[serde(default = "default_max_response")]
    pub max_response: Size,
    /// How long a client of 2026-07-28 may keep a list, or a resource it read: a longer `ttlMs`
    /// becomes this.
    #[serde(default = "default_max_list_ttl")]
    pub max_list_ttl: Period,
    /// What models are told about the server in place of its own `instructions`, which are the same
    /// for every caller. An empty text takes them out.
    pub instructions: Option<String>,
    /// How Envoy is told to keep the request headers until the body is judged.
    #[serde(default)]
    pub hold: Hold,
}

/// Whether decisions take effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Refuse what the policy does not allow.
    #[default]
    Enforce,
    /// Decide and log, change nothing.
    Observe,
}

/// What becomes of tokens that are bound to their caller's key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Dpop {
    /// They are accepted with a proof, and other tokens without one.
    Accepted,
    /// They are refused.
    #[default]
    Refused,
    /// Only they are accepted.
    Required,
}

/// What callers with a role may do.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RoleDocument {
    /// Roles whose permissions, and denials, this one has too.
    pub extends: Vec<String>,
    /// Tool names or patterns; `*` is any run of characters.
    pub tools: Vec<String>,
    /// Prompt names or patterns.
    pub prompts: Vec<String>,
    /// Resource URIs or patterns; `{user}` and `{organization}` stand for the caller's own.
    pub resources: Vec<String>,
    /// Tools, prompts or resources this role may not use whatever else allows it.
    pub deny: Vec<String>,
    /// As whom its callers may act, never with more than they have.
    pub view_as: ViewGrants,
}

/// What may be used without signing in.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AnonymousDocument {
    /// Tool names or patterns. One whose `tools` entry asks for scopes or a fresh sign-in needs
    /// that nonetheless.
    pub tools: Vec<String>,
    /// Prompt names or patterns.
    pub prompts: Vec<String>,
    /// Resource URIs or patterns, without placeholders.
    pub resources: Vec<String>,
}

/// A trusted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IdentityField {
    /// The caller's user id.
    User,
    /// The caller's organization.
    Organization,
}

/// Conditions for a tool or prompt, on top of a role that allows it.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OperationDocument {
    /// Scopes the token must have, all of them.
    pub scopes: Vec<String>,
    /// The caller must have signed in (or the token been issued) no longer ago than this.
    pub max_token_age: Option<Period>,
    /// For tools: the connection whose token the server gets with the call.
    pub connection: Option<String>,
    /// For tools: how old that connection may be. Default: its own `lifetime`.
    pub lifetime: Option<Period>,
    /// A token, or the proof that comes with one (DPoP), is good for one such call only.
    pub single_use: bool,
    /// For tools: the user has to agree to each call, in the client, or on a page if the issuer has
    /// `sign_in`.
    pub confirm: bool,
    /// A CEL expression over `args`, `identity` and `call` that must be true.
    pub when: Option<String>,
    /// For tools: arguments that a header mirrors, with what follows `Mcp-Param-` in its name, as
    /// `x-mcp-header` in the tool's schema says. An argument inside others is written with dots.
    pub param_headers: BTreeMap<String, String>,
    /// For a tool by its whole name: what it was when somebody read it, as `mcp-auth pin` prints it.
    /// For tools, also by a pattern: `first-seen`, what it was when this worker first saw it listed.
    pub pin: Option<String>,
    /// Rules for this operation's arguments, before the general ones. A `set` here also adds the
    /// argument when the caller left it out.
    pub arguments: BTreeMap<String, ArgumentRule>,
}

/// Tools that are not as they were when they were pinned.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Pins {
    /// What becomes of them. The log names them in any case.
    pub otherwise: BrokenPin,
}

/// What becomes of a listed tool that is not as its pin says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BrokenPin {
    /// It is not listed, and calls of it are refused while this worker's last list of it differs.
    #[default]
    Block,
    /// It is not listed.
    Hide,
    /// It is listed.
    Log,
}

/// How a call that no role allows is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Refusals {
    /// As if it did not exist: HTTP 200 and JSON-RPC error -32602.
    #[default]
    Hidden,
    /// HTTP 403, and the reason.
    Visible,
}

/// What callers receive of the texts of the server's own errors: of JSON-RPC errors, and of results
/// with `isError`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServerErrors {
    /// All of it, and of `instructions`, but for the names of tools that the policy names and the
    /// caller may not call: `***` stands in their place.
    #[default]
    HideNames,
    /// What the server says, as it says it.
    Keep,
    /// Nothing: a text that says what kind of error it is, the same for every server. For servers
    /// with tools that the policy does not name. Answers larger than `max_response` are refused.
    Withhold,
}

/// Names of the request headers that carry the caller's identity to the server. They are removed
/// from what the client sent first.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IdentityHeaders {
    /// The user id.
    pub user: String,
    /// The organization.
    pub organization: String,
    /// The caller's roles that the policy knows, with commas between them.
    pub roles: String,
}

/// What of the client's own headers reaches the server.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamDocument {
    /// What becomes of the client's `Authorization` header.
    pub authorization: AuthorizationDocument,
    /// With `static`: the environment variable (of the Wasm VM) that holds the credential.
    pub credential_env: Option<VariableName>,
    /// With `static`: the authentication scheme before the credential. Default: Bearer.
    pub scheme: Option<String>,
    /// With `exchange`: where the caller's token is exchanged, and for what.
    pub exchange: Option<TokenExchangeDocument>,
    /// Further headers of the client that the server would trust, to be removed.
    pub remove_headers: Vec<String>,
    /// Headers of the client that reach the server although they look like an identity or a credential,
    /// such as `cookie` and `x-api-key`. The server must not trust them for more than the client may say.
    pub pass_headers: Vec<String>,
}

/// What happens to the client's `Authorization` header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationDocument {
    /// It ends here.
    #[default]
    Remove,
    /// It is sent on. The server then holds a token that others may accept too.
    Pass,
    /// It ends here, and the server gets a credential that is the same for every caller.
    Static,
    /// It ends here, and the server gets a token that it was exchanged for.
    Exchange,
}

/// What the access log says of the caller.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// How the caller is named.
    pub subject: Subject,
    /// The environment variable (of the Wasm VM) that holds the key of the hash. Without it the
    /// key is the resource's name, which keeps logs readable but lets a reader test a guess.
    pub key_env: Option<VariableName>,
}

/// Known deviations of clients, each put right where it is switched on.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Compat {
    /// An `Accept` header that lacks `application/json` or `text/event-stream`, which servers answer
    /// with 406. The server gets both, and may then answer with an event stream.
    pub missing_accept: bool,
    /// A message of 2026-07-28 without `MCP-Protocol-Version`, `Mcp-Method` or `Mcp-Name`, as
    /// Copilot sends `server/discover`. The server gets them as the body says.
    pub missing_mcp_headers: bool,
}

/// How the server's handles are bound to their callers.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The environment variable (of the Wasm VM) that holds the secret: at least 32 characters, the
    /// same for every Envoy that serves the same clients.
    pub key_env: VariableName,
    /// How long a task id or a request state is accepted.
    #[serde(default = "default_seal_lifetime")]
    pub lifetime: Period,
}

/// How the access log names the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A keyed hash: the same caller has the same one.
    #[default]
    Hash,
    /// As the token says.
    Plain,
    /// Not at all.
    Omit,
}

/// How the request headers are kept back until the body is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Envoy's `allow_on_headers_stop_iteration: true` (1.35 or newer).
    #[default]
    StopIteration,
    /// `envoy.filters.http.buffer` directly after this filter.
    BufferFilter,
}

impl IdentityField {
    /// The caller's.
    pub fn of(self, identity: &Identity) -> Option<&str> {
        match self {
            Self::User => identity.user.as_deref(),
            Self::Organization => identity.organization.as_deref(),
        }
    }
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self {
            user: "x-mcp-user".to_owned(),
            organization: "x-mcp-organization".to_owned(),
            roles: "x-mcp-roles".to_owned(),
        }
    }
}

fn default_true() -> bool {
    true
}

fn default_seal_lifetime() -> Period {
    Period(Duration::from_secs(24 * 3600))
}

fn default_max_body() -> Size {
    Size(256 * 1024)
}

fn default_max_list_ttl() -> Period {
    Period(Duration::from_secs(5 * 60))
}

fn default_max_response() -> Size {
    Size(1024 * 1024)
}
