//! The page with all connected accounts and open questions of a user.

use std::time::Duration;

use super::approvals::{minutes, sign_in_as_other};
use super::server;
use crate::accounts::conversation::ConversationAccount;
use crate::accounts::vault::ConversationId;
use crate::consent::call_question::AskedCall;
use crate::consent::shown_tool;
use crate::pages::html::{Html, page};
use crate::pages::sealed::{APPROVALS, BrowserUser, OVERVIEW};
use base::http::Reply;
use base::time::UnixTime;
use policy::Policy;

/// The page. It has a part for each account, with its buttons.
pub(in crate::pages) struct OverviewPage<'a> {
    pub(in crate::pages) policy: &'a Policy,
    pub(in crate::pages) user: &'a BrowserUser,
    pub(in crate::pages) accounts: &'a [ShownAccount],
    /// The account that all requests to the server need and that is not connected: its title, and the page that
    /// connects it.
    pub(in crate::pages) needed: Option<&'a (String, String)>,
    pub(in crate::pages) questions: &'a [ShownQuestion],
    /// The sealed form that ends all accounts.
    pub(in crate::pages) end_all: &'a str,
    /// What was done just now: `ended`, `all` or `used`.
    pub(in crate::pages) done: Option<&'a str>,
    /// The sealed link for a sign-in as another user.
    pub(in crate::pages) other_user: &'a str,
    pub(in crate::pages) now: UnixTime,
}

/// An account of the user.
pub(in crate::pages) struct ShownAccount {
    /// The title of its connection.
    pub(in crate::pages) title: String,
    pub(in crate::pages) account: ConversationAccount,
    /// The sealed form with its place.
    pub(in crate::pages) form: String,
}

/// A question about a call that waits for the user's answer.
pub(in crate::pages) struct ShownQuestion {
    /// The page on which the user answers.
    pub(in crate::pages) url: String,
    pub(in crate::pages) call: AskedCall,
    pub(in crate::pages) ends: UnixTime,
}

impl OverviewPage<'_> {
    pub(in crate::pages) fn reply(&self) -> Reply {
        let mut html = Html::titled("Your connected accounts");
        let done = match self.done {
            Some("ended") => Some("The account is disconnected."),
            Some("all") => Some("All accounts are disconnected."),
            Some("used") => Some("Your assistant uses this account from now on."),
            _ => None,
        };
        if let Some(done) = done {
            html.open("<p role=\"status\">").text(done).open("</p>");
        }
        html.open("<p>").text("The server is ");
        html.strong(&server(self.policy)).text(". ");
        html.text(match self.accounts.len() {
            0 => "No account of yours is connected.",
            _ => "Assistants can work with these accounts of yours.",
        });
        html.open("</p>");
        if let Some((title, url)) = self.needed {
            html.open("<p>").text(&format!(
                "This server needs your {title} account for all requests. "
            ));
            html.link(url, &format!("Connect {title}")).open("</p>");
        }
        for (number, shown) in (1..).zip(self.accounts) {
            self.account(number, shown, &mut html);
        }
        if self.accounts.len() > 1 {
            html.open("<form method=\"post\" action=\"./\">");
            html.hidden("form", self.end_all);
            html.open("<button name=\"answer\" value=\"end\">Disconnect all</button></form>");
        }
        self.waiting(&mut html);
        html.open("<p>").link(OVERVIEW, "Load this page again");
        html.open("</p><p class=\"quiet\">")
            .text("You are signed in as ");
        html.strong(&self.user.name).text(". Not you? ");
        sign_in_as_other(self.other_user, &mut html);
        html.open("</p>");
        page(200, html)
    }

    fn account(&self, number: usize, shown: &ShownAccount, html: &mut Html) {
        let ShownAccount {
            title,
            account,
            form,
        } = shown;
        let place = &account.place;
        html.article(number, title);
        html.open("<dl>");
        if let Some(name) = &account.name {
            html.open("<dt>Account</dt><dd>").strong(name).open("</dd>");
        }
        if !place.client.is_empty() {
            html.open("<dt>Application</dt><dd>")
                .strong(&place.client)
                .open("</dd>");
        }
        if !place.test_user.is_empty() {
            html.open("<dt>Test user</dt><dd>")
                .strong(&place.test_user)
                .open("</dd>");
        }
        html.open("<dt>Used in</dt><dd>");
        html.text(match place.conversation {
            ConversationId::User => "all conversations",
            _ => "one conversation",
        });
        html.open("</dd><dt>Since</dt><dd>")
            .text(&ago(self.now.since(account.since)));
        html.open("</dd><dt>Ends</dt><dd>")
            .text(&format!("in {}", minutes(account.until.since(self.now))));
        html.open("</dd></dl>");
        html.open("<form method=\"post\" action=\"./\">");
        html.hidden("form", form);
        if !place.kept.is_empty() {
            html.open("<p>It is connected, and not used now.</p>");
            html.answer_button(number, "use", "Use this account");
        }
        html.answer_button(number, "end", "Disconnect");
        html.open("</form></article>");
    }

    /// The questions that wait for an answer, and the way to the calls of other people.
    fn waiting(&self, html: &mut Html) {
        if !self.questions.is_empty() {
            html.open("<h2>Calls that wait for your yes</h2><ul>");
            for question in self.questions {
                let tool = shown_tool(&question.call.tool).unwrap_or_default();
                html.open("<li>").link(&question.url, &tool);
                let left = minutes(question.ends.since(self.now));
                html.text(&format!(", {left} left")).open("</li>");
            }
            html.open("</ul>");
        }
        if !self.user.roles.is_empty() {
            html.open("<p>")
                .link(APPROVALS, "Calls of other people that wait for approval")
                .open("</p>");
        }
    }
}

fn ago(time: Duration) -> String {
    format!("{} ago", minutes(time))
}
