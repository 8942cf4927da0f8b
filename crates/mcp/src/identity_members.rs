//! Finds the members of a message whose names identify the caller, at any depth.

use super::argument_names::{Begun, NameId, NameTable, Spoken};
use super::embedded::{Embedded, is_candidate};
use base::json::plain::{Interest, PlainValue};
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
    /// In a namespaced member of `_meta`, or in a capability with a namespaced name. They are no arguments.
    OfClient,
}

/// A member that was found, with the positions needed to replace or remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityMember {
    /// The names in its key. With [`MemberPlace::OfClient`] also those in strings of its value. None: a string
    /// of its value could not be read.
    pub names: Vec<Spoken>,
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
    /// Whether a string holds JSON in strings in too many ways, so that a part was not read.
    pub is_tangled: bool,
}

/// Reads values and collects the members whose names are in a table.
#[derive(Debug)]
pub struct MemberFinder<'t> {
    table: &'t NameTable,
    max_depth: usize,
    /// The bytes of strings that may still be read.
    pub(crate) work_left: usize,
    /// Something of interest stands before this position.
    interesting: usize,
    /// The members found so far.
    pub found: IdentityMembers,
}

/// The number of times that each byte of a message may be read as part of a string that holds JSON.
const MAX_READINGS: usize = 64;

impl<'t> MemberFinder<'t> {
    /// A finder for the names of `table`, in a message of `size` bytes. JSON inside strings is read
    /// up to `max_depth` deep.
    pub fn new(table: &'t NameTable, max_depth: usize, size: usize) -> Self {
        Self::with_work(table, max_depth, size.saturating_mul(MAX_READINGS))
    }

    pub(crate) fn with_work(table: &'t NameTable, max_depth: usize, work_left: usize) -> Self {
        Self {
            table,
            max_depth,
            work_left,
            interesting: 0,
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
        self.value_below(reader, place, &Begun::NONE)
    }

    /// Reads one value below keys.
    pub(crate) fn value_below(
        &mut self,
        reader: &mut Reader<'_>,
        place: MemberPlace,
        above: &Begun,
    ) -> Result<Span, JsonError> {
        let kind = reader.kind()?;
        self.value_under(reader, kind, place, above)
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
            let found =
                self.member(reader, &member, start, MemberPlace::Elsewhere, &Begun::NONE)?;
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

    /// Reads the answers of a client to several questions (MCP 2026-07-28 "Multi Round-Trip
    /// Requests"), each under the key of its question.
    ///
    /// # Errors
    ///
    /// The value is not strict JSON.
    pub fn answers(&mut self, reader: &mut Reader<'_>) -> Result<Span, JsonError> {
        if reader.kind()? != Kind::Object {
            return self.value(reader, MemberPlace::Elsewhere);
        }
        let start = reader.position();
        let mut last = None;
        reader.object(|reader, member| {
            self.comma_after(last, member.comma);
            let found = self
                .note(reader, &member, start, MemberPlace::Elsewhere, &Begun::NONE)?
                .0;
            let value = self.answer(reader)?;
            self.end(found, value);
            last = found;
            Ok(())
        })
    }

    /// Reads the value of a member whose key was already read.
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
        above: &Begun,
    ) -> Result<Option<usize>, JsonError> {
        let (found, begun) = self.note(reader, member, object, place, above)?;
        let inside = match place {
            MemberPlace::Argument => MemberPlace::Nested,
            other => other,
        };
        let kind = reader.kind()?;
        let namespaced = ["_meta", "experimental", "extensions"];
        let is_metadata = kind == Kind::Object && namespaced.contains(&&*member.key.value);
        let value = match place {
            MemberPlace::Elsewhere if is_metadata => self.metadata(reader)?,
            _ => self.value_under(reader, kind, inside, &begun)?,
        };
        self.end(found, value);
        Ok(found)
    }

    /// Reads an object with keys that may be namespaced.
    fn metadata(&mut self, reader: &mut Reader<'_>) -> Result<Span, JsonError> {
        let (start, mut last) = (reader.position(), None);
        reader.object(|reader, member| {
            self.comma_after(last, member.comma);
            last = self.metadata_member(reader, &member, start)?;
            Ok(())
        })
    }

    /// Reads the value of a member of `_meta`. A namespaced key (MCP "`_meta`"), such as `openai/organization`,
    /// belongs to the client: the member is no argument, whatever it says.
    ///
    /// # Errors
    ///
    /// The value is not strict JSON.
    pub fn metadata_member(
        &mut self,
        reader: &mut Reader<'_>,
        member: &Member<'_>,
        object: usize,
    ) -> Result<Option<usize>, JsonError> {
        if !is_namespaced(&member.key.value) {
            return self.member(reader, member, object, MemberPlace::Elsewhere, &Begun::NONE);
        }
        let kind = reader.kind()?;
        let (value, at) = (reader.position(), self.found.members.len());
        let strings = self.found.in_strings.len();
        let was_tangled = std::mem::take(&mut self.found.is_tangled);
        let found = self.member(reader, member, object, MemberPlace::OfClient, &Begun::NONE)?;
        let is_tangled = std::mem::replace(&mut self.found.is_tangled, was_tangled);
        let strings = self.found.in_strings.split_off(strings);
        if strings.is_empty() && !is_tangled {
            return Ok(found);
        }
        // A part of a string cannot be removed, so the rules for its names apply to the whole member.
        if found.is_none() {
            let mut element = Element::of_member(member);
            element.span.end = reader.position();
            let whole = IdentityMember {
                names: Vec::new(),
                place: MemberPlace::OfClient,
                kind,
                value: value..reader.position(),
                object,
                element,
            };
            self.found.members.insert(at, whole);
        }
        if let Some(whole) = self.found.members.get_mut(at) {
            match is_tangled {
                true => whole.names.clear(),
                false => whole.names.extend(strings.into_iter().map(Spoken::whole)),
            }
        }
        Ok(Some(at))
    }

    /// Notes a member if its key has a name. Returns the beginnings that the keys below may complete.
    fn note(
        &mut self,
        reader: &mut Reader<'_>,
        member: &Member<'_>,
        object: usize,
        place: MemberPlace,
        above: &Begun,
    ) -> Result<(Option<usize>, Begun), JsonError> {
        let said = self.table.find_member(above, &member.key.value);
        if said.spoken.is_empty() {
            return Ok((None, said.begun));
        }
        let kind = reader.kind()?;
        self.found.members.push(IdentityMember {
            names: said.spoken.into_vec(),
            place,
            kind,
            value: 0..0,
            object,
            element: Element::of_member(member),
        });
        let found = self.found.members.len().saturating_sub(1);
        Ok((Some(found), said.begun))
    }

    /// Notes the position of the value of a found member.
    fn end(&mut self, found: Option<usize>, value: Span) {
        if let Some(found) = found.and_then(|index| self.found.members.get_mut(index)) {
            found.element.span.end = value.end;
            found.value = value;
        }
    }

    /// Notes the position of the comma after a found member, at the next member.
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
        above: &Begun,
    ) -> Result<Span, JsonError> {
        let is_container = matches!(kind, Kind::Object | Kind::Array);
        if is_container && above.is_empty() && reader.position() >= self.interesting {
            match reader.skip_plain(&NoNames(self.table)) {
                PlainValue::Read(span) => return Ok(span),
                PlainValue::Interesting(position) => self.interesting = position,
            }
        }
        match kind {
            Kind::Object => Ok(self.object(reader, place, above)?.0),
            Kind::Array => reader.array(|reader| {
                let kind = reader.kind()?;
                self.value_under(reader, kind, place, above).map(drop)
            }),
            Kind::String => {
                let span = reader.skip_kind(kind)?;
                self.string(reader, span.clone(), above)?;
                Ok(span)
            }
            Kind::Bool | Kind::Null | Kind::Number => reader.skip_kind(kind),
        }
    }

    /// Reads an object whose members are all of one place, and counts them.
    ///
    /// # Errors
    ///
    /// The value is not strict JSON.
    pub fn object(
        &mut self,
        reader: &mut Reader<'_>,
        place: MemberPlace,
        above: &Begun,
    ) -> Result<(Span, usize), JsonError> {
        reader.kind()?;
        let start = reader.position();
        let (mut last, mut members) = (None, 0_usize);
        let span = reader.object(|reader, member| {
            self.comma_after(last, member.comma);
            last = self.member(reader, &member, start, place, above)?;
            members = members.saturating_add(1);
            Ok::<(), JsonError>(())
        })?;
        Ok((span, members))
    }

    /// Reads a text that may be JSON.
    pub fn text(&mut self, text: &str) {
        self.text_below(text, &Begun::NONE);
    }

    fn text_below(&mut self, text: &str, above: &Begun) {
        let mut embedded = Embedded {
            table: self.table,
            max_depth: self.max_depth,
            left: self.work_left,
            names: Vec::new(),
        };
        self.found.is_tangled |= embedded.text(text, above).is_err();
        self.work_left = embedded.left;
        self.found.in_strings.append(&mut embedded.names);
    }

    /// Reads a string that may be JSON, as models often write.
    fn string(&mut self, reader: &Reader<'_>, span: Span, above: &Begun) -> Result<(), JsonError> {
        let inside = reader.bytes(span.start.saturating_add(1)..span.end.saturating_sub(1));
        if is_candidate(inside) {
            let text = reader.resolve(span)?;
            self.text_below(&text.value, above);
        }
        Ok(())
    }
}

/// Finds keys that may have names, and strings that may be JSON.
struct NoNames<'t>(&'t NameTable);

impl Interest for NoNames<'_> {
    #[inline]
    fn in_key(&self, key: &[u8]) -> bool {
        !self.0.has_no_name(key)
    }

    #[inline]
    fn in_string(&self, written: &[u8]) -> bool {
        is_candidate(written)
    }
}

/// Whether a key of `_meta` has a prefix.
fn is_namespaced(key: &str) -> bool {
    key.find(['/', '.', ':']).is_some_and(|at| at > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(input: &str) -> IdentityMembers {
        let mut table = NameTable::default();
        table.add("user_id");
        table.add("organization_id");
        let mut finder = MemberFinder::new(&table, 32, input.len());
        finder
            .value(
                &mut Reader::new(input.as_bytes(), 32),
                MemberPlace::Argument,
            )
            .unwrap();
        finder.found
    }

    /// The members found, each up to its value.
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
    fn b28_finds_names_in_json_inside_a_string() {
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
        let nested = find(r#"{"organization":"{\"id\":1}"}"#);
        assert_eq!(nested.in_strings.len(), 1, "under a key");
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

    /// The members of `params`, by place, with how many of their names are known.
    fn places(params: &str) -> Vec<(MemberPlace, usize)> {
        let mut table = NameTable::default();
        table.add("user_id");
        table.add("organization");
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{params}}}"#);
        let message = crate::message::Message::read(body.as_bytes(), &table, 32).unwrap();
        let found = message.identity_members;
        assert!(found.in_strings.is_empty() && !found.is_tangled, "{params}");
        let members = found.members.into_iter();
        members
            .map(|found| (found.place, found.names.len()))
            .collect()
    }

    #[test]
    fn r3_namespaced_metadata_is_of_the_client() {
        use MemberPlace::{Elsewhere, Nested, OfClient};
        for (params, expected) in [
            (
                r#"{"_meta":{"openai/organization":"o"}}"#,
                vec![(OfClient, 1)],
            ),
            (r#"{"_meta":{"com.acme:user_id":"o"}}"#, vec![(OfClient, 1)]),
            (
                r#"{"_meta":{"com.acme.organization":1}}"#,
                vec![(OfClient, 1)],
            ),
            (
                r#"{"_meta":{"a/b":{"user_id":1,"c":[{"organization":2}]}}}"#,
                vec![(OfClient, 1), (OfClient, 1)],
            ),
            (
                r#"{"_meta":{"a/b":"{\"user_id\":1}"}}"#,
                vec![(OfClient, 1)],
            ),
            (
                r#"{"_meta":{"a/organization":"{\"user_id\":1}"}}"#,
                vec![(OfClient, 2)],
            ),
            (
                r#"{"_meta":{"a/b":{"user_id":"{\"organization\":1}"}}}"#,
                vec![(OfClient, 1), (OfClient, 1)],
            ),
            (
                r#"{"_meta":{"organization":"o","/user_id":1}}"#,
                vec![(Elsewhere, 1), (Elsewhere, 1)],
            ),
            (
                r#"{"capabilities":{"experimental":{"a/user_id":{}}}}"#,
                vec![(OfClient, 1)],
            ),
            (
                r#"{"clientInfo":{"name":"x","organization":"y"}}"#,
                vec![(Elsewhere, 1)],
            ),
            (
                r#"{"arguments":{"_meta":{"a/user_id":1}}}"#,
                vec![(Nested, 1)],
            ),
            (
                r#"{"inputResponses":{"q":{"action":"accept","_meta":{"a/user_id":1}}}}"#,
                vec![(OfClient, 1)],
            ),
        ] {
            assert_eq!(places(params), expected, "{params}");
        }
    }
}
