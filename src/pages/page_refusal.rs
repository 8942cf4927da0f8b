//! Why a page request is refused.

use thiserror::Error;

use crate::reasons::Reason;
use base::store::StoreError;
use oauth::TokenError;
use oauth::client::{DiscoveryError, RegistrationError, TokenAnswerError};
use policy::UnmetNeed;

/// Why a page request is refused. The texts are for the user. They have no value of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PageRefusal {
    /// The resource did not name the account of the token.
    #[error("The account could not be read. Nothing was connected.")]
    Account,
    /// The ID token that names the account is not the answer to this request.
    #[error("The account could not be read. Nothing was connected.")]
    AccountToken(TokenError),
    /// The resource did not say in time whose account it is.
    #[error(
        "The other side did not say in time which account this is. Nothing was connected. Open the link again in \
         a moment."
    )]
    AccountUnavailable,
    /// The account that the user chose is not there any more.
    #[error("This account is not connected any more. Open the link again.")]
    AccountGone,
    /// The question to another person was answered, or has expired.
    #[error(
        "This call does not wait for an answer any more: it was answered, or its time is over."
    )]
    ApprovalClosed,
    /// The user may not approve calls, or not this one.
    #[error(
        "You cannot answer for this call. It needs another person of the caller's organization."
    )]
    Approver,
    /// The redirect from the authorization server has an error.
    #[error("The other side did not allow it. Nothing was connected.")]
    Authorization,
    /// The person did not allow the call of another user.
    #[error("the call of another user was not allowed")]
    CallDenied,
    /// The user cannot withdraw the yes: the call was made.
    #[error("Your assistant has made the call already.")]
    CallMade,
    /// The conversation ended during the authorization request.
    #[error(
        "The conversation for which you opened this page has ended. Nothing was connected. Ask your \
         assistant for a new link."
    )]
    ConversationEnded,
    /// The resource did not accept what the user typed.
    #[error("It was not accepted. Check it, and type it again.")]
    CredentialRefused,
    /// The resource could not be asked about what the user typed.
    #[error("It could not be checked at the moment. Try again later.")]
    CredentialUnchecked,
    /// What the user typed is empty, too long, or has characters that cannot be sent.
    #[error("It cannot be sent as it is. Check it, and type it again.")]
    CredentialUnusable,
    /// The user or the authorization server declined.
    #[error("You did not allow it. Nothing was connected.")]
    Declined,
    /// The metadata of the authorization server is not usable.
    #[error(
        "The other side cannot be used from here: {0}. Nothing was connected. {help}",
        help = help(.0.is_unavailable())
    )]
    Discovery(#[from] DiscoveryError),
    /// The form belongs to another sign-in or link, or is too old.
    #[error("This page was open for too long. Open the link again.")]
    Form,
    /// The ID token does not belong to this sign-in.
    #[error("You could not be signed in.")]
    IdToken(TokenError),
    /// The redirect comes from another authorization server than expected.
    #[error("The answer came from another server than expected. Nothing was connected.")]
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
    /// The question was answered and the answer was used, or the question has expired.
    #[error(
        "There is nothing to answer here any more. If your assistant still needs your yes, let it try \
         again: it gets a new link."
    )]
    NoQuestion,
    /// The user is not signed in, or not any more.
    #[error("You are not signed in any more. Open the link again.")]
    NotSignedIn,
    /// The form was sent from another site.
    #[error("This page cannot be used from other sites.")]
    Origin,
    /// The authorization request began in another browser.
    #[error("This answer is not for this browser, or came too late. Open the link again.")]
    OtherBrowser,
    /// The user cannot answer for an own call.
    #[error("This call is your own. Another person has to answer for it.")]
    OwnCall,
    /// The link is for another user.
    #[error("This link is for another user.")]
    OtherUser,
    /// The host has no random bytes.
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
    /// The user's sign-in is too old or too weak.
    #[error("{}", sign_in_text(.0))]
    SignIn(UnmetNeed),
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
    /// Too many codes were redeemed for the link, or for the user's links.
    #[error("This was tried too often. Wait ten minutes, and ask your assistant for a new link.")]
    TooManyTries,
    /// The code was not redeemed.
    #[error("The other side did not hand out access. Nothing was connected.")]
    Tokens(TokenAnswerError),
}

impl PageRefusal {
    /// The reason. Its row has the status of the page and the texts for the log.
    pub fn reason(self) -> Reason {
        match self {
            Self::Account | Self::AccountToken(_) => Reason::AccountUnknown,
            Self::AccountGone => Reason::AccountGone,
            Self::AccountUnavailable => Reason::AccountUnavailable,
            Self::ApprovalClosed => Reason::QuestionClosed,
            Self::Approver => Reason::ApproverNotAllowed,
            Self::Authorization => Reason::AuthorizationFailed,
            Self::CallDenied => Reason::CallDenied,
            Self::CallMade => Reason::CallAlreadyMade,
            Self::ConversationEnded => Reason::ConversationEnded,
            Self::CredentialRefused => Reason::CredentialRefused,
            Self::CredentialUnchecked => Reason::CredentialUnchecked,
            Self::CredentialUnusable => Reason::CredentialUnusable,
            Self::Declined => Reason::ConnectionDeclined,
            Self::Discovery(error) => match error {
                DiscoveryError::Unavailable => Reason::MetadataUnavailable,
                DiscoveryError::NoClientId | DiscoveryError::PublicClient => Reason::NoClientId,
                DiscoveryError::ResourceFormat
                | DiscoveryError::ResourceIssuer
                | DiscoveryError::ResourceName => Reason::ResourceMetadataUnusable,
                DiscoveryError::ClientAuth
                | DiscoveryError::Endpoint(_)
                | DiscoveryError::Format
                | DiscoveryError::Host(_)
                | DiscoveryError::Issuer
                | DiscoveryError::NotOffered
                | DiscoveryError::Pkce
                | DiscoveryError::ResponseType
                | DiscoveryError::TooLong => Reason::ServerMetadataUnusable,
            },
            Self::Form => Reason::FormInvalid,
            Self::IdToken(_) => Reason::IdTokenInvalid,
            Self::IssuerMismatch => Reason::IssuerMismatch,
            Self::LogoutToken(error) if error.is_unavailable() => Reason::LogoutTokenUnchecked,
            Self::LogoutToken(_) => Reason::LogoutTokenInvalid,
            Self::LogoutUsed => Reason::LogoutTokenUsed,
            Self::Method => Reason::HttpMethodNotAllowed,
            Self::NotConfirmed => Reason::ConfirmationDeclined,
            Self::NoQuestion => Reason::QuestionClosed,
            Self::NotFound => Reason::NotFound,
            Self::NotSignedIn => Reason::NotSignedIn,
            Self::Origin => Reason::OriginNotAllowed,
            Self::OtherBrowser => Reason::OtherBrowser,
            Self::OtherUser => Reason::OtherUser,
            Self::OwnCall => Reason::OwnCall,
            Self::Random => Reason::RandomnessUnavailable,
            Self::Registration(error) => match error {
                RegistrationError::Refused => Reason::RegistrationRefused,
                RegistrationError::Unavailable => Reason::RegistrationUnavailable,
                RegistrationError::Format | RegistrationError::Secret => {
                    Reason::RegistrationUnusable
                }
            },
            Self::Request => Reason::PageRequestIncomplete,
            Self::SignIn(UnmetNeed::Acr) => Reason::PageSignInTooWeak,
            Self::SignIn(UnmetNeed::Age) => Reason::PageSignInTooOld,
            Self::State => Reason::StateInvalid,
            Self::StateUsed => Reason::StateUsed,
            Self::Store(error) => error.into(),
            Self::Link => Reason::LinkInvalid,
            Self::TooManyTries => Reason::TooManyTries,
            Self::Tokens(error) => match error {
                TokenAnswerError::TokenGrant => Reason::CodeRefused,
                TokenAnswerError::Client | TokenAnswerError::UnknownClient => Reason::ClientRefused,
                TokenAnswerError::Format => Reason::TokenAnswerUnreadable,
                TokenAnswerError::Unavailable => Reason::TokenEndpointUnavailable,
            },
        }
    }

    /// The detail for the log.
    pub fn detail(self) -> String {
        match self {
            Self::Discovery(error) => error.to_string(),
            Self::AccountToken(error) | Self::IdToken(error) | Self::LogoutToken(error) => {
                error.to_string()
            }
            Self::Registration(error) => error.to_string(),
            Self::Store(error) => error.to_string(),
            Self::Tokens(error) => error.to_string(),
            other => other.to_string(),
        }
    }

    /// The HTTP status of the page.
    pub(super) fn status(self) -> u16 {
        self.reason().row().outcome.seen.status()
    }
}

fn sign_in_text(need: &UnmetNeed) -> &'static str {
    match need {
        UnmetNeed::Acr => {
            "Your sign-in is not strong enough for this. Open the link again, and sign in with a stronger method, \
             such as a second factor."
        }
        UnmetNeed::Age => {
            "You signed in too long ago for this. Open the link again, and sign in. If you are not asked to, sign \
             out at your sign-in service first."
        }
    }
}

/// The next action of the user, for a failure that only others can fix.
fn help(is_for_now: bool) -> &'static str {
    match is_for_now {
        true => "Try again later.",
        false => "Tell the operator of this server.",
    }
}
