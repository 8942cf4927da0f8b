//! The answer to a call whose account the server refused: the user is asked to link the account again, as if it
//! were not linked.

use std::time::Duration;

use super::Journal;
use super::arrived::Authenticated;
use super::confirmation::{Agreement, URL_VERSION};
use super::needs::SentAccount;
use super::question::AskedRequest;
use crate::accounts::refused::RefusedEnd;
use crate::accounts::vault::client_of;
use crate::caller::Caller;
use crate::consent::elicitation::{Elicitation, How};
use crate::pages::connect_link;
use crate::refusal::Refusal;
use crate::response::Answering;
use base::seal::Sealer;
use base::time::UnixTime;
use policy::Policy;

/// An account that is refused sooner after its link was most likely never accepted.
const FRESH: Duration = Duration::from_secs(300);

impl Authenticated {
    /// Ends the account of the call, which a look-up of the call was refused with. `None`: the call has none.
    pub(super) async fn account_refused(&self, agreed: Option<&Agreement>) -> Option<Refusal> {
        let sent = self.request.journal().account.take()?;
        let end = self.request.effects.end_refused(sent.used.clone()).await;
        let sealer = self.request.engine.secrets.sealer.as_deref();
        let asked = self.asked_request();
        Some(refusal(
            self.request.policy(),
            sealer,
            &asked,
            (&sent, end),
            agreed,
        ))
    }
}

/// The refusal of a call whose account the server refused. `agreed` is an agreement to the call that was not used.
pub(crate) fn refusal(
    policy: &Policy,
    sealer: Option<&Sealer>,
    asked: &AskedRequest<'_>,
    (sent, end): (&SentAccount, RefusedEnd),
    agreed: Option<&Agreement>,
) -> Refusal {
    let again = match end {
        RefusedEnd::Ended { again } => again,
        RefusedEnd::Replaced => return Refusal::AccountReplaced,
        RefusedEnd::Store(error) => return Refusal::Store(error),
    };
    let SentAccount { used, elicits } = sent;
    let connection = policy.connection(&used.place.connection);
    let (Some(sealer), Some(connection)) = (sealer, connection) else {
        return Refusal::NoSealKey;
    };
    let now = asked.now.whole_seconds();
    let url = connect_link(policy, sealer, &used.place, now);
    let (name, title) = (connection.name.clone(), &connection.title);
    let is_fresh = now < used.linked_at.saturating_add(FRESH);
    let message = match (is_fresh, again) {
        (false, _) => {
            format!("Your {title} account is no longer accepted. Connect it again to go on.")
        }
        (true, false) => format!(
            "The {title} account that you connected just now was refused. Connect it again to go on. If it is \
             refused again, tell the operator of this server."
        ),
        (true, true) => {
            let message = format!(
                "The {title} account was connected again, and was refused again at once. Connecting it once more \
                 will most likely not help: tell the operator of this server. To connect another account:"
            );
            // In words, whatever the client supports: a client that opens pages by itself would go on for ever.
            let question = Elicitation {
                message,
                url: Some(url),
                how: How::Text,
            };
            return Refusal::RefusedAgain(name, Box::new(question));
        }
    };
    Refusal::NotAccepted(name, asked.page_question(*elicits, message, url, agreed))
}

impl Answering {
    /// The refusal in place of the server's answer, whose call was sent with an account that the server refused.
    pub(crate) fn account_refusal(
        &self,
        journal: &Journal,
        refused: (&SentAccount, RefusedEnd),
        now: UnixTime,
    ) -> Refusal {
        let token = self.caller.as_ref().and_then(Caller::token);
        let asked = AskedRequest {
            sealing: self.sealing(),
            content: self.handles.asked.as_ref(),
            client: token.map_or("", |token| client_of(&self.policy, token)),
            id: self.request.id.clone().unwrap_or_default(),
            is_2025: journal.record.version.as_deref() == Some(URL_VERSION),
            is_call: journal.record.method.as_deref() == Some("tools/call"),
            now,
        };
        // An agreement to the call was used when it was sent.
        refusal(&self.policy, self.sealer.as_deref(), &asked, refused, None)
    }
}
