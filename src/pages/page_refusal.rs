//! Why a page request is refused.

use thiserror::Error;

use crate::accounts::discovery::DiscoveryError;
use crate::accounts::registration::RegistrationError;
use crate::accounts::token_request::TokenAnswerError;
use base::store::StoreError;
use oauth::TokenError;

/// Why a page request is refused. The texts are for the user of the browser, and repeat nothing of the
/// request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PageRefusal {
    /// The resource did not say whose account the token is for.
    #[error("The account could not be read. Nothing was connected.")]
    Account,
    /// The authorization server sent the browser back with an error.
    #[error("The other side did not allow it. Nothing was connected.")]
    Authorization,
    /// A yes cannot be taken back: the call was made.
    #[error("Your assistant has made the call already.")]
    CallMade,
    /// The user or the authorization server declined.
    #[error("You did not allow it. Nothing was connected.")]
    Declined,
    /// The authorization server cannot be used as it describes itself.
    #[error(
        "The other side cannot be used from here: {0}. Nothing was connected. {help}",
        help = help(.0.is_unavailable())
    )]
    Discovery(#[from] DiscoveryError),
    /// The form is not of this sign-in and link, or is too old.
    #[error("This page was open for too long. Open the link again.")]
    Form,
    /// The ID token is not the answer to this sign-in.
    #[error("You could not be signed in.")]
    IdToken(TokenError),
    /// The browser came back from another authorization server than expected.
    #[error("The answer came from somewhere else than expected. Nothing was connected.")]
    IssuerMismatch,
    /// Not a valid logout token, or its issuer has no `back_channel_logout`.
    #[error("The logout token is not accepted.")]
    LogoutToken(TokenError),
    /// The logout token was used before.
    #[error("The logout token was used before.")]
    LogoutUsed,
    /// Not an HTTP method of the page.
    #[error("This page cannot be used that way.")]
    Method,
    /// The user declined a call.
    #[error("the user did not agree to the call")]
    NotConfirmed,
    /// Not a page of this filter.
    #[error("There is no such page.")]
    NotFound,
    /// The question was answered and that answer was used, or it was not answered in time.
    #[error(
        "There is nothing to answer here any more. If your assistant still needs your yes, let it try \
         again: it gets a new link."
    )]
    NoQuestion,
    /// The user of the browser is not, or no longer, signed in.
    #[error("You are not signed in any more. Open the link again.")]
    NotSignedIn,
    /// The form was sent from another site.
    #[error("This page cannot be used from other sites.")]
    Origin,
    /// The browser that came back is not the one in which the authorization request began.
    #[error("This answer is not for this browser. Open the link again.")]
    OtherBrowser,
    /// The link is for another user.
    #[error("This link is for somebody else.")]
    OtherUser,
    /// There is no randomness.
    #[error("This does not work at the moment. Try again later.")]
    Random,
    /// The authorization server did not register this filter.
    #[error(
        "The other side cannot be used from here: {0}. Nothing was connected. {help}",
        help = help(.0.is_unavailable())
    )]
    Registration(RegistrationError),
    /// The request is ambiguous or incomplete.
    #[error("This request is not complete.")]
    Request,
    /// Not a `state` of this filter, or one that is too old.
    #[error("This took too long, or was not begun here. Open the link again.")]
    State,
    /// The `state` was used before.
    #[error("This answer was used before. Open the link again.")]
    StateUsed,
    /// The store failed.
    #[error("This does not work at the moment. Try again later.")]
    Store(#[from] StoreError),
    /// Not a link of this filter, or one that is too old.
    #[error("This link is not valid, or has expired. Ask your assistant for a new one.")]
    Link,
    /// The code was not redeemed.
    #[error("The other side did not hand out access. Nothing was connected.")]
    Tokens(TokenAnswerError),
}

impl PageRefusal {
    /// The reason code for logs and counters.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Account => "account_unknown",
            Self::Authorization => "authorization_error",
            Self::CallMade => "call_made",
            Self::Declined | Self::NotConfirmed => "declined",
            Self::Discovery(error) => match error {
                DiscoveryError::Unavailable => "metadata_unavailable",
                DiscoveryError::NoClientId | DiscoveryError::PublicClient => "no_client_id",
                DiscoveryError::ResourceFormat
                | DiscoveryError::ResourceIssuer
                | DiscoveryError::ResourceName => "resource_metadata",
                _ => "server_metadata",
            },
            Self::Form => "bad_form",
            Self::IdToken(_) => "id_token",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::LogoutToken(_) => "logout_token",
            Self::LogoutUsed => "logout_used",
            Self::Method => "http_method",
            Self::NoQuestion => "no_question",
            Self::NotFound => "not_found",
            Self::NotSignedIn => "not_signed_in",
            Self::Origin => "origin",
            Self::OtherBrowser => "other_browser",
            Self::OtherUser => "other_user",
            Self::Random => "no_randomness",
            Self::Registration(RegistrationError::Refused) => "registration_refused",
            Self::Registration(RegistrationError::Unavailable) => "registration_unavailable",
            Self::Registration(_) => "registration_answer",
            Self::Request => "page_request",
            Self::State => "bad_state",
            Self::StateUsed => "state_used",
            Self::Store(_) => "store",
            Self::Link => "bad_ticket",
            Self::Tokens(TokenAnswerError::Grant) => "code_refused",
            Self::Tokens(TokenAnswerError::Client | TokenAnswerError::UnknownClient) => {
                "client_refused"
            }
            Self::Tokens(TokenAnswerError::Format) => "token_answer",
            Self::Tokens(TokenAnswerError::Unavailable) => "token_endpoint_unavailable",
        }
    }

    /// The detail for the log.
    pub fn detail(self) -> String {
        match self {
            Self::Discovery(error) => error.to_string(),
            Self::IdToken(error) | Self::LogoutToken(error) => error.to_string(),
            Self::Registration(error) => error.to_string(),
            Self::Store(error) => error.to_string(),
            Self::Tokens(error) => error.to_string(),
            other => other.to_string(),
        }
    }

    /// The HTTP status of the page.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::CallMade => 409,
            Self::Declined
            | Self::Form
            | Self::NotConfirmed
            | Self::NotSignedIn
            | Self::Origin
            | Self::OtherBrowser
            | Self::OtherUser => 403,
            Self::LogoutToken(error) if error.is_unavailable() => 503,
            Self::Method => 405,
            Self::NotFound => 404,
            Self::NoQuestion => 410,
            Self::Discovery(error) if error.is_unavailable() => 503,
            Self::Registration(error) if error.is_unavailable() => 503,
            Self::Account
            | Self::Discovery(_)
            | Self::IdToken(_)
            | Self::Registration(_)
            | Self::Tokens(_) => 502,
            Self::Random | Self::Store(_) => 503,
            _ => 400,
        }
    }
}

/// What the user can do about a failure that only others can fix.
fn help(is_for_now: bool) -> &'static str {
    match is_for_now {
        true => "Try again later.",
        false => "Tell whoever runs this server.",
    }
}
