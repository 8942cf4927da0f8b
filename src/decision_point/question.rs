//! Questions to decision points, as AuthZEN writes them (Authorization API 1.0 section 5).

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::{CallerDigest, QuestionKey};
use crate::authorize::Target;
use crate::limits::MAX_DEPTH;
use base::json::tree::{Node, Value as NodeValue};
use oauth::Identity;
use policy::{ArgumentPath, Decide, DecidedResource, DecisionPoint, DecisionProtocol, ResourceId};

/// The caller of a question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecisionSubject<'a> {
    /// The identity that the caller acts with.
    pub(crate) identity: &'a Identity,
    /// The view that the caller acts with. Empty: none.
    pub(crate) view: &'a str,
    /// The client that the token was issued to.
    pub(crate) client: Option<&'a str>,
    /// The issuer of the token.
    pub(crate) issuer: Option<&'a str>,
}

/// The circumstances of a question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecisionContext<'a> {
    /// The MCP method of the use.
    pub(crate) method: &'a str,
    /// How the caller is identified.
    pub(crate) identified_by: &'static str,
    /// The protocol version.
    pub(crate) version: Option<&'a str>,
    /// The linked account that the call uses.
    pub(crate) connection: Option<&'a str>,
    /// The time since the sign-in.
    pub(crate) token_age: Option<Duration>,
    /// Whether it is about an item of a list.
    pub(crate) is_listing: bool,
}

/// A question. It is AuthZEN's JSON.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DecisionQuestion {
    caller: CallerDigest,
    subject: String,
    /// Its members `action` and `resource`.
    about: String,
    /// The members of its `context` that are the same while a token is used.
    context: String,
    token_age: Option<u64>,
}

/// Why a call cannot be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoQuestion {
    /// The question is too large.
    TooLarge,
    /// An argument is missing, or has no single value.
    Argument(String),
}

impl DecisionSubject<'_> {
    fn digest(&self) -> CallerDigest {
        let issuer = self.issuer.unwrap_or_default();
        let user = self.identity.user.as_deref().unwrap_or_default();
        let mut hash = hmac_sha256::Hash::new();
        hash.update((issuer.len() as u64).to_be_bytes());
        hash.update(issuer.as_bytes());
        hash.update(user.as_bytes());
        hash.finalize()
    }
}

impl DecisionQuestion {
    /// The question about a target. `arguments`: those of the call, as the server will read them.
    pub(crate) fn new(
        subject: DecisionSubject<'_>,
        asking: DecisionContext<'_>,
        target: Target<'_>,
        decide: &Decide,
        arguments: Option<(&Node, &[u8])>,
    ) -> Result<Self, NoQuestion> {
        let (kind, name) = match target {
            Target::Server => ("server", ""),
            Target::Tool(name) => ("tool", name),
            Target::Prompt(name) => ("prompt", name),
            Target::Resource(uri) => ("resource", uri),
            Target::ResourceTemplate(template) => ("resource_template", template),
        };
        let resource = match (&decide.resource, arguments) {
            (Some(resource), Some((arguments, _))) => named_resource(resource, arguments)?,
            _ => json!({"type": kind, "id": name}),
        };
        let action = json!({"name": asking.method, "properties": {kind: name}});
        let mut context = format!("\"identified_by\":\"{}\"", asking.identified_by);
        let mut add = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = write!(context, ",\"{name}\":{}", Value::from(value));
            }
        };
        add("protocol_version", asking.version);
        add("connection", asking.connection);
        if asking.is_listing {
            context.push_str(",\"listing\":true");
        }
        if let Some((node, text)) = arguments {
            let chosen = chosen(&decide.arguments, node, text);
            let _ = write!(context, ",\"arguments\":{chosen}");
        }
        Ok(Self {
            caller: subject.digest(),
            subject: subject.to_json(),
            about: format!("\"action\":{action},\"resource\":{resource}"),
            context,
            token_age: asking.token_age.map(|age| age.as_secs()),
        })
    }

    /// The caller, for its share of the calls.
    pub(super) fn caller(&self) -> CallerDigest {
        self.caller
    }

    fn context(&self) -> String {
        match self.token_age {
            Some(age) => format!("{{{},\"token_age\":{age}}}", self.context),
            None => format!("{{{}}}", self.context),
        }
    }

    /// The question in AuthZEN's JSON.
    pub(crate) fn text(&self) -> String {
        let (subject, about, context) = (&self.subject, &self.about, self.context());
        format!("{{\"subject\":{subject},{about},\"context\":{context}}}")
    }

    /// The body of the call that asks it, in the language of the decision point.
    pub(super) fn body(&self, protocol: &DecisionProtocol) -> Result<Vec<u8>, NoQuestion> {
        let text = self.text();
        match protocol {
            DecisionProtocol::Authzen => Ok(text.into_bytes()),
            DecisionProtocol::Opa => Ok(format!("{{\"input\":{text}}}").into_bytes()),
            DecisionProtocol::Http { body, .. } => {
                // The arguments are some levels deeper than in the call.
                let question = Node::read(text.as_bytes(), MAX_DEPTH.saturating_add(8));
                let question = question.map_err(|_| NoQuestion::TooLarge)?;
                let filled = body.fill(&question, text.as_bytes());
                filled.map_err(|unfilled| NoQuestion::Argument(unfilled.0))
            }
        }
    }

    /// The key of the question at a decision point. The age of the token does not count.
    pub(crate) fn key(&self, point: &DecisionPoint) -> QuestionKey {
        let mut hash = hmac_sha256::Hash::new();
        let endpoint = &point.endpoint;
        for part in [
            &point_name(point),
            &endpoint.path,
            &self.subject,
            &self.about,
            &self.context,
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        // Two templates may have one place.
        if let DecisionProtocol::Http { .. } = &point.protocol {
            hash.update((std::ptr::from_ref(point) as usize).to_be_bytes());
        }
        hash.finalize()
    }
}

fn point_name(point: &DecisionPoint) -> String {
    point.name()
}

/// Several questions of one caller (AuthZEN Authorization API 1.0 section 7).
pub(crate) fn batch(questions: &[DecisionQuestion]) -> Vec<u8> {
    let mut body = String::from("{");
    if let Some(first) = questions.first() {
        let (subject, context) = (&first.subject, first.context());
        let _ = write!(body, "\"subject\":{subject},\"context\":{context},");
    }
    body.push_str("\"evaluations\":[");
    for (index, question) in questions.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(body, "{comma}{{{}}}", question.about);
    }
    body.push_str("],\"options\":{\"evaluations_semantic\":\"execute_all\"}}");
    body.into_bytes()
}

impl DecisionSubject<'_> {
    fn to_json(self) -> String {
        let identity = self.identity;
        let Some(user) = &identity.user else {
            return json!({"type": "anonymous", "id": "anonymous"}).to_string();
        };
        let mut properties = json!({"roles": identity.roles, "scopes": identity.scopes});
        let mut set = |name: &str, value: Value| {
            if let Some(properties) = properties.as_object_mut() {
                properties.insert(name.to_owned(), value);
            }
        };
        if let Some(organization) = &identity.organization {
            set("organization", organization.as_str().into());
        }
        if let Some(client) = self.client {
            set("client", client.into());
        }
        if let Some(issuer) = self.issuer {
            set("issuer", issuer.into());
        }
        if !identity.actors.is_empty() {
            set("actors", identity.actors.clone().into());
        }
        if !self.view.is_empty() {
            set("acting_as", self.view.into());
        }
        json!({"type": "user", "id": user, "properties": properties}).to_string()
    }
}

/// The resource that the arguments of a call name.
fn named_resource(resource: &DecidedResource, arguments: &Node) -> Result<Value, NoQuestion> {
    let id = match &resource.id {
        ResourceId::Fixed(id) => id.clone(),
        ResourceId::Argument(path) => {
            let id = path.find(arguments).and_then(single);
            id.ok_or_else(|| NoQuestion::Argument(path.written()))?
        }
    };
    Ok(json!({"type": resource.kind, "id": id}))
}

/// A text that is not empty, or an integer.
fn single(node: &Node) -> Option<String> {
    let is_integer = |number: &String| {
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    match &node.value {
        NodeValue::Text(text) => Some(text.into()).filter(|text: &String| !text.is_empty()),
        NodeValue::Number(number) => Some(number.into()).filter(is_integer),
        _ => None,
    }
}

/// The arguments that the policy chooses, each as the client wrote it. Missing ones are left out.
fn chosen(paths: &[ArgumentPath], arguments: &Node, text: &[u8]) -> String {
    let found = paths.iter().filter_map(|path| {
        let node = path.find(arguments)?;
        let value = str::from_utf8(text.get(node.span.clone())?).ok()?;
        Some((path.steps(), value))
    });
    let mut found: Vec<(&[String], &str)> = found.collect();
    found.sort_unstable();
    nested(&found)
}

/// The JSON object of these values. They are sorted by their paths, and no path starts with another one.
fn nested(values: &[(&[String], &str)]) -> String {
    let mut object = String::from("{");
    let mut rest = values;
    while let Some((name, _)) = rest.first().and_then(|(path, _)| path.split_first()) {
        let below: Vec<_> = rest
            .iter()
            .map_while(|(path, value)| match path.split_first() {
                Some((first, inner)) if first == name => Some((inner, *value)),
                _ => None,
            })
            .collect();
        let comma = if object.len() > 1 { "," } else { "" };
        let value = match below.as_slice() {
            [([], value)] => (*value).to_owned(),
            _ => nested(&below),
        };
        let _ = write!(object, "{comma}{}:{value}", Value::from(name.as_str()));
        rest = rest.get(below.len()..).unwrap_or_default();
    }
    object.push('}');
    object
}
