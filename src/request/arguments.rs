//! Identity arguments: replaced by the values of the token, or removed.

use std::collections::HashMap;

use serde_json::Value;

use crate::refusal::ArgumentError;
use base::json::edits::Edits;
use base::json::{Kind, Reader, Span};
use mcp::argument_names::{NameId, Spoken, fold};
use mcp::identity_members::{IdentityMember, MemberPlace};
use mcp::message::Message;
use oauth::Identity;
use policy::{ArgumentRule, IdentityField, NamedOwner, NotOwned, Operation, Policy};

/// The changes of the identity arguments of a message.
#[derive(Debug, Default)]
pub(crate) struct Rewrite {
    /// The edits of the body.
    pub edits: Edits,
    /// Values that were changed or removed, for the headers that mirror them.
    pub changes: Vec<Change>,
    /// Names of arguments that were set, spelled as in the policy.
    pub set: Vec<String>,
    /// Names of arguments that were removed.
    pub removed: Vec<String>,
}

/// A value that was changed or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Its position in the client's body.
    pub span: Span,
    /// The new value. `None`: removed.
    pub value: Option<String>,
}

/// Applies the policy's argument rules to a message. `spellings` are those of the server for arguments that are
/// added.
///
/// # Errors
///
/// An argument is not accepted, or cannot be replaced.
pub(crate) fn rewrite(
    policy: &Policy,
    identity: &Identity,
    message: &Message<'_>,
    operations: &[&Operation],
    spellings: &[String],
    body: &[u8],
) -> Result<Rewrite, ArgumentError> {
    let mut rewriter = Rewriter {
        policy,
        identity,
        operations,
        spellings,
        body,
        rewrite: Rewrite::default(),
        removed_in: HashMap::new(),
    };
    if message.identity_members.is_tangled {
        return Err(ArgumentError::Tangled);
    }
    for &name in &message.identity_members.in_strings {
        if *policy.argument_rule(name, operations) != ArgumentRule::Keep {
            return Err(ArgumentError::InString(policy.names.name(name).to_owned()));
        }
    }
    let mut covered = 0;
    for found in &message.identity_members.members {
        // Members of a replaced value are replaced with it.
        if found.element.span.start >= covered && rewriter.member(found)? {
            covered = found.value.end;
        }
    }
    rewriter.add_missing(message)?;
    Ok(rewriter.rewrite)
}

struct Rewriter<'a> {
    policy: &'a Policy,
    identity: &'a Identity,
    operations: &'a [&'a Operation],
    spellings: &'a [String],
    body: &'a [u8],
    rewrite: Rewrite,
    /// The number of members that were removed from an object, by the position of the object.
    removed_in: HashMap<usize, usize>,
}

impl Rewriter<'_> {
    /// Applies the rule for one member. True: its value does not reach the server.
    fn member(&mut self, found: &IdentityMember) -> Result<bool, ArgumentError> {
        // A rule `keep` for one name of the key does not apply to its other names.
        let ruled = found.names.iter().find_map(|spoken| {
            let rule = self.policy.argument_rule(spoken.name, self.operations);
            (*rule != ArgumentRule::Keep).then_some((*spoken, rule))
        });
        let Some((Spoken { name, is_part }, rule)) = ruled else {
            let is_unread = found.place == MemberPlace::OfClient && found.names.is_empty();
            if is_unread {
                self.remove(found, "_meta".to_owned());
            }
            return Ok(is_unread);
        };
        let name = self.policy.names.name(name).to_owned();
        match rule {
            ArgumentRule::Keep => return Ok(false),
            // It is no argument, so there is nothing to refuse.
            rule if found.place == MemberPlace::OfClient && !self.can_set(found, rule, is_part) => {
                self.remove(found, name);
            }
            ArgumentRule::Owner(owner) => {
                let owned = match is_part {
                    true => Err(NotOwned::Nobody),
                    false => self.owned(found, owner),
                };
                return owned
                    .map(|()| false)
                    .map_err(|error| ArgumentError::NotOwned(name, error));
            }
            ArgumentRule::Reject => return Err(ArgumentError::Rejected(name)),
            ArgumentRule::Remove => self.remove(found, name),
            // The caller is anonymous, so the value is not trusted.
            ArgumentRule::Set(_) if self.identity.is_anonymous() => self.remove(found, name),
            // `user_id.$ne` would match all other users.
            ArgumentRule::Set(_) if is_part => return Err(ArgumentError::Structure(name)),
            ArgumentRule::Set(field) => self.set(found, *field, name)?,
        }
        Ok(true)
    }

    fn remove(&mut self, found: &IdentityMember, name: String) {
        let removed = self.removed_in.entry(found.object).or_default();
        let span = found.element.cut(*removed);
        *removed = removed.saturating_add(1);
        self.rewrite.edits.remove(span);
        self.rewrite.changes.push(Change {
            span: found.value.clone(),
            value: None,
        });
        note(&mut self.rewrite.removed, name);
    }

    fn set(
        &mut self,
        found: &IdentityMember,
        field: IdentityField,
        name: String,
    ) -> Result<(), ArgumentError> {
        let value = self.value(field, &name)?;
        let text = match found.kind {
            Kind::Object => return Err(ArgumentError::Structure(name)),
            Kind::Array => format!("[{}]", quoted(value)),
            Kind::Number if is_integer(value) => value.to_owned(),
            _ => quoted(value),
        };
        if self.says(found, value, &text) {
            return Ok(());
        }
        self.rewrite.changes.push(Change {
            span: found.value.clone(),
            value: Some(value.to_owned()),
        });
        self.rewrite.edits.replace(found.value.clone(), text);
        note(&mut self.rewrite.set, name);
        Ok(())
    }

    /// Whether the rule is `set`, and one value of the caller can replace the value.
    fn can_set(&self, found: &IdentityMember, rule: &ArgumentRule, is_part: bool) -> bool {
        let ArgumentRule::Set(field) = rule else {
            return false;
        };
        found.kind != Kind::Object && !is_part && field.of(self.identity).is_some()
    }

    /// Checks that a text, or each text of a list, names the caller.
    fn owned(&self, found: &IdentityMember, owner: &NamedOwner) -> Result<(), NotOwned> {
        let written = self.body.get(found.value.clone()).unwrap_or_default();
        let value: Value = serde_json::from_slice(written).map_err(|_| NotOwned::Nobody)?;
        let texts = match &value {
            // Servers may read an empty list as "all".
            Value::Array(texts) if texts.is_empty() => return Err(NotOwned::Nobody),
            Value::Array(texts) => texts.as_slice(),
            one => std::slice::from_ref(one),
        };
        texts.iter().try_for_each(|text| {
            let text = text.as_str().ok_or(NotOwned::Nobody)?;
            owner.check(text, self.identity)?;
            match self.policy.foreign_parameter(text, self.identity) {
                Some(_) => Err(NotOwned::Another),
                None => Ok(()),
            }
        })
    }

    /// Whether the client's value is the trusted one. Then no byte changes.
    fn says(&self, found: &IdentityMember, value: &str, text: &str) -> bool {
        let written = self.body.get(found.value.clone()).unwrap_or_default();
        written == text.as_bytes()
            || (found.kind == Kind::String
                && Reader::new(written, 1)
                    .string()
                    .is_ok_and(|said| said.value == value))
    }

    /// The client's spelling of an argument, which the server spells in the `known` ways.
    fn spelled(
        &self,
        message: &Message<'_>,
        id: NameId,
        (spelling, known): (&str, &[&str]),
    ) -> Spelled {
        let members = message.identity_members.members.iter();
        let mut first = None;
        let is_said = |found: &&IdentityMember| found.names.iter().any(|spoken| spoken.name == id);
        for found in members
            .filter(is_said)
            .filter(|found| found.place == MemberPlace::Argument)
        {
            let start = found.element.span.start;
            let member = self.body.get(start..found.value.start).unwrap_or_default();
            let Ok(key) = Reader::new(member, 1).string() else {
                continue;
            };
            if key.value == spelling {
                return Spelled::Rightly;
            }
            if !known.contains(&&*key.value) {
                first = first.or(Some(start..start.saturating_add(key.span.end)));
            }
        }
        first.map_or(Spelled::Nowhere, Spelled::Otherwise)
    }

    /// Adds arguments that the operation's own rules set and the client left out.
    fn add_missing(&mut self, message: &Message<'_>) -> Result<(), ArgumentError> {
        let takes_arguments = matches!(&*message.method, "tools/call" | "prompts/get");
        if !takes_arguments || self.identity.is_anonymous() {
            return Ok(());
        }
        let mut handled: Vec<NameId> = Vec::new();
        let mut members = Vec::new();
        for (id, spelling, rule) in self
            .operations
            .iter()
            .flat_map(|operation| &operation.arguments)
        {
            if handled.contains(id) {
                continue;
            }
            handled.push(*id);
            let ArgumentRule::Set(field) = rule else {
                continue;
            };
            let value = quoted(self.value(*field, spelling)?);
            let known = self.spellings.iter().map(String::as_str);
            let known = known.filter(|known| self.policy.names.find(&fold(known)) == Some(*id));
            let mut known: Vec<&str> = known.collect();
            if known.is_empty() {
                known.push(spelling);
            }
            let mut is_renamed = false;
            for spelling in &known {
                match self.spelled(message, *id, (spelling, &known)) {
                    Spelled::Rightly => continue,
                    // The server may not know the client's spelling.
                    Spelled::Otherwise(key) if !is_renamed => {
                        is_renamed = true;
                        self.rewrite.edits.replace(key, quoted(spelling));
                    }
                    Spelled::Otherwise(_) | Spelled::Nowhere => {
                        members.push(format!("{}:{value}", quoted(spelling)));
                    }
                }
                note(&mut self.rewrite.set, (*spelling).to_owned());
            }
        }
        if members.is_empty() {
            return Ok(());
        }
        let members = members.join(",");
        let params = &message.params;
        match (&params.arguments, &params.null_arguments, &params.span) {
            (Some((span, count)), ..) => {
                let removed = self.removed_in.get(&span.start).copied().unwrap_or(0);
                let comma = if *count > removed { "," } else { "" };
                let at = span.start.saturating_add(1);
                self.rewrite.edits.insert(at, format!("{members}{comma}"));
            }
            (None, Some(null), _) => {
                let arguments = format!("{{{members}}}");
                self.rewrite.edits.replace(null.clone(), arguments);
            }
            (None, None, Some(params)) => {
                let at = params.start.saturating_add(1);
                self.rewrite
                    .edits
                    .insert(at, format!("\"arguments\":{{{members}}},"));
            }
            (None, None, None) => {}
        }
        Ok(())
    }

    fn value(&self, field: IdentityField, name: &str) -> Result<&'_ str, ArgumentError> {
        field
            .of(self.identity)
            .ok_or_else(|| ArgumentError::NoValue(name.to_owned()))
    }
}

/// The spelling of an argument that an operation's own rule sets.
enum Spelled {
    /// As in the policy.
    Rightly,
    /// Another spelling. The position of the key.
    Otherwise(Span),
    /// The argument is missing.
    Nowhere,
}

fn note(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Whether a text is an integer as JSON writes it.
fn is_integer(text: &str) -> bool {
    text.parse::<i64>()
        .is_ok_and(|number| number.to_string() == text)
}
