//! The document of a policy: its keys as they are written. It is not checked. [`super::Policy`] is the
//! checked form, and the only one that the engine uses.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

pub use super::approval::ConfirmDocument;
use super::arguments::ArgumentRule;
use super::checked_text::{ClusterName, EndpointPath, VariableName};
use super::connections::document::{ConnectionDocument, VaultDocument};
use super::decide::DecideDocument;
use super::issuers::document::IssuerDocument;
use super::local::LocalDocument;
use super::lookup::RecordOwnerDocument;
use super::metadata::Metadata;
use super::resources::ResourceDocument;
use super::results::ResultDocument;
use super::store::StoreDocument;
use super::token_exchange::TokenExchangeDocument;
use super::value::{Period, Size};
use super::view::{ViewAs, ViewGrants};
use oauth::Identity;

/// A policy: trusted issuers, roles, conditions, and rules for arguments that identify the caller.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The URL of this MCP server, as clients write it. Tokens must have it as audience (RFC 8707 section
    /// 2). The resource metadata document names it.
    pub resource: String,
    /// The path at which Envoy receives MCP requests. Default: the path of `resource`.
    pub path: Option<String>,
    /// Whether decisions are enforced, or only logged.
    #[serde(default)]
    pub mode: Mode,
    /// What is enforced although `mode` is `observe`.
    #[serde(default)]
    pub observe: Observe,
    /// The trusted authorization servers. At least one, or `local`.
    #[serde(default)]
    pub issuers: Vec<IssuerDocument>,
    /// Instead of `issuers`, for a server on the user's own machine: a fixed caller, without tokens.
    /// Requests are accepted from loopback connections only.
    pub local: Option<LocalDocument>,
    /// Whether tokens are bound to a key that each request must prove (DPoP, RFC 9449).
    #[serde(default)]
    pub dpop: Dpop,
    /// How far the clock of the client may differ, and so how long a proof is valid. With `dpop` only. 1s
    /// to 10m; default: 5m.
    pub dpop_window: Option<Period>,
    /// Scopes that all requests need.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes that include others: a token with the first has the others too.
    #[serde(default)]
    pub scope_includes: BTreeMap<String, Vec<String>>,
    /// Further members of the resource metadata document.
    #[serde(default)]
    pub metadata: Metadata,
    /// The permissions of each role. Calls that no role allows are refused. All callers have the role `*`.
    #[serde(default)]
    pub roles: BTreeMap<String, RoleDocument>,
    /// How a caller asks to act with a lower role, or as a test user. The role's `view_as` lists the
    /// allowed ones.
    #[serde(default)]
    pub view_as: ViewAs,
    /// What callers may use without a sign-in. Other tools ask for a sign-in when they are used, as ChatGPT
    /// expects, and lists show which tools need it.
    pub anonymous: Option<AnonymousDocument>,
    /// A server outside that decides about each use of a tool, prompt or resource, in addition to the policy.
    pub decide: Option<DecideDocument>,
    /// Names of arguments that identify the caller or an owner, with their rules. They match in any case,
    /// separators and Unicode spelling, at any depth.
    #[serde(default)]
    pub arguments: BTreeMap<String, ArgumentRule>,
    /// Whether the built-in argument names apply in addition to `arguments`.
    #[serde(default = "default_true")]
    pub builtin_arguments: bool,
    /// Further conditions for tools; the key is a tool name or a pattern with `*`.
    #[serde(default)]
    pub tools: BTreeMap<String, OperationDocument>,
    /// Resources behind the server where users have accounts of their own. A tool with a connection gets
    /// the user's own token for it. The user connects the account once, in a browser.
    #[serde(default)]
    pub connections: BTreeMap<String, ConnectionDocument>,
    /// The conversations and clients that connections belong to.
    #[serde(default)]
    pub vault: VaultDocument,
    /// The rule for listed tools that differ from their `pin`.
    #[serde(default)]
    pub pins: Pins,
    /// Further conditions for prompts; the key is a prompt name or a pattern with `*`.
    #[serde(default)]
    pub prompts: BTreeMap<String, OperationDocument>,
    /// Further conditions for resources; the key is a URI or a pattern with `*`.
    #[serde(default)]
    pub resources: BTreeMap<String, ResourceDocument>,
    /// Rules for results.
    #[serde(default)]
    pub results: Vec<ResultDocument>,
    /// The answer to a call that no role allows.
    #[serde(default)]
    pub refusals: Refusals,
    /// The texts of the server's errors that callers receive.
    #[serde(default)]
    pub errors: ServerErrors,
    /// Whether the filter adds its own tools `auth_whoami`, `auth_connections` and `auth_disconnect` for
    /// all signed-in callers. Tools of the server with these names cannot be called then.
    #[serde(default)]
    pub auth_tools: bool,
    /// Accepted values of the `Origin` header, in addition to the origin of `resource`. For an
    /// application's own scheme, `vscode-webview://*` accepts all hosts.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Request headers that pages of these origins may send, in addition to those of MCP clients.
    #[serde(default)]
    pub origin_headers: Vec<String>,
    /// The headers that identify the caller to the server.
    #[serde(default)]
    pub headers: IdentityHeaders,
    /// The headers of the client that reach the server.
    #[serde(default)]
    pub upstream: UpstreamDocument,
    /// The form of the caller in the access log.
    #[serde(default)]
    pub audit: Audit,
    /// How ids of the server (session ids, event ids, task ids, request states) are bound to their caller.
    /// Without it, callers receive none.
    pub seal: Option<Seal>,
    /// The store for records that outlast a request, such as used tokens.
    #[serde(default)]
    pub store: StoreDocument,
    /// Known deviations of clients that the filter corrects.
    #[serde(default)]
    pub compat: Compat,
    /// The largest request body that is inspected; larger ones are refused. At most 1 MiB.
    #[serde(default = "default_max_body")]
    pub max_body: Size,
    /// The largest JSON answer, or event of an event stream, that is inspected. A larger one that a rule is for
    /// is refused. At most 16 MiB.
    #[serde(default = "default_max_response")]
    pub max_response: Size,
    /// How long a client of 2026-07-28 may cache a list, or a resource that it read. A longer `ttlMs` is
    /// replaced.
    #[serde(default = "default_max_list_ttl")]
    pub max_list_ttl: Period,
    /// A text for models that replaces the server's own `instructions`, which are the same for all callers.
    /// An empty text removes them.
    pub instructions: Option<String>,
    /// How Envoy holds the request headers until the body is judged.
    #[serde(default)]
    pub hold: Hold,
    /// Event streams that are open when the token of their caller expires.
    #[serde(default)]
    pub streams: Streams,
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

/// What is enforced although `mode` is `observe`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Observe {
    /// Whether a request needs a valid token. All other decisions are only logged. For servers that have no
    /// sign-in of their own.
    pub sign_in: bool,
}

/// Event streams that are open when the token of their caller expires: the answer to a GET, and that to
/// `subscriptions/listen`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// They end. The client opens them again with a new token.
    #[default]
    EndWithToken,
    /// They stay open.
    OutliveToken,
}

/// The rule for tokens that are bound to the caller's key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Dpop {
    /// Bound tokens are accepted with a proof, other tokens without one.
    Accepted,
    /// Bound tokens are refused.
    #[default]
    Refused,
    /// Only bound tokens are accepted.
    Required,
}

/// The permissions of a role.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RoleDocument {
    /// Roles whose permissions and denials this role has too.
    pub extends: Vec<String>,
    /// Tool names or patterns; `*` is any run of characters.
    pub tools: Vec<String>,
    /// Prompt names or patterns.
    pub prompts: Vec<String>,
    /// Resource URIs or patterns; `{user}` and `{organization}` stand for the caller's own.
    pub resources: Vec<String>,
    /// Tools, prompts or resources that this role may not use, also if another rule allows them.
    pub deny: Vec<String>,
    /// The roles and test users that its callers may act as, never with more rights than they have.
    pub view_as: ViewGrants,
}

/// What callers may use without a sign-in.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AnonymousDocument {
    /// Tool names or patterns. A tool whose `tools` entry has scopes or a maximum token age needs a sign-in
    /// in any case.
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

/// Conditions for a tool or prompt, in addition to a role that allows it.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OperationDocument {
    /// Scopes that the token must have.
    pub scopes: Vec<String>,
    /// The maximum time since the caller signed in (or since the token was issued).
    pub max_token_age: Option<Period>,
    /// For tools: the connection whose token the server gets with the call.
    pub connection: Option<String>,
    /// For tools: the maximum age of that connection. Default: its own `lifetime`.
    pub lifetime: Option<Period>,
    /// A token, or its proof (DPoP), is valid for one such call only.
    pub single_use: bool,
    /// For tools: the user has to agree to each call, in the client, or on a page if the issuer has
    /// `sign_in`. With `by`, another person has to approve it.
    pub confirm: ConfirmDocument,
    /// The largest result that the caller receives. A larger one is replaced by an error that says its size.
    pub max_result: Option<Size>,
    /// A CEL expression over `args`, `identity` and `call` that must be true.
    pub when: Option<String>,
    /// A server outside that decides about each call, in addition to the policy. Replaces the `decide` of the
    /// whole policy, whose decision point and `cache` apply unless it has its own.
    pub decide: Option<DecideDocument>,
    /// With `when`: the text that tells the model why a call is refused, and what to do.
    pub message: Option<String>,
    /// The owner that the record of a call must have. The filter asks the server for the record before the
    /// call passes.
    pub owner: Option<RecordOwnerDocument>,
    /// For tools: arguments that a header mirrors, with the part of its name after `Mcp-Param-`, as in
    /// `x-mcp-header` of the tool's schema. A nested argument is written with dots.
    pub param_headers: BTreeMap<String, String>,
    /// For a tool by its full name: its hash when it was reviewed, as `mcp-auth pin` prints it. For tools,
    /// also by a pattern: `first-seen`, the hash when this worker first saw it in a list.
    pub pin: Option<String>,
    /// Rules for this operation's arguments. They precede the general ones. A `set` here also adds the
    /// argument if the caller left it out.
    pub arguments: BTreeMap<String, ArgumentRule>,
}

/// The rule for tools that differ from their pins.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Pins {
    /// The rule. The log names these tools in any case.
    pub otherwise: BrokenPin,
}

/// The rule for a listed tool that differs from its pin.
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

/// The answer to a call that no role allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Refusals {
    /// As for a tool that does not exist: HTTP 200 and JSON-RPC error -32602.
    #[default]
    Hidden,
    /// HTTP 403, and the reason.
    Visible,
}

/// The texts of the server's errors that callers receive: of JSON-RPC errors, and of results with
/// `isError`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServerErrors {
    /// All texts, and `instructions`, without the names of tools that the policy names and the caller may
    /// not call: `***` replaces them.
    #[default]
    HideNames,
    /// The texts without changes.
    Keep,
    /// None: a fixed text for the kind of the error replaces them. For servers with tools that the policy
    /// does not name. Answers larger than `max_response` are refused.
    Withhold,
}

/// Names of the request headers that carry the caller's identity to the server. The client's own are
/// removed first.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IdentityHeaders {
    /// The user id.
    pub user: String,
    /// The organization.
    pub organization: String,
    /// The caller's roles that the policy knows, separated by commas.
    pub roles: String,
}

/// The headers of the client that reach the server.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamDocument {
    /// The rule for the client's `Authorization` header.
    pub authorization: AuthorizationDocument,
    /// With `static`: the environment variable (of the Wasm VM) with the credential.
    pub credential_env: Option<VariableName>,
    /// With `static`: the authentication scheme before the credential. Default: Bearer.
    pub scheme: Option<String>,
    /// With `exchange`: the endpoint that exchanges the caller's token, and the target of the new token.
    pub exchange: Option<TokenExchangeDocument>,
    /// With `connection`: the name of the connection. All requests, also lists and `initialize`, are sent with the
    /// caller's account there.
    pub connection: Option<String>,
    /// The Envoy cluster of the MCP server. The filter's own calls to the server go there: those of `owner`
    /// under `tools` and `prompts`.
    pub cluster: Option<ClusterName>,
    /// The path of these calls, if Envoy's route rewrites it. Default: that of the request.
    pub path: Option<EndpointPath>,
    /// The `:authority` of these calls, if Envoy's route rewrites it. Default: that of the request.
    pub authority: Option<String>,
    /// Further headers to remove, because the server would trust them.
    pub remove_headers: Vec<String>,
    /// Headers of the client that reach the server although they look like an identity or a credential,
    /// such as `cookie` and `x-api-key`. The server must trust them no more than other input of the client.
    pub pass_headers: Vec<String>,
}

/// The rule for the client's `Authorization` header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationDocument {
    /// The server does not receive it.
    #[default]
    Remove,
    /// The server receives it. The server then holds a token that other servers may accept too.
    Pass,
    /// The server receives another credential, the same for all callers.
    Static,
    /// The server receives a token that was exchanged for it.
    Exchange,
    /// The server receives the credential of the caller's account at `connection`, on all requests.
    Connection,
}

/// The form of the caller in the access log.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// The form of the caller.
    pub subject: Subject,
    /// The environment variable (of the Wasm VM) with the key of the hash. Without it the key is the
    /// resource's name: logs stay readable, but a reader of logs can test a guess.
    pub key_env: Option<VariableName>,
    /// Where the records are written.
    pub log: RecordLog,
}

/// Where the records of requests are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RecordLog {
    /// Into Envoy's access loggers, as `%FILTER_STATE(wasm.mcp_auth:PLAIN)%`.
    #[default]
    AccessLog,
    /// Into Envoy's own log, at the level `info`.
    EnvoyLog,
    /// Into both.
    Both,
}

impl RecordLog {
    /// Whether Envoy's access loggers get the record.
    pub fn has_access_log(self) -> bool {
        matches!(self, Self::AccessLog | Self::Both)
    }

    /// Whether Envoy's own log gets the record.
    pub fn has_envoy_log(self) -> bool {
        matches!(self, Self::EnvoyLog | Self::Both)
    }
}

/// Known deviations of clients. Each correction can be switched on.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Compat {
    /// An `Accept` header that lacks `application/json` or `text/event-stream`, which servers answer
    /// with 406. The server gets both, and may then answer with an event stream.
    pub missing_accept: bool,
    /// A message of 2026-07-28 without `MCP-Protocol-Version`, `Mcp-Method` or `Mcp-Name`, as in Copilot's
    /// `server/discover`. The server gets them with the values of the body.
    pub missing_mcp_headers: bool,
}

/// How ids of the server are bound to their callers.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The environment variable (of the Wasm VM) with the secret: at least 32 characters, the same for all
    /// Envoys that serve the same clients. Short for `keys` with one key.
    pub key_env: Option<VariableName>,
    /// The keys, while one replaces another. The first seals, all open. At most 4.
    #[serde(default)]
    pub keys: Vec<SealKeyDocument>,
    /// The variable with the secret that names records of the store. It stays when keys change. Needed with
    /// several keys; with one key the default is this key.
    pub names_env: Option<VariableName>,
    /// How long a task id or a request state is accepted.
    #[serde(default = "default_seal_lifetime")]
    pub lifetime: Period,
}

/// One key that seals or opens.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SealKeyDocument {
    /// The environment variable (of the Wasm VM) with the secret: at least 32 characters.
    pub env: VariableName,
}

impl Seal {
    /// The variables with keys, each with its path in the policy. The first one seals.
    pub fn keys(&self) -> impl Iterator<Item = (String, &VariableName)> {
        let short = self
            .key_env
            .iter()
            .map(|env| ("seal.key_env".to_owned(), env));
        let listed = self.keys.iter().enumerate();
        short.chain(listed.map(|(at, key)| (format!("seal.keys[{at}].env"), &key.env)))
    }

    /// The variable with the secret that names records, with its path in the policy.
    pub fn names(&self) -> Option<(String, &VariableName)> {
        let own = self.names_env.as_ref();
        let own = own.map(|env| ("seal.names_env".to_owned(), env));
        own.or_else(|| self.keys().next())
    }
}

/// The form of the caller in the access log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A keyed hash: one caller always has the same one.
    #[default]
    Hash,
    /// The value of the token.
    Plain,
    /// No value.
    Omit,
}

/// How the request headers are held until the body is judged.
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
    /// The caller's value of the field.
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
    Size(8 * 1024 * 1024)
}
