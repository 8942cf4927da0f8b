//! Connecting an account: to the resource's authorization server and back, and what it brings is
//! kept.

use std::rc::Rc;

use url::Url;

use super::Connection;
use super::discovery::{self, Discovered};
use super::flow::{Ended, Leg, PageContext, Step, Waiting, redirect_uri};
use super::pages;
use super::refusal::PageRefusal;
use super::sealed::{AuthorizationRequest, Ticket};
use super::token_request::{self, Redeemed, Tokens};
use super::vault::{self, Connected};
use base::effect::{Ask, Told};
use base::http::{Endpoint, HttpResponse};
use base::secret::Secret;
use base::store::Stored;
use oauth::ClaimPath;

/// A connection whose code came back.
#[derive(Debug)]
pub(super) struct Connecting {
    attempt: Rc<AuthorizationRequest>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The code is being redeemed.
    Code,
    /// The account of these tokens is asked for.
    Account(Tokens),
    /// The tokens are being written.
    Kept(Option<String>),
    /// What was connected before is looked up.
    Again,
}

/// Sends the browser to the resource. `flow` is its cookie, if it has one.
pub(super) fn begin(
    around: PageContext<'_>,
    flow: Option<&str>,
    ticket: Ticket,
    connection: &Connection,
    discovered: Option<Discovered>,
) -> Result<Step, PageRefusal> {
    let client = discovery::client(connection, discovered.as_ref());
    let client = client.ok_or(PageRefusal::Ticket)?;
    let (attempt, state, cookie) = around.attempt(flow, ticket, Leg::Connect, discovered)?;
    let mut url = Url::parse(&client.authorize).map_err(|_| PageRefusal::Ticket)?;
    let mut query = url.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.client_id)
        .append_pair("redirect_uri", &callback(around, connection));
    if !connection.scopes.is_empty() {
        query.append_pair("scope", &connection.scopes.join(" "));
    }
    if let Some(resource) = &connection.resource {
        query.append_pair("resource", resource);
    }
    query
        .append_pair("state", &state)
        .append_pair("code_challenge", &attempt.challenge())
        .append_pair("code_challenge_method", "S256");
    drop(query);
    let mut reply = pages::onward(connection, url.as_str());
    reply.headers.push(("set-cookie", cookie));
    Ok(done(reply, "page_onward", &attempt.ticket, None))
}

/// Goes on with a page that was loaded again: it says what it said.
pub(super) fn again(
    around: PageContext<'_>,
    attempt: Rc<AuthorizationRequest>,
) -> Result<Step, PageRefusal> {
    let get = place(around, &attempt)?.get();
    Ok(waits(attempt, Stage::Again, Ask::Store(get)))
}

/// Redeems the code at the resource's authorization server.
pub(super) fn redeem(
    around: PageContext<'_>,
    attempt: Rc<AuthorizationRequest>,
    code: &str,
) -> Result<Step, PageRefusal> {
    let connection = around.connection(&attempt.ticket)?;
    let client = discovery::client(connection, attempt.discovered.as_ref());
    let client = client.ok_or(PageRefusal::State)?;
    let redeemed = Redeemed {
        code,
        verifier: &attempt.verifier,
        redirect_uri: &callback(around, connection),
        resource: connection.resource.as_deref(),
    };
    let call = token_request::redeem(&client, around.clients, redeemed);
    Ok(waits(attempt, Stage::Code, Ask::Call(call)))
}

impl Connecting {
    /// Goes on with what was asked for.
    pub(super) fn told(self, around: PageContext<'_>, told: Told) -> Result<Step, PageRefusal> {
        let Self { attempt, stage } = self;
        let connection = around.connection(&attempt.ticket)?;
        match (stage, told) {
            (Stage::Code, Told::Call(answer)) => {
                let tokens = token_request::read_tokens(answer.as_ref(), around.now);
                let tokens = tokens.map_err(PageRefusal::Tokens)?;
                match &connection.account {
                    Some((place, _)) => {
                        let call = ask_account(place, &tokens);
                        Ok(waits(attempt, Stage::Account(tokens), Ask::Call(call)))
                    }
                    None => keep(around, attempt, tokens, None),
                }
            }
            (Stage::Account(tokens), Told::Call(answer)) => {
                let field = connection.account.as_ref().map(|(_, field)| field);
                let account = field.and_then(|field| account(field, answer.as_ref()));
                let account = account.ok_or(PageRefusal::Account)?;
                keep(around, attempt, tokens, Some(account))
            }
            (Stage::Kept(account), Told::Store(Ok(Stored::Done))) => {
                let reply = pages::done(connection, account.as_deref());
                Ok(done(reply, "connected", &attempt.ticket, account))
            }
            (Stage::Again, Told::Store(Ok(Stored::Value(found)))) => {
                let place = place(around, &attempt)?;
                let found = found.and_then(|found| place.open(around.sealer, &found, around.now));
                // What was there before this attempt did not come of it.
                let found = found.filter(|found| attempt.began() <= found.connected);
                let found = found.ok_or(PageRefusal::StateUsed)?;
                let reply = pages::done(connection, found.account.as_deref());
                let outcome = "connected_before";
                Ok(done(reply, outcome, &attempt.ticket, found.account))
            }
            (_, Told::Store(Err(error))) => Err(PageRefusal::Store(error)),
            _ => Err(PageRefusal::Request),
        }
    }
}

/// Writes the tokens to the place of the ticket: that of its user, who is the browser's.
fn keep(
    around: PageContext<'_>,
    attempt: Rc<AuthorizationRequest>,
    tokens: Tokens,
    account: Option<String>,
) -> Result<Step, PageRefusal> {
    let connection = around.connection(&attempt.ticket)?;
    let place = place(around, &attempt)?;
    let connected = Connected {
        discovered: attempt.discovered.clone(),
        ..Connected::new(connection, tokens, account.clone(), around.now)
    };
    let put = place.put(around.sealer, &connected);
    Ok(waits(attempt, Stage::Kept(account), Ask::Store(put)))
}

/// Where what is connected belongs.
fn place(
    around: PageContext<'_>,
    attempt: &AuthorizationRequest,
) -> Result<vault::Place, PageRefusal> {
    let place = attempt.ticket.place(&around.policy.resource);
    place.ok_or(PageRefusal::Ticket)
}

fn ask_account(place: &Endpoint, tokens: &Tokens) -> base::http::HttpRequest {
    let bearer = Secret::new(format!("Bearer {}", tokens.access_token.reveal()));
    place.get(Some(&bearer))
}

/// The account's name, as the resource writes it.
fn account(field: &ClaimPath, answer: Option<&HttpResponse>) -> Option<String> {
    let answer = answer.filter(|answer| answer.status == 200)?;
    field.identifier(&token_request::object(&answer.body)?)
}

/// Where the browser comes back to: a place of its own for each connection, so that one
/// authorization server's answer is not taken for another's (RFC 9700 section 4.4.2.2).
pub(super) fn callback(around: PageContext<'_>, connection: &Connection) -> String {
    redirect_uri(around.policy, &format!("callback/{}", connection.name))
}

fn waits(attempt: Rc<AuthorizationRequest>, stage: Stage, ask: Ask) -> Step {
    Step::Ask(Waiting::Connect(Connecting { attempt, stage }), ask)
}

fn done(
    reply: base::http::Reply,
    outcome: &'static str,
    ticket: &Ticket,
    account: Option<String>,
) -> Step {
    Step::Done(Ended {
        reply,
        outcome: Ok(outcome),
        user: Some((ticket.issuer.clone(), ticket.user.clone())),
        connection: ticket.connection().map(|name| (name.to_owned(), account)),
        tool: None,
    })
}
