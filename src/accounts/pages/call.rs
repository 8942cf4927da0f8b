//! The pages about a call that its user has to agree to.

use super::html::{Html, page};
use super::server;
use crate::accounts::question::Question;
use base::http::Reply;
use policy::Policy;

/// The page that asks: which tool of which server, with what.
pub(in crate::accounts) struct CallPage<'a> {
    pub(in crate::accounts) policy: &'a Policy,
    pub(in crate::accounts) question: &'a Question,
    /// The user, as signed in.
    pub(in crate::accounts) name: &'a str,
    pub(in crate::accounts) ticket: &'a str,
    pub(in crate::accounts) form: &'a str,
}

impl CallPage<'_> {
    pub(in crate::accounts) fn reply(&self) -> Reply {
        let mut html = Html::titled("Allow this call?");
        html.open("<p>").text("Your assistant wants to use ");
        html.strong(&self.question.call.tool)
            .text(" of the server ");
        html.strong(&server(self.policy)).text(" with:");
        html.open("</p>").lines(&self.question.call.arguments.text);
        match self.question.call.arguments.more {
            0 => {}
            more => {
                let more = format!("{more} more characters are not shown.");
                html.open("<p>").strong(&more).open("</p>");
            }
        }
        if !self.question.call.view.is_empty() {
            html.open("<p>").text("It will be made as ");
            html.strong(&self.question.call.view)
                .text(", and not as yourself.");
            html.open("</p>");
        }
        html.open("<p>")
            .text("Your yes is for exactly this, and for one call.")
            .open("</p>");
        html.open("<form method=\"post\" action=\"confirm\">");
        html.hidden("ticket", self.ticket).hidden("form", self.form);
        html.open("<button name=\"answer\" value=\"yes\">Allow once</button>");
        html.open("<button name=\"answer\" value=\"no\">Do not allow</button></form>");
        html.open("<p class=\"quiet\">")
            .text("You are signed in as ");
        html.strong(self.name)
            .text(". You did not ask for this? Do not allow it.");
        html.open("</p>");
        page(200, html)
    }
}

/// What the user sees after the answer, and whenever the page is opened again.
pub(in crate::accounts) fn answered(yes: bool) -> Reply {
    let (title, text) = match yes {
        true => (
            "You allowed it",
            "Go back to your assistant, and let it try again. It can make this call once, within ten \
             minutes.",
        ),
        false => (
            "You did not allow it",
            "Nothing was done. You can close this page: your assistant will hear of it when it tries again.",
        ),
    };
    let mut html = Html::titled(title);
    html.open("<p>").text(text).open("</p>");
    page(200, html)
}
