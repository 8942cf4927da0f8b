//! The page of a signed-in user with all connected accounts and open questions: of all conversations and
//! clients. Its buttons end accounts, or choose the account that calls use.

use serde::{Deserialize, Serialize};

use super::content::{self, OverviewPage, ShownAccount, ShownQuestion};
use super::page_request::PageRequest;
use super::sealed::{BrowserUser, Expires, LinkPurpose, OVERVIEW, PageLink, expires, random_text};
use super::{PageContext, PageOutcome, PageRefusal, connect_link, question_link, sign_in};
use crate::accounts::Revoke;
use crate::accounts::conversation::ConversationAccount;
use crate::accounts::current::choose;
use crate::accounts::kept::end_at;
use crate::accounts::of_user::{UserPlace, all_ended};
use crate::accounts::vault::{AccountPlace, ConversationId};
use crate::consent::open_questions;
use crate::reasons::Approval;
use base::seal::Purpose;
use base::time::UnixTime;
use policy::{ClientSharing, Conversation, SignInNeeds};

/// The maximum number of accounts on the page. Each one is read from the store.
const MAX_SHOWN: usize = 100;

/// A form of the page. Sealed with the browser's sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AccountForm {
    /// The account. `None`: all accounts.
    place: Option<AccountPlace>,
    expires: UnixTime,
}

expires!(AccountForm);

/// The page.
pub(super) async fn show(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let Some((cookie, user)) = context.browser_user(request) else {
        return sign_in::begin_on_page(context, request, LinkPurpose::Overview);
    };
    let needs = context.needs_of_issuer(&user.issuer);
    if context.check_sign_in(&user, &needs).is_err() {
        return sign_in_again(context, request, &user, needs);
    }
    let seal = |place| {
        let expires = context.expires();
        let form = AccountForm { place, expires };
        let bound: [&[u8]; 2] = [cookie.as_bytes(), OVERVIEW.as_bytes()];
        context.seals().seal(Purpose::Form, &bound, &form)
    };
    let accounts = accounts(context, &user).await?.into_iter();
    let accounts = accounts.map(|account| ShownAccount {
        title: title(context, &account.place.connection),
        form: seal(Some(account.place.clone())),
        account,
    });
    let accounts: Vec<ShownAccount> = accounts.collect();
    let needed = needed_account(context, &user);
    let is_connected = |place: &AccountPlace| accounts.iter().any(|it| it.account.place == *place);
    let needed = needed.filter(|(place, _)| !is_connected(place));
    let needed = needed.map(|(place, title)| {
        let link = connect_link(&context.policy, &context.sealer, &place, context.now());
        let path = link.strip_prefix(context.policy.origin());
        (title, path.unwrap_or(&link).to_owned())
    });
    let other_user = PageLink::to_page(LinkPurpose::Overview, &user.issuer, context.expires());
    let page = OverviewPage {
        policy: &context.policy,
        user: &user,
        accounts: &accounts,
        needed: needed.as_ref(),
        questions: &questions(context, &user).await?,
        end_all: &seal(None),
        done: request.parameter("done")?,
        other_user: &context.seals().seal(Purpose::Ticket, &[], &other_user),
        now: context.now(),
    };
    let reply = page.reply();
    Ok(PageOutcome::of_user(
        reply,
        Ok(Approval::OverviewShown),
        user,
    ))
}

/// Ends accounts, or chooses one.
pub(super) async fn act(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let (user, form): (_, AccountForm) = context.form_of_page(request, OVERVIEW)?;
    let uses = request.parameter("answer")? == Some("use");
    let needs = context.needs_of_issuer(&user.issuer);
    let chosen = form.place.as_ref().filter(|_| uses);
    let connection = chosen.and_then(|place| context.policy.connection(&place.connection));
    let needs = match connection {
        Some(connection) => needs.with(&context.policy.sign_in_for_connection(connection)),
        None => needs,
    };
    if context.check_sign_in(&user, &needs).is_err() {
        // The user comes back to the page, and presses the button again.
        return sign_in_again(context, request, &user, needs);
    }
    let (done, outcome, connection) = match (request.parameter("answer")?, form.place) {
        (Some("end"), Some(place)) => {
            let ended = end_at(context, &place).await?;
            let name = ended.ok_or(PageRefusal::AccountGone)?.name;
            (
                "ended",
                Approval::AccountsEnded,
                Some((place.connection, name)),
            )
        }
        (Some("end"), None) => {
            end_all(context, &user).await?;
            ("all", Approval::AccountsEnded, None)
        }
        (Some("use"), Some(place)) if !place.kept.is_empty() => {
            let id = random_text(context.random)?;
            let chosen = choose(context, &place, &id).await?;
            let name = chosen.ok_or(PageRefusal::AccountGone)?.name;
            (
                "used",
                Approval::AccountChosen,
                Some((place.connection, name)),
            )
        }
        _ => return Err(PageRefusal::Request),
    };
    let reply = content::redirect(format!("{OVERVIEW}?done={done}"));
    Ok(PageOutcome {
        connection,
        ..PageOutcome::of_user(reply, Ok(outcome), user)
    })
}

/// Lets the user sign in once more, because the sign-in is too old or too weak.
fn sign_in_again(
    context: &PageContext,
    request: &PageRequest,
    user: &BrowserUser,
    needs: SignInNeeds,
) -> Result<PageOutcome, PageRefusal> {
    let link = PageLink::to_page(LinkPurpose::Overview, &user.issuer, context.expires());
    sign_in::begin_with(context, request, link, None, needs)
}

/// Ends all accounts of a user.
async fn end_all(context: &PageContext, user: &BrowserUser) -> Result<(), PageRefusal> {
    let place = user_place(context, user);
    let mut all = Vec::new();
    for known in place.conversations(context).await? {
        let conversation = place.conversation(&known.conversation);
        let client = Some(known.client.as_str());
        all.extend(conversation.end_of(context, client, Revoke::Now).await?);
    }
    Ok(all_ended(all)?)
}

/// The accounts of a user, those of the newest conversation first.
async fn accounts(
    context: &PageContext,
    user: &BrowserUser,
) -> Result<Vec<ConversationAccount>, PageRefusal> {
    let place = user_place(context, user);
    let mut known = place.conversations(context).await?;
    known.reverse();
    let mut conversations = Vec::new();
    for each in known {
        if !conversations.contains(&each.conversation) {
            conversations.push(each.conversation);
        }
    }
    let mut all = Vec::new();
    for conversation in conversations {
        let conversation = place.conversation(&conversation);
        let mut accounts = conversation.accounts(context).await?;
        // The account that calls use comes first.
        accounts.sort_by_key(|account| !account.place.kept.is_empty());
        all.extend(accounts);
        if all.len() >= MAX_SHOWN {
            break;
        }
    }
    Ok(all)
}

/// The account that all requests to the server need, and the title of its connection. The page can name it only if it
/// belongs to all clients of the user, and to no conversation that a token names.
fn needed_account(context: &PageContext, user: &BrowserUser) -> Option<(AccountPlace, String)> {
    let policy = &context.policy;
    let connection = policy.connection(policy.upstream.connection()?)?;
    let is_of_user = policy.vault.clients == ClientSharing::Shared
        && !matches!(policy.vault.conversation, Conversation::Claim(_))
        && connection.is_connected_by_users();
    let place = AccountPlace {
        resource: policy.resource.clone(),
        issuer: user.issuer.clone(),
        user: user.user.clone(),
        conversation: ConversationId::User,
        connection: connection.name.clone(),
        client: String::new(),
        test_user: String::new(),
        kept: String::new(),
    };
    is_of_user.then(|| (place, connection.title.clone()))
}

/// The title of a connection. One that the policy does not have any more is not usable, and can be ended.
fn title(context: &PageContext, connection: &str) -> String {
    let found = context.policy.connection(connection);
    found.map_or(connection, |found| &found.title).to_owned()
}

/// The questions of a user that wait for an answer.
async fn questions(
    context: &PageContext,
    user: &BrowserUser,
) -> Result<Vec<ShownQuestion>, PageRefusal> {
    let mut shown = Vec::new();
    for place in open_questions::of_user(context, &user.issuer, &user.user).await? {
        let found = context.effects.get(place.key.clone()).await?;
        let found = found.and_then(|found| place.open(&context.sealer, &found, context.now()));
        let Some(question) = found.filter(|question| question.answer.is_none()) else {
            continue;
        };
        let link = question_link(&context.policy, &context.sealer, &place, question.ends());
        let path = link.strip_prefix(context.policy.origin());
        shown.push(ShownQuestion {
            url: path.unwrap_or(&link).to_owned(),
            ends: question.ends(),
            call: question.call,
        });
    }
    Ok(shown)
}

fn user_place(context: &PageContext, user: &BrowserUser) -> UserPlace {
    UserPlace {
        resource: context.policy.resource.clone(),
        issuer: user.issuer.clone(),
        user: user.user.clone(),
    }
}
