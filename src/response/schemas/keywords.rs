//! The keywords of JSON Schema (2020-12 and earlier drafts) that hold schemas or depend on names.

use base::json::tree::{Child, Node, Value};

/// A keyword that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    AdditionalItems,
    AdditionalProperties,
    AllOf,
    AnyOf,
    Const,
    Contains,
    ContentSchema,
    Default,
    Definitions,
    Defs,
    Dependencies,
    DependentRequired,
    DependentSchemas,
    Discriminator,
    DynamicRef,
    Else,
    Enum,
    Example,
    Examples,
    If,
    Items,
    MaxContains,
    MinProperties,
    Not,
    OneOf,
    PatternProperties,
    PrefixItems,
    Properties,
    PropertyNames,
    Ref,
    Required,
    Then,
    UnevaluatedItems,
    UnevaluatedProperties,
    UniqueItems,
}

impl Keyword {
    /// The keyword with this name. The length rules out most names.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match (name.len(), name) {
            (2, "if") => Self::If,
            (3, "not") => Self::Not,
            (4, "enum") => Self::Enum,
            (4, "$ref") => Self::Ref,
            (4, "then") => Self::Then,
            (4, "else") => Self::Else,
            (5, "items") => Self::Items,
            (5, "anyOf") => Self::AnyOf,
            (5, "allOf") => Self::AllOf,
            (5, "oneOf") => Self::OneOf,
            (5, "const") => Self::Const,
            (5, "$defs") => Self::Defs,
            (7, "default") => Self::Default,
            (7, "example") => Self::Example,
            (8, "required") => Self::Required,
            (8, "examples") => Self::Examples,
            (8, "contains") => Self::Contains,
            (10, "properties") => Self::Properties,
            (11, "definitions") => Self::Definitions,
            (11, "uniqueItems") => Self::UniqueItems,
            (11, "prefixItems") => Self::PrefixItems,
            (11, "maxContains") => Self::MaxContains,
            (11, "$dynamicRef") => Self::DynamicRef,
            (12, "dependencies") => Self::Dependencies,
            (13, "minProperties") => Self::MinProperties,
            (13, "propertyNames") => Self::PropertyNames,
            (13, "discriminator") => Self::Discriminator,
            (13, "contentSchema") => Self::ContentSchema,
            (15, "additionalItems") => Self::AdditionalItems,
            (16, "unevaluatedItems") => Self::UnevaluatedItems,
            (16, "dependentSchemas") => Self::DependentSchemas,
            (17, "patternProperties") => Self::PatternProperties,
            (17, "dependentRequired") => Self::DependentRequired,
            (20, "additionalProperties") => Self::AdditionalProperties,
            (21, "unevaluatedProperties") => Self::UnevaluatedProperties,
            _ => return None,
        })
    }
}

/// The values that the schemas under a keyword describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Describes {
    /// The same value.
    Same,
    /// Its elements.
    Elements,
    /// Its members with these names.
    Members,
    /// Its members with unknown names, or another value.
    Others,
}

/// The forms of schemas under a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeywordForm {
    One,
    /// One schema, or a list.
    OneOrList,
    /// Schemas by name.
    Map,
}

/// The schemas under a keyword: the keyword's value, or its entries.
#[derive(Debug)]
pub(super) enum SchemasUnder<'t> {
    One(&'t Node),
    /// Entries that are no objects are no schemas.
    Several(&'t [Child]),
}

/// The schemas under a keyword, and what they describe.
pub(super) fn schemas(keyword: Keyword, value: &Node) -> Option<(Describes, SchemasUnder<'_>)> {
    let (describes, form) = form(keyword)?;
    match (form, &value.value) {
        (KeywordForm::One | KeywordForm::OneOrList, Value::Object(_)) => {
            Some((describes, SchemasUnder::One(value)))
        }
        (KeywordForm::OneOrList, Value::Array(children))
        | (KeywordForm::Map, Value::Object(children)) => {
            Some((describes, SchemasUnder::Several(children)))
        }
        _ => None,
    }
}

/// Whether a schema has a [`Keyword`].
pub(super) fn has_keyword(schema: &Node) -> bool {
    let mut members = schema.members().iter();
    members.any(|member| Keyword::of(&member.key).is_some())
}

/// The keywords for definitions.
pub(super) const DEFINITIONS: [Keyword; 2] = [Keyword::Defs, Keyword::Definitions];

/// The keywords that refer to a schema.
pub(super) const REFERENCES: [Keyword; 2] = [Keyword::Ref, Keyword::DynamicRef];

fn form(keyword: Keyword) -> Option<(Describes, KeywordForm)> {
    use Keyword::{
        AdditionalItems, AdditionalProperties, AllOf, AnyOf, Contains, ContentSchema, Dependencies,
        DependentSchemas, Else, If, Items, Not, OneOf, PatternProperties, PrefixItems, Properties,
        Then, UnevaluatedItems, UnevaluatedProperties,
    };
    Some(match keyword {
        Properties => (Describes::Members, KeywordForm::Map),
        PatternProperties => (Describes::Others, KeywordForm::Map),
        AdditionalProperties | UnevaluatedProperties | ContentSchema => {
            (Describes::Others, KeywordForm::One)
        }
        Items | PrefixItems => (Describes::Elements, KeywordForm::OneOrList),
        AdditionalItems | UnevaluatedItems | Contains => (Describes::Elements, KeywordForm::One),
        AllOf | AnyOf | OneOf => (Describes::Same, KeywordForm::OneOrList),
        Not | If | Then | Else => (Describes::Same, KeywordForm::One),
        DependentSchemas | Dependencies => (Describes::Same, KeywordForm::Map),
        _ => return None,
    })
}

/// Whether a value is a schema that has keywords. `dependencies` has schemas and lists of names.
pub(super) fn is_object(node: &Node) -> bool {
    matches!(node.value, Value::Object(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_by_their_whole_names() {
        let names = "if not enum $ref then else items anyOf allOf oneOf const $defs default example required examples \
                     contains properties definitions uniqueItems prefixItems maxContains $dynamicRef dependencies \
                     minProperties propertyNames discriminator contentSchema additionalItems unevaluatedItems \
                     dependentSchemas patternProperties dependentRequired additionalProperties unevaluatedProperties";
        let mut found: Vec<Keyword> = Vec::new();
        for name in names.split_whitespace() {
            let keyword = Keyword::of(name).unwrap_or_else(|| panic!("{name}"));
            assert!(!found.contains(&keyword), "{name}");
            found.push(keyword);
            for other in [
                format!("{name}x"),
                name.to_uppercase(),
                name.chars().skip(1).collect(),
            ] {
                assert_eq!(Keyword::of(&other), None, "{other}");
            }
        }
    }
}
