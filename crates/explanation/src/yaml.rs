//! The YAML of policies. Each value has its position, so that a mistake has a line.

mod mistake;

use policy::yaml::{self, YamlMistake};
use saphyr::{LoadableYamlNode, MarkedYaml, Marker, YamlData};
use serde_json::Value;

/// A YAML document.
#[derive(Debug)]
pub struct YamlDocument<'t> {
    root: MarkedYaml<'t>,
    /// The whole text.
    text: &'t str,
}

/// A position, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// The number of characters of what is here. 0: not known.
    pub width: usize,
}

/// An error in YAML.
#[derive(Debug)]
pub struct YamlError {
    /// Its position.
    pub place: Place,
    /// The message.
    pub message: String,
}

impl<'t> YamlDocument<'t> {
    /// Reads all documents of a text. Repeated keys are refused.
    ///
    /// # Errors
    ///
    /// The text is not YAML.
    pub fn read_all(text: &'t str) -> Result<Vec<Self>, YamlError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let documents = MarkedYaml::load_from_str(text).map_err(|error| {
            let place = Place::of(*error.marker());
            YamlError::new(place, mistake::not_yaml(error.info(), text, place))
        })?;
        let document = |root| Self { root, text };
        Ok(documents.into_iter().map(document).collect())
    }

    /// The only one of these documents.
    ///
    /// # Errors
    ///
    /// There is none, or more than one.
    pub fn single(documents: Vec<Self>) -> Result<Self, YamlError> {
        let mut documents = documents.into_iter();
        match (documents.next(), documents.next()) {
            (Some(document), None) => Ok(document),
            (None, _) => Err(YamlError::new(Place::START, "the file is empty")),
            (_, Some(second)) => {
                let message = "a second document; a policy is one";
                Err(YamlError::new(Place::of(second.root.span.start), message))
            }
        }
    }

    /// The outermost value.
    pub fn root(&self) -> YamlNode<'_, 't> {
        YamlNode(&self.root, self.text)
    }
}

/// A value in a document.
#[derive(Debug, Clone, Copy)]
pub struct YamlNode<'d, 't>(&'d MarkedYaml<'t>, &'t str);

impl<'d, 't> YamlNode<'d, 't> {
    /// The value of a key.
    pub fn get(self, key: &str) -> Option<Self> {
        let value = self.0.data.as_mapping_get(key)?;
        Some(Self(value, self.1))
    }

    /// The members of a mapping: key, position of the key, value.
    pub fn members(self) -> impl Iterator<Item = (&'d str, Place, Self)> {
        let members = self.0.data.as_mapping().into_iter().flatten();
        members.filter_map(move |(key, value)| {
            Some((key.data.as_str()?, Place::at(key), Self(value, self.1)))
        })
    }

    /// The items of a list.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let items = self.0.data.as_vec().into_iter().flatten();
        items.map(move |item| Self(item, self.1))
    }

    /// The text of a scalar.
    pub fn text(self) -> Option<&'d str> {
        self.0.data.as_str()
    }

    /// A boolean. A message `BoolValue` of Envoy is written as one, too.
    pub fn boolean(self) -> Option<bool> {
        self.0.data.as_bool()
    }

    /// A number that is not negative.
    pub fn number(self) -> Option<u64> {
        u64::try_from(self.0.data.as_integer()?).ok()
    }

    /// Its position.
    pub fn start(self) -> Place {
        Place::at(self.0)
    }

    /// The first and the last character of a scalar as it is written, and one more: indices in characters.
    pub fn characters(self) -> std::ops::Range<usize> {
        self.0.span.start.index()..self.0.span.end.index()
    }

    /// The value as JSON, in the form that Envoy gives to the filter.
    ///
    /// # Errors
    ///
    /// It has no such form: tags, merge keys, keys that are not strings, or too deep nesting.
    pub fn to_json(self) -> Result<Value, YamlError> {
        Ok(yaml::to_json(self.0)?)
    }

    /// The position of the value at a policy path such as `roles.manager.tools[0]`, or of the nearest outer
    /// value.
    pub fn place(self, path: &str) -> Place {
        resolve(self.0, path, None).place()
    }

    /// The value at a policy path.
    pub fn value(self, path: &str) -> Option<Self> {
        let found = resolve(self.0, path, None);
        (found.left == 0).then_some(Self(found.value, self.1))
    }

    /// The text of a scalar that is a document of its own, and the position of each of its places.
    pub fn inner_text(self) -> Option<(&'d str, impl Fn(Place) -> Place)> {
        let text = self.text()?;
        let (start, column) = (self.start(), self.start().column.saturating_sub(1));
        let written = lines(self.1);
        let written = written.iter().skip(start.line.saturating_sub(1));
        // A literal block (`|`): its lines are those of the text.
        let dedented = written.map(|line| line.chars().skip(column).collect::<String>());
        let is_literal = start.width == 0
            && lines(text.trim_end_matches('\n'))
                .into_iter()
                .zip(dedented)
                .all(|(line, written)| line == written);
        let place = move |inner: Place| match is_literal {
            true => Place {
                line: start.line.saturating_add(inner.line).saturating_sub(1),
                column: column.saturating_add(inner.column),
                width: inner.width,
            },
            false => start,
        };
        Some((text, place))
    }
}

impl Place {
    /// The first character.
    const START: Self = Self {
        line: 1,
        column: 1,
        width: 0,
    };

    fn of(marker: Marker) -> Self {
        Self {
            line: marker.line().max(1),
            column: marker.col().saturating_add(1),
            width: 0,
        }
    }

    /// The position of a key or a value. Of a mapping or list: its first character.
    fn at(node: &MarkedYaml<'_>) -> Self {
        let (start, end) = (node.span.start, node.span.end);
        let is_word = matches!(node.data, YamlData::Value(_)) && start.line() == end.line();
        Self {
            width: if is_word {
                end.col().saturating_sub(start.col())
            } else {
                0
            },
            ..Self::of(start)
        }
    }
}

/// The lines of a text, as YAML counts them.
pub fn lines(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text
        .split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    lines.collect()
}

impl YamlError {
    fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
        }
    }
}

impl From<YamlMistake> for YamlError {
    fn from(mistake: YamlMistake) -> Self {
        Self::new(Place::of(mistake.at), mistake.message)
    }
}

/// The part of a document that a path leads to.
struct Resolved<'n, 't> {
    /// The length of the rest of the path that leads nowhere.
    left: usize,
    key: Option<&'n MarkedYaml<'t>>,
    value: &'n MarkedYaml<'t>,
}

impl Resolved<'_, '_> {
    /// The position of the key, or of the item of a list.
    fn place(&self) -> Place {
        Place::at(self.key.unwrap_or(self.value))
    }
}

/// Follows a path. Names in a policy may have dots, so all matching keys are followed.
fn resolve<'n, 't>(
    node: &'n MarkedYaml<'t>,
    path: &str,
    key: Option<&'n MarkedYaml<'t>>,
) -> Resolved<'n, 't> {
    let nothing = Resolved {
        left: path.len(),
        key,
        value: node,
    };
    match &node.data {
        _ if path.is_empty() => nothing,
        YamlData::Sequence(items) => {
            let found = path.strip_prefix('[').and_then(|path| {
                let (index, rest) = path.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                Some(resolve(item, rest, None))
            });
            found.unwrap_or(nothing)
        }
        YamlData::Mapping(members) => {
            let path = path.strip_prefix('.').unwrap_or(path);
            let follow = |(key, value): (&'n MarkedYaml<'t>, &'n MarkedYaml<'t>)| {
                let rest = path.strip_prefix(key.data.as_str()?)?;
                let ends = rest.is_empty() || rest.starts_with(['.', '[']);
                ends.then(|| resolve(value, rest, Some(key)))
            };
            let found = members.iter().filter_map(follow);
            found.min_by_key(|found| found.left).unwrap_or(nothing)
        }
        _ => nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<YamlDocument<'_>, YamlError> {
        YamlDocument::read_all(text).and_then(YamlDocument::single)
    }

    fn place(text: &str, path: &str) -> (usize, usize) {
        let place = read(text).unwrap().root().place(path);
        (place.line, place.column)
    }

    fn refused(text: &str) -> String {
        let error = read(text)
            .and_then(|document| document.root().to_json())
            .unwrap_err();
        format!(
            "{}:{}: {}",
            error.place.line, error.place.column, error.message
        )
    }

    #[test]
    fn a_path_leads_to_a_place_also_through_names_with_dots() {
        let text = "tools:\n  crm: {when: a}\n  crm.refund:\n    when: b\nissuers:\n- jwks:\n    path: x\n";
        assert_eq!(place(text, "tools.crm.when"), (2, 9));
        assert_eq!(place(text, "tools.crm.refund.when"), (4, 5));
        assert_eq!(place(text, "issuers[0].jwks.path"), (7, 5));
        assert_eq!(place(text, "issuers[0].jwks.inline"), (6, 3));
        assert_eq!(place(text, "issuers[3]"), (5, 1));
        assert_eq!(place(text, "roles.x"), (1, 1));
        assert_eq!(place(text, ""), (1, 1));
    }

    #[test]
    fn json_is_yaml_too() {
        let text = "{\n\t\"a\": [1, 2.5, true, null, \"x\\u00e9\"]\n}";
        let json = read(text).unwrap().root().to_json().unwrap();
        assert_eq!(json, serde_json::json!({"a": [1, 2.5, true, null, "xé"]}));
    }

    #[test]
    fn an_alias_stands_for_its_value() {
        let text = "a: &list [x]\nb: *list\n";
        let json = read(text).unwrap().root().to_json().unwrap();
        assert_eq!(json, serde_json::json!({"a": ["x"], "b": ["x"]}));
    }

    #[test]
    fn what_envoy_reads_otherwise_or_not_at_all_is_refused() {
        assert_eq!(
            refused("a: 1\nb: 2\na: 3\n"),
            "3:1: this key is there twice"
        );
        assert!(refused("1: a\n").starts_with("1:1: expected a string as key"));
        assert!(refused("a: &x {b: c}\nd:\n  <<: *x\n").starts_with("3:3: merge keys"));
        assert!(refused("a: !secret b\n").contains("tags"));
        assert!(refused("a: .inf\n").contains("number"));
        assert!(refused("a: 1\n---\nb: 2\n").contains("second document"));
        assert_eq!(refused(""), "1:1: the file is empty");
        assert!(refused("a: [1\n").contains("not YAML"));
        assert!(refused(&"[".repeat(200)).contains("not YAML"));
    }
}
