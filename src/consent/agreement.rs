//! Agreements to calls that users give on a page of the filter. They are for clients that cannot ask their
//! user.

use thiserror::Error;

use super::call_question::{AskedCall, CallQuestion, QuestionPlace};
use super::open_questions;
use crate::accounts::AccountContext;
use base::store::StoreError;
use base::time::UnixTime;

/// A user's yes that no call has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedYes {
    place: QuestionPlace,
    question: CallQuestion,
    call: AskedCall,
}

/// Why a call has no agreement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoAgreement {
    /// The user is asked at this place. The question expires at `expires`.
    #[error("the user has to agree to the call on a page")]
    Asked {
        /// The place of the question.
        place: QuestionPlace,
        /// When the question expires.
        expires: UnixTime,
    },
    /// The user said no. The no is used up.
    #[error("the user did not agree to the call")]
    Declined,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds the user's yes to a call. Without an answer it asks the user.
///
/// # Errors
///
/// The user has to answer first, said no, or the store failed.
pub async fn find_yes(
    context: &AccountContext,
    place: QuestionPlace,
    call: AskedCall,
) -> Result<UnusedYes, NoAgreement> {
    let found = context.effects.get(place.key.clone()).await?;
    let found = found.and_then(|found| place.open(&context.sealer, &found, context.now()));
    if let Some(question) = found {
        match question.answer {
            Some(answer) if answer.yes => {
                return Ok(UnusedYes {
                    place,
                    question,
                    call,
                });
            }
            Some(_) if context.effects.create(place.use_up(&question)).await? => {
                return Err(NoAgreement::Declined);
            }
            // The user said no to another call.
            Some(_) => {}
            None if question.has_time(context.now()) => {
                let expires = question.ends();
                return Err(NoAgreement::Asked { place, expires });
            }
            None => {}
        }
    }
    Err(ask(context, place, call).await)
}

/// Uses a yes for one call. If another call has used it, the user is asked again.
///
/// # Errors
///
/// The user has to answer again, or the store failed.
pub async fn use_yes(context: &AccountContext, yes: UnusedYes) -> Result<(), NoAgreement> {
    let use_up = yes.place.use_up(&yes.question);
    match context.effects.create(use_up).await? {
        true => Ok(()),
        false => Err(ask(context, yes.place, yes.call).await),
    }
}

/// Asks the user.
async fn ask(context: &AccountContext, place: QuestionPlace, call: AskedCall) -> NoAgreement {
    let question = CallQuestion::new(call, context.effects.exact_now());
    let put = place.put(&context.sealer, &question);
    if let Err(error) = context.effects.store(put).await {
        return NoAgreement::Store(error);
    }
    let expires = question.ends();
    // The user has the link, also if the list of open questions cannot be written.
    let _ = open_questions::add(context, &place, expires).await;
    NoAgreement::Asked { place, expires }
}
