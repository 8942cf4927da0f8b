//! The page with the calls that wait for approval.

use super::{period, server};
use crate::consent::approval::ApprovalQuestion;
use crate::consent::{ShownArguments, shown_tool};
use crate::pages::PageRefusal;
use crate::pages::html::{Html, page};
use crate::pages::sealed::{APPROVALS, BrowserUser};
use base::http::Reply;
use base::time::UnixTime;
use policy::Policy;
use std::time::Duration;

/// The page. It shows each call whole, with two buttons.
pub(in crate::pages) struct ApprovalsPage<'a> {
    pub(in crate::pages) policy: &'a Policy,
    pub(in crate::pages) calls: &'a [WaitingCall],
    pub(in crate::pages) user: &'a BrowserUser,
    /// What was answered just now: `yes` or `no`.
    pub(in crate::pages) done: Option<&'a str>,
    /// The sealed link for a sign-in as another user.
    pub(in crate::pages) other_user: &'a str,
    pub(in crate::pages) now: UnixTime,
}

/// A call that waits for approval.
pub(in crate::pages) struct WaitingCall {
    pub(in crate::pages) caller: String,
    pub(in crate::pages) question: ApprovalQuestion,
    pub(in crate::pages) form: String,
}

impl ApprovalsPage<'_> {
    pub(in crate::pages) fn reply(&self) -> Reply {
        let mut html = Html::titled("Calls that wait for approval");
        let done = match self.done {
            Some("yes") => Some("You approved the call. It can be made once."),
            Some("no") => Some("You denied the call. It was not made."),
            _ => None,
        };
        if let Some(done) = done {
            html.open("<p role=\"status\">").text(done).open("</p>");
        }
        html.open("<p>");
        match self.calls.len() {
            0 => html.text("No call waits for your answer."),
            1 => html.text("One call waits for your answer."),
            count => html.text(&format!("{count} calls wait for your answer.")),
        };
        html.text(" The server is ").strong(&server(self.policy));
        html.text(".").open("</p>");
        for (number, call) in (1..).zip(self.calls) {
            self.call(number, call, &mut html);
        }
        html.open("<p>").link(APPROVALS, "Load this page again");
        html.open("</p><p class=\"quiet\">")
            .text("You are signed in as ");
        html.strong(&self.user.name);
        if let Some(organization) = &self.user.organization {
            html.text(", of ").strong(organization);
        }
        html.text(". Not you? ");
        sign_in_as_other(self.other_user, &mut html);
        html.open("</p>");
        page(200, html)
    }

    fn call(&self, number: usize, call: &WaitingCall, html: &mut Html) {
        let WaitingCall {
            caller,
            question,
            form,
        } = call;
        let asked = &question.call;
        let tool = shown_tool(&asked.tool).unwrap_or_default();
        html.article(number, &tool);
        html.open("<dl><dt>Asked by</dt><dd>").strong(caller);
        if !asked.client.is_empty() {
            html.open("</dd><dt>Application</dt><dd>")
                .strong(&asked.client);
        }
        if !asked.view.is_empty() {
            html.open("</dd><dt>Acts as</dt><dd>").strong(&asked.view);
        }
        let (since, left) = (
            minutes(self.now.since(question.asked)),
            minutes(question.ends().since(self.now)),
        );
        html.open("</dd><dt>Asked</dt><dd>")
            .text(&since)
            .text(" ago");
        html.open("</dd><dt>Time left</dt><dd>").text(&left);
        html.open("</dd></dl><p>With exactly these arguments:</p>");
        let ShownArguments { list, long_values } = &asked.arguments;
        html.lines(list);
        for (at, value) in (1..).zip(long_values) {
            html.open("<p>")
                .text(&format!("Value [{at}], whole:"))
                .open("</p>");
            html.long_line(value);
        }
        html.open("<form class=\"ask\" method=\"post\" action=\"approvals\">");
        html.hidden("form", form);
        html.answer_button(number, "yes", "Approve once");
        html.answer_button(number, "no", "Deny");
        html.open("</form></article>");
    }
}

/// A period in whole minutes.
pub(super) fn minutes(time: Duration) -> String {
    match time.as_secs().checked_div(60).unwrap_or(0) {
        0 => "less than a minute".to_owned(),
        minutes => period(Duration::from_secs(minutes.saturating_mul(60))),
    }
}

/// The page for a user who approves no calls.
pub(in crate::pages) fn no_approver(name: &str, other_user: &str) -> Reply {
    let mut html = Html::titled("You approve no calls here");
    html.open("<p>").text("You are signed in as ").strong(name);
    html.text(", and none of your roles approves calls of other people. If that is new or wrong, tell the ");
    html.text("operator of this server.")
        .open("</p><p class=\"quiet\">");
    sign_in_as_other(other_user, &mut html);
    html.open("</p>");
    page(PageRefusal::Approver.status(), html)
}

/// The page that lets a user choose where to sign in.
pub(in crate::pages) fn choose_issuer(page_path: &str, issuers: &[&str]) -> Reply {
    let mut html = Html::titled("Where do you sign in?");
    html.open("<ul>");
    for issuer in issuers {
        let encoded: String = url::form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
        html.open("<li>")
            .link(&format!("{page_path}?issuer={encoded}"), issuer)
            .open("</li>");
    }
    html.open("</ul>");
    page(200, html)
}

/// The page that leads to the issuer before an answer counts. It is not a redirect: browsers would compare the
/// issuer with `form-action` of the page before.
pub(in crate::pages) fn sign_in_again(url: &str) -> Reply {
    let mut html = Html::titled("On the way to your sign-in");
    html.refresh(url);
    html.open("<p>")
        .text("Your answer counts when your sign-in is confirmed. ")
        .link(url, "Go on")
        .open("</p>");
    page(200, html)
}

/// The page after an answer.
pub(in crate::pages) fn answered_url(said: &'static str) -> String {
    format!("{APPROVALS}?done={said}")
}

pub(super) fn sign_in_as_other(other_user: &str, html: &mut Html) {
    let url = format!("/.mcp-auth/sign-in?ticket={other_user}");
    html.link(&url, "Sign in as another user").text(".");
}
