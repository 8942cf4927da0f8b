//! A question to the user in the answer to a call: in the client, or with the link of a page. It is bound to the
//! call by a sealed state that the client sends back.

use super::confirmation::{Agreement, Agrees, SealedQuestion, TIME_TO_ANSWER};
use crate::consent::elicitation::{Elicitation, How};
use crate::response::sealed_ids::{RequestContent, Sealing};
use base::seal::Purpose;
use base::time::UnixTime;
use mcp::capabilities::ElicitationCapability;

/// What a question about a call is bound to.
pub(crate) struct AskedRequest<'a> {
    /// Seals for the caller. `None` without a key.
    pub(crate) sealing: Option<Sealing<'a>>,
    /// The content of the call, if its client sends answers back.
    pub(crate) content: Option<&'a RequestContent>,
    /// The client.
    pub(crate) client: &'a str,
    /// The JSON-RPC id.
    pub(crate) id: Vec<u8>,
    /// Whether the version has URL mode elicitation by errors.
    pub(crate) is_2025: bool,
    /// Whether it is the call of a tool.
    pub(crate) is_call: bool,
    /// The time.
    pub(crate) now: UnixTime,
}

impl AskedRequest<'_> {
    /// A question that is answered on a page. An earlier agreement to the call stays.
    pub(super) fn page_question(
        &self,
        elicits: ElicitationCapability,
        message: String,
        url: String,
        agreed: Option<&Agreement>,
    ) -> Box<Elicitation> {
        let agrees = agreed.map_or(Agrees::ToNothing, |agreed| Agrees::Before(agreed.clone()));
        let asks_again = elicits.url && self.is_call;
        let state = asks_again.then(|| self.seal_question(agrees)).flatten();
        let how = match state {
            Some(state) => How::InputRequired(state),
            // Only tools have results with a text for the user.
            None if self.is_2025 || !self.is_call => How::UrlRequired,
            None => How::Text,
        };
        Box::new(Elicitation {
            message,
            url: Some(url),
            how,
        })
    }

    /// The state that the client sends back. `None`: it cannot send any, or there is no key.
    pub(super) fn seal_question(&self, agrees: Agrees) -> Option<String> {
        let question = SealedQuestion {
            client: self.client.to_owned(),
            agrees,
            asked_ms: self.now.as_millis(),
            id: self.id.clone(),
            expires: self.now.whole_seconds().saturating_add(TIME_TO_ANSWER),
        };
        let sealing = self.sealing?;
        Some(sealing.seal_for_request(Purpose::Question, self.content?, &question))
    }
}
