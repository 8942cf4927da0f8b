//! The part of a text that a mistake is about.

use saphyr::{MarkedYaml, YamlData};

use super::{Place, YamlNode, lines, resolve};

/// How messages about a value start, as far as they name no part of it.
const ABOUT_THE_VALUE: [&str; 4] = ["found ", "expected ", "unknown value", "not a "];
/// What stands before the position in an expression.
const EXPRESSION: &str = "not a CEL expression: ";

impl YamlNode<'_, '_> {
    /// The position of a mistake at a policy path: of the name that the message has, in the key, the value or an
    /// expression, else of the value or the key.
    pub fn mistake(self, path: &str, message: &str) -> Place {
        let found = resolve(self.0, path, None);
        let own = found.place();
        if found.left > 0 {
            return own;
        }
        let named = message.split('`').nth(1).unwrap_or_default();
        let key = found.key.and_then(|key| key.data.as_str());
        if key == Some(named) {
            return own;
        }
        let value = Place::at(found.value);
        match &found.value.data {
            YamlData::Value(scalar) => {
                let part = scalar.as_str().and_then(|text| part(text, named, message));
                match part.and_then(|part| inside(value, scalar.as_str()?, part)) {
                    Some(place) => place,
                    None if ABOUT_THE_VALUE
                        .iter()
                        .any(|start| message.starts_with(start))
                        && value.width > 0 =>
                    {
                        value
                    }
                    None if own.line == value.line && value.width > 0 => {
                        let end = value.column.saturating_add(value.width);
                        Place {
                            width: end.saturating_sub(own.column),
                            ..own
                        }
                    }
                    None => own,
                }
            }
            _ => scalar(found.value, named).unwrap_or(own),
        }
    }
}

/// The key or item with this text inside a value.
fn scalar(node: &MarkedYaml<'_>, text: &str) -> Option<Place> {
    let is_it = |node: &MarkedYaml<'_>| node.data.as_str() == Some(text) && !text.is_empty();
    if is_it(node) {
        return Some(Place::at(node));
    }
    let items = node.data.as_vec().into_iter().flatten();
    let members = node.data.as_mapping().into_iter().flatten();
    let mut parts = items.chain(members.flat_map(|(key, value)| [key, value]));
    parts.find_map(|part| scalar(part, text))
}

/// The part of an expression that a message is about: a position, or a name. In characters.
fn part(text: &str, named: &str, message: &str) -> Option<(usize, usize)> {
    if let Some((_, rest)) = message.split_once(EXPRESSION) {
        let mut numbers = rest.split(':').map(str::parse::<usize>);
        let (Some(Ok(1)), Some(Ok(column))) = (numbers.next(), numbers.next()) else {
            return None;
        };
        return Some((column.saturating_sub(1), 1));
    }
    let is_word = |character: &char| character.is_alphanumeric() || *character == '_';
    let characters: Vec<char> = text.chars().collect();
    let named: Vec<char> = named.chars().collect();
    let mut quote = None;
    for (index, character) in characters.iter().enumerate() {
        match (quote, character) {
            (Some(open), _) if open == *character => quote = None,
            (Some(_), _) => continue,
            (None, '"' | '\'') => quote = Some(*character),
            (None, _) => {}
        }
        let rest = characters.get(index..)?;
        let before = index
            .checked_sub(1)
            .and_then(|before| characters.get(before));
        let after = rest.get(named.len());
        let is_apart = !before.is_some_and(|before| is_word(before) || *before == '.')
            && !after.is_some_and(is_word);
        if named.iter().any(is_word) && is_apart && rest.starts_with(&named) {
            return Some((index, named.len()));
        }
    }
    None
}

/// The position of a part of a scalar that is written in one line, without escapes.
fn inside(value: Place, text: &str, (start, width): (usize, usize)) -> Option<Place> {
    let quotes = match value.width.checked_sub(text.chars().count())? {
        0 => 0,
        2 => 1,
        _ => return None,
    };
    Some(Place {
        column: value.column.saturating_add(quotes).saturating_add(start),
        width,
        ..value
    })
}

/// The message for a text that is not YAML, with the mend where the mistake is a usual one.
pub(super) fn not_yaml(info: &str, text: &str, place: Place) -> String {
    if info == "duplicated key in mapping" {
        return "this key is there twice".to_owned();
    }
    let hint = match info {
        _ if info.contains("anchor") || info.contains("unexpected character") => {
            let all = lines(text);
            let line = all
                .get(place.line.saturating_sub(1))
                .copied()
                .unwrap_or_default();
            let token = line.chars().skip(place.column.saturating_sub(1));
            let token: String = token
                .take_while(|each| !matches!(each, ',' | ']' | '}' | ' '))
                .collect();
            format!("quote the \"{token}\"")
        }
        _ if info.contains("mapping values are not allowed") => {
            "write a value that has `: ` in it in quotes".to_owned()
        }
        _ if info.contains("trailing content") => {
            "write the whole value in quotes of the other kind".to_owned()
        }
        _ if info.contains("tabs disallowed") => "use spaces in place of tabs".to_owned(),
        _ if info.contains("block sequence entries") => {
            "start the list in a new line, or write it as `[a, b]`".to_owned()
        }
        _ if info.contains("flow ")
            || info.contains("illegal placement")
            || info.contains("quoted scalar") =>
        {
            "close the bracket or the quotes that were opened before".to_owned()
        }
        _ if info.contains("misplaced bracket") => {
            "remove the bracket, or write the value in quotes".to_owned()
        }
        _ => return format!("not YAML: {info}"),
    };
    format!("not YAML: {info}; {hint}")
}

#[cfg(test)]
mod tests {
    use crate::yaml::YamlDocument;

    /// The text that a mistake underlines.
    fn underlined(text: &str, path: &str, message: &str) -> String {
        let documents = YamlDocument::read_all(text).unwrap();
        let document = YamlDocument::single(documents).unwrap();
        let place = document.root().mistake(path, message);
        let line = text.lines().nth(place.line - 1).unwrap();
        line.chars()
            .skip(place.column - 1)
            .take(place.width)
            .collect()
    }

    #[test]
    fn the_part_that_a_message_names_is_underlined() {
        let text = "mode: enforced\nroles:\n  support: {tools: crm.get, extends: [manger], deny: [\"crm.*\"]}\n  \
                    manager:\n    tool: []\narguments: {user_id: keep, User_ID: keep}\ntools:\n  a: {when: arg.x == 'arg' && args.arg}\n  \
                    b: {when: \"args.amount <= \"}\n  c:\n    when: >-\n      arg.x\n  d: {when: \"\\x61rg.x\"}\n";
        for (path, message, expected) in [
            ("mode", "unknown value `enforced`", "enforced"),
            (
                "roles.support.tools",
                "found string \"crm.get\", expected a list",
                "crm.get",
            ),
            (
                "roles.support.extends[0]",
                "unknown role `manger`",
                "manger",
            ),
            (
                "roles.support",
                "`crm.get` can never match: `crm.*` denies it",
                "crm.get",
            ),
            ("roles.support", "`x` can never match", "support"),
            (
                "roles.manager.tool",
                "unknown key `tool`, expected one of `tools`",
                "tool",
            ),
            ("roles.manager", "missing key `tools`", "manager"),
            ("roles.manager.tools", "expected more", "manager"),
            (
                "arguments.user_id",
                "the same name as `User_ID`",
                "user_id: keep",
            ),
            (
                "tools.a.when",
                "unknown variable `arg`, expected one of `args`",
                "arg",
            ),
            (
                "tools.a.when",
                "the condition is odd",
                "when: arg.x == 'arg' && args.arg",
            ),
            (
                "tools.b.when",
                "not a CEL expression: 1:16: Syntax error",
                "\"",
            ),
            (
                "tools.b.when",
                "not a CEL expression: 1:1: Syntax error",
                "a",
            ),
            ("tools.c.when", "unknown variable `arg`", "when"),
            (
                "tools.d.when",
                "unknown variable `arg`",
                "when: \"\\x61rg.x\"",
            ),
        ] {
            assert_eq!(
                underlined(text, path, message),
                expected,
                "{path}: {message}"
            );
        }
        let place = |text, path, message| {
            YamlDocument::read_all(text).unwrap()[0]
                .root()
                .mistake(path, message)
                .column
        };
        assert_eq!(
            place(
                "a: {when: arg.x == 'arg' && args.arg}",
                "a.when",
                "unknown variable `arg`"
            ),
            11
        );
        assert_eq!(
            place(
                "a: {when: \"'arg' == arg\"}",
                "a.when",
                "unknown variable `arg`"
            ),
            21
        );
    }

    #[test]
    fn the_usual_mistakes_of_yaml_have_a_mend() {
        for (text, hint) in [
            ("tools: [*]\n", "quote the \"*\""),
            ("tools: *\n", "quote the \"*\""),
            ("tools: [*.get, b]\n", "quote the \"*.get\""),
            ("tools: &\n", "quote the \"&\""),
            ("a: @x\n", "quote the \"@x\""),
            ("a: b: c\n", "has `: ` in it"),
            ("a:\n\t- b\n", "use spaces"),
            ("a: 'it's'\n", "quotes of the other kind"),
            ("when: \"x\" == a\n", "quotes of the other kind"),
            ("a: [1\nb: 2\n", "close the bracket"),
            ("a: {b: 1\nc: 2\n", "close the bracket"),
            ("a: \"x\nb: 1\n", "close the bracket"),
            ("a: - b\n", "start the list"),
            ("a: x]]\nb: [c]]\n", "remove the bracket"),
        ] {
            let error = YamlDocument::read_all(text).unwrap_err();
            assert!(error.message.contains(hint), "{text}: {}", error.message);
        }
    }
}
