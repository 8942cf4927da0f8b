//! Rules for results.

use serde::{Deserialize, Deserializer};

use super::checked_text::read_checked;
use super::document::IdentityField;
use super::error::{Errors, PolicyError};
use super::pattern::Pattern;
use mcp::argument_names::fold;

/// A rule for the results of tools, prompts and resources.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResultDocument {
    /// The tools it is for: names or patterns.
    #[serde(default)]
    pub tools: Vec<String>,
    /// The prompts it is for: names or patterns.
    #[serde(default)]
    pub prompts: Vec<String>,
    /// The resources it is for: URIs or patterns.
    #[serde(default)]
    pub resources: Vec<String>,
    /// The owner that the objects in the result must have.
    pub owner: Option<OwnerRule>,
    /// Fields that the caller does not see: a name, or the last names of its path, separated by dots. `*`
    /// is any one name. They match in any case and separators, at any depth.
    #[serde(default)]
    pub redact: Vec<FieldPath>,
    /// Kinds of values that the caller does not see, anywhere in a text.
    #[serde(default)]
    pub detect: Vec<Detector>,
    /// Callers with one of these roles see all values.
    #[serde(default)]
    pub unless_role: Vec<String>,
    /// The replacement of hidden values.
    #[serde(default)]
    pub with: Mask,
    /// The rule for a text that is not JSON, in which fields cannot be found. Default: `keep` if the rule
    /// only has `detect`, otherwise `withhold`.
    pub text: Option<TextRule>,
}

/// The owner that the objects in a result must have.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OwnerRule {
    /// The field that names the owner, written as in `redact`.
    pub field: FieldPath,
    /// The field of the caller's identity that it must name.
    pub is: IdentityField,
    /// The rule for an object of another owner.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// The rule for an object that names no owner, neither itself nor in an outer object.
    #[serde(default)]
    pub missing: Missing,
    /// Fields with the number of objects. Removed objects are subtracted.
    #[serde(default)]
    pub totals: Vec<FieldPath>,
}

/// The rule for an object of another owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// It is removed from its list. A result that is not a list is refused.
    #[default]
    Drop,
    /// The whole result is refused.
    Refuse,
}

/// The rule for an object that names no owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The whole result is refused.
    #[default]
    Refuse,
    /// It is removed from its list.
    Drop,
    /// It stays.
    Keep,
}

/// The replacement of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Stars for a text, 0 for a number, `false`: the type stays.
    #[default]
    Mask,
    /// None: the field is removed.
    Remove,
    /// A keyed hash for a text: equal values stay equal. Needs `audit.key_env`.
    Hash,
    /// The last four characters of a longer text.
    Last4,
}

/// A kind of value that is recognised by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// E-mail addresses.
    Email,
    /// Payment card numbers, by their checksum.
    Card,
    /// Tokens and keys: JWTs, private keys, and the prefixes of well-known services.
    Secret,
}

/// The rule for a text that is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TextRule {
    /// A note replaces it.
    Withhold,
    /// It stays, without the values that are redacted elsewhere in the same message, and without detected
    /// values.
    Keep,
}

/// A checked rule.
#[derive(Debug)]
pub struct ResultRule {
    /// Tools it is for.
    pub tools: Vec<Pattern>,
    /// Prompts it is for.
    pub prompts: Vec<Pattern>,
    /// Resources it is for.
    pub resources: Vec<Pattern>,
    /// The owner that the objects must have.
    pub owner: Option<OwnerRule>,
    /// Hidden fields.
    pub redact: Vec<FieldPath>,
    /// Hidden kinds of values.
    pub detect: Vec<Detector>,
    /// Roles that see all values.
    pub unless_role: Vec<String>,
    /// The replacement of hidden values.
    pub with: Mask,
    /// The rule for a text that is not JSON.
    pub text: TextRule,
}

impl ResultRule {
    /// A rule that hides these fields, for a result that is known. Paths that cannot be read hide nothing.
    pub fn hiding(fields: &[String]) -> Self {
        let fields = fields.iter();
        Self {
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            owner: None,
            redact: fields.filter_map(|field| FieldPath::parse(field)).collect(),
            detect: Vec::new(),
            unless_role: Vec::new(),
            with: Mask::default(),
            text: TextRule::Withhold,
        }
    }
}

/// The last names of the path of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    written: String,
    /// Folded; `None` is any name.
    steps: Vec<Option<String>>,
    /// All steps as one name, as some servers write nested fields.
    flat: Option<String>,
}

impl FieldPath {
    /// Reads a path; `None` if a step has no letter or digit.
    pub fn parse(written: &str) -> Option<Self> {
        let step = |step: &str| match step {
            "*" => Some(None),
            step => Some(fold(step).into_owned())
                .filter(|step| !step.is_empty())
                .map(Some),
        };
        let steps: Vec<_> = written.split('.').map(step).collect::<Option<_>>()?;
        let named = steps.iter().any(Option::is_some);
        let flat = steps.iter().cloned().collect::<Option<Vec<_>>>();
        named.then(|| Self {
            written: written.to_owned(),
            steps,
            flat: flat.map(|names| names.concat()),
        })
    }

    /// Whether it matches the field at the end of these folded keys.
    pub fn matches<K: AsRef<str>>(&self, keys: &[K]) -> bool {
        let Some(start) = keys.len().checked_sub(self.steps.len()) else {
            return self.is_flat(keys);
        };
        let last = keys.get(start..).unwrap_or_default();
        let steps = self.steps.iter().zip(last);
        let fits = |(step, key): (&Option<String>, &K)| {
            let step = step.as_deref();
            step.is_none_or(|step| step == key.as_ref())
        };
        steps.into_iter().all(fits) || self.is_flat(keys)
    }

    /// The folded names, the last one first. `None`: any name.
    pub fn names_from_end(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.steps.iter().rev().map(Option::as_deref)
    }

    /// All names as one, if there are several.
    pub fn flat(&self) -> Option<&str> {
        self.flat.as_deref().filter(|_| self.steps.len() > 1)
    }

    /// Whether it may match the field at the end of these folded keys, of which some are unknown.
    pub fn may_match(&self, keys: &[Option<String>]) -> bool {
        let start = keys.len().checked_sub(self.steps.len());
        let last = start.and_then(|start| keys.get(start..));
        let fits = |(step, key): (&Option<String>, &Option<String>)| {
            step.is_none() || key.is_none() || step == key
        };
        let flat = self.flat.as_ref().filter(|_| self.steps.len() > 1);
        let is_flat = |last: &Option<String>| last.is_none() || last.as_ref() == flat;
        last.is_some_and(|last| self.steps.iter().zip(last).all(fits))
            || flat.is_some() && keys.last().is_some_and(is_flat)
    }

    /// The folded names that the last key of a field may have. `None`: any name.
    pub fn last_names(&self) -> impl Iterator<Item = Option<&str>> {
        let flat = self.flat.as_deref().map(Some);
        self.steps
            .last()
            .map(Option::as_deref)
            .into_iter()
            .chain(flat)
    }

    /// The number of names.
    pub fn length(&self) -> usize {
        self.steps.len()
    }

    fn is_flat<K: AsRef<str>>(&self, keys: &[K]) -> bool {
        let flat = self.flat();
        flat.is_some() && flat == keys.last().map(AsRef::as_ref)
    }

    /// The path, as in the policy.
    pub fn written(&self) -> &str {
        &self.written
    }
}

pub(super) fn compile_results(
    documents: &[ResultDocument],
    has_organization: bool,
    has_key: bool,
    errors: &mut Errors,
) -> Vec<ResultRule> {
    let mut rules = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let path = format!("results[{index}]");
        check(&path, document, has_key, errors);
        let owner = document.owner.as_ref();
        if !has_organization && owner.is_some_and(|it| it.is == IdentityField::Organization) {
            let message = "`organization` needs `identity.organization` at every issuer";
            errors.push(PolicyError::new(format!("{path}.owner.is"), message));
        }
        let only_detects = document.owner.is_none() && document.redact.is_empty();
        let text = if only_detects {
            TextRule::Keep
        } else {
            TextRule::Withhold
        };
        rules.push(ResultRule {
            tools: document
                .tools
                .iter()
                .map(|name| Pattern::name(name))
                .collect(),
            prompts: document
                .prompts
                .iter()
                .map(|name| Pattern::name(name))
                .collect(),
            resources: document
                .resources
                .iter()
                .map(|uri| Pattern::uri(uri))
                .collect(),
            owner: owner.cloned(),
            redact: document.redact.clone(),
            detect: document.detect.clone(),
            unless_role: document.unless_role.clone(),
            with: document.with,
            text: document.text.unwrap_or(text),
        });
    }
    rules
}

fn check(path: &str, document: &ResultDocument, has_key: bool, errors: &mut Errors) {
    let mut refuse = |key: &str, message: &str| {
        errors.push(PolicyError::new(format!("{path}{key}"), message));
    };
    if document.tools.is_empty() && document.prompts.is_empty() && document.resources.is_empty() {
        refuse(
            "",
            "expected `tools`, `prompts` or `resources`: what it is for",
        );
    }
    if document.owner.is_none() && document.redact.is_empty() && document.detect.is_empty() {
        refuse("", "expected `owner`, `redact` or `detect`: what it does");
    }
    if document.with == Mask::Hash && !has_key {
        refuse(
            ".with",
            "`hash` needs `audit.key_env`, or a guess could be tested",
        );
    }
    for (key, patterns) in [
        (".tools", &document.tools),
        (".prompts", &document.prompts),
        (".resources", &document.resources),
    ] {
        if patterns
            .iter()
            .any(|pattern| pattern.trim().is_empty() || pattern.trim() != pattern)
        {
            refuse(key, "expected names or patterns without spaces around them");
        }
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_checked(deserializer, "a", |written| {
            let expected = "expected a field name, or names with dots between them";
            Self::parse(&written).ok_or_else(|| format!("found `{written}`, {expected}"))
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for FieldPath {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FieldPath".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "minLength": 1})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(path: &str, keys: &[&str]) -> bool {
        let keys: Vec<String> = keys.iter().map(|key| fold(key).into_owned()).collect();
        FieldPath::parse(path).unwrap().matches(&keys)
    }

    #[test]
    fn a_path_has_the_names_of_its_last_key() {
        let names = |path: &str| {
            let path = FieldPath::parse(path).unwrap();
            let names = path.last_names().map(|name| name.map(str::to_owned));
            names.collect::<Vec<_>>()
        };
        assert!(
            names("SSN")
                .iter()
                .all(|name| name.as_deref() == Some("ssn"))
        );
        assert!(names("card.number").contains(&Some("number".to_owned())));
        assert!(names("card.number").contains(&Some("cardnumber".to_owned())));
        assert!(names("card.*").contains(&None));
    }

    #[test]
    fn a_path_is_the_end_of_the_way() {
        assert!(matches("ssn", &["a", "SSN"]));
        assert!(matches("card.number", &["customer", "card", "Number"]));
        assert!(matches("card.*", &["card", "cvc"]));
        assert!(matches("*.ssn", &["a", "ssn"]));
        assert!(matches("card.number", &["cardNumber"]));
        assert!(matches("card.number", &["card.number"]));
        assert!(!matches("card.number", &["number"]));
        assert!(!matches("card.*", &["card"]));
        assert!(!matches("ssn", &["ssn", "last"]));
        assert!(!matches("ssn", &[]));
        for bad in ["", ".", "a..b", "*", "*.*", "-"] {
            assert_eq!(FieldPath::parse(bad), None, "{bad}");
        }
    }
}
