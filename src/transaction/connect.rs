//! Calls that get the token of an account that their user linked.

use super::caller::Known;
use super::confirm::Agreement;
use super::waiting::{Requirement, Waiting};
use super::{Now, Step, Transaction};
use crate::accounts::vault::{AccountPlace, LinkedAccount};
use crate::accounts::{NoAccountToken, token_for_call};
use crate::pages::connect_link;
use crate::refusal::Refusal;
use mcp::headers::HeaderEdit;
use policy::{Mode, Operation};

/// The linked account that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NeededAccount {
    place: AccountPlace,
    /// How long ago it may have been linked, in seconds.
    max_age_s: u64,
    /// The user's agreement to the call.
    agreed: Option<Agreement>,
}

impl Transaction {
    /// The linked account that a call needs.
    pub(super) fn needed_connection(
        &self,
        operations: &[&Operation],
        agreed: Option<&Agreement>,
    ) -> Result<Option<Requirement>, Refusal> {
        let needed = self.policy.connection_for(operations);
        let (Some((connection, lifetime)), Mode::Enforce) = (needed, self.policy.mode) else {
            return Ok(None);
        };
        let token = self.caller.as_ref().and_then(Known::token);
        let token = token.ok_or(Refusal::NoToken)?;
        let session = self.handles.session.as_deref();
        let place = AccountPlace::of_caller(&self.policy, token, session, connection);
        Ok(Some(Requirement::Connection(Box::new(NeededAccount {
            place: place.ok_or(Refusal::NoConversation)?,
            max_age_s: lifetime.as_secs(),
            agreed: agreed.cloned(),
        }))))
    }

    /// Goes on with the token of the account.
    pub(super) fn use_account(
        &mut self,
        waiting: Waiting,
        needed: NeededAccount,
        now: Now,
    ) -> Step {
        let (place, max_age_s) = (needed.place.clone(), needed.max_age_s);
        self.run_for(
            waiting,
            now,
            |context| async move { token_for_call(&context, &place, max_age_s).await },
            |transaction, waiting, account, now| {
                let header = match account {
                    Ok(account) => transaction.account_header(needed, &account),
                    Err(NoAccountToken::NotLinked) => {
                        return Err(transaction.not_connected(&needed, now));
                    }
                    Err(NoAccountToken::NotRefreshed) => return Err(Refusal::NotRefreshed),
                    Err(NoAccountToken::Store(error)) => return Err(Refusal::Store(error)),
                };
                waiting.headers.push(header);
                Ok(())
            },
        )
    }

    /// The header that carries the token.
    fn account_header(&mut self, needed: NeededAccount, account: &LinkedAccount) -> HeaderEdit {
        self.record.connection = Some(needed.place.connection);
        let key = self.secrets.audit_key.as_deref();
        let name = account.name.as_deref();
        self.record.account = name.and_then(|name| crate::audit::person(&self.policy, name, key));
        let value = format!("Bearer {}", account.access_token.reveal());
        HeaderEdit::Set("authorization".to_owned(), value)
    }

    /// Asks the user to link the account, in a way that the client supports.
    fn not_connected(&self, needed: &NeededAccount, now: Now) -> Refusal {
        let place = &needed.place;
        let connection = self.policy.connection(&place.connection);
        let (Ok(sealer), Some(connection)) = (self.sealer(), connection) else {
            return Refusal::NoSealKey;
        };
        let url = connect_link(&self.policy, sealer, place, now.seconds());
        let message = format!("Connect your {} account to go on.", connection.title);
        let question = self.link(message, url, needed.agreed.as_ref(), now);
        Refusal::NotConnected(connection.name.clone(), Box::new(question))
    }
}
