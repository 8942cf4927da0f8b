//! The page with the calls of other users that wait for approval, and the answers. The user of the page is the
//! one who signs in there. Each answer needs one more sign-in, so that it counts only with the roles that the
//! issuer confirms at that moment.

use super::content::{self, ApprovalsPage, WaitingCall};
use super::page_request::PageRequest;
use super::sealed::{APPROVALS, ApprovalForm, BrowserUser, Decided, LinkPurpose, PageLink};
use super::{PageContext, PageOutcome, PageRefusal, sign_in};
use crate::consent::approval::{ApprovalPlace, ApprovalQuestion};
use crate::consent::open_approvals::OpenApprovals;
use crate::reasons::Approval;
use base::seal::Purpose;
use base::store::{Key, Stored};

/// Shows the open questions that the user may answer.
pub(super) async fn show(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let Some((cookie, user)) = context.browser_user(request) else {
        return sign_in::begin_on_page(context, request, LinkPurpose::Approvals);
    };
    let needs = context.needs_of_issuer(&user.issuer);
    if context.check_sign_in(&user, &needs).is_err() {
        return sign_in::begin_on_page(context, request, LinkPurpose::Approvals);
    }
    let other_user = PageLink::to_page(LinkPurpose::Approvals, &user.issuer, context.expires());
    let other_user = context.seals().seal(Purpose::Ticket, &[], &other_user);
    if user.roles.is_empty() || request.asks_view {
        let outcome = Err(PageRefusal::Approver);
        return Ok(PageOutcome::of_user(
            content::no_approver(&user.name, &other_user),
            outcome,
            user,
        ));
    }
    let list = context.open_approvals(&user);
    let mut calls = Vec::new();
    for open in list.read(context).await? {
        if !context.policy.may_approve(&user.roles, &open.role) {
            continue;
        }
        let place = context.approval_place(&user, &open.user, open.key);
        let Some((question, _)) = find(context, &place).await? else {
            continue;
        };
        if check(context, &user, &place, &question).is_err() {
            continue;
        }
        let form = ApprovalForm {
            caller: place.user.clone(),
            question: place.key,
            id: question.id.clone(),
            needs: context.needs_of_answer(&user.issuer, &question.call.tool),
            expires: context.expires(),
        };
        let bound: [&[u8]; 2] = [cookie.as_bytes(), APPROVALS.as_bytes()];
        calls.push(WaitingCall {
            form: context.seals().seal(Purpose::Form, &bound, &form),
            caller: place.user,
            question,
        });
    }
    let page = ApprovalsPage {
        policy: &context.policy,
        calls: &calls,
        user: &user,
        done: request.parameter("done")?,
        other_user: &other_user,
        now: context.now(),
    };
    Ok(PageOutcome::of_user(
        page.reply(),
        Ok(Approval::ApprovalsPageShown),
        user,
    ))
}

/// Takes the user's answer. It counts after one more sign-in.
pub(super) fn answer(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let (user, form): (_, ApprovalForm) = context.form_of_page(request, APPROVALS)?;
    let yes = match request.parameter("answer")? {
        Some("yes") => true,
        Some("no") => false,
        _ => return Err(PageRefusal::Request),
    };
    if request.asks_view {
        return Err(PageRefusal::Approver);
    }
    let link = PageLink {
        issuer: user.issuer,
        user: user.user,
        purpose: LinkPurpose::Decide(Decided {
            caller: form.caller,
            question: form.question,
            id: form.id,
            yes,
        }),
        expires: context.expires(),
    };
    let needs = context.needs_of_issuer(&link.issuer).with(&form.needs);
    let (new, url) = sign_in::start(context, request, link, None, needs)?;
    let mut reply = content::sign_in_again(&url);
    reply.headers.extend(new.cookies);
    let outcome = Approval::SignInStarted;
    Ok(PageOutcome::of_connection(
        reply,
        outcome,
        &new.authorization.link,
    ))
}

/// Counts an answer of a user who has just signed in.
pub(super) async fn decide(
    context: &PageContext,
    user: &BrowserUser,
    decided: &Decided,
) -> Result<PageOutcome, PageRefusal> {
    let place = context.approval_place(user, &decided.caller, decided.question.clone());
    let found = find(context, &place).await?;
    let (question, value) = found.ok_or(PageRefusal::ApprovalClosed)?;
    if question.id != decided.id {
        return Err(PageRefusal::ApprovalClosed);
    }
    let needs = context.needs_of_answer(&user.issuer, &question.call.tool);
    let is_allowed =
        check(context, user, &place, &question).and_then(|()| context.check_sign_in(user, &needs));
    let about = |reply, outcome| PageOutcome {
        tool: Some(question.call.tool.clone()),
        client: Some(question.call.client.clone()).filter(|client| !client.is_empty()),
        approval: Some((question.id.clone(), place.user.clone())),
        ..PageOutcome::of_user(reply, outcome, user.clone())
    };
    if let Err(refusal) = is_allowed {
        return Ok(about(content::refused(refusal), Err(refusal)));
    }
    let answered = question
        .clone()
        .answered(decided.yes, &user.user, context.now());
    let answer = place.answer(&context.sealer, (&question, value), &answered);
    if context.effects.store(answer).await? != Stored::Created(true) {
        // Another answer was first.
        return Err(PageRefusal::ApprovalClosed);
    }
    // The page leaves out questions with an answer.
    let _ = context
        .open_approvals(user)
        .remove(context, &place.key)
        .await;
    let (said, outcome) = match decided.yes {
        true => ("yes", Ok(Approval::CallApproved)),
        false => ("no", Err(PageRefusal::CallDenied)),
    };
    Ok(about(
        content::redirect(content::answered_url(said)),
        outcome,
    ))
}

/// Whether a user may answer a question.
fn check(
    context: &PageContext,
    user: &BrowserUser,
    place: &ApprovalPlace,
    question: &ApprovalQuestion,
) -> Result<(), PageRefusal> {
    if user.user == place.user || question.actors.contains(&user.user) {
        return Err(PageRefusal::OwnCall);
    }
    let is_of_organization = user.organization == question.organization;
    match is_of_organization && context.policy.may_approve(&user.roles, &question.role) {
        true => Ok(()),
        false => Err(PageRefusal::Approver),
    }
}

/// The open question at a place, and its value as it was read.
async fn find(
    context: &PageContext,
    place: &ApprovalPlace,
) -> Result<Option<(ApprovalQuestion, String)>, PageRefusal> {
    let Some(value) = context.effects.get(place.key.clone()).await? else {
        return Ok(None);
    };
    let question = place.open(&context.sealer, &value, context.now());
    let question = question.filter(|question| question.answer.is_none());
    Ok(question.map(|question| (question, value)))
}

impl PageContext {
    /// The open questions of a user's organization.
    fn open_approvals<'a>(&'a self, user: &'a BrowserUser) -> OpenApprovals<'a> {
        OpenApprovals {
            resource: &self.policy.resource,
            issuer: &user.issuer,
            organization: user.organization.as_deref(),
        }
    }

    /// The place of a question of a caller of the user's issuer.
    fn approval_place(&self, user: &BrowserUser, caller: &str, key: Key) -> ApprovalPlace {
        ApprovalPlace {
            resource: self.policy.resource.clone(),
            issuer: user.issuer.clone(),
            user: caller.to_owned(),
            key,
        }
    }
}
