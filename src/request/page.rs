//! Requests for the filter's pages.

use std::rc::Rc;

use super::Request;
use crate::audit;
use crate::decision::Evidence;
use crate::pages::{self, PageContext, PageOutcome};
use crate::refusal::Refusal;
use crate::step::End;
use policy::{Mode, PAGES};

impl Request {
    /// Answers a request for a page. Observe mode has no pages.
    pub(crate) async fn answer_page(self) -> Result<Self, End> {
        let path = self.headers.one(":path").ok().flatten();
        let is_page = path.is_some_and(|path| path.starts_with(PAGES));
        let policy = self.policy();
        if !is_page || policy.mode == Mode::Observe || !policy.has_pages() {
            return Ok(self);
        }
        // Boxed: rare, and large.
        Err(Box::pin(self.page()).await)
    }

    async fn page(&self) -> End {
        let body = match self.is_ended {
            true => Vec::new(),
            false => self.effects.body(None).await,
        };
        let Some(accounts) = self.engine.account_context(&self.effects) else {
            return self.refuse(&Refusal::NoSealKey, None);
        };
        let context = PageContext {
            accounts,
            random: self.engine.secrets.random,
            verifier: Rc::clone(&self.engine.verifier),
        };
        let outcome = pages::answer(&context, &self.headers, &body).await;
        self.page_ends(outcome)
    }

    fn page_ends(&self, page: PageOutcome) -> End {
        let policy = self.policy();
        let key = self.engine.secrets.audit_key.as_deref();
        let named = |name: &str| audit::person(policy, name, key);
        let journal = &mut *self.journal();
        let record = &mut journal.record;
        record.subject = page.user.and_then(|(_, user)| named(&user));
        if let Some((connection, account)) = page.connection {
            record.account = account.and_then(|account| named(&account));
            record.connection = Some(connection);
        }
        record.client = page.client.as_deref().map(audit::name);
        record.tool = page.tool.as_deref().map(audit::name);
        if let Some((id, caller)) = page.approval {
            record.requester = named(&caller);
            record.approval = Some(id);
        }
        match page.outcome {
            Ok(reason) => {
                let page = Evidence::new("request", "a page of the filter's own");
                journal.approve(policy.mode, reason, vec![page]);
            }
            Err(refusal) => record.decide(policy.mode, Refusal::Page(refusal).decision()),
        }
        End::Reply(page.reply)
    }
}
