//! Texts of the server's errors: of which answers they are looked at, and what becomes of them.

use super::{MAX_DEPTH, Now, Transaction};
use crate::refusal::Refusal;
use crate::rewrite::error_texts;
use policy::ServerErrors;

impl Transaction {
    /// Whether error texts of the answer are looked at: only requests have one, and a stream of its
    /// own may bring the answers to others.
    pub(super) fn looks_at_errors(&self) -> bool {
        let is_answered = self.asked.id.is_some() || self.record.http_method == "GET";
        let has_names = !self.policy.known_tools.is_empty();
        is_answered
            && match self.policy.errors {
                ServerErrors::HideNames => has_names,
                ServerErrors::Keep => false,
                ServerErrors::Withhold => true,
            }
    }

    /// Whether no text of an error may pass unread.
    pub(super) fn withholds_errors(&self) -> bool {
        self.inspect.errors && self.policy.errors == ServerErrors::Withhold
    }

    /// A message of the server without what its error texts should not say, if anything changes.
    pub(super) fn hide_in_errors(
        &mut self,
        body: &[u8],
        now: Now,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        if !error_texts::may_have_texts(body) {
            return Ok(None);
        }
        let Some(caller) = self.caller.clone() else {
            return Ok(None);
        };
        let shown = error_texts::hide(&self.policy, caller.caller(now), body, MAX_DEPTH);
        let shown = shown.map_err(|_| Refusal::UpstreamAnswer)?;
        add(&mut self.record.hidden_names, shown.names);
        add(&mut self.record.withheld_errors, shown.withheld);
        Ok(shown.body)
    }
}

fn add(count: &mut Option<usize>, more: usize) {
    if more > 0 {
        *count = Some(count.unwrap_or(0).saturating_add(more));
    }
}
