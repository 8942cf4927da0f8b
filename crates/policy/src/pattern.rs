//! Names with wildcards.

mod list;

use std::borrow::Cow;

use super::document::IdentityField;
use oauth::Identity;

pub use self::list::{HasPattern, PatternList};

/// A name, or a pattern. `*` matches any run of characters. `{user}` and `{organization}` match the
/// caller's own value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    parts: Parts,
    denies: bool,
}

/// The parts between the stars. One part: an exact name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Parts {
    /// The same for all callers.
    Plain(Vec<String>),
    /// With placeholders.
    OfCaller(Vec<Vec<Piece>>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    User,
    Organization,
}

impl Pattern {
    /// A pattern with wildcards only.
    pub fn name(written: &str) -> Self {
        Self {
            written: written.to_owned(),
            parts: Parts::Plain(written.split('*').map(str::to_owned).collect()),
            denies: false,
        }
    }

    /// A pattern with wildcards and placeholders, for resource URIs.
    pub fn uri(written: &str) -> Self {
        let parts: Vec<Vec<Piece>> = written.split('*').map(pieces).collect();
        let is_literal = |piece: &Piece| matches!(piece, Piece::Literal(_));
        if parts.iter().flatten().all(is_literal) {
            return Self::name(written);
        }
        Self {
            written: written.to_owned(),
            parts: Parts::OfCaller(parts),
            denies: false,
        }
    }

    /// A pattern for a denial. A placeholder without a usable value matches any text, so that a denial
    /// never fails because the value is missing.
    pub fn denial(written: &str) -> Self {
        Self {
            denies: true,
            ..Self::uri(written)
        }
    }

    /// The pattern, as in the policy.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether it matches exactly one name.
    pub fn is_exact(&self) -> bool {
        match &self.parts {
            Parts::Plain(parts) => parts.len() == 1,
            Parts::OfCaller(parts) => parts.len() == 1,
        }
    }

    /// The text that all matching names start with, for all callers.
    fn start(&self) -> &str {
        match &self.parts {
            Parts::Plain(parts) => parts.first().map_or("", String::as_str),
            Parts::OfCaller(parts) => match parts.first().and_then(|part| part.first()) {
                Some(Piece::Literal(text)) => text,
                _ => "",
            },
        }
    }

    /// Whether it has the placeholder of this field.
    pub fn names(&self, field: IdentityField) -> bool {
        let Parts::OfCaller(parts) = &self.parts else {
            return false;
        };
        parts.iter().flatten().any(|piece| match piece {
            Piece::Literal(_) => false,
            Piece::User => field == IdentityField::User,
            Piece::Organization => field == IdentityField::Organization,
        })
    }

    /// Whether `name` matches, for this caller. A placeholder without a value, or with a value that could
    /// extend beyond its place in a URI, matches nothing. In a denial it matches any text.
    pub fn matches(&self, name: &str, identity: &Identity) -> bool {
        self.resolve(identity)
            .is_some_and(|parts| matches(&parts, name))
    }

    /// Whether some URI that `template` (RFC 6570) can produce matches, for this caller.
    pub fn may_cover_template(&self, template: &str, identity: &Identity) -> bool {
        let mut globs = String::new();
        let mut rest = template;
        while let Some((before, behind)) = rest.split_once('{') {
            globs.push_str(before);
            let within_segment = !behind.starts_with(['+', '#', '/']);
            globs.push(if within_segment { SEGMENT } else { '*' });
            rest = behind.split_once('}').map_or("", |(_, behind)| behind);
        }
        globs.push_str(rest);
        let of_caller = self.resolve(identity).map(|parts| parts.join("*"));
        of_caller.is_some_and(|own| overlap(own.as_bytes(), globs.as_bytes()))
    }

    fn resolve(&self, identity: &Identity) -> Option<Cow<'_, [String]>> {
        let of_caller = match &self.parts {
            Parts::Plain(parts) => return Some(Cow::Borrowed(parts)),
            Parts::OfCaller(parts) => parts,
        };
        let mut parts = Vec::with_capacity(of_caller.len());
        for pieces in of_caller {
            let mut part = String::new();
            for piece in pieces {
                match piece.text(identity) {
                    Some(text) => part.push_str(text),
                    None if self.denies => parts.push(std::mem::take(&mut part)),
                    None => return None,
                }
            }
            parts.push(part);
        }
        Some(Cow::Owned(parts))
    }

    /// Whether a name can match both, as far as known without a caller.
    pub fn overlaps(&self, other: &Self) -> bool {
        overlap(self.written.as_bytes(), other.written.as_bytes())
    }

    /// Whether all names that match this pattern also match `other`, as far as known without a caller.
    pub fn is_covered_by(&self, other: &Self) -> bool {
        let parts: Vec<String> = other.written.split('*').map(str::to_owned).collect();
        matches(&parts, &self.written)
    }
}

fn pieces(part: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = part;
    let placeholders = [
        ("{user}", Piece::User),
        ("{organization}", Piece::Organization),
    ];
    loop {
        let next = placeholders
            .iter()
            .filter_map(|(text, piece)| Some((rest.find(text)?, *text, piece)))
            .min_by_key(|(at, _, _)| *at);
        let Some((_, text, piece)) = next else { break };
        let Some((before, behind)) = rest.split_once(text) else {
            break;
        };
        pieces.push(Piece::Literal(before.to_owned()));
        pieces.push(piece.clone());
        rest = behind;
    }
    pieces.push(Piece::Literal(rest.to_owned()));
    pieces
}

impl Piece {
    fn text<'p>(&'p self, identity: &'p Identity) -> Option<&'p str> {
        let value = match self {
            Self::Literal(text) => return Some(text),
            Self::User => identity.user.as_ref()?,
            Self::Organization => identity.organization.as_ref()?,
        };
        let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@+=|".contains(&byte);
        let dots = value.chars().all(|character| character == '.');
        (!dots && value.bytes().all(stays)).then_some(value)
    }
}

/// Whether the parts between the stars are those of `name`.
pub(super) fn matches(parts: &[String], name: &str) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return false;
    };
    let Some(mut name) = name.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return name.is_empty();
    };
    for part in middle {
        let Some((_, behind)) = name.split_once(part.as_str()) else {
            return false;
        };
        name = behind;
    }
    name.ends_with(last.as_str())
}

/// In a template's glob: any run of characters without a slash.
const SEGMENT: char = '\u{1}';

/// Whether a text can match both globs: the usual comparison row by row, in which a star matches nothing or
/// one more character of the other. Only `other` has [`SEGMENT`]s.
fn overlap(one: &[u8], other: &[u8]) -> bool {
    let is_star = |byte: u8| byte == b'*' || char::from(byte) == SEGMENT;
    let may_be_empty = |glob: &[u8]| glob.iter().all(|byte| is_star(*byte));
    // row[j]: whether the part of `one` read so far and the first j bytes of `other` can agree.
    let mut row: Vec<bool> = (0..=other.len())
        .map(|length| other.get(..length).is_some_and(may_be_empty))
        .collect();
    for &ours in one {
        let mut next = vec![ours == b'*' && row.first() == Some(&true)];
        for ((&theirs, &diagonal), &above) in other.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last() == Some(&true);
            let takes = theirs == b'*' || ours != b'/';
            let by_star = (ours == b'*' && (above || left))
                || (is_star(theirs) && (left || (above && takes)));
            next.push(by_star || (diagonal && ours == theirs));
        }
        row = next;
    }
    row.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(user: &str, organization: Option<&str>) -> Identity {
        Identity {
            user: Some(user.to_owned()),
            organization: organization.map(str::to_owned),
            ..Identity::default()
        }
    }

    #[test]
    fn stars_stand_for_any_run() {
        let nobody = caller("u", None);
        for (pattern, name, expected) in [
            ("crm.get", "crm.get", true),
            ("crm.get", "crm.get2", false),
            ("crm.get", "xcrm.get", false),
            ("crm.*", "crm.get", true),
            ("crm.*", "crm.", true),
            ("crm.*", "crmx.get", false),
            ("*", "", true),
            ("*.read", "a.b.read", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "ac", false),
            ("aa*aa", "aaa", false),
            ("", "x", false),
        ] {
            assert_eq!(
                Pattern::name(pattern).matches(name, &nobody),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn b28_a_uri_pattern_holds_the_callers_own_organization() {
        let own = Pattern::uri("crm://{organization}/users/{user}*");
        assert!(own.matches("crm://acme/users/u1/notes", &caller("u1", Some("acme"))));
        assert!(!own.matches("crm://globex/users/u1", &caller("u1", Some("acme"))));
        assert!(!own.matches("crm:///users/u1", &caller("u1", None)));
        assert!(!own.matches("crm://a/b/users/u1", &caller("u1", Some("a/b"))));
        assert!(!own.matches("crm://../users/u1", &caller("u1", Some(".."))));
        assert!(!own.matches("crm://*/users/u1", &caller("u1", Some("*"))));
    }

    #[test]
    fn a_template_is_covered_if_some_uri_of_it_is() {
        let own = Pattern::uri("crm://{organization}/customers/*");
        let acme = caller("u1", Some("acme"));
        for (template, expected) in [
            ("crm://{org}/customers/{id}", true),
            ("crm://acme/customers/{id}", true),
            ("crm://{org}/{+rest}", true),
            ("crm://globex/customers/{id}", false),
            ("crm://{org}/tickets/{id}", false),
            ("crm://acme/customers/", true),
            ("other://{x}", false),
            ("{+all}", true),
        ] {
            assert_eq!(
                own.may_cover_template(template, &acme),
                expected,
                "{template}"
            );
        }
    }
}
