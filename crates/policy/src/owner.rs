//! Owners in longer texts: an expression finds the name of the owner.

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::checked_text::read_checked;
use super::document::IdentityField;
use super::error::{Errors, PolicyError};
use super::plain::is_plain_text;
use oauth::Identity;

/// The maximum length of an expression in bytes, and the maximum size of a compiled one: the cost of a text
/// grows with both.
const MAX_EXPRESSION: usize = 256;
const MAX_COMPILED: usize = 64 * 1024;

/// The number of times that a text is read to find further matches. Short texts may be read more often, up
/// to a number of bytes.
const WORK_PER_BYTE: usize = 8;
const MIN_WORK: usize = 64 * 1024;

/// The place of the owner's name in a text, and the expected owner.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NamedOwner {
    /// The field of the caller's identity that the text must name.
    pub is: IdentityField,
    /// A regular expression with one group for the name: `^acct-([^-]+)-`. It must match at least once, and
    /// all matches must name the caller. At most 256 bytes.
    at: OwnerExpression,
}

/// A checked expression.
#[derive(Debug, Clone)]
struct OwnerExpression(Regex);

/// Why a text does not belong to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotOwned {
    /// As a path, it could lead to an object of another owner.
    #[error("has dot segments or encoded separators")]
    Ambiguous,
    /// It names another owner.
    #[error("names another owner than the caller")]
    Another,
    /// The expression finds no owner.
    #[error("names no owner where the policy expects one")]
    Nobody,
    /// The token has no value for the field.
    #[error("must name the caller's own value, which the token does not have")]
    Unknown,
}

impl NamedOwner {
    /// Checks that all callers have the value that a text must name.
    pub(super) fn check_claim(&self, path: &str, has_organization: bool, errors: &mut Errors) {
        if self.is == IdentityField::Organization && !has_organization {
            let message = "`organization` needs `identity.organization` at every issuer";
            errors.push(PolicyError::new(format!("{path}.is"), message));
        }
    }

    /// Checks that all matches in a text name the caller.
    ///
    /// # Errors
    ///
    /// The text does not name the caller, or is ambiguous.
    pub fn check(&self, text: &str, identity: &Identity) -> Result<(), NotOwned> {
        let own = self.is.of(identity).filter(|own| !own.is_empty());
        let own = own.ok_or(NotOwned::Unknown)?;
        if !is_plain_text(text) {
            return Err(NotOwned::Ambiguous);
        }
        let mut names_own = false;
        let mut work = text.len().saturating_mul(WORK_PER_BYTE).max(MIN_WORK);
        for found in self.at.0.captures_iter(text) {
            // The search for the next match may read the rest of the text.
            let end = found.get(0).map_or(text.len(), |all| all.end());
            let rest = text.len().saturating_sub(end);
            work = work.checked_sub(rest).ok_or(NotOwned::Nobody)?;
            match found.get(1).map(|name| name.as_str()) {
                Some(name) if name == own => names_own = true,
                Some(name) if !name.is_empty() => return Err(NotOwned::Another),
                _ => return Err(NotOwned::Nobody),
            }
        }
        names_own.then_some(()).ok_or(NotOwned::Nobody)
    }

    /// The expression, as the policy writes it.
    pub fn written(&self) -> &str {
        self.at.0.as_str()
    }

    /// Whether it may match in the middle of a text, as far as known. Then the text before the match is not
    /// judged.
    pub fn is_adrift(&self) -> bool {
        // `^` has another meaning in these.
        let anchors = self.written().replace("[^", "").replace("\\^", "");
        !anchors.contains('^') && !anchors.contains("\\A")
    }
}

impl OwnerExpression {
    fn parse(at: &str) -> Result<Self, String> {
        if at.len() > MAX_EXPRESSION {
            let length = at.len();
            return Err(format!(
                "found {length} bytes, expected at most {MAX_EXPRESSION}"
            ));
        }
        let mut builder = RegexBuilder::new(at);
        let at = builder.size_limit(MAX_COMPILED).build();
        let at = at.map_err(|error| format!("not a regular expression: {error}"))?;
        // The whole match counts as a group.
        match at.captures_len().saturating_sub(1) {
            1 => Ok(Self(at)),
            groups => Err(format!(
                "found {groups} groups, expected one, around the owner's name; `(?:...)` is none"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for OwnerExpression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_checked(deserializer, "(a)", |at| Self::parse(&at))
    }
}

impl PartialEq for OwnerExpression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for OwnerExpression {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OwnerExpression".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": MAX_EXPRESSION})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(at: &str) -> Result<NamedOwner, String> {
        let is = IdentityField::Organization;
        let at = OwnerExpression::parse(at)?;
        Ok(NamedOwner { is, at })
    }

    fn check(at: &str, text: &str) -> Result<(), NotOwned> {
        let identity = Identity {
            user: Some("u1".into()),
            organization: Some("acme".into()),
            ..Identity::default()
        };
        owner(at).unwrap().check(text, &identity)
    }

    #[test]
    fn b28_a_text_names_the_caller_exactly() {
        const AT: &str = "^acct-([^-]+)-";
        assert_eq!(check(AT, "acct-acme-7"), Ok(()));
        for (text, expected) in [
            ("acct-globex-7", NotOwned::Another),
            ("acct-ACME-7", NotOwned::Another),
            ("acct-acme -7", NotOwned::Another),
            ("acct-acmé-7", NotOwned::Another),
            ("acct-acme\0-7", NotOwned::Ambiguous),
            ("acct-%61cme-7", NotOwned::Another),
            ("acct-acme-7/../../acct-globex-7", NotOwned::Ambiguous),
            ("acct-acme-7/%2e%2e/x", NotOwned::Ambiguous),
            ("acct-acme", NotOwned::Nobody),
            ("acct--7", NotOwned::Nobody),
            (" acct-acme-7", NotOwned::Nobody),
            ("\nacct-acme-7", NotOwned::Nobody),
            ("ACCT-acme-7", NotOwned::Nobody),
            ("", NotOwned::Nobody),
        ] {
            assert_eq!(check(AT, text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn b28_every_match_counts_and_a_match_without_a_name_is_none() {
        assert_eq!(check("acct-([^-]+)-", "acct-acme-1 acct-acme-2"), Ok(()));
        for text in ["acct-acme-1 acct-globex-2", "acct-globex-1 acct-acme-2"] {
            assert_eq!(check("acct-([^-]+)-", text), Err(NotOwned::Another));
        }
        assert_eq!(check("^(?:all|acct-(.+))$", "all"), Err(NotOwned::Nobody));
        assert_eq!(check("^acct-(.*)$", "acct-"), Err(NotOwned::Nobody));
        assert_eq!(check("(acme)?", ""), Err(NotOwned::Nobody));
        assert_eq!(
            owner("(.*)").unwrap().check("x", Identity::anonymous()),
            Err(NotOwned::Unknown)
        );
    }

    #[test]
    fn s14_further_matches_are_searched_a_bounded_number_of_times() {
        const AT: &str = "(?:x.*y|(acme))";
        let many = |count: usize| format!("x{}", "acme ".repeat(count));
        assert_eq!(check(AT, &many(20)), Ok(()));
        assert_eq!(check(AT, &many(20_000)), Err(NotOwned::Nobody));
    }

    #[test]
    fn an_expression_is_short_valid_and_has_one_group() {
        assert_eq!(
            owner("^a(b").unwrap_err(),
            "not a regular expression: found open group without closing ')'"
        );
        let none = owner("^acct-").unwrap_err();
        assert!(none.starts_with("found 0 groups, expected one"), "{none}");
        assert!(owner("^(a)-(b)$").is_err());
        assert!(owner("^(?:a)-(b)$").is_ok());
        let long = format!("^({})", "a".repeat(254));
        assert_eq!(
            owner(&long).unwrap_err(),
            "found 257 bytes, expected at most 256"
        );
        assert!(
            owner("^(a{1,900}b{1,900}c{1,900}){1,900}").is_err(),
            "too much"
        );
    }
}
