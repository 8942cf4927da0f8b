//! The page on which a user links an account, or chooses one of those that are linked.

use super::super::PageRefusal;
use super::super::html::{Html, page};
use super::{period, server};
use crate::accounts::conversation::ConversationAccount;
use base::http::Reply;
use policy::{Connection, ConnectionKind, Policy, TypedCredential};

/// The page that asks to link an account. It names the user, the resource, the purpose and the duration.
pub(in super::super) struct ConnectPage<'a> {
    pub(in super::super) policy: &'a Policy,
    pub(in super::super) connection: &'a Connection,
    /// The name of the signed-in user.
    pub(in super::super) name: &'a str,
    /// The client that will use the account, if it is bound to one.
    pub(in super::super) client: Option<&'a str>,
    /// The test user that the user acts as. Empty without one.
    pub(in super::super) test_user: &'a str,
    /// Whether the account is used in one conversation only.
    pub(in super::super) one_conversation: bool,
    /// The accounts that are linked already.
    pub(in super::super) accounts: &'a [ConversationAccount],
    /// The sealed link.
    pub(in super::super) link: &'a str,
    pub(in super::super) form: &'a str,
    /// What was wrong with the form before.
    pub(in super::super) problem: Option<PageRefusal>,
}

impl ConnectPage<'_> {
    pub(in super::super) fn reply(&self) -> Reply {
        let title = &self.connection.title;
        let mut html = Html::titled(&match self.accounts.is_empty() {
            true => format!("Connect {title}?"),
            false => format!("Which account at {title}?"),
        });
        if let Some(problem) = self.problem {
            html.open("<p role=\"alert\">")
                .text(&problem.to_string())
                .open("</p>");
        }
        self.purpose(&mut html);
        self.limits(&mut html);
        self.choices(&mut html);
        html.open("<form method=\"post\" action=\"connect\" autocomplete=\"off\">");
        html.hidden("ticket", self.link).hidden("form", self.form);
        match (&self.connection.kind, self.accounts.is_empty()) {
            (ConnectionKind::Typed(typed), _) => self.fields(&mut html, typed),
            (_, is_first) => {
                html.open("<button>").text(&format!("Continue to {title}"));
                html.open("</button>");
                if !is_first {
                    html.open("<button name=\"another\" value=\"1\">Use another account</button>");
                }
            }
        }
        html.open("</form>");
        html.open("<p class=\"quiet\">")
            .text("You did not ask for this? Close the page.");
        html.open("</p>");
        page(self.problem.map_or(200, PageRefusal::status), html)
    }

    /// The server, the client and the permissions.
    fn purpose(&self, html: &mut Html) {
        let title = &self.connection.title;
        html.open("<p>")
            .text("The server ")
            .strong(&server(self.policy));
        html.text(" asks to use your account at ").strong(title);
        html.text(".").open("</p>");
        if !self.test_user.is_empty() {
            html.open("<p>")
                .text("You act as the test user ")
                .strong(self.test_user);
            html.text(". Connect the account of this test user, not your own.")
                .open("</p>");
        }
        if let Some(client) = self.client {
            html.open("<p>")
                .text("Only the application ")
                .strong(client);
            html.text(" will be able to use it.").open("</p>");
        }
        if !self.connection.allows.is_empty() {
            html.open("<p>It will be able to:</p><ul>");
            for line in &self.connection.allows {
                html.open("<li>").text(line).open("</li>");
            }
            html.open("</ul>");
        }
    }

    /// The duration, the secrecy, and the signed-in user.
    fn limits(&self, html: &mut Html) {
        html.open("<p>").text("For at most ");
        html.strong(&period(self.connection.lifetime));
        if self.one_conversation {
            html.text(", and for this conversation only");
        }
        let sees = match (&self.connection.kind, self.connection.is_password()) {
            (ConnectionKind::Typed(_), false) => "key",
            _ => "password",
        };
        html.text(&format!(". The assistant never sees your {sees}."));
        html.open("</p><p class=\"quiet\">")
            .text("You are signed in as ");
        html.strong(self.name).text(".").open("</p>");
    }

    /// The accounts that are linked: the current one, and a button for each of the others.
    fn choices(&self, html: &mut Html) {
        for (number, account) in self.accounts.iter().enumerate() {
            let name = account
                .name
                .as_deref()
                .unwrap_or("An account without a name");
            html.article(number, name);
            if account.place.kept.is_empty() {
                html.open("<p>Connected, and used now.</p></article>");
                continue;
            }
            html.open("<p>Connected, and not used.</p>");
            html.open("<form method=\"post\" action=\"connect\">");
            html.hidden("ticket", self.link).hidden("form", self.form);
            html.hidden("account", &account.place.kept);
            html.answer_button(number, "use", "Use this account");
            html.open("</form></article>");
        }
    }

    /// The fields for a key, or for a user name and a password.
    fn fields(&self, html: &mut Html, typed: &TypedCredential) {
        let title = &self.connection.title;
        if let Some(help) = &typed.help {
            html.open("<p id=\"help\">").text(help).open("</p>");
        }
        match self.connection.is_password() {
            false => {
                html.open("<label>").text(&format!("Key of {title}"));
                html.open(
                    "<input type=\"password\" name=\"key\" required maxlength=\"4096\" \
                     autocomplete=\"off\" spellcheck=\"false\"></label>",
                );
            }
            true => {
                html.open("<label>").text(&format!("User name at {title}"));
                html.open(
                    "<input name=\"user\" required maxlength=\"256\" autocomplete=\"off\" \
                     autocapitalize=\"none\" spellcheck=\"false\"></label>",
                );
                html.open("<label>").text(&format!("Password at {title}"));
                html.open(
                    "<input type=\"password\" name=\"password\" required maxlength=\"4096\" \
                     autocomplete=\"off\"></label>",
                );
            }
        }
        html.open("<button>").text(&format!("Connect {title}"));
        html.open("</button>");
    }
}
