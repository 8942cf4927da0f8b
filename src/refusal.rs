//! All refusals of requests and answers. [`crate::reasons`] has the facts about each.

mod argument_error;
mod challenges;
mod errors;
mod lookup_fault;
mod outside_refusal;
mod reply;

use std::borrow::Cow;
use std::fmt;

pub use self::argument_error::ArgumentError;
pub use self::challenges::proof_algorithms;
use self::errors::{of_lookup, of_message};
pub use self::lookup_fault::LookupFault;
pub use self::outside_refusal::OutsideRefusal;
pub use self::reply::{RefusedRequest, error_body, failed_result, proxy_error, refuse, result};
use crate::accounts::token_exchange::ExchangeError;
use crate::authorize::Denial;
use crate::consent::elicitation::Elicitation;
use crate::decision::{Decision, Evidence};
use crate::pages::PageRefusal;
use crate::reasons::{Reason, Refused, Seen};
use base::store::StoreError;
use mcp::headers::{HeaderError, HeaderMismatch};
use mcp::message::MessageError;
use oauth::RefusedToken;
use policy::{ConditionError, NotOwned, PinRule};

/// Why a request or its answer does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// An identity argument is not accepted.
    Argument(ArgumentError),
    /// The user has to agree to the call. Clients of this protocol version cannot be asked, and there is no
    /// page.
    CannotAsk,
    /// The proxy answered before a decision.
    AnsweredByProxy,
    /// Another person did not allow the call.
    ApprovalDenied,
    /// Another person has to allow the call.
    ApprovalNeeded(Box<NeededApproval>),
    /// Another person has to allow the call, and the token does not name the caller's organization.
    ApprovalOrganization,
    /// The caller, or its organization, has too many calls that wait for another person.
    ApprovalsFull,
    /// The proxy refused the request because of the size of its body.
    ProxyBodyTooLarge,
    /// The proxy refused the request because of the size of its headers.
    ProxyHeadersTooLarge,
    /// The request did not arrive in time.
    ProxyTimeout,
    /// The client disconnected before a decision.
    ClientGone,
    /// The user has to agree to the call.
    Confirm(Box<Elicitation>),
    /// The body is compressed.
    ContentEncoding,
    /// The body is not declared as JSON.
    ContentType,
    /// The user did not agree to the call.
    Declined,
    /// The policy does not allow the request.
    Denied(Denial),
    /// Headers and body do not agree.
    HeaderMismatch(HeaderMismatch),
    /// A POST without a body, or a GET or DELETE with one.
    Body,
    /// The caller's token could not be exchanged for one for the server.
    Exchange(ExchangeError),
    /// A header that is repeated or is not visible ASCII.
    Header(HeaderError),
    /// `Mcp-*` headers have to change, and Envoy has already passed them on.
    HeadersLeft,
    /// The host passed the headers on before the body was judged, or never delivers the body.
    HostDoesNotHold,
    /// A look-up, by this rule of the policy, does not show that the record of the call is the caller's.
    Lookup(LookupFault, String),
    /// The body is not one JSON-RPC message in strict JSON.
    Message(MessageError),
    /// The request is about a task, and the client did not declare the tasks extension.
    MissingCapability,
    /// The user has to agree to the call. The client does not declare `elicitation`, and there is no page.
    MissingElicitation,
    /// The server speaks HTTP+SSE of 2024-11-05.
    HttpSse,
    /// A parameter of the method is missing.
    MissingParameter(&'static str),
    /// The `Host` header names neither this machine nor the server.
    Host,
    /// MCP does not use this HTTP method.
    HttpMethod,
    /// No access token.
    NoToken,
    /// The request uses a session, task or request state, and there is no seal key.
    NoSealKey,
    /// The request comes from another machine or through another proxy, under a `local` policy.
    NotLocal,
    /// The user has not linked the account that the tool needs.
    NotConnected(String, Box<Elicitation>),
    /// No credential of this connection is for the caller.
    NoAssignedCredential(String),
    /// The account's token has ended, and could not be refreshed.
    NotRefreshed,
    /// The server no longer accepts the token of the user's account.
    NotAccepted(String, Box<Elicitation>),
    /// The server refused the token of an account that was linked again after it had refused the one before.
    RefusedAgain(String, Box<Elicitation>),
    /// The server refused the token of an account that was refreshed or linked again during the call.
    AccountReplaced,
    /// The token lacks the claim that names the conversation.
    NoConversation,
    /// The result names another owner than the caller, or no owner.
    NotOwned,
    /// There is no MCP server at this path.
    NotFound,
    /// The web page's origin is not allowed.
    Origin,
    /// A decision point does not allow the request, or did not decide.
    Outside(OutsideRefusal),
    /// A page of the filter refuses.
    Page(PageRefusal),
    /// The tool differs from its pin, as this worker last saw it in a list.
    PinBroken(PinRule),
    /// The URL has a query.
    Query,
    /// The request state belongs to another caller or request, or has expired.
    RequestState,
    /// The result has more bytes than the caller receives, which is this number.
    ResultTooLarge(ResultSize, usize),
    /// The store could not be read or written.
    Store(StoreError),
    /// The request has a test user, and the server would get the caller's own token or account.
    TestUserCredential,
    /// The body is larger than `max_body`.
    TooLarge,
    /// The server's answer has more values than are read.
    TooManyValues,
    /// The user has to agree to the call, and its arguments cannot be shown whole.
    TooLongToShow,
    /// The token is not accepted.
    Token(RefusedToken),
    /// The event id belongs to another caller.
    UnknownEvent,
    /// The MCP method is not known.
    UnknownMethod,
    /// The session id belongs to another caller.
    UnknownSession,
    /// The task id belongs to another caller, or has expired.
    UnknownTask,
    /// The request asks for a protocol upgrade.
    Upgrade,
    /// The server's answer cannot be checked.
    UpstreamAnswer,
    /// The server's answer is larger than what Envoy buffers for a filter.
    UpstreamAnswerOverBuffer,
    /// The server's answer is larger than `max_response`, which is this many bytes.
    UpstreamAnswerTooLarge(usize),
    /// The server asks for credentials of its own.
    UpstreamChallenge,
    /// The server redirects to another URL.
    UpstreamRedirect,
    /// The server ended its answer too early.
    UpstreamReset,
    /// The server did not answer in time.
    UpstreamTimedOut,
    /// The server did not answer.
    UpstreamUnavailable,
    /// The caller may not act with this role or as this user.
    ViewAs,
    /// The worker holds the maximum of bodies and answers.
    WorkerFull,
}

/// The approval that a call waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededApproval {
    /// The role of the people who may allow it.
    pub role: String,
    /// The page on which they do.
    pub url: String,
    /// The minutes left.
    pub minutes: u64,
}

/// The size of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultSize {
    /// This number of bytes.
    Bytes(usize),
    /// The rest was not read after this number of bytes.
    AtLeast(usize),
}

impl fmt::Display for ResultSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(formatter, "{bytes}"),
            Self::AtLeast(bytes) => write!(formatter, "at least {bytes}"),
        }
    }
}

impl Refusal {
    /// The reason. Its row has all facts that do not depend on the request.
    pub fn reason(&self) -> Reason {
        match self {
            Self::AnsweredByProxy => Reason::AnsweredByProxy,
            Self::ApprovalDenied => Reason::ApprovalDenied,
            Self::ApprovalNeeded(_) => Reason::ApprovalNeeded,
            Self::ApprovalOrganization => Reason::ApprovalOrganizationMissing,
            Self::ApprovalsFull => Reason::ApprovalsFull,
            Self::ProxyBodyTooLarge => Reason::ProxyBodyTooLarge,
            Self::ProxyHeadersTooLarge => Reason::ProxyHeadersTooLarge,
            Self::ProxyTimeout => Reason::ProxyTimeout,
            Self::UpstreamReset => Reason::UpstreamReset,
            Self::UpstreamTimedOut => Reason::UpstreamTimedOut,
            Self::UpstreamUnavailable => Reason::UpstreamUnavailable,
            Self::Argument(ArgumentError::InString(_) | ArgumentError::Tangled) => {
                Reason::ArgumentInString
            }
            Self::Argument(ArgumentError::NoValue(_)) => Reason::ArgumentClaimMissing,
            Self::Argument(ArgumentError::NotOwned(
                _,
                NotOwned::Ambiguous | NotOwned::Another | NotOwned::Nobody,
            )) => Reason::ArgumentNotOwned,
            Self::Argument(ArgumentError::NotOwned(_, NotOwned::Unknown)) => {
                Reason::ArgumentOwnerUnknown
            }
            Self::Argument(ArgumentError::Rejected(_)) => Reason::ArgumentRejected,
            Self::Argument(ArgumentError::Structure(_)) => Reason::ArgumentNotSingle,
            Self::Body => Reason::BodyMissingOrUnexpected,
            Self::CannotAsk => Reason::ConfirmationUnsupported,
            Self::ClientGone => Reason::ClientGone,
            Self::Confirm(_) => Reason::ConfirmationNeeded,
            Self::ContentEncoding => Reason::BodyCompressed,
            Self::ContentType => Reason::ContentTypeNotJson,
            Self::Declined => Reason::CallDeclined,
            Self::Denied(Denial::Condition { error, .. }) => match error {
                ConditionError::Budget => Reason::ConditionTooCostly,
                ConditionError::Evaluation | ConditionError::NotTrue => Reason::ConditionNotMet,
            },
            Self::Denied(Denial::Denied { .. }) => Reason::Denied,
            Self::Denied(Denial::ForeignParameter { .. }) => Reason::UriParameterNotOwned,
            Self::Denied(Denial::Misspelled { .. }) => Reason::ArgumentMisspelled,
            Self::Denied(Denial::NoRole) => Reason::NoRole,
            Self::Denied(Denial::NotOwned { .. }) => Reason::ResourceNotOwned,
            Self::Denied(Denial::OddUri) => Reason::UriAmbiguous,
            Self::Denied(Denial::Scope { .. }) => Reason::ScopeMissing,
            Self::Denied(Denial::SignIn { .. }) => Reason::SignInNeeded,
            Self::Denied(Denial::TooOld { .. }) => Reason::SignInTooOld,
            Self::Exchange(ExchangeError::Busy) => Reason::ExchangeBusy,
            Self::Exchange(ExchangeError::Client) => Reason::ExchangeClientRefused,
            Self::Exchange(ExchangeError::Denied) => Reason::ExchangeDenied,
            Self::Exchange(ExchangeError::Format) => Reason::ExchangeAnswerUnreadable,
            Self::Exchange(ExchangeError::Subject) => Reason::ExchangeTokenRefused,
            Self::Exchange(ExchangeError::Unavailable) => Reason::ExchangeUnavailable,
            Self::Header(_) => Reason::HeaderMalformed,
            Self::HeaderMismatch(HeaderMismatch::NoMeta) => Reason::ProtocolMetaMissing,
            Self::HeaderMismatch(HeaderMismatch::Version(_)) => Reason::ProtocolVersionUnsupported,
            Self::HeaderMismatch(
                HeaderMismatch::Header(_)
                | HeaderMismatch::Mismatch(_)
                | HeaderMismatch::Missing(_),
            ) => Reason::HeaderMismatch,
            Self::HeadersLeft => Reason::HeadersAlreadySent,
            Self::Host => Reason::HostNotAllowed,
            Self::HostDoesNotHold => Reason::RequestNotHeld,
            Self::HttpMethod => Reason::HttpMethodNotAllowed,
            Self::HttpSse => Reason::HttpSseUnsupported,
            Self::Lookup(fault, _) => of_lookup(fault),
            Self::Message(error) => of_message(error),
            Self::MissingCapability => Reason::TasksNotDeclared,
            Self::MissingElicitation => Reason::ElicitationNotDeclared,
            Self::MissingParameter(_) => Reason::MissingParameter,
            Self::NoConversation => Reason::ConversationClaimMissing,
            Self::NoSealKey => Reason::NoSealKey,
            Self::NoToken => Reason::NoToken,
            Self::NoAssignedCredential(_) => Reason::NoCredentialForCaller,
            Self::AccountReplaced => Reason::AccountReplaced,
            Self::NotAccepted(..) => Reason::AccountNotAccepted,
            Self::NotConnected(..) => Reason::AccountNotConnected,
            Self::NotFound => Reason::NotFound,
            Self::NotLocal => Reason::NotLocal,
            Self::NotOwned => Reason::ResultNotOwned,
            Self::NotRefreshed => Reason::AccountNotRefreshed,
            Self::RefusedAgain(..) => Reason::AccountRefusedAgain,
            Self::Origin => Reason::OriginNotAllowed,
            Self::Outside(refusal) => refusal.reason(),
            Self::Page(refusal) => refusal.reason(),
            Self::PinBroken(_) => Reason::PinBroken,
            Self::Query => Reason::QueryNotAccepted,
            Self::RequestState => Reason::UnknownRequestState,
            Self::ResultTooLarge(..) => Reason::ResultTooLarge,
            Self::Store(error) => (*error).into(),
            Self::Token(refused) => refused.error.into(),
            Self::TestUserCredential => Reason::TestUserCredential,
            Self::TooLarge => Reason::BodyTooLarge,
            Self::TooManyValues => Reason::UpstreamAnswerTooManyValues,
            Self::TooLongToShow => Reason::ArgumentsTooLongToShow,
            Self::UnknownEvent => Reason::UnknownEvent,
            Self::UnknownMethod => Reason::UnknownMethod,
            Self::UnknownSession => Reason::UnknownSession,
            Self::UnknownTask => Reason::UnknownTask,
            Self::Upgrade => Reason::UpgradeNotAccepted,
            Self::UpstreamAnswer => Reason::UpstreamAnswerUncheckable,
            Self::UpstreamAnswerOverBuffer => Reason::UpstreamAnswerOverBuffer,
            Self::UpstreamAnswerTooLarge(_) => Reason::UpstreamAnswerTooLarge,
            Self::UpstreamChallenge => Reason::UpstreamChallenged,
            Self::UpstreamRedirect => Reason::UpstreamRedirected,
            Self::ViewAs => Reason::ViewAsNotAllowed,
            Self::WorkerFull => Reason::WorkerFull,
        }
    }

    fn row(&self) -> &'static Refused {
        &self.reason().row().outcome
    }

    /// Whether the refusal of an answer has the status 200. The caller can act on it, and clients show their
    /// model no error that comes with another status.
    pub(crate) fn is_said_with_200(&self) -> bool {
        matches!(self.row().seen, Seen::Error(200, _) | Seen::FailedCall)
    }

    /// The text for the client and the log. It has no value of the request.
    pub fn summary(&self) -> String {
        self.fill(self.row().text).into_owned()
    }

    /// The decision for the log.
    pub fn decision(&self) -> Decision {
        let row = self.row();
        Decision {
            verdict: row.verdict,
            reason: self.reason().row().code,
            evidence: self.evidence(row),
            next_action: Some(self.fill(row.next).into_owned()),
        }
    }

    fn evidence(&self, row: &Refused) -> Vec<Evidence> {
        let mut evidence = vec![Evidence::new(self.fill(row.source), self.fill(row.text))];
        if let Self::Token(RefusedToken {
            finding: Some(finding),
            ..
        }) = self
        {
            let mut summary = format!("found {}", finding.found);
            if let Some(key) = &finding.key {
                summary.push_str(&format!("; `{key}` in the policy decides about it"));
            }
            if let Some(advice) = finding.advice {
                summary.push_str(&format!(": {advice}"));
            }
            let source = crate::audit::name(&format!("token.{}", finding.place));
            evidence.push(Evidence::new(source, summary));
        }
        evidence
    }

    /// The scopes to sign in with.
    fn scopes(&self) -> &[String] {
        match self {
            Self::Denied(
                Denial::Scope { needed: scopes }
                | Denial::SignIn { scopes }
                | Denial::TooOld { scopes, .. },
            ) => scopes,
            _ => &[],
        }
    }

    /// A text of the table, with the values of this refusal for its placeholders, such as `{rule}`.
    fn fill(&self, text: &'static str) -> Cow<'static, str> {
        let values = self.values();
        if values.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut filled = text.to_owned();
        for (name, value) in values {
            filled = filled.replace(&format!("{{{name}}}"), &value);
        }
        Cow::Owned(filled)
    }

    /// The values of the placeholders in the texts of the table.
    fn values(&self) -> Vec<(&'static str, String)> {
        let error = |error: &dyn std::error::Error| vec![("error", error.to_string())];
        match self {
            Self::Argument(
                reason @ (ArgumentError::InString(name)
                | ArgumentError::NoValue(name)
                | ArgumentError::NotOwned(name, _)
                | ArgumentError::Rejected(name)
                | ArgumentError::Structure(name)),
            ) => vec![("error", reason.to_string()), ("argument", name.clone())],
            Self::Argument(reason @ ArgumentError::Tangled) => error(reason),
            Self::Denied(Denial::Condition { rule, error, .. }) => {
                vec![("rule", rule.clone()), ("error", error.to_string())]
            }
            Self::Denied(Denial::ForeignParameter { name }) => vec![("argument", name.clone())],
            Self::Denied(Denial::Misspelled { rule, error }) => {
                vec![("rule", rule.clone()), ("error", error.to_string())]
            }
            Self::Denied(Denial::Denied { rule, pattern }) => {
                vec![("rule", rule.clone()), ("pattern", pattern.clone())]
            }
            Self::Denied(Denial::NotOwned { rule, error }) => {
                vec![("rule", rule.clone()), ("error", error.to_string())]
            }
            Self::Denied(Denial::Scope { needed }) => vec![("scopes", needed.join(" "))],
            Self::Denied(Denial::TooOld { max_age, .. }) => {
                vec![("max_age", max_age.as_secs().to_string())]
            }
            Self::Denied(Denial::NoRole | Denial::OddUri | Denial::SignIn { .. }) => Vec::new(),
            Self::Exchange(reason) => error(reason),
            Self::Header(reason) => error(reason),
            Self::HeaderMismatch(reason) => error(reason),
            Self::Lookup(fault, rule) => {
                vec![("rule", rule.clone()), ("error", fault.to_string())]
            }
            Self::Message(reason) => error(reason),
            Self::MissingParameter(name) => vec![("parameter", (*name).to_owned())],
            Self::NoAssignedCredential(name)
            | Self::NotAccepted(name, _)
            | Self::NotConnected(name, _)
            | Self::RefusedAgain(name, _) => vec![("connection", name.clone())],
            Self::Outside(refusal) => refusal.values(),
            Self::Page(refusal) => vec![("error", refusal.detail())],
            Self::Store(reason) => error(reason),
            Self::Token(reason) => error(reason),
            Self::ResultTooLarge(size, limit) => {
                vec![("size", size.to_string()), ("limit", limit.to_string())]
            }
            Self::UpstreamAnswerTooLarge(limit) => vec![("limit", limit.to_string())],
            Self::ApprovalNeeded(needed) => vec![
                ("role", needed.role.clone()),
                ("url", needed.url.clone()),
                ("minutes", needed.minutes.to_string()),
            ],
            Self::AnsweredByProxy
            | Self::ApprovalDenied
            | Self::ApprovalOrganization
            | Self::ApprovalsFull
            | Self::Body
            | Self::CannotAsk
            | Self::ClientGone
            | Self::Confirm(_)
            | Self::ContentEncoding
            | Self::ContentType
            | Self::Declined
            | Self::HeadersLeft
            | Self::Host
            | Self::HostDoesNotHold
            | Self::HttpMethod
            | Self::HttpSse
            | Self::MissingCapability
            | Self::MissingElicitation
            | Self::NoConversation
            | Self::NoSealKey
            | Self::NoToken
            | Self::NotFound
            | Self::NotLocal
            | Self::NotOwned
            | Self::AccountReplaced
            | Self::NotRefreshed
            | Self::Origin
            | Self::PinBroken(_)
            | Self::ProxyBodyTooLarge
            | Self::ProxyHeadersTooLarge
            | Self::ProxyTimeout
            | Self::Query
            | Self::RequestState
            | Self::TestUserCredential
            | Self::TooLarge
            | Self::TooManyValues
            | Self::TooLongToShow
            | Self::UnknownEvent
            | Self::UnknownMethod
            | Self::UnknownSession
            | Self::UnknownTask
            | Self::Upgrade
            | Self::UpstreamAnswer
            | Self::UpstreamAnswerOverBuffer
            | Self::UpstreamChallenge
            | Self::UpstreamRedirect
            | Self::UpstreamReset
            | Self::UpstreamTimedOut
            | Self::UpstreamUnavailable
            | Self::ViewAs
            | Self::WorkerFull => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
