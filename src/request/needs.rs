//! The needs of an allowed request, fulfilled one after the other.

use std::rc::Rc;
use std::time::Duration;

use super::arrived::Authenticated;
use super::confirmation::{Agreement, Consent, TIME_TO_ANSWER};
use super::judge::Judged;
use super::lookup::{OwnedRecords, PlannedLookups};
use super::opened_ids::OpenedState;
use super::understand::Understood;
use super::{Request, credentials};
use crate::accounts::of_user::UserPlace;
use crate::accounts::refused::UsedAccount;
use crate::accounts::token_exchange::ExchangeError;
use crate::accounts::vault::{AccountPlace, ConversationId, NoAccountPlace};
use crate::accounts::{AccountContext, NoAccountToken, Revoke, token_for_call};
use crate::audit;
use crate::authorize::Target;
use crate::consent::agreement::{NoAgreement, find_yes, use_yes};
use crate::consent::shown_tool;
use crate::credential::Credential;
use crate::decision::Evidence;
use crate::decision_point::Obligations;
use crate::pages::{connect_link, question_link};
use crate::refusal::{LookupFault, Refusal};
use crate::step::End;
use base::secret::Secret;
use base::store::{Key, RecordKind, StoreRecord};
use base::time::UnixTime;
use mcp::capabilities::ElicitationCapability;
use oauth::{ProofError, TokenError, VerifiedToken};
use policy::{AppliedCredential, Authorization, Connection, Mode, Operation, SessionSharing};

pub(super) const AUTHORIZATION: &str = "authorization";

/// The needs of a request that the policy allows.
#[derive(Default)]
pub(crate) struct Needs {
    /// The look-ups of the owners of records.
    pub(crate) lookups: Option<Box<PlannedLookups>>,
    /// The user's consent to the call.
    pub(crate) consent: Consent,
    /// A credential for the server.
    pub(crate) credential: CredentialNeed,
    /// The session that ends, with its linked accounts.
    pub(crate) ended_session: Option<EndedSession>,
    /// Whether the token or its proof must be unused.
    pub(crate) single_use: bool,
    /// The client's elicitation capability.
    pub(crate) elicits: ElicitationCapability,
}

/// A session of the server that a client ends.
pub(crate) struct EndedSession {
    user: UserPlace,
    session: String,
    /// The conversation of the request. Other clients and chats may have more in the session.
    own: Option<ConversationId>,
}

/// The account that a call is sent with.
#[derive(Debug)]
pub(crate) struct SentAccount {
    pub(crate) used: UsedAccount,
    /// The client's elicitation capability: the user is asked again if the server refuses the account.
    pub(crate) elicits: ElicitationCapability,
}

/// The credential for the server.
#[derive(Default)]
pub(crate) enum CredentialNeed {
    /// The policy's credential for all requests.
    #[default]
    None,
    /// The credential of the user's linked account, linked at most `max_age` ago.
    Account {
        place: Box<AccountPlace>,
        max_age: Duration,
    },
    /// The credential that an administrator set for the caller.
    Assigned(Rc<AppliedCredential>),
    /// The token that the caller's token is exchanged for.
    Exchanged,
}

/// The credential of this caller that replaces the client's.
#[derive(Default)]
pub(crate) enum CallerCredential {
    /// The caller has none.
    #[default]
    None,
    /// The credential of an account at a resource.
    Account(Rc<AppliedCredential>),
    /// The token that the caller's token was exchanged for.
    Exchanged(Rc<Credential>),
}

impl CallerCredential {
    /// The headers with it, for the server only.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let (account, exchanged) = match self {
            Self::None => (None, None),
            Self::Account(applied) => (Some(applied), None),
            Self::Exchanged(credential) => (None, Some(credential.header())),
        };
        let account = account.into_iter().flat_map(|applied| &applied.headers);
        let account = account.map(|(name, value)| (name.as_str(), value.reveal()));
        account.chain(exchanged.map(|value| (AUTHORIZATION, value)))
    }

    /// The secrets in these headers.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let (account, exchanged) = match self {
            Self::None => (None, None),
            Self::Account(applied) => (Some(applied), None),
            Self::Exchanged(credential) => (None, Some(credential.secret())),
        };
        let account = account.into_iter().flat_map(|applied| &applied.secrets);
        account.chain(exchanged)
    }
}

/// A request with all needs fulfilled.
pub(crate) struct Fulfilled {
    pub(crate) judged: Judged,
    pub(crate) credential: CallerCredential,
}

impl Judged {
    /// Fulfils all needs of the request. Single-use needs come last, so that a refused request uses
    /// nothing.
    pub(crate) async fn fulfil(mut self) -> Result<Fulfilled, End> {
        match self.fulfil_needs().await {
            Ok(credential) => Ok(Fulfilled {
                judged: self,
                credential,
            }),
            Err(refusal) => Err(self.authenticated.request.refuse(&refusal, None)),
        }
    }

    async fn fulfil_needs(&mut self) -> Result<CallerCredential, Refusal> {
        let authenticated = &self.authenticated;
        let Needs {
            lookups,
            consent,
            mut credential,
            ended_session,
            single_use,
            elicits,
        } = std::mem::take(&mut self.needs);
        let mut approval = None;
        let mut source = "user";
        let looked_up = match &lookups {
            None => None,
            Some(lookups) => {
                // Boxed: rare, and large.
                let need = std::mem::take(&mut credential);
                let asked = authenticated.ask_first(lookups, need, consent.given(), elicits);
                let (credential, records) = Box::pin(asked).await?;
                if let Some(body) = authenticated.with_expected(lookups, &records)? {
                    self.edits.body = Some(body);
                }
                self.approval.evidence.extend(records.evidence);
                Some(credential)
            }
        };
        let (yes, agreement) = match consent {
            Consent::NotNeeded => (None, None),
            Consent::InClient(question) => return Err(Refusal::Confirm(question)),
            Consent::Given(agreement) => (None, Some(agreement)),
            Consent::GivenBefore(agreement, by) => {
                source = by;
                (None, Some(agreement))
            }
            Consent::OfPerson(request) => {
                let accounts = authenticated.accounts()?;
                let (place, webhook) = (request.place.clone(), request.webhook.clone());
                let yes = authenticated.approval(&accounts, *request).await?;
                approval = Some((yes, accounts, place, webhook));
                (None, None)
            }
            Consent::OnPage(question) => {
                let accounts = authenticated.accounts()?;
                let (place, call) = *question;
                let tool = shown_tool(&call.tool).map_err(|_| Refusal::TooLongToShow)?;
                let yes = find_yes(&accounts, place, call).await;
                let yes = yes.map_err(|error| authenticated.no_agreement(error, &tool, elicits))?;
                (Some((yes, tool, accounts)), None)
            }
        };
        let summary = match source {
            "user" => "agreed to this call",
            _ => "this call was approved before the server's question",
        };
        let agreed = || Evidence::new(source, summary);
        if agreement.is_some() {
            self.approval.evidence.push(agreed());
        }
        let credential = match looked_up {
            Some(credential) => credential,
            None => {
                authenticated
                    .credential(credential, agreement.as_ref(), elicits)
                    .await?
            }
        };
        if let Some(session) = ended_session {
            let ended = authenticated.end_session(&session).await;
            self.approval.evidence.extend(ended);
        }
        if let Some(agreement) = agreement {
            let Agreement { key, until } = agreement;
            let made = until.saturating_sub(TIME_TO_ANSWER);
            let used = authenticated
                .request
                .use_once(key, until, (Some(made), TIME_TO_ANSWER));
            if !used.await? {
                return Err(Refusal::RequestState);
            }
        }
        if let Some((yes, tool, accounts)) = yes {
            let used = use_yes(&accounts, yes).await;
            used.map_err(|error| authenticated.no_agreement(error, &tool, elicits))?;
            self.approval.evidence.push(agreed());
        }
        if let Some((yes, accounts, place, webhook)) = approval {
            let used = authenticated.use_approval(&accounts, yes, &place, webhook.as_ref());
            self.approval.evidence.push(used.await?);
        }
        if single_use {
            let token = authenticated.caller.token().ok_or(Refusal::NoToken)?;
            // A proof that replicas share was used when the token was verified.
            if !authenticated.request.shares_proofs(token) {
                authenticated.request.use_up(token).await?;
            }
        }
        Ok(credential)
    }
}

impl Authenticated {
    /// The needs of a call that the policy allows.
    pub(super) fn needs_of_call(
        &self,
        understood: &Understood<'_>,
        target: Target<'_>,
        operations: &[&Operation],
        state: Option<&OpenedState>,
        (sent, obligations): (&[u8], &Obligations),
    ) -> Result<Needs, Refusal> {
        let lookups = self.lookups_of_call(understood, target, operations, sent)?;
        let asked = (operations, obligations.confirm);
        let consent = self.consent(understood, target, asked, state, sent)?;
        let enforces = self.request.policy().mode == Mode::Enforce;
        Ok(Needs {
            lookups,
            consent,
            credential: self.credential_for(operations)?,
            single_use: enforces && operations.iter().any(|operation| operation.single_use),
            elicits: understood.message.params.elicitation,
            ..Needs::default()
        })
    }

    /// The credential for the server on all requests of this caller.
    pub(super) fn credential_for_server(&self) -> Result<CredentialNeed, Refusal> {
        self.credential_for(&[])
    }

    /// The credential for the server, with the operations that match a call. A caller without a token has none to
    /// exchange.
    fn credential_for(&self, operations: &[&Operation]) -> Result<CredentialNeed, Refusal> {
        let policy = self.request.policy();
        if policy.mode == Mode::Observe {
            return Ok(CredentialNeed::None);
        }
        match (
            policy.connection_for(operations),
            &policy.upstream.authorization,
        ) {
            (Some((connection, max_age)), _) => self.account_at(connection, max_age),
            (None, Authorization::Exchange(_)) if self.caller.token().is_some() => {
                Ok(CredentialNeed::Exchanged)
            }
            _ => Ok(CredentialNeed::None),
        }
    }

    /// The caller's account at a connection.
    fn account_at(
        &self,
        connection: &Connection,
        max_age: Duration,
    ) -> Result<CredentialNeed, Refusal> {
        if !connection.is_connected_by_users() {
            return self.assigned_credential(connection);
        }
        let policy = self.request.policy();
        let token = self.caller.token().ok_or(Refusal::NoToken)?;
        let (origin, test_user) = (self.handles.origin(), self.caller.test_user());
        let place = AccountPlace::of_caller(policy, token, test_user, origin, connection);
        Ok(CredentialNeed::Account {
            place: Box::new(place.map_err(|error| match error {
                NoAccountPlace::NoConversation => Refusal::NoConversation,
                NoAccountPlace::TestUser => Refusal::TestUserCredential,
            })?),
            max_age,
        })
    }

    /// The credential that an administrator set for the caller at a connection.
    fn assigned_credential(&self, connection: &Connection) -> Result<CredentialNeed, Refusal> {
        let policy = self.request.policy();
        let test_user = self.caller.test_user();
        if test_user.is_some_and(|(_, user)| !user.connections.contains(&connection.name)) {
            return Err(Refusal::TestUserCredential);
        }
        let assigned = &self.request.engine.secrets.assigned;
        let found = assigned.find(policy, connection, self.caller.identity());
        let none = || Refusal::NoAssignedCredential(connection.name.clone());
        let (headers, account) = found.ok_or_else(none)?;
        self.note_account(&connection.name, account);
        Ok(CredentialNeed::Assigned(headers))
    }

    /// Notes the account of the request in the record.
    fn note_account(&self, connection: &str, account: Option<&str>) {
        let policy = self.request.policy();
        let key = self.request.engine.secrets.audit_key.as_deref();
        let record = &mut self.request.journal().record;
        record.account = account.and_then(|name| audit::person(policy, name, key));
        record.connection = Some(connection.to_owned());
    }

    /// The session that a DELETE ends, if accounts may be linked in it.
    pub(super) fn ended_session(&self) -> Option<EndedSession> {
        let policy = self.request.policy();
        let may_have_accounts = policy.mode == Mode::Enforce
            && !policy.connections.is_empty()
            && policy.vault.sessions == SessionSharing::Own;
        let token = self.caller.token().filter(|_| may_have_accounts)?;
        let user = UserPlace {
            resource: policy.resource.clone(),
            issuer: token.issuer_name().to_owned(),
            user: token.identity().user.clone()?,
        };
        let origin = self.handles.origin();
        let session = origin.session?.to_owned();
        let own = ConversationId::of_caller(policy, token, origin);
        Some(EndedSession { user, session, own })
    }

    fn accounts(&self) -> Result<AccountContext, Refusal> {
        let accounts = self.request.engine.account_context(&self.request.effects);
        accounts.ok_or(Refusal::NoSealKey)
    }

    async fn credential(
        &self,
        need: CredentialNeed,
        agreed: Option<&Agreement>,
        elicits: ElicitationCapability,
    ) -> Result<CallerCredential, Refusal> {
        match need {
            CredentialNeed::None => Ok(CallerCredential::None),
            CredentialNeed::Assigned(headers) => Ok(CallerCredential::Account(headers)),
            CredentialNeed::Exchanged => {
                let exchanged = self.exchanged_token().await;
                exchanged
                    .map(CallerCredential::Exchanged)
                    .map_err(Refusal::Exchange)
            }
            CredentialNeed::Account { place, max_age } => {
                let accounts = self.accounts()?;
                match token_for_call(&accounts, &place, max_age).await {
                    Ok(account) => {
                        self.note_account(&place.connection, account.name.as_deref());
                        let age = self.request.effects.now().since(account.linked_at);
                        self.request.journal().record.connection_age_s = Some(age.as_secs());
                        let connection = self.request.policy().connection(&place.connection);
                        let headers = connection.and_then(|it| account.headers(it).ok());
                        let Some(headers) = headers else {
                            return Err(self.not_linked(&place, agreed, elicits));
                        };
                        let used = UsedAccount {
                            place: *place,
                            credential: account.credential,
                            linked_at: account.linked_at,
                        };
                        let sent = SentAccount { used, elicits };
                        self.request.journal().account = Some(Box::new(sent));
                        Ok(CallerCredential::Account(Rc::new(headers)))
                    }
                    Err(NoAccountToken::KeyRemoved) => {
                        let summary = "sealed with a key that the policy does not have; deleted";
                        let evidence = Evidence::new("connections", summary);
                        self.request.journal().caller.push(evidence);
                        Err(self.not_linked(&place, agreed, elicits))
                    }
                    Err(NoAccountToken::NotLinked) => Err(self.not_linked(&place, agreed, elicits)),
                    Err(NoAccountToken::NotRefreshed) => Err(Refusal::NotRefreshed),
                    Err(NoAccountToken::Store(error)) => Err(Refusal::Store(error)),
                }
            }
        }
    }

    /// Looks up the owners of the call's records, with the credential of the call.
    async fn ask_first(
        &self,
        lookups: &PlannedLookups,
        need: CredentialNeed,
        agreed: Option<&Agreement>,
        elicits: ElicitationCapability,
    ) -> Result<(CallerCredential, OwnedRecords), Refusal> {
        let credential = self.credential(need, agreed, elicits).await?;
        match self.look_up(lookups, &credential).await {
            Ok(found) => Ok((credential, found)),
            Err(refusal @ Refusal::Lookup(LookupFault::Status(401), _)) => {
                Err(self.account_refused(agreed).await.unwrap_or(refusal))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Asks the user to link the account, in a way that the client supports.
    fn not_linked(
        &self,
        place: &AccountPlace,
        agreed: Option<&Agreement>,
        elicits: ElicitationCapability,
    ) -> Refusal {
        let policy = self.request.policy();
        let connection = policy.connection(&place.connection);
        let sealer = self.request.engine.secrets.sealer.as_deref();
        let (Some(sealer), Some(connection)) = (sealer, connection) else {
            return Refusal::NoSealKey;
        };
        let url = connect_link(policy, sealer, place, self.request.effects.now());
        let title = &connection.title;
        let message = match policy.upstream.connection() == Some(&connection.name) {
            true => format!("This server needs your {title} account for all requests."),
            false => format!("Connect your {title} account to go on."),
        };
        let question = self.page_question(elicits, message, url, agreed);
        Refusal::NotConnected(connection.name.clone(), question)
    }

    fn no_agreement(
        &self,
        error: NoAgreement,
        tool: &str,
        elicits: ElicitationCapability,
    ) -> Refusal {
        let (place, expires) = match error {
            NoAgreement::Asked { place, expires } => (place, expires),
            NoAgreement::Declined => return Refusal::Declined,
            NoAgreement::Store(error) => return Refusal::Store(error),
        };
        let Some(sealer) = self.request.engine.secrets.sealer.as_deref() else {
            return Refusal::NoSealKey;
        };
        let url = question_link(self.request.policy(), sealer, &place, expires);
        let message = format!("Allow `{tool}` to go on: once, and with exactly these arguments.");
        Refusal::Confirm(self.page_question(elicits, message, url, None))
    }

    /// Ends the accounts of a session. The session ends in any case.
    async fn end_session(&self, ended: &EndedSession) -> Vec<Evidence> {
        let EndedSession { user, session, own } = ended;
        let is_meant = |conversation: &ConversationId| conversation.session() == Some(session);
        let own = own.iter().cloned().collect();
        let evidence = |summary| Evidence::new("connections", summary);
        let ended = match self.accounts() {
            Ok(accounts) => {
                let ended = user.end_where(&accounts, Revoke::Now, is_meant, own);
                ended.await.map_err(Refusal::Store)
            }
            Err(refusal) => Err(refusal),
        };
        let ended = match ended {
            Ok(ended) => ended.into_iter(),
            Err(refusal) => {
                return vec![evidence(format!("did not end: {}", refusal.summary()))];
            }
        };
        let ended = ended.filter_map(|(connection, ended)| {
            Some(match ended {
                Ok(ended) => {
                    let revocation = ended?.revocation.name();
                    format!("`{connection}` ended, revocation {revocation}")
                }
                Err(error) => format!("`{connection}` did not end: {error}"),
            })
        });
        ended.map(evidence).collect()
    }

    /// The credential that the caller's token is exchanged for. It is exchanged now, unless the result is
    /// known.
    async fn exchanged_token(&self) -> Result<Rc<Credential>, ExchangeError> {
        const UNAVAILABLE: ExchangeError = ExchangeError::Unavailable;
        let effects = &self.request.effects;
        let exchanger = self.request.engine.secrets.exchanger.as_ref();
        let exchanger = exchanger.ok_or(UNAVAILABLE)?;
        let token = credentials::bearer(&self.request.headers).ok_or(UNAVAILABLE)?;
        let digest = token.digest();
        if let Some(known) = exchanger.known(&digest, effects.now()) {
            return known;
        }
        let verified = self.caller.token().ok_or(UNAVAILABLE)?;
        // The client of a token without a user calls for itself.
        let user = verified.identity().user.as_deref().or(verified.client());
        let user = (verified.issuer_name(), user.unwrap_or_default());
        exchanger.ask(digest, token.secret(), verified.expires(), user)?;
        effects.exchange_token(digest).await;
        let known = exchanger.known(&digest, effects.now());
        known.unwrap_or(Err(UNAVAILABLE))
    }
}

impl Request {
    /// Uses the proof of the request, or else the token. Of all requests with the same one, one succeeds.
    pub(super) async fn use_up(&self, token: &VerifiedToken) -> Result<(), Refusal> {
        let (policy, now) = (self.policy(), self.effects.now());
        let used = credentials::single_use(policy, &self.headers, token, now)?;
        let issuer = policy.issuers.get(token.issuer().0);
        let longest = issuer.map_or(Duration::ZERO, |issuer| {
            issuer
                .max_lifetime
                .saturating_add(issuer.clock_skew.saturating_mul(2))
        });
        let user = token.identity().user.as_deref().unwrap_or_default();
        let owner = [policy.resource.as_str(), token.issuer_name(), user];
        let key = Key::mark(RecordKind::Used, &owner, &used.name);
        // A proof has its own end. If the clock is ahead, a token seems to end too early.
        let window = policy.dpop.as_ref().map(|rules| rules.window);
        let made = window.map(|window| used.until.saturating_sub(window.saturating_mul(2)));
        let (made, longest) = match token.is_bound() {
            true => (made, Duration::ZERO),
            false => (token.issued(), longest),
        };
        if self.use_once(key, used.until, (made, longest)).await? {
            return Ok(());
        }
        let error = match token.is_bound() {
            true => ProofError::Replayed.into(),
            false => TokenError::Used,
        };
        Err(Refusal::Token(error.into()))
    }

    /// Whether proofs are noted in the store, where all replicas find them. In the memory of one proxy each
    /// worker knows the proofs that it saw.
    pub(super) fn shares_proofs(&self, token: &VerifiedToken) -> bool {
        token.is_bound() && self.policy().store.is_some()
    }

    /// Uses a single-use value that is valid until `until`, was made at `made`, and is never valid for
    /// longer than `longest`. False: it was used before.
    async fn use_once(
        &self,
        key: Key,
        until: UnixTime,
        (made, longest): (Option<UnixTime>, Duration),
    ) -> Result<bool, Refusal> {
        let now = self.effects.now();
        if self.engine.clock.had_ended(until, made, now) {
            return Ok(false);
        }
        let record = StoreRecord {
            key,
            value: String::new(),
            // If the clock is ahead now, the record must last longer than it seems.
            expires: until.max(now.saturating_add(longest.max(Duration::from_secs(1)))),
        };
        self.effects.create(record).await.map_err(Refusal::Store)
    }
}
