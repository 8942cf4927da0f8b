//! The reasons of errors that other layers report.

use super::LookupFault;
use crate::reasons::Reason;
use base::store::StoreError;
use mcp::message::MessageError;
use oauth::{ProofError, TokenError};
use policy::NoRecord;

/// The reason why a body is not a message.
pub(super) fn of_message(error: &MessageError) -> Reason {
    match error {
        MessageError::Batch => Reason::BatchNotAccepted,
        MessageError::Json(_) => Reason::BodyNotJson,
        MessageError::Hybrid
        | MessageError::Id
        | MessageError::LookAlike(_)
        | MessageError::ReservedId
        | MessageError::Type(_)
        | MessageError::UnknownMember(_)
        | MessageError::Version => Reason::MessageMalformed,
    }
}

/// The reason why a look-up does not show that a record is the caller's.
pub(super) fn of_lookup(fault: &LookupFault) -> Reason {
    match fault {
        LookupFault::Busy => Reason::LookupBusy,
        LookupFault::Changed(_) => Reason::RecordChanged,
        LookupFault::Error => Reason::LookupError,
        LookupFault::Nested => Reason::LookupNested,
        LookupFault::NoOwner => Reason::LookupNoOwner,
        LookupFault::NoRecord(NoRecord::Misspelled(_)) => Reason::ArgumentMisspelled,
        LookupFault::NoRecord(NoRecord::Argument(_) | NoRecord::Lists | NoRecord::TooMany(_)) => {
            Reason::RecordNotNamed
        }
        LookupFault::NotOwned => Reason::LookupNotOwned,
        LookupFault::NotPossible(_) => Reason::LookupNotPossible,
        LookupFault::Status(_) => Reason::LookupStatus,
        LookupFault::TimedOut => Reason::LookupTimedOut,
        LookupFault::TooLarge => Reason::LookupTooLarge,
        LookupFault::Unavailable => Reason::LookupUnavailable,
        LookupFault::Unreadable(_) => Reason::LookupUnreadable,
    }
}

impl From<StoreError> for Reason {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::StoreFull,
            StoreError::Unavailable => Self::StoreUnavailable,
        }
    }
}

impl From<TokenError> for Reason {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Actor => Self::TokenActorNotAccepted,
            TokenError::Algorithm => Self::TokenAlgorithmNotAccepted,
            TokenError::Audience => Self::TokenAudienceWrong,
            TokenError::Bound => Self::TokenBound,
            TokenError::ChecksBusy => Self::TokenChecksBusy,
            TokenError::Claim(_) => Self::TokenClaimInvalid,
            TokenError::Delegated => Self::TokenDelegated,
            TokenError::Encoding | TokenError::Json(_) => Self::TokenMalformed,
            TokenError::Expired => Self::TokenExpired,
            TokenError::Header => Self::TokenHeaderNotAccepted,
            TokenError::Inactive => Self::TokenInactive,
            TokenError::IntrospectionBusy => Self::IntrospectionBusy,
            TokenError::IntrospectionUnavailable => Self::IntrospectionUnavailable,
            TokenError::Issuer => Self::TokenIssuerUntrusted,
            TokenError::Key => Self::TokenKeyUnknown,
            TokenError::KeySetNotCurrent => Self::KeySetNotCurrent,
            TokenError::KeyUnnamed => Self::TokenKeyUnnamed,
            TokenError::KeysUnavailable => Self::KeysUnavailable,
            TokenError::Lifetime => Self::TokenLifetimeTooLong,
            TokenError::NotDelegated => Self::TokenNotDelegated,
            TokenError::NotYet => Self::TokenNotYetValid,
            TokenError::Proof(error) => error.into(),
            TokenError::ProofRequired => Self::DpopRequired,
            TokenError::Signature => Self::TokenSignatureInvalid,
            TokenError::TooLarge => Self::TokenTooLarge,
            TokenError::Type => Self::TokenTypeWrong,
            TokenError::Unbound => Self::TokenNotBound,
            TokenError::Used => Self::TokenUsed,
        }
    }
}

impl From<ProofError> for Reason {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Algorithm => Self::DpopAlgorithmNotAccepted,
            ProofError::Binding => Self::DpopKeyWrong,
            ProofError::Claim(_) => Self::DpopClaimInvalid,
            ProofError::Header => Self::DpopHeaderNotAccepted,
            ProofError::Key => Self::DpopKeyInvalid,
            ProofError::Malformed => Self::DpopMalformed,
            ProofError::Method => Self::DpopMethodWrong,
            ProofError::Missing => Self::DpopMissing,
            ProofError::Repeated => Self::DpopRepeated,
            ProofError::Replayed => Self::DpopReplayed,
            ProofError::Signature => Self::DpopSignatureInvalid,
            ProofError::Time => Self::DpopNotFresh,
            ProofError::Token => Self::DpopTokenWrong,
            ProofError::Type => Self::DpopTypeWrong,
            ProofError::Url => Self::DpopUrlWrong,
        }
    }
}
