//! Names of the caller in the parameters of a URI.
//!
//! A resource may have a template with `{?user_id}` or `{;user_id}`. Then the URI has arguments, and the
//! rules for arguments apply: a URI that names another user or organization than the caller is refused.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::arguments::ArgumentRule;
use super::{Operation, Policy};
use mcp::argument_names::{Begun, Spoken};
use mcp::identity_members::MemberFinder;
use oauth::Identity;

/// The nesting depth of JSON in a parameter.
const MAX_DEPTH: usize = 32;

impl Policy {
    /// A parameter of a URI, or of another text, that names another user or organization than the caller,
    /// or has a name that the policy refuses. Returns the policy's spelling of the name.
    pub fn foreign_parameter(&self, uri: &str, identity: &Identity) -> Option<&str> {
        self.foreign_in(uri, false, identity)
    }

    /// The same for a URI template (RFC 6570). Values that a client fills in are not judged.
    pub fn foreign_parameter_of_template(&self, uri: &str, identity: &Identity) -> Option<&str> {
        self.foreign_in(uri, true, identity)
    }

    fn foreign_in(&self, uri: &str, is_template: bool, identity: &Identity) -> Option<&str> {
        if !uri.contains('=') && !uri.contains("%3") {
            return None;
        }
        let foreign = |name: &str, value: &str| self.foreign(name, value, is_template, identity);
        let mut split_first = parameters(uri);
        let found = split_first.find_map(|(name, value)| foreign(&decoded(name), &decoded(value)));
        // Some readers decode first and split afterwards.
        let whole = decoded(uri);
        found.or_else(|| parameters(&whole).find_map(|(name, value)| foreign(name, value)))
    }

    fn foreign(
        &self,
        name: &str,
        value: &str,
        is_template: bool,
        identity: &Identity,
    ) -> Option<&str> {
        let value = match value.split_once('{') {
            Some(("", _)) if is_template => return None,
            Some((value, _)) if is_template => value,
            _ => value,
        };
        let said = self.names.find_member(&Begun::NONE, name).spoken;
        let mut said = said.iter();
        let foreign = said.find(|spoken| !self.is_own(spoken, value, identity));
        let foreign = foreign.map(|spoken| self.names.name(spoken.name));
        foreign.or_else(|| self.ruled_name_in_json(value, &[]))
    }

    /// Whether a rule accepts a value as the caller's own.
    fn is_own(&self, spoken: &Spoken, value: &str, identity: &Identity) -> bool {
        match self.argument_rule(spoken.name, &[]) {
            ArgumentRule::Keep => true,
            _ if spoken.is_part => false,
            ArgumentRule::Remove | ArgumentRule::Reject => false,
            ArgumentRule::Set(field) => field.of(identity) == Some(value),
            ArgumentRule::Owner(owner) => owner.check(value, identity).is_ok(),
        }
    }

    /// A name with a rule in JSON that a text holds. Empty if the text cannot be read to its end.
    pub fn ruled_name_in_json(&self, text: &str, operations: &[&Operation]) -> Option<&str> {
        let mut finder = MemberFinder::new(&self.names, MAX_DEPTH, text.len());
        finder.text(text);
        if finder.found.is_tangled {
            return Some("");
        }
        let mut names = finder.found.in_strings.iter();
        let name = names.find(|name| *self.argument_rule(**name, operations) != ArgumentRule::Keep);
        name.map(|name| self.names.name(*name))
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// All names before a `=`, with their values: of the query, the fragment, and parameters in the path (RFC
/// 6570 section 3.2.7).
fn parameters(uri: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = uri.find(['?', '#']).unwrap_or(uri.len());
    uri.match_indices('=').filter_map(move |(at, _)| {
        let (before, behind) = (uri.get(..at)?, uri.get(at.saturating_add(1)..)?);
        let start = before.rfind(['?', '#', '&', ';', ',', '/', '=']);
        let name = before.get(start.map_or(0, |start| start.saturating_add(1))..)?;
        let ends: &[char] = match at < query {
            true => &['/', ';', '?', '#'],
            false => &['&', '#'],
        };
        let value = behind.split(ends).next()?;
        Some((name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(uri: &str) -> Option<String> {
        let policy = serde_json::json!({
            "resource": "https://crm.example.com/mcp",
            "issuers": [{
                "issuer": "https://login.example.com",
                "jwks": {"cluster": "login", "path": "/keys"},
                "identity": {"organization": "org_id", "roles": "roles"},
            }],
            "roles": {"a": {"tools": ["*"], "resources": ["crm://*"]}},
            "arguments": {"city": "keep", "account_ref": {"owner": {"is": "user", "at": "^acct-([^-]+)-"}}},
        });
        let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
        let identity = Identity {
            user: Some("u1".into()),
            organization: Some("acme".into()),
            ..Identity::default()
        };
        let template = uri.strip_prefix("template:");
        let name = match template {
            Some(template) => policy.foreign_parameter_of_template(template, &identity),
            None => policy.foreign_parameter(uri, &identity),
        };
        name.map(str::to_owned)
    }

    #[test]
    fn s5_parameters_of_a_uri_are_the_callers() {
        for (uri, name) in [
            ("crm://public/tickets?user_id=E", "user_id"),
            ("crm://public/tickets?x=1&User_Id=E", "user_id"),
            ("crm://public/tickets?x=1;userId=E", "user_id"),
            ("crm://public/tickets;user_id=E", "user_id"),
            ("crm://public;user_id=E/tickets", "user_id"),
            ("crm://public/user_id=E/tickets", "user_id"),
            ("crm://public/tickets,user_id=E", "user_id"),
            ("crm://public/tickets(user_id='E')", "user_id"),
            ("crm://public/tickets#user_id=E", "user_id"),
            ("crm://public/tickets?user_id=", "user_id"),
            ("crm://public/tickets?user_id[]=E", "user_id"),
            ("crm://public/tickets?filter[user_id]=E", "user_id"),
            ("crm://public/tickets?filter%5Buser_id%5D=E", "user_id"),
            (
                "crm://public/tickets?filter.user_id=u1&user_id=E",
                "user_id",
            ),
            ("crm://public/tickets?user_id[$ne]=u1", "user_id"),
            ("crm://public/tickets?user_id__ne=u1", "user_id"),
            ("crm://public/tickets?user%5Fid=E", "user_id"),
            ("crm://public/tickets?user%20id=E", "user_id"),
            ("crm://public/tickets?u%C5%BFer_id=E", "user_id"),
            ("crm://public/tickets?q=user_id=E", "user_id"),
            ("crm://public/tickets?x=1%26user_id=E", "user_id"),
            ("crm://public/tickets?x=1%26user_id%3DE", "user_id"),
            ("crm://public/tickets%3Fuser_id%3DE", "user_id"),
            ("crm://public/tickets?user_id=u1,u2", "user_id"),
            ("crm://public/tickets?user_id=u1/u2", "user_id"),
            ("crm://public/tickets;user_id=u1,u2", "user_id"),
            ("crm://public/tickets?user_id=u1&user_id=u2", "user_id"),
            ("crm://public/tickets?user_id=u1%00", "user_id"),
            ("crm://acme/1?organization_id=E", "organization_id"),
            ("crm://acme/1?role=admin", "role"),
            ("crm://acme/1?impersonate=u1", "impersonate"),
            ("crm://acme/1?account_ref=acct-u2-1", "account_ref"),
            ("crm://acme/1?filter=%7B%22user_id%22:%22E%22%7D", "user_id"),
            ("crm://acme/1?filter={\"user\":{\"id\":1}}", "user"),
            ("crm://user_id=E@acme/1", "user_id"),
            ("template:crm://acme/{id}?user_id=E{&x}", "user_id"),
        ] {
            assert_eq!(foreign(uri).as_deref(), Some(name), "{uri}");
        }
    }

    #[test]
    fn other_parameters_pass() {
        for uri in [
            "crm://acme/1",
            "crm://public/tickets?user_id=u1",
            "crm://public/tickets?userId=u1&organization_id=acme",
            "crm://public/tickets;user_id=u1/x",
            "crm://public/tickets?account_ref=acct-u1-7",
            "crm://public/tickets?city=Berlin&sort=user_id",
            "crm://public/users/u2?x=1.5",
            "docs://guide#user",
            "docs://guide?user",
            "docs://a=b/c?d=e=f",
            "https://example.com/search?q=what+is+a+user",
            "template:crm://acme/{id}{?user_id}",
            "template:crm://acme/{id}?user_id={user_id}",
        ] {
            assert_eq!(foreign(uri), None, "{uri}");
        }
    }
}
