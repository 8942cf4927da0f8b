//! The pages that ask a user to agree to a call.

use super::server;
use crate::consent::call_question::CallQuestion;
use crate::consent::{ShownArguments, shown_tool};
use crate::pages::html::{Html, page};
use base::http::Reply;
use policy::Policy;

/// The page that asks. It shows the tool, the server and the arguments.
pub(in crate::pages) struct CallPage<'a> {
    pub(in crate::pages) policy: &'a Policy,
    pub(in crate::pages) question: &'a CallQuestion,
    /// The name of the signed-in user.
    pub(in crate::pages) name: &'a str,
    /// The sealed link.
    pub(in crate::pages) link: &'a str,
    pub(in crate::pages) form: &'a str,
}

impl CallPage<'_> {
    pub(in crate::pages) fn reply(&self) -> Reply {
        let mut html = Html::titled("Allow this call?");
        html.open("<p>").text("Your assistant wants to use ");
        html.strong(&shown_tool(&self.question.call.tool).unwrap_or_default())
            .text(" of the server ");
        html.strong(&server(self.policy)).text(" with:");
        let ShownArguments { list, long_values } = &self.question.call.arguments;
        html.open("</p>").lines(list);
        for (at, value) in (1..).zip(long_values) {
            html.open("<p>")
                .text(&format!("Value [{at}], whole:"))
                .open("</p>");
            html.long_line(value);
        }
        if !self.question.call.client.is_empty() {
            html.open("<p>")
                .text("The call comes from the application ");
            html.strong(&self.question.call.client);
            html.text(".").open("</p>");
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
        html.open("<form class=\"ask\" method=\"post\" action=\"confirm\">");
        html.hidden("ticket", self.link).hidden("form", self.form);
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

/// The page after the answer. The user can open it again.
pub(in crate::pages) fn answered(yes: bool) -> Reply {
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
