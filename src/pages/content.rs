//! The pages as HTML: without scripts, without content of other sites, readable on a phone.

mod approvals;
mod call;
mod connect;
mod overview;

use std::time::Duration;

pub(super) use self::approvals::{
    ApprovalsPage, WaitingCall, answered_url, choose_issuer, no_approver, sign_in_again,
};
pub(super) use self::call::{CallPage, answered};
pub(super) use self::connect::ConnectPage;
pub(super) use self::overview::{OverviewPage, ShownAccount, ShownQuestion};
use super::PageRefusal;
use super::html::{Html, page};
use base::http::Reply;
use policy::{Connection, Policy};

/// The page that leads to the authorization server. It is not a redirect: browsers would compare all
/// servers on the way with `form-action` of the page before.
pub(super) fn onward(connection: &Connection, url: &str) -> Reply {
    let title = &connection.title;
    let mut html = Html::titled(&format!("On the way to {title}"));
    html.refresh(url);
    html.open("<p>")
        .link(url, &format!("Continue to {title}"))
        .open("</p>");
    page(200, html)
}

/// The page that says that the account is linked.
/// `missing`: the scopes that were requested and not granted.
pub(super) fn done(connection: &Connection, account: Option<&str>, missing: &[&str]) -> Reply {
    let title = &connection.title;
    let mut html = Html::titled(&format!("{title} is connected"));
    if let Some(account) = account {
        html.open("<p>")
            .text("Account: ")
            .strong(account)
            .open("</p>");
    }
    if !missing.is_empty() {
        html.open("<p>Not allowed, so that tools that need it will fail:</p><ul>");
        for scope in missing {
            html.open("<li>").text(scope).open("</li>");
        }
        html.open("</ul><p>To allow it, disconnect the account and connect it again.</p>");
    }
    html.open("<p>")
        .text("Go back to your assistant, and let it try again. It ends by itself in ");
    html.strong(&period(connection.lifetime))
        .text(" at the latest.")
        .open("</p>");
    page(200, html)
}

/// The page that says that the link is for another user. It does not name that user.
pub(super) fn other_user(name: &str, sign_in: &str) -> Reply {
    let mut html = Html::titled("This link is for another user");
    html.open("<p>").text("You are signed in as ").strong(name);
    html.text(", and the link was made for another user. Nothing was done.");
    html.open("</p><p>").text("If it is yours: ");
    html.link(sign_in, "sign in as another user")
        .text(".")
        .open("</p>");
    html.open("<p class=\"quiet\">")
        .text("If another person sent it to you: close the page.");
    html.open("</p>");
    page(PageRefusal::OtherUser.status(), html)
}

/// The page that says why a request is refused.
pub(super) fn refused(refusal: PageRefusal) -> Reply {
    let mut html = Html::titled("That did not work");
    html.open("<p>").text(&refusal.to_string()).open("</p>");
    let mut reply = page(refusal.status(), html);
    match refusal {
        PageRefusal::Method => reply.headers.push(("allow", "GET, HEAD, POST".to_owned())),
        _ if refusal.status() == 503 => {
            reply.headers.push(("retry-after", "5".to_owned()));
        }
        _ => {}
    }
    reply
}

/// Sends the browser to another URL, which must not come from a request.
pub(super) fn redirect(url: String) -> Reply {
    let mut reply = page(303, Html::titled("One moment"));
    reply.headers.push(("location", url));
    reply
}

/// The server's name and host.
fn server(policy: &Policy) -> String {
    let origin = policy.origin();
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    match &policy.metadata.resource_name {
        Some(name) => format!("{name} ({host})"),
        None => host.to_owned(),
    }
}

/// A period in words.
fn period(period: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let mut left = period.as_secs();
    let mut words = Vec::new();
    for (size, name) in UNITS {
        let count = left.checked_div(size).unwrap_or(0);
        left = left.checked_rem(size).unwrap_or(0);
        match count {
            0 => {}
            1 => words.push(format!("1 {name}")),
            _ => words.push(format!("{count} {name}s")),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
