//! Whose a longer text is: an expression that finds the name of the owner in it.

use regex_lite::{Regex, RegexBuilder};
use serde::Deserialize;
use thiserror::Error;

use super::document::IdentityField;
use super::error::{Errors, PolicyError};
use super::plain::is_plain_text;
use oauth::Identity;

/// The longest expression, in bytes, and the most that one may compile to: what a text costs grows
/// with both.
const MAX_EXPRESSION: usize = 256;
const MAX_COMPILED: usize = 64 * 1024;

/// How often all of a text is read in search of further matches; a short one more often, up to so many
/// bytes.
const WORK_PER_BYTE: usize = 8;
const MIN_WORK: usize = 64 * 1024;

/// Where in a text the name of its owner stands, and whose it has to be.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NamedOwnerDocument {
    /// Whom the text has to name.
    pub is: IdentityField,
    /// A regular expression with one group, which holds the name: `^acct-([^-]+)-`. Each place where
    /// it matches has to name the caller, and there has to be one. At most 256 bytes.
    pub at: String,
}

/// A checked expression.
#[derive(Debug, Clone)]
pub struct NamedOwner {
    /// Whom the text has to name.
    pub is: IdentityField,
    at: Regex,
}

/// Why a text is not the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotOwned {
    /// As a path, it could lead to another owner's.
    #[error("has dot segments or encoded separators")]
    Ambiguous,
    /// It names somebody else.
    #[error("names another owner than the caller")]
    Another,
    /// The expression finds no owner in it.
    #[error("names no owner where the policy expects one")]
    Nobody,
    /// The caller has no such value.
    #[error("has to name the caller's own value, and the token does not say it")]
    Unknown,
}

impl NamedOwner {
    pub(super) fn compile(
        path: &str,
        document: &NamedOwnerDocument,
        has_organization: bool,
        errors: &mut Errors,
    ) -> Option<Self> {
        let mut refuse = |key: &str, message: String| {
            errors.push(PolicyError::new(format!("{path}.{key}"), message));
        };
        if document.is == IdentityField::Organization && !has_organization {
            let message = "`organization` needs `identity.organization` at every issuer";
            refuse("is", message.to_owned());
        }
        if document.at.len() > MAX_EXPRESSION {
            let length = document.at.len();
            let message = format!("found {length} bytes, expected at most {MAX_EXPRESSION}");
            refuse("at", message);
            return None;
        }
        let mut builder = RegexBuilder::new(&document.at);
        let at = match builder.size_limit(MAX_COMPILED).build() {
            Ok(at) => at,
            Err(error) => {
                refuse("at", format!("not a regular expression: {error}"));
                return None;
            }
        };
        // The whole match is a group, too.
        let groups = at.captures_len().saturating_sub(1);
        if groups != 1 {
            let message = format!(
                "found {groups} groups, expected one, around the owner's name; `(?:...)` is none"
            );
            refuse("at", message);
            return None;
        }
        let is = document.is;
        Some(Self { is, at })
    }

    /// Whether a text names the caller wherever the expression matches.
    ///
    /// # Errors
    ///
    /// It does not, or not in a way that can be told.
    pub fn check(&self, text: &str, identity: &Identity) -> Result<(), NotOwned> {
        let own = self.is.of(identity).filter(|own| !own.is_empty());
        let own = own.ok_or(NotOwned::Unknown)?;
        if !is_plain_text(text) {
            return Err(NotOwned::Ambiguous);
        }
        let mut names_own = false;
        let mut work = text.len().saturating_mul(WORK_PER_BYTE).max(MIN_WORK);
        for found in self.at.captures_iter(text) {
            // The search for the next one may read all of the rest.
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
        self.at.as_str()
    }

    /// Whether it may match in the middle of a text, as far as can be seen: what stands before is
    /// then not judged.
    pub fn is_adrift(&self) -> bool {
        // Of these, `^` means something else.
        let anchors = self.written().replace("[^", "").replace("\\^", "");
        !anchors.contains('^') && !anchors.contains("\\A")
    }
}

impl PartialEq for NamedOwner {
    fn eq(&self, other: &Self) -> bool {
        self.is == other.is && self.written() == other.written()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(at: &str) -> Result<NamedOwner, String> {
        let mut errors = Errors::new();
        let is = IdentityField::Organization;
        let at = at.to_owned();
        let compiled = NamedOwner::compile("x", &NamedOwnerDocument { is, at }, true, &mut errors);
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        compiled.ok_or(said.join("\n"))
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
            "x.at: not a regular expression: found open group without closing ')'"
        );
        let none = owner("^acct-").unwrap_err();
        assert!(
            none.starts_with("x.at: found 0 groups, expected one"),
            "{none}"
        );
        assert!(owner("^(a)-(b)$").is_err());
        assert!(owner("^(?:a)-(b)$").is_ok());
        let long = format!("^({})", "a".repeat(254));
        assert_eq!(
            owner(&long).unwrap_err(),
            "x.at: found 257 bytes, expected at most 256"
        );
        assert!(
            owner("^(a{1,900}b{1,900}c{1,900}){1,900}").is_err(),
            "too much"
        );
    }
}
