//! Every way a request is refused: what the log calls it, who can cure it, and how.

use crate::accounts::token_exchange::ExchangeError;
use crate::authorize::Denial;
use crate::consent::elicitation::Elicitation;
use crate::decision::{Decision, Evidence, Verdict};
use crate::pages::PageRefusal;
use crate::request::arguments::ArgumentError;
use base::store::StoreError;
use mcp::headers::{HeaderError, HeaderMismatch};
use mcp::message::MessageError;
use oauth::TokenError;
use policy::{NotOwned, PinRule};

/// Why a request, or the answer to it, does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// An identity argument that may not be there.
    Argument(ArgumentError),
    /// The client's user would have to be asked; clients of this version can only be asked on a
    /// connection that is kept, and there is no page to ask on.
    CannotAsk,
    /// The client left before anything was decided.
    ClientGone,
    /// The user has to agree to it.
    Confirm(Box<Elicitation>),
    /// The body is compressed.
    ContentEncoding,
    /// The body is not declared as JSON.
    ContentType,
    /// The user did not agree to it.
    Declined,
    /// The policy does not allow it.
    Denied(Denial),
    /// Headers and body do not go together.
    HeaderMismatch(HeaderMismatch),
    /// No body where one is needed, or one where none may be.
    Body,
    /// The server would get no token for the caller.
    Exchange(ExchangeError),
    /// A header that cannot be read in one way only.
    Header(HeaderError),
    /// Headers that mirror the body would have to change after they went on.
    HeadersLeft,
    /// The host let the headers go before the body was judged, or never delivers the body.
    HostDoesNotHold,
    /// The body is no message that can be judged.
    Message(MessageError),
    /// The client did not declare the tasks extension, and asks about a task.
    MissingCapability,
    /// The client cannot ask its user, or did not declare it, and there is no page to ask on.
    MissingElicitation,
    /// The server speaks HTTP+SSE, whose answers come on another connection than their requests.
    HttpSse,
    /// A parameter the method needs is missing.
    MissingParameter(&'static str),
    /// A `Host` that is not this machine's, nor the server's.
    Host,
    /// An HTTP method MCP does not use.
    HttpMethod,
    /// No access token.
    NoToken,
    /// The server hands out a handle, or is asked for one, and there is no key to seal it with.
    NoSealKey,
    /// The request comes from elsewhere, or through another proxy.
    NotLocal,
    /// The user has not connected the account the tool works with.
    NotConnected(String, Box<Elicitation>),
    /// The connection's token has ended, and the next one could not be had.
    NotRefreshed,
    /// What tells conversations apart is missing.
    NoConversation,
    /// A result that is somebody else's, or says not whose it is.
    NotOwned,
    /// A path where no MCP server is.
    NotFound,
    /// A web page this server does not know.
    Origin,
    /// A page of this filter's own says no.
    Page(PageRefusal),
    /// A tool that was not what its pin says when this worker last saw it listed.
    PinBroken(PinRule),
    /// A query string, which the server might take for more than it is.
    Query,
    /// A request state that is not this caller's for this request, or has expired.
    RequestState,
    /// What outlasts a request could not be read or written.
    Store(StoreError),
    /// The body is larger than what is inspected.
    TooLarge,
    /// The token is not accepted.
    Token(TokenError),
    /// An event id that is not this caller's.
    UnknownEvent,
    /// A method nobody listed.
    UnknownMethod,
    /// A session id that is not this caller's.
    UnknownSession,
    /// A task id that is not this caller's, or has expired.
    UnknownTask,
    /// Another protocol on the same connection.
    Upgrade,
    /// The server's answer cannot be judged.
    UpstreamAnswer,
    /// The caller may not act as whom it asks to act.
    ViewAs,
}

impl Refusal {
    /// Why, as one word for logs and counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Argument(ArgumentError::InString(_)) => "argument_in_string",
            Self::Argument(ArgumentError::NoValue(_)) => "argument_no_value",
            Self::Argument(ArgumentError::NotOwned(..)) => "argument_owner",
            Self::Argument(ArgumentError::Rejected(_)) => "argument_rejected",
            Self::Argument(ArgumentError::Structure(_)) => "argument_structure",
            Self::Body => "body",
            Self::CannotAsk => "cannot_ask",
            Self::ClientGone => "client_gone",
            Self::Confirm(_) => "confirm",
            Self::ContentEncoding => "content_encoding",
            Self::ContentType => "content_type",
            Self::Declined => "declined",
            Self::Denied(Denial::Condition { .. }) => "condition",
            Self::Denied(Denial::Denied { .. }) => "denied",
            Self::Denied(Denial::NoRole) => "no_role",
            Self::Denied(Denial::NotOwned { .. }) => "resource_owner",
            Self::Denied(Denial::OddUri) => "odd_uri",
            Self::Denied(Denial::Scope { .. }) => "scope",
            Self::Denied(Denial::SignIn { .. }) => "sign_in",
            Self::Denied(Denial::TooOld { .. }) => "token_age",
            Self::HeaderMismatch(HeaderMismatch::Version(_)) => "protocol_version",
            Self::HeaderMismatch(HeaderMismatch::NoMeta) => "protocol_meta",
            Self::HeaderMismatch(_) => "header_mismatch",
            Self::Exchange(ExchangeError::Busy) => "exchange_busy",
            Self::Exchange(ExchangeError::Client) => "exchange_client",
            Self::Exchange(ExchangeError::Denied) => "exchange_denied",
            Self::Exchange(ExchangeError::Format) => "exchange_answer",
            Self::Exchange(ExchangeError::Subject) => "exchange_token",
            Self::Exchange(ExchangeError::Unavailable) => "exchange_unavailable",
            Self::Header(_) => "header",
            Self::HeadersLeft => "headers_left",
            Self::Host => "host",
            Self::HostDoesNotHold => "host_does_not_hold",
            Self::HttpMethod => "http_method",
            Self::Message(MessageError::Batch) => "batch",
            Self::Message(MessageError::Json(_)) => "not_json",
            Self::Message(_) => "not_a_message",
            Self::HttpSse => "http_sse",
            Self::MissingCapability | Self::MissingElicitation => "missing_capability",
            Self::MissingParameter(_) => "missing_parameter",
            Self::NoSealKey => "no_seal_key",
            Self::NotLocal => "not_local",
            Self::NotConnected(..) => "not_connected",
            Self::NotRefreshed => "not_refreshed",
            Self::NoConversation => "no_conversation",
            Self::NotOwned => "not_owned",
            Self::NoToken => "no_token",
            Self::NotFound => "not_found",
            Self::Origin => "origin",
            Self::Page(refusal) => refusal.reason(),
            Self::PinBroken(_) => "pin_broken",
            Self::Query => "query",
            Self::RequestState => "request_state",
            Self::Store(StoreError::Full) => "store_full",
            Self::Store(StoreError::Unavailable) => "store_unavailable",
            Self::Token(error) => error.reason(),
            Self::TooLarge => "too_large",
            Self::UnknownEvent => "unknown_event",
            Self::UnknownMethod => "unknown_method",
            Self::UnknownSession => "unknown_session",
            Self::UnknownTask => "unknown_task",
            Self::Upgrade => "upgrade",
            Self::UpstreamAnswer => "upstream_answer",
            Self::ViewAs => "view_as",
        }
    }

    /// What is said about it, to the client and in the log. Holds no value of the request.
    pub fn summary(&self) -> String {
        match self {
            Self::Argument(error) => error.to_string(),
            Self::Body => "a POST has a body, GET and DELETE have none".into(),
            Self::CannotAsk => {
                "the user has to agree to this call, and clients of this protocol version cannot be asked".into()
            }
            Self::ClientGone => "the client left before a decision".into(),
            Self::Confirm(_) => "the user has to agree to this call".into(),
            Self::ContentEncoding => "the body must not be compressed".into(),
            Self::ContentType => "the content type must be application/json".into(),
            Self::Declined => "the user did not agree to this call".into(),
            Self::Denied(Denial::Condition { error, .. }) => error.to_string(),
            Self::Denied(Denial::Denied { pattern, .. }) => format!("`{pattern}` denies it"),
            Self::Denied(Denial::NoRole) => "no role of the caller allows it".into(),
            Self::Denied(Denial::NotOwned { error, .. }) => format!("the URI {error}"),
            Self::Denied(Denial::OddUri) => "the URI has dot segments or hidden separators".into(),
            Self::Denied(Denial::Scope { needed }) => format!("needs scope {}", needed.join(" ")),
            Self::Denied(Denial::SignIn { .. }) => "sign in to use this".into(),
            Self::Denied(Denial::TooOld { max_age, .. }) => {
                format!("needs a sign-in at most {max_age} s ago")
            }
            Self::HeaderMismatch(error) => error.to_string(),
            Self::Exchange(error) => error.to_string(),
            Self::Header(error) => error.to_string(),
            Self::HeadersLeft => {
                "the `Mcp-*` headers of this request would have to change, and the proxy is \
                 configured to let them go before its body"
                    .into()
            }
            Self::Host => "the Host header names another server".into(),
            Self::HostDoesNotHold => "the proxy is not configured to hold requests".into(),
            Self::HttpMethod => "MCP uses POST, GET and DELETE".into(),
            Self::Message(error) => error.to_string(),
            Self::HttpSse => {
                "the server speaks HTTP+SSE of 2024-11-05, which is not supported; let it use \
                 Streamable HTTP"
                    .into()
            }
            Self::MissingCapability => "the client did not declare the tasks extension".into(),
            Self::MissingElicitation => "the client cannot ask its user to agree to this call".into(),
            Self::MissingParameter(name) => format!("`params.{name}` is missing"),
            Self::NoSealKey => {
                "sessions, tasks and request states cannot be bound to their caller".into()
            }
            Self::NotLocal => "requests are taken from this machine only".into(),
            Self::NotConnected(name, _) => format!("the user has not connected `{name}`"),
            Self::NotRefreshed => {
                "the account's token has ended, and the resource gave no other".into()
            }
            Self::NoConversation => "the token does not say which conversation it is used in".into(),
            Self::NotOwned => "the result is not the caller's".into(),
            Self::NoToken => "an access token is required".into(),
            Self::NotFound => "no MCP server at this path".into(),
            Self::Origin => "this origin may not call the server".into(),
            Self::Page(refusal) => refusal.detail(),
            Self::PinBroken(_) => "the tool is not what it was when it was pinned".into(),
            Self::Query => "the URL must not have a query".into(),
            Self::RequestState => "unknown request state; send the request without it".into(),
            Self::Store(error) => error.to_string(),
            Self::Token(error) => error.to_string(),
            Self::TooLarge => "the body is too large".into(),
            Self::UnknownEvent => "unknown event; send the request again".into(),
            Self::UnknownMethod => "unknown method".into(),
            Self::UnknownSession => "unknown session; initialize a new one".into(),
            Self::UnknownTask => "unknown task".into(),
            Self::Upgrade => "protocol upgrades are not accepted".into(),
            Self::UpstreamAnswer => "the server's answer cannot be checked".into(),
            Self::ViewAs => "no role of the caller allows it to act as this".into(),
        }
    }

    /// The decision this refusal is.
    pub fn decision(&self) -> Decision {
        let next_action = self.next_action();
        let source = match self {
            Self::Denied(
                Denial::Condition { rule, .. }
                | Denial::Denied { rule, .. }
                | Denial::NotOwned { rule, .. },
            ) => rule.as_str(),
            Self::Denied(Denial::NoRole) => "roles",
            Self::Denied(Denial::Scope { .. } | Denial::SignIn { .. } | Denial::TooOld { .. })
            | Self::NoToken
            | Self::Token(_) => "token",
            Self::Argument(_) => "arguments",
            Self::Confirm(_) | Self::Declined | Self::NotConnected(..) => "user",
            Self::Exchange(_) => "upstream",
            Self::ViewAs => "view_as",
            Self::NotOwned | Self::UpstreamAnswer => "response",
            Self::PinBroken(_) => "pins",
            _ => "request",
        };
        Decision {
            verdict: if self.is_curable() {
                Verdict::NeedsReview
            } else {
                Verdict::Blocked
            },
            reason: self.reason(),
            evidence: vec![Evidence::new(source, self.summary())],
            next_action,
        }
    }

    /// Whether the caller can do something about it: sign in, or sign in for more.
    fn is_curable(&self) -> bool {
        match self {
            Self::Token(error) => !error.is_unavailable(),
            Self::NoToken
            | Self::Confirm(_)
            | Self::NotConnected(..)
            | Self::Exchange(ExchangeError::Subject)
            | Self::Denied(Denial::Scope { .. } | Denial::SignIn { .. } | Denial::TooOld { .. }) => {
                true
            }
            _ => false,
        }
    }

    fn next_action(&self) -> Option<String> {
        let action = match self {
            Self::Argument(ArgumentError::Rejected(name)) => {
                format!("if it is data here, give the tool `arguments: {{{name}: keep}}`")
            }
            Self::Argument(
                ArgumentError::NoValue(_) | ArgumentError::NotOwned(_, NotOwned::Unknown),
            ) => "map the claim under the issuer's `identity`".into(),
            Self::Argument(ArgumentError::NotOwned(name, _)) => {
                format!(
                    "if it should be the caller's, see the `owner` of `{name}` under `arguments`"
                )
            }
            Self::Argument(ArgumentError::InString(_)) => {
                "send the arguments as JSON, not as text that holds JSON".into()
            }
            Self::Denied(Denial::Denied { rule, .. }) => {
                format!("if it is meant to be, change {rule}")
            }
            Self::Denied(Denial::Condition { rule, .. } | Denial::NotOwned { rule, .. }) => {
                format!("see {rule}")
            }
            Self::Denied(Denial::NoRole) => "let a role of the caller allow it".into(),
            Self::Denied(Denial::Scope { needed }) => {
                format!("sign in with scope {}", needed.join(" "))
            }
            Self::Denied(Denial::TooOld { .. }) => "sign in again".into(),
            Self::Exchange(ExchangeError::Busy | ExchangeError::Unavailable) => {
                "check the cluster and path under `upstream.exchange`".into()
            }
            Self::Exchange(ExchangeError::Client | ExchangeError::Format) => {
                "see what the authorization server lets the client under `upstream.exchange` do, and \
                 that it gives Bearer tokens"
                    .into()
            }
            Self::Exchange(ExchangeError::Denied) => {
                "let the authorization server admit the caller, and the `audience`, `resource` and \
                 `scopes` under `upstream.exchange`"
                    .into()
            }
            Self::Exchange(ExchangeError::Subject) => "sign in again".into(),
            Self::Host => "connect to localhost, or to the host of `resource`".into(),
            Self::HeadersLeft => {
                "set `allow_on_headers_stop_iteration: true` in the filter's PluginConfig, and take \
                 `hold: buffer_filter` out of the policy"
                    .into()
            }
            Self::CannotAsk | Self::MissingElicitation => {
                "give the caller's issuer `sign_in` in the policy, without `hold: buffer_filter`: then its \
                 users are asked on a page; or use a client of 2026-07-28 that declares `elicitation`"
                    .into()
            }
            Self::Confirm(question) => match question.url {
                Some(_) => "open the link, and agree to it".into(),
                None => "agree to it in the client".into(),
            },
            Self::NotConnected(..) => "open the link, and connect the account".into(),
            Self::NotRefreshed => {
                "check the cluster and path under the connection's `token`; or connect the account again"
                    .into()
            }
            Self::NoConversation => {
                "see `vault.conversation`: the claim it names has to be in the token".into()
            }
            Self::HostDoesNotHold => {
                "set `allow_on_headers_stop_iteration: true` in the filter's PluginConfig, or \
                 `hold: buffer_filter` with envoy.filters.http.buffer behind the filter"
                    .into()
            }
            Self::NoSealKey => {
                "set `seal: {key_env: ...}` in the policy, and that variable in the \
                                VM's environment"
                    .into()
            }
            Self::NotLocal => {
                "connect on the machine itself, to a listener at 127.0.0.1 or ::1 with no proxy \
                 before it; for callers elsewhere put `issuers` in the place of `local`"
                    .into()
            }
            Self::NotOwned => {
                "if it should be the caller's, see `owner` under `results`: the field, and what \
                 happens where it is `missing`"
                    .into()
            }
            Self::NoToken | Self::Denied(Denial::SignIn { .. }) => "sign in".into(),
            Self::PinBroken(PinRule::As(_)) => {
                "read what the server lists now; if it may stay, replace the pin by what `mcp-auth \
                 pin` prints"
                    .into()
            }
            Self::PinBroken(PinRule::FirstSeen) => {
                "read what the server lists now; if it may stay, pin it, or restart Envoy".into()
            }
            Self::RequestState | Self::UnknownEvent => "send the request again".into(),
            Self::UnknownSession => "initialize a new session".into(),
            Self::Store(StoreError::Full) => {
                "see who makes so many calls or connections, or keep them in etcd".into()
            }
            Self::Store(StoreError::Unavailable) => {
                "check the cluster under `store`, and that the plugin has a `vm_id` of its own".into()
            }
            Self::Token(TokenError::Used) => "sign in again for each such call".into(),
            Self::Token(TokenError::KeysUnavailable) => {
                "check the cluster and path under the issuer's `jwks`".into()
            }
            Self::Token(TokenError::IntrospectionUnavailable) => {
                "check the cluster, path and client under the issuer's `introspection`".into()
            }
            Self::Token(TokenError::IntrospectionBusy) => {
                "see whether somebody tries tokens at random, and limit the rate in Envoy".into()
            }
            Self::Token(TokenError::Proof(_)) => {
                "make a new proof for each request (RFC 9449 section 4.2)".into()
            }
            Self::Token(TokenError::ProofRequired | TokenError::Unbound) => {
                "sign in for a token that is bound to a key (RFC 9449 section 5)".into()
            }
            Self::Token(_) => "sign in again".into(),
            Self::TooLarge => "raise `max_body`, and Envoy's buffer limit with it".into(),
            Self::ViewAs => {
                "name it under `view_as` of a role of the caller, or send the request without it".into()
            }
            _ => return None,
        };
        Some(action)
    }
}
