//! Whether the user of a browser signed out at the issuer since signing in here. Then nobody is signed
//! in here any more.

use std::collections::VecDeque;

use super::flow::{BROWSER, Leg, PageContext, Step, Waiting};
use super::logout;
use super::page_request::{Page, PageRequest};
use super::refusal::PageRefusal;
use super::sealed::LinkPurpose;
use super::vault::Conversation;
use base::effect::{Ask, Told};
use base::store::{Key, Operation, Stored};
use oauth::Verifier;

/// A request for a page, and where it is still to be looked.
#[derive(Debug)]
pub(super) struct Looking {
    visit: PageRequest,
    marks: VecDeque<Key>,
}

/// Begins with a request for any page.
pub(super) fn begin(
    around: PageContext<'_>,
    visit: PageRequest,
    verifier: &mut Verifier,
) -> Result<Step, PageRefusal> {
    let marks = marks(around, &visit);
    Looking { visit, marks }.next(around, verifier)
}

impl Looking {
    /// Goes on with what was found.
    pub(super) fn told(
        mut self,
        around: PageContext<'_>,
        told: Told,
        verifier: &mut Verifier,
    ) -> Result<Step, PageRefusal> {
        let mark = match told {
            Told::Store(Ok(Stored::Value(mark))) => mark,
            Told::Store(Err(error)) => return Err(PageRefusal::Store(error)),
            _ => return Err(PageRefusal::Request),
        };
        self.marks.pop_front();
        let browser = around.browser(&self.visit);
        let since = browser.map(|(_, browser)| browser.signed_in());
        if since.is_some_and(|since| logout::ends(mark.as_deref(), since)) {
            self.visit.forget(BROWSER);
            self.marks.clear();
        }
        self.next(around, verifier)
    }

    fn next(self, around: PageContext<'_>, verifier: &mut Verifier) -> Result<Step, PageRefusal> {
        match self.marks.front() {
            Some(mark) => {
                let look = Ask::Store(Operation::Get(mark.clone()));
                Ok(Step::Ask(Waiting::SignedOut(self), look))
            }
            None => around.visited(&self.visit, verifier),
        }
    }
}

/// Where it says so, for pages on which it matters.
fn marks(around: PageContext<'_>, visit: &PageRequest) -> VecDeque<Key> {
    let ticket = match visit.page {
        Page::Connect | Page::Go | Page::Confirm | Page::Answer => around.ticket(visit),
        Page::Callback(_) => {
            let attempt = around.attempted(visit, Leg::Connect);
            attempt.map(|attempt| attempt.ticket)
        }
        _ => return VecDeque::new(),
    };
    let (Ok(ticket), Some((_, browser))) = (ticket, around.browser(visit)) else {
        return VecDeque::new();
    };
    let conversation = match ticket.errand {
        LinkPurpose::Connect { conversation, .. } => conversation,
        LinkPurpose::Answer { .. } => Conversation::User,
    };
    logout::marks(around.policy, &browser.issuer, &browser.user, &conversation)
}
