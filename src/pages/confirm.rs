//! The page that asks a user to agree to a call, and the answer.

use super::content::{self, CallPage};
use super::page_request::PageRequest;
use super::sealed::AnswerForm;
use super::signed_in_user::SignedInUser;
use super::{PageContext, PageOutcome, PageRefusal, sign_in};
use crate::consent::call_question::{AskedCall, CallQuestion, QuestionPlace};
use crate::reasons::Approval;
use base::http::Reply;
use base::store::Stored;

/// Shows the question, or its answer.
pub(super) async fn show(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let link = context.link(request)?;
    let place = link.question_place(&context.policy.resource);
    let place = place.ok_or(PageRefusal::Link)?;
    let user = match context.user_of_page(request, link)? {
        Ok(user) => user,
        Err(instead) => return Ok(instead),
    };
    let (question, _) = find(context, &place).await?;
    let needs = context.needs_of_answer(&user.link.issuer, &question.call.tool);
    if context.check_sign_in(&user.browser, &needs).is_err() {
        return sign_in::begin_with(context, request, user.link, None, needs);
    }
    let (reply, outcome) = match question.answer {
        Some(answer) => (content::answered(answer.yes), Approval::AnswerPageShown),
        None => {
            let form = AnswerForm {
                question: question.asked_ms,
                expires: context.expires(),
            };
            let page = CallPage {
                policy: &context.policy,
                question: &question,
                name: &user.browser.name,
                link: &user.sealed_link,
                form: &user.seal_form(context, &form),
            };
            (page.reply(), Approval::ConfirmPageShown)
        }
    };
    Ok(about_call(reply, Ok(outcome), user, question.call))
}

/// Takes the user's answer.
pub(super) async fn answer(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let link = context.link(request)?;
    let place = link.question_place(&context.policy.resource);
    let place = place.ok_or(PageRefusal::Link)?;
    let user = context.user_of_form(request, link)?;
    let form: AnswerForm = user.open_form(context, request)?;
    let yes = match request.parameter("answer")? {
        Some("yes") => true,
        Some("no") => false,
        _ => return Err(PageRefusal::Request),
    };
    let (question, value) = find(context, &place).await?;
    let needs = context.needs_of_answer(&user.link.issuer, &question.call.tool);
    context.check_sign_in(&user.browser, &needs)?;
    if form.question != question.asked_ms {
        return Err(PageRefusal::Form);
    }
    let call = question.call.clone();
    let outcome = match question.answer {
        // The form was sent twice, or after a no. A no is final.
        Some(before) if !before.yes || yes => Ok(Approval::AnswerPageShown),
        before => {
            // The user can withdraw a yes until a call uses it.
            if before.is_some() && !context.effects.create(place.use_up(&question)).await? {
                return Err(PageRefusal::CallMade);
            }
            let answered = question.clone().answered(yes, context.now());
            let answer = place.answer(&context.sealer, (&question, &value), &answered);
            if context.effects.store(answer).await? != Stored::Created(true) {
                // Another answer was first.
                return Err(PageRefusal::Form);
            }
            match yes {
                true => Ok(Approval::Confirmed),
                false => Err(PageRefusal::NotConfirmed),
            }
        }
    };
    // The page that shows the answer can be loaded again without sending the form again.
    let reply = content::redirect(user.link.target(&user.sealed_link));
    Ok(about_call(reply, outcome, user, call))
}

/// The question, and the value as it was read.
async fn find(
    context: &PageContext,
    place: &QuestionPlace,
) -> Result<(CallQuestion, String), PageRefusal> {
    let value = context.effects.get(place.key.clone()).await?;
    let value = value.ok_or(PageRefusal::NoQuestion)?;
    let found = place.open(&context.sealer, &value, context.now());
    Ok((found.ok_or(PageRefusal::NoQuestion)?, value))
}

fn about_call(
    reply: Reply,
    outcome: Result<Approval, PageRefusal>,
    user: SignedInUser,
    call: AskedCall,
) -> PageOutcome {
    PageOutcome {
        reply,
        outcome,
        user: Some((user.browser.issuer, user.browser.user)),
        connection: None,
        client: Some(call.client).filter(|client| !client.is_empty()),
        tool: Some(call.tool),
        approval: None,
    }
}
