//! Finds the members of a message whose names identify the caller, at any depth.

use super::argument_names::{Name, NameId, NameTable, fold};
use base::json::unescape;
use base::json::{Element, JsonError, Kind, Member, Reader, Span};

/// The part of a message that holds a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberPlace {
    /// Directly in the `arguments` of a tool or prompt.
    Argument,
    /// Deeper in the `arguments`.
    Nested,
    /// Elsewhere: `_meta`, `inputResponses`, a response of the client.
    Elsewhere,
}

/// A member that was found, with the positions needed to replace or remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityMember {
    /// The name it matched.
    pub name: NameId,
    /// The part of the message that holds it.
    pub place: MemberPlace,
    /// The type of its value.
    pub kind: Kind,
    /// The position of its value.
    pub value: Span,
    /// The start of the object that holds it.
    pub object: usize,
    /// The position of the member, with its key.
    pub element: Element,
}

/// The members of a message that identify the caller.
#[derive(Debug, Default)]
pub struct IdentityMembers {
    /// The members, outer ones before inner ones.
    pub members: Vec<IdentityMember>,
    /// Names of members in JSON that is inside of a string.
    pub in_strings: Vec<NameId>,
}

/// Reads values and collects the members whose names are in a table.
#[derive(Debug)]
pub struct MemberFinder<'t> {
    table: &'t NameTable,
    max_depth: usize,
    /// The members found so far.
    pub found: IdentityMembers,
}

impl<'t> MemberFinder<'t> {
    /// A finder for the names of `table`. Reads JSON inside of strings up to `max_depth` deep.
    pub fn new(table: &'t NameTable, max_depth: usize) -> Self {
        Self {
            table,
            max_depth,
            found: IdentityMembers::default(),
        }
    }

    /// Reads one value.
    ///
    /// # Errors
    ///
    /// The value is not strict JSON.
    pub fn value(
        &mut self,
        reader: &mut Reader<'_>,
        place: MemberPlace,
    ) -> Result<Span, JsonError> {
        let kind = reader.kind()?;
        self.value_under(reader, kind, place, &Name::NONE)
    }

    /// Reads a response of the client. In the response to a sampling request, `role` names the author
    /// of a message (MCP "Sampling"), not the caller.
    ///
    /// # Errors
    ///
    /// The value is not strict JSON.
    pub fn answer(&mut self, reader: &mut Reader<'_>) -> Result<Span, JsonError> {
        if reader.kind()? != Kind::Object {
            return self.value(reader, MemberPlace::Elsewhere);
        }
        let start = reader.position();
        let mut last = None;
        reader.object(|reader, member| {
            self.comma_after(last, member.comma);
            let found = self.member(reader, &member, start, MemberPlace::Elsewhere, &Name::NONE)?;
            let authors = [&b"\"assistant\""[..], b"\"user\""];
            let names_author = member.key.value == "role"
                && self
                    .found
                    .members
                    .last()
                    .is_some_and(|found| authors.contains(&reader.bytes(found.value.clone())));
            last = match found {
                Some(_) if names_author => {
                    self.found.members.pop();
                    None
                }
                found => found,
            };
            Ok(())
        })
    }

    /// Reads the value of a member whose key was read. Returns the index of the member if it was found.
    ///
    /// # Errors
    ///
    /// The value is not strict JSON.
    pub fn member(
        &mut self,
        reader: &mut Reader<'_>,
        member: &Member<'_>,
        object: usize,
        place: MemberPlace,
        parent: &Name<'_>,
    ) -> Result<Option<usize>, JsonError> {
        let own = Name::of_key(&member.key.value);
        let name = self.table.find_member(parent, &own, &member.key.value);
        let kind = reader.kind()?;
        let found = name.map(|name| {
            self.found.members.push(IdentityMember {
                name,
                place,
                kind,
                value: 0..0,
                object,
                element: Element::of_member(member),
            });
            self.found.members.len().saturating_sub(1)
        });
        let inside = match place {
            MemberPlace::Argument => MemberPlace::Nested,
            other => other,
        };
        let value = self.value_under(reader, kind, inside, &own)?;
        if let Some(found) = found.and_then(|index| self.found.members.get_mut(index)) {
            found.element.span.end = value.end;
            found.value = value;
        }
        Ok(found)
    }

    /// Notes the comma after a found member, when the next member is reached.
    pub fn comma_after(&mut self, found: Option<usize>, comma: Option<usize>) {
        if let Some(found) = found.and_then(|index| self.found.members.get_mut(index)) {
            found.element.behind = comma.map(|comma| comma.saturating_add(1));
        }
    }

    fn value_under(
        &mut self,
        reader: &mut Reader<'_>,
        kind: Kind,
        place: MemberPlace,
        parent: &Name<'_>,
    ) -> Result<Span, JsonError> {
        match kind {
            Kind::Object => Ok(self.object(reader, place, parent)?.0),
            Kind::Array => reader.array(|reader| {
                let kind = reader.kind()?;
                self.value_under(reader, kind, place, parent).map(drop)
            }),
            Kind::String => {
                let span = reader.skip_kind(kind)?;
                self.string(reader, span.clone())?;
                Ok(span)
            }
            Kind::Bool | Kind::Null | Kind::Number => reader.skip_kind(kind),
        }
    }

    /// Reads an object whose members have one place. Also returns their number.
    ///
    /// # Errors
    ///
    /// The value is no strict object.
    pub fn object(
        &mut self,
        reader: &mut Reader<'_>,
        place: MemberPlace,
        parent: &Name<'_>,
    ) -> Result<(Span, usize), JsonError> {
        reader.kind()?;
        let start = reader.position();
        let (mut last, mut members) = (None, 0_usize);
        let span = reader.object(|reader, member| {
            self.comma_after(last, member.comma);
            last = self.member(reader, &member, start, place, parent)?;
            members = members.saturating_add(1);
            Ok::<(), JsonError>(())
        })?;
        Ok((span, members))
    }

    /// Searches a string that may itself be JSON: models write such strings.
    fn string(&mut self, reader: &Reader<'_>, span: Span) -> Result<(), JsonError> {
        let inner = reader.bytes(span.start.saturating_add(1)..span.end);
        if !matches!(
            inner.first(),
            Some(b'{' | b'[' | b'\\' | b' ' | b'/' | 0xEF)
        ) {
            return Ok(());
        }
        let text = reader.resolve(span)?;
        let start = text
            .value
            .trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if !start.starts_with(['{', '[', '"', '/']) {
            return Ok(());
        }
        let mut embedded = Self::new(self.table, self.max_depth);
        let mut inner = Reader::new(text.value.as_bytes(), self.max_depth);
        if embedded.value(&mut inner, MemberPlace::Elsewhere).is_err() {
            embedded
                .found
                .in_strings
                .extend(keys_of_nearly_json(&text.value, self.table));
        }
        let names = embedded.found.members.iter().map(|found| found.name);
        self.found.in_strings.extend(names);
        self.found.in_strings.append(&mut embedded.found.in_strings);
        Ok(())
    }
}

/// Names before a colon in a text that resembles JSON. A lenient parser may accept what this one refuses
/// (`NaN`, single quotes, lone surrogates). A name without quotes counts only at the start of an object,
/// or if the text starts with `{`: elsewhere it is prose.
fn keys_of_nearly_json(text: &str, table: &NameTable) -> Vec<NameId> {
    let is_object = text.trim_start().starts_with('{');
    let key_before_colon = |before: &str| {
        let before = before.trim_end();
        let unquoted = before.trim_end_matches(['"', '\'']);
        let (ahead, key) = match unquoted.rfind(['{', ',', '"', '\'', '\n']) {
            Some(at) => unquoted.split_at_checked(at.saturating_add(1))?,
            None => ("", unquoted),
        };
        if unquoted.len() == before.len() && !is_object && !ahead.ends_with('{') {
            return None;
        }
        let key = unescape(key).unwrap_or_else(|| key.to_owned());
        table.find(&fold(&key))
    };
    let before_last = text.rsplit_once(':').map(|(before, _)| before);
    let befores = before_last.into_iter().flat_map(|before| before.split(':'));
    befores.filter_map(key_before_colon).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(input: &str) -> IdentityMembers {
        let mut table = NameTable::default();
        table.add("user_id");
        table.add("organization_id");
        let mut finder = MemberFinder::new(&table, 32);
        finder
            .value(
                &mut Reader::new(input.as_bytes(), 32),
                MemberPlace::Argument,
            )
            .unwrap();
        finder.found
    }

    /// The keys of the members found, up to their values.
    fn keys(input: &str) -> Vec<&str> {
        find(input)
            .members
            .iter()
            .map(|found| {
                input
                    .get(found.element.span.start..found.value.start)
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn finds_names_at_any_depth() {
        assert_eq!(keys(r#"{"a":1,"userId":2}"#), [r#""userId":"#]);
        assert_eq!(
            keys(r#"{"a":[{"b":{"USER-ID":2}},{"user_id":1}]}"#),
            [r#""USER-ID":"#, r#""user_id":"#]
        );
        assert_eq!(keys(r#"{"user":{"id":7,"name":"x"}}"#), [r#""id":"#]);
        assert_eq!(keys(r#"{"organization":[{"id":7}]}"#), [r#""id":"#]);
        assert_eq!(keys(r#"{"id":7,"user":1}"#), Vec::<&str>::new());
        assert_eq!(keys(r#"{"filter.user.id":7}"#), [r#""filter.user.id":"#]);
        assert_eq!(
            keys(r#"{"where[organization_id]":7}"#),
            [r#""where[organization_id]":"#]
        );
        assert_eq!(
            keys(r#"{"com.example/user_id":7}"#),
            [r#""com.example/user_id":"#]
        );
    }

    #[test]
    fn b28_finds_names_in_json_inside_of_strings() {
        for input in [
            r#"{"q":"{\"user_id\": 1}"}"#,
            r#"{"q":"  [{\"a\":{\"userId\": 1}}]"}"#,
            r#"{"q":"\n{\"user_id\": 1} and then text"}"#,
            r#"{"q":"\u007b\"user_id\": 1}"}"#,
            r#"{"q":"{\"q\":\"{\\\"user_id\\\":1}\"}"}"#,
            r#"["\"{\\\"user_id\\\":1}\""]"#,
            r#"{"q":"{\"x\":\"\\ud800\",\"user_id\":1}"}"#,
            r#"{"q":"{\"x\":NaN,\"user\\u005fid\":1}"}"#,
            r#"{"q":"{'x':1,'user_id' : 1}"}"#,
            r#"{"q":"{x:1,userId:1}"}"#,
            r#"{"q":"[{'user_id': 1}]"}"#,
            r#"{"q":"[NaN, {\"user_id\":1}]"}"#,
            r#"{"q":"[0,{\"a\":1,\"a\":2},{\"user_id\":1}]"}"#,
            r#"{"q":"[ {user_id:1}]"}"#,
            r#"{"q":"[{}, {'user_id':1}]"}"#,
            r#"{"q":"\ufeff{\"user_id\":1}"}"#,
            r#"{"q":"/**/{\"user_id\":1}"}"#,
        ] {
            assert_eq!(find(input).in_strings.len(), 1, "{input}");
        }
        for input in [
            r#"{"q":"{user_id}"}"#,
            r#"{"q":"my user_id: 1"}"#,
            r#"{"q":"[note] user_id"}"#,
            r#"{"q":"[note], user_id: 1"}"#,
            r#"{"q":"/etc/x user_id: 1"}"#,
        ] {
            assert!(find(input).in_strings.is_empty(), "{input}");
        }
    }
}
