//! Requests for this filter's own pages: those on which users connect accounts, and agree to calls.

use std::cell::RefCell;
use std::rc::Rc;

use super::task::GoOn;
use super::{Now, RequestState, Step, Transaction};
use crate::accounts::AccountContext;
use crate::decision::Evidence;
use crate::effect::Effects;
use crate::pages::{PageContext, PageOutcome, answer};
use crate::refusal::Refusal;
use oauth::Verifier;
use policy::{Mode, PAGES};

impl Transaction {
    /// Whether the request is for a page. In observe mode no link leads to one.
    pub(super) fn is_for_page(&self) -> bool {
        let path = self.headers.one(":path").ok().flatten();
        self.policy.mode == Mode::Enforce
            && self.policy.has_pages()
            && path.is_some_and(|path| path.starts_with(PAGES))
    }

    /// A request for a page, whole.
    pub(super) fn page(&mut self, body: &[u8], verifier: &mut Verifier, now: Now) -> Step {
        let headers = std::mem::take(&mut self.headers);
        let accounts = self.secrets.accounts(&self.policy, Effects::default());
        let (Some(accounts), Ok(none)) = (accounts, Verifier::new(Vec::new())) else {
            return self.refuse(&Refusal::NoSealKey, None);
        };
        let (body, random) = (body.to_vec(), self.secrets.random);
        let page_verifier = Rc::new(RefCell::new(none));
        self.page_verifier = Some(Rc::clone(&page_verifier));
        self.lend(verifier, |transaction| {
            transaction.run(now, |effects| async move {
                let context = PageContext {
                    accounts: AccountContext {
                        effects,
                        ..accounts
                    },
                    random,
                    verifier: page_verifier,
                };
                let outcome = answer(&context, &headers, &body).await;
                let go_on: GoOn = Box::new(|transaction, _| transaction.page_ends(outcome));
                go_on
            })
        })
    }

    fn page_ends(&mut self, page: PageOutcome) -> Step {
        self.request = RequestState::Over;
        let named = |name: &str| {
            let key = self.secrets.audit_key.as_deref();
            crate::audit::person(&self.policy, name, key)
        };
        self.record.subject = page.user.and_then(|(_, user)| named(&user));
        if let Some((connection, account)) = page.connection {
            self.record.account = account.and_then(|account| named(&account));
            self.record.connection = Some(connection);
        }
        self.record.tool = page.tool.as_deref().map(crate::audit::name);
        match page.outcome {
            Ok(reason) => {
                let evidence = Evidence::new("request", "a page of the filter's own");
                self.approve(reason, vec![evidence]);
            }
            Err(refusal) => self.decide(Refusal::Page(refusal).decision()),
        }
        Step::Reply(page.reply)
    }
}
