//! Every way a page ends that is not what the user came for.

use thiserror::Error;

use super::discovery::DiscoveryError;
use super::registration::RegistrationError;
use super::token_request::TokenAnswerError;
use base::store::StoreError;
use oauth::TokenError;

/// Why a page says no. The texts are for the user of the browser, and hold nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PageRefusal {
    /// The resource did not say whose account the token is for.
    #[error("The account could not be read. Nothing was connected.")]
    Account,
    /// The authorization server sent the browser back with an error.
    #[error("The other side did not allow it. Nothing was connected.")]
    Authorization,
    /// A yes cannot be taken back.
    #[error("Your assistant has made the call already.")]
    CallMade,
    /// The user, or the authorization server, said no.
    #[error("You did not allow it. Nothing was connected.")]
    Declined,
    /// The authorization server cannot be used as it describes itself.
    #[error(
        "The other side cannot be used from here: {0}. Nothing was connected. {help}",
        help = help(.0.is_unavailable())
    )]
    Discovery(#[from] DiscoveryError),
    /// The form is not one of this browser's, or is too old.
    #[error("This page was open for too long. Open the link again.")]
    Form,
    /// The ID token is not the answer to this sign-in.
    #[error("You could not be signed in.")]
    IdToken(TokenError),
    /// The answer of another authorization server than the one that was asked.
    #[error("The answer came from somewhere else than expected. Nothing was connected.")]
    IssuerMismatch,
    /// No logout token of an issuer that sends some.
    #[error("The logout token is not accepted.")]
    LogoutToken(TokenError),
    /// The logout token came before.
    #[error("The logout token was used before.")]
    LogoutUsed,
    /// An HTTP method the page has no use for.
    #[error("This page cannot be used that way.")]
    Method,
    /// The user does not want a call to be made.
    #[error("the user did not agree to the call")]
    NotConfirmed,
    /// No page of this filter.
    #[error("There is no such page.")]
    NotFound,
    /// What was asked was answered, and that is over, or it was not answered in time.
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
    /// The answer came to another browser than the one that asked.
    #[error("This answer is not for this browser. Open the link again.")]
    OtherBrowser,
    /// The link is another user's.
    #[error("This link is for somebody else.")]
    OtherUser,
    /// No randomness to be had.
    #[error("This does not work at the moment. Try again later.")]
    Random,
    /// The authorization server did not take this filter as a client.
    #[error(
        "The other side cannot be used from here: {0}. Nothing was connected. {help}",
        help = help(.0.is_unavailable())
    )]
    Registration(RegistrationError),
    /// The request cannot be read in one way only, or lacks something.
    #[error("This request is not complete.")]
    Request,
    /// No state of this filter's, or too old a one.
    #[error("This took too long, or was not begun here. Open the link again.")]
    State,
    /// The answer was used before.
    #[error("This answer was used before. Open the link again.")]
    StateUsed,
    /// Nothing can be kept at the moment.
    #[error("This does not work at the moment. Try again later.")]
    Store(StoreError),
    /// No link of this filter's, or too old a one.
    #[error("This link is not valid, or has expired. Ask your assistant for a new one.")]
    Ticket,
    /// The code was not redeemed.
    #[error("The other side did not hand out access. Nothing was connected.")]
    Tokens(TokenAnswerError),
}

impl PageRefusal {
    /// Why, as one word for logs and counters.
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
            Self::Ticket => "bad_ticket",
            Self::Tokens(TokenAnswerError::Grant) => "code_refused",
            Self::Tokens(TokenAnswerError::Client | TokenAnswerError::UnknownClient) => {
                "client_refused"
            }
            Self::Tokens(TokenAnswerError::Format) => "token_answer",
            Self::Tokens(TokenAnswerError::Unavailable) => "token_endpoint_unavailable",
        }
    }

    /// What the log says beside the reason.
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

/// What a user can do where it is not in the user's hands.
fn help(is_for_now: bool) -> &'static str {
    match is_for_now {
        true => "Try again later.",
        false => "Tell whoever runs this server.",
    }
}
