//! Requests for this filter's own pages: those on which users connect accounts, and agree to calls.

use std::rc::Rc;

use super::{Now, RequestState, Step, Transaction};
use crate::accounts::{Ended, Flow, Next, PageContext};
use crate::decision::Evidence;
use crate::refusal::Refusal;
use base::effect::Told;
use oauth::Verifier;
use policy::{Mode, PAGES};

/// Where a request for a page is; of any other request, nowhere.
#[derive(Debug, Default)]
pub(super) enum PageState {
    /// It is for the server.
    #[default]
    None,
    /// It has not arrived as a whole.
    Arrives,
    /// It waits for something.
    Waits(Flow),
}

impl Transaction {
    /// Whether the request is for a page. In observe mode nobody is sent to one.
    pub(super) fn is_for_page(&self) -> bool {
        let path = self.headers.one(":path").ok().flatten();
        self.policy.mode == Mode::Enforce
            && self.policy.has_pages()
            && path.is_some_and(|path| path.starts_with(PAGES))
    }

    /// A request for a page, whole.
    pub(super) fn page(&mut self, body: &[u8], verifier: &mut Verifier, now: Now) -> Step {
        let headers = std::mem::take(&mut self.headers);
        self.with_page(now, |around| Flow::begin(around, &headers, body, verifier))
    }

    /// A page was told what it asked for.
    pub(super) fn page_told(
        &mut self,
        mut flow: Flow,
        told: Told,
        verifier: &mut Verifier,
        now: Now,
    ) -> Step {
        self.with_page(now, |around| {
            let next = flow.told(around, told, verifier);
            (flow, next)
        })
    }

    /// What a page waits for was fetched, or could not be.
    pub(super) fn page_has_keys(
        &mut self,
        mut flow: Flow,
        verifier: &mut Verifier,
        now: Now,
    ) -> Step {
        self.with_page(now, |around| {
            let next = flow.keys_ready(around, verifier);
            (flow, next)
        })
    }

    fn with_page(&mut self, now: Now, go_on: impl FnOnce(PageContext<'_>) -> (Flow, Next)) -> Step {
        let policy = Rc::clone(&self.policy);
        let secrets = self.secrets.clone();
        let Some(sealer) = &secrets.sealer else {
            return self.refuse(&Refusal::NoSealKey, None);
        };
        let around = PageContext {
            policy: &policy,
            sealer,
            clients: &secrets.clients,
            random: secrets.random,
            now: now.seconds(),
        };
        let (flow, next) = go_on(around);
        match next {
            Next::Ask(ask) => {
                self.page = PageState::Waits(flow);
                self.request = RequestState::Asks;
                Step::Ask(ask)
            }
            Next::Fetch(need) => {
                self.page = PageState::Waits(flow);
                self.request = RequestState::AwaitsKeys { ended: true };
                Step::Fetch(need)
            }
            Next::Reply(ended) => self.page_ends(ended),
        }
    }

    fn page_ends(&mut self, ended: Ended) -> Step {
        self.request = RequestState::Over;
        let named = |name: &str| {
            let key = self.secrets.audit_key.as_deref();
            crate::audit::person(&self.policy, name, key)
        };
        self.record.subject = ended.user.and_then(|(_, user)| named(&user));
        if let Some((connection, account)) = ended.connection {
            self.record.account = account.and_then(|account| named(&account));
            self.record.connection = Some(connection);
        }
        self.record.tool = ended.tool.as_deref().map(crate::audit::name);
        match ended.outcome {
            Ok(reason) => {
                let page = Evidence::new("request", "a page of the filter's own");
                self.approve(reason, vec![page]);
            }
            Err(refusal) => self.decide(Refusal::Page(refusal).decision()),
        }
        Step::Reply(ended.reply)
    }
}
