//! Signing in on the pages, with the issuer of the link (OpenID Connect, authorization code with PKCE).

use super::authorization_cookie::NewAuthorizationRequest;
use super::page_request::PageRequest;
use super::sealed::{BrowserUser, LinkPurpose, PageLink, random_text};
use super::tries::Try;
use super::{
    PageContext, PageOutcome, PageRefusal, USER_COOKIE, approvals, content, redirect_uri,
    set_cookie,
};
use crate::reasons::Approval;
use base::seal::Purpose;
use base::secret::Secret;
use oauth::client::{AuthorizationUrl, Prompt, TokenAnswerError, TokenGrant};
use oauth::{IdVerification, IssuerId, SignInAnswer, VerifiedIdToken};
use policy::{SignIn, SignInNeeds};

/// The page of the redirect.
pub(super) const PAGE: &str = "signed-in";

/// Sends the browser to the issuer. With [`Prompt::Login`] the user signs in there as another user.
pub(super) fn begin(
    context: &PageContext,
    request: &PageRequest,
    link: PageLink,
    prompt: Option<Prompt>,
) -> Result<PageOutcome, PageRefusal> {
    let needs = context.sign_in_needs(&link);
    begin_with(context, request, link, prompt, needs)
}

/// The same with a sign-in as a page needs it.
pub(super) fn begin_with(
    context: &PageContext,
    request: &PageRequest,
    link: PageLink,
    prompt: Option<Prompt>,
    needs: SignInNeeds,
) -> Result<PageOutcome, PageRefusal> {
    let (new, url) = start(context, request, link, prompt, needs)?;
    let mut reply = content::redirect(url);
    reply.headers.extend(new.cookies);
    Ok(PageOutcome {
        user: None,
        ..PageOutcome::of_connection(reply, Approval::SignInStarted, &new.authorization.link)
    })
}

/// Lets the user of a page without a link sign in. With several issuers, the user chooses one first.
pub(super) fn begin_on_page(
    context: &PageContext,
    request: &PageRequest,
    purpose: LinkPurpose,
) -> Result<PageOutcome, PageRefusal> {
    let policy = &context.policy;
    let both = policy.issuers.iter().zip(&policy.sign_ins);
    let issuers: Vec<&str> = both
        .filter(|(_, sign_in)| sign_in.is_some())
        .map(|(issuer, _)| issuer.issuer.as_str())
        .collect();
    let chosen = request.parameter("issuer")?;
    let chosen = match (issuers.as_slice(), chosen) {
        ([only], _) => *only,
        (all, Some(chosen)) if all.contains(&chosen) => chosen,
        (all, _) => {
            return Ok(PageOutcome {
                outcome: Ok(Approval::SignInStarted),
                reply: content::choose_issuer(&purpose.page_path(), all),
                ..PageOutcome::refused(PageRefusal::NotSignedIn)
            });
        }
    };
    let link = PageLink::to_page(purpose, chosen, context.expires());
    begin(context, request, link, None)
}

/// A new authorization request at the issuer of a link, and its URL.
pub(super) fn start(
    context: &PageContext,
    request: &PageRequest,
    link: PageLink,
    prompt: Option<Prompt>,
    needs: SignInNeeds,
) -> Result<(NewAuthorizationRequest, String), PageRefusal> {
    let (_, sign_in) = context.sign_in(&link)?;
    let new = context.new_authorization_request(request, link, Purpose::SignIn, (None, needs))?;
    let authorization = &new.authorization;
    let url = AuthorizationUrl {
        redirect_uri: &redirect_uri(&context.policy, PAGE),
        scopes: &sign_in.scopes,
        resource: None,
        state: &authorization.state(),
        nonce: Some(&authorization.id),
        code_challenge: &authorization.challenge(),
        max_age_s: authorization.needs.max_age_s,
        acr: &authorization.needs.acr,
        prompt: prompt.or(sign_in.prompt),
    };
    let url = url.of(&sign_in.client).ok_or(PageRefusal::Link)?;
    Ok((new, url))
}

/// The redirect from the issuer, which identifies the user. The page of the link checks whether the link is
/// for this user.
pub(super) async fn came_back(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let authorization = context.authorization_request(request, Purpose::SignIn)?;
    let (issuer_id, sign_in) = context.sign_in(&authorization.link)?;
    let issuer = context.policy.issuers.get(issuer_id.0);
    let issuer = issuer.ok_or(PageRefusal::Link)?;
    // All issuers redirect to one URL. With several issuers, `iss` names the one.
    let several = context.policy.sign_ins.iter().flatten().nth(1).is_some();
    request.check_issuer(&issuer.issuer, several)?;
    let code = request.code()?;
    if context.take_try(&authorization).await? == Try::Again {
        return Err(PageRefusal::StateUsed);
    }
    let client = &sign_in.client.token;
    let grant = TokenGrant::Code {
        code: code.reveal(),
        verifier: &authorization.verifier,
        redirect_uri: &redirect_uri(&context.policy, PAGE),
        resource: None,
    };
    let tokens = context.request_tokens(client, grant).await;
    let id_token = tokens.map_err(PageRefusal::Tokens)?.id_token;
    let id_token = id_token.ok_or(PageRefusal::Tokens(TokenAnswerError::Format))?;
    let expected = SignInAnswer {
        issuer: issuer_id,
        client_id: &client.client_id,
        nonce: &authorization.id,
        user: &sign_in.user,
    };
    let token = verify(context, &id_token, expected).await?;
    // An issuer may ignore `max_age` and `acr_values`.
    let signed_in = (token.auth_time(), token.acr());
    let needs = &authorization.needs;
    let checked = needs.check(signed_in, issuer.clock_skew, context.now());
    checked.map_err(PageRefusal::SignIn)?;

    let link = &authorization.link;
    let user = BrowserUser {
        issuer: link.issuer.clone(),
        user: token.user().to_owned(),
        name: crate::audit::name(token.name()),
        organization: token.organization().map(str::to_owned),
        // A person who acts with another identity approves nothing.
        roles: match token.asks_view() || request.asks_view {
            true => Vec::new(),
            false => context.policy.approving_roles(token.roles()),
        },
        session: token.session().map(str::to_owned),
        auth_time: token.auth_time(),
        acr: token.acr().map(str::to_owned),
        id: random_text(context.random)?,
        expires: context.expires(),
    };
    let cookie = context.seals().seal(Purpose::Browser, &[], &user);
    let cookie = set_cookie(USER_COOKIE, &cookie);
    if let LinkPurpose::Decide(decided) = &link.purpose {
        if !user.is_of(link) {
            return Err(PageRefusal::OtherUser);
        }
        let mut outcome = approvals::decide(context, &user, decided).await?;
        outcome.reply.headers.push(("set-cookie", cookie));
        return Ok(outcome);
    }
    let sealed = context.seals().seal(Purpose::Ticket, &[], link);
    let mut reply = content::redirect(link.target(&sealed));
    reply.headers.push(("set-cookie", cookie));
    Ok(PageOutcome {
        user: Some((user.issuer, user.user)),
        ..PageOutcome::of_connection(reply, Approval::SignedIn, link)
    })
}

/// Verifies the ID token. Fetches the issuer's keys first if necessary.
async fn verify(
    context: &PageContext,
    id_token: &Secret,
    expected: SignInAnswer<'_>,
) -> Result<VerifiedIdToken, PageRefusal> {
    let verify = || {
        let mut verifier = context.verifier.borrow_mut();
        let verified = verifier.verify_id_token(id_token, expected, context.now());
        verified.map_err(PageRefusal::IdToken)
    };
    let fetch = match verify()? {
        IdVerification::Verified(token) => return Ok(token),
        IdVerification::PendingFetch(fetch) => fetch,
    };
    context.effects.fetch(fetch).await;
    match verify()? {
        IdVerification::Verified(token) => Ok(token),
        IdVerification::PendingFetch(fetch) => Err(PageRefusal::IdToken(fetch.unavailable())),
    }
}

impl PageContext {
    /// The sign-in for the user of a link.
    fn sign_in(&self, link: &PageLink) -> Result<(IssuerId, &SignIn), PageRefusal> {
        let issuers = self.policy.issuers.iter();
        let mut both = issuers.zip(&self.policy.sign_ins).enumerate();
        let found = both.find(|(_, (issuer, _))| issuer.issuer == link.issuer);
        let (index, (_, sign_in)) = found.ok_or(PageRefusal::Link)?;
        let sign_in = sign_in.as_ref().ok_or(PageRefusal::Link)?;
        Ok((IssuerId(index), sign_in))
    }
}
