//! Decisions of a server outside: which requests are asked about, where, and what is sent.

mod document;
mod template;

use std::rc::Rc;
use std::time::Duration;

pub(super) use self::document::DecideDocument;
use self::document::{DecidedResourceDocument, HttpPointDocument, PointDocument};
pub use self::template::{QuestionTemplate, Unfilled};
use super::checked_text::{ClusterName, EndpointPath, VariableName};
use super::condition::{Condition, ConditionError, ConditionRefusal};
use super::error::{Errors, PolicyError};
use super::upstream::StaticCredential;
use super::value::Period;
use super::{Operation, Policy};
use base::http::Endpoint;
use base::json::tree::Node;
use oauth::Identity;

/// The time that a decision point has to answer, if the policy has none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest time that a decision point has to answer.
const MAX_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time for which an answer is used again.
const MAX_CACHE: Duration = Duration::from_secs(300);
/// The maximum number of arguments that are sent.
const MAX_ARGUMENTS: usize = 16;

/// A question to a decision point, as the policy writes it.
#[derive(Debug)]
pub struct Decide {
    /// The rule, as a path in the policy.
    pub rule: String,
    /// The server that is asked.
    pub point: Rc<DecisionPoint>,
    /// The arguments that are sent.
    pub arguments: Vec<ArgumentPath>,
    /// The resource of the question. `None`: the tool, prompt or resource itself.
    pub resource: Option<DecidedResource>,
    /// How long an answer is used for the same question. Zero: once.
    pub cache: Duration,
    /// Refuses other spellings of these arguments.
    spelling: Option<Condition>,
}

/// A server that decides.
#[derive(Debug)]
pub struct DecisionPoint {
    /// The place for one question.
    pub endpoint: Endpoint,
    /// The place for many questions at once, for lists.
    pub evaluations: Option<Endpoint>,
    /// The time that it has to answer.
    pub timeout: Duration,
    /// The filter's credential.
    pub credential: Option<StaticCredential>,
    /// Its language.
    pub protocol: DecisionProtocol,
}

/// The language of a decision point.
#[derive(Debug)]
pub enum DecisionProtocol {
    /// AuthZEN Authorization API 1.0.
    Authzen,
    /// The data API of Open Policy Agent.
    Opa,
    /// Another language. `allow` is the way to the decision in the answer, and `is` its value if the call is
    /// allowed.
    Http {
        /// The body of the question.
        body: QuestionTemplate,
        /// The keys and indexes that lead to the decision.
        allow: Vec<String>,
        /// The value that allows.
        is: serde_json::Value,
    },
}

/// The path of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentPath(Vec<String>);

/// The resource of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedResource {
    /// Its type.
    pub kind: String,
    /// Its id.
    pub id: ResourceId,
}

/// The id of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceId {
    /// A fixed text.
    Fixed(String),
    /// The value of an argument.
    Argument(ArgumentPath),
}

impl DecisionPoint {
    /// The name of the language and the cluster, for the log.
    pub fn name(&self) -> String {
        let protocol = match self.protocol {
            DecisionProtocol::Authzen => "authzen",
            DecisionProtocol::Opa => "opa",
            DecisionProtocol::Http { .. } => "http",
        };
        format!("{protocol}:{}", self.endpoint.cluster)
    }
}

impl ArgumentPath {
    /// The names, the outermost first.
    pub fn steps(&self) -> &[String] {
        &self.0
    }

    /// The path as in the policy.
    pub fn written(&self) -> String {
        self.0.join(".")
    }

    /// The value in the arguments of a call.
    pub fn find<'n>(&self, arguments: &'n Node) -> Option<&'n Node> {
        let mut steps = self.0.iter();
        steps.try_fold(arguments, |node, step| node.member(step))
    }

    fn parse(written: &str) -> Option<Self> {
        let steps: Vec<String> = written.split('.').map(str::to_owned).collect();
        let is_sound = |step: &String| !step.is_empty() && step.trim() == step;
        steps.iter().all(is_sound).then_some(Self(steps))
    }
}

impl Decide {
    /// Whether arguments are sent or name the resource.
    pub fn reads_arguments(&self) -> bool {
        self.spelling.is_some()
    }

    /// Refuses arguments that a server could read instead of those that are sent: `AMOUNT` for `amount`.
    ///
    /// # Errors
    ///
    /// There are such arguments, or they are too many to be read.
    pub fn check_spelling(&self, arguments: &[u8]) -> Result<(), ConditionRefusal> {
        let Some(spelling) = &self.spelling else {
            return Ok(());
        };
        // Only the reading of the arguments counts. The expression has no result of its own.
        match spelling.check(arguments, Identity::anonymous(), "") {
            Err(
                refusal @ (ConditionRefusal::Misspelled(_)
                | ConditionRefusal::Condition(ConditionError::Budget)),
            ) => Err(refusal),
            Ok(()) | Err(ConditionRefusal::Condition(_)) => Ok(()),
        }
    }
}

impl Policy {
    /// The question about a target. `operations` are those that match it, the most specific first.
    pub fn decide_for<'p>(&'p self, operations: &[&'p Operation]) -> Option<&'p Rc<Decide>> {
        let mut own = operations.iter();
        own.find_map(|operation| operation.decide.as_ref())
            .or(self.decide.as_ref())
    }

    /// All questions of the policy.
    pub fn decides(&self) -> impl Iterator<Item = &Rc<Decide>> {
        let operations = self.tools.iter().chain(&self.prompts);
        let own = operations.filter_map(|operation| operation.decide.as_ref());
        self.decide.iter().chain(own)
    }
}

/// Checks a `decide` section. `general` is the section at the top of the policy. A section without a decision point or
/// `cache` takes those of `general`.
pub(super) fn compile_decide(
    path: &str,
    document: &DecideDocument,
    general: Option<&Rc<Decide>>,
    errors: &mut Errors,
) -> Option<Rc<Decide>> {
    let point = compile_point(path, document, general, errors);
    let arguments = compile_arguments(path, &document.arguments, errors);
    let resource = document.resource.as_ref();
    let resource = resource.map(|resource| compile_resource(path, resource, errors));
    let of_resource = match &resource {
        Some(Some(DecidedResource {
            id: ResourceId::Argument(argument),
            ..
        })) => Some(argument),
        _ => None,
    };
    let spelling = compile_spelling(arguments.iter().chain(of_resource));
    let spelling = spelling.unwrap_or_else(|error| {
        errors.push(PolicyError::new(format!("{path}.arguments"), error));
        None
    });
    let cache = match (document.cache, general) {
        (Some(Period(cache)), _) if cache > MAX_CACHE => {
            let message = format!("expected at most {} s", MAX_CACHE.as_secs());
            errors.push(PolicyError::new(format!("{path}.cache"), message));
            cache
        }
        (Some(Period(cache)), _) => cache,
        (None, Some(general)) => general.cache,
        (None, None) => Duration::ZERO,
    };
    Some(Rc::new(Decide {
        rule: path.to_owned(),
        point: point?,
        arguments,
        resource: match resource {
            Some(resource) => Some(resource?),
            None => None,
        },
        cache,
        spelling,
    }))
}

/// The condition that reads the same arguments: the same spellings of them are refused.
fn compile_spelling<'a>(
    arguments: impl Iterator<Item = &'a ArgumentPath>,
) -> Result<Option<Condition>, String> {
    let read = arguments.map(|ArgumentPath(steps)| {
        let steps = steps.iter();
        let steps = steps.map(|step| format!("[{}]", serde_json::Value::from(step.as_str())));
        format!("args{}", steps.collect::<String>())
    });
    let read: Vec<String> = read.collect();
    match read.is_empty() {
        true => Ok(None),
        false => Condition::compile(&format!("[{}]", read.join(", "))).map(Some),
    }
}

fn compile_arguments(path: &str, written: &[String], errors: &mut Errors) -> Vec<ArgumentPath> {
    if written.len() > MAX_ARGUMENTS {
        let message = format!(
            "found {} arguments, expected at most {MAX_ARGUMENTS}",
            written.len()
        );
        errors.push(PolicyError::new(format!("{path}.arguments"), message));
    }
    let mut arguments: Vec<ArgumentPath> = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let mut refuse = |message: String| {
            errors.push(PolicyError::new(
                format!("{path}.arguments[{index}]"),
                message,
            ));
        };
        match ArgumentPath::parse(text) {
            None => refuse(format!(
                "found `{text}`, expected the name of an argument, or names with dots between them"
            )),
            Some(argument) => {
                let overlaps = |other: &ArgumentPath| {
                    other.0.starts_with(&argument.0) || argument.0.starts_with(&other.0)
                };
                match arguments.iter().find(|other| overlaps(other)) {
                    Some(other) => refuse(format!("`{text}` and `{}` overlap", other.written())),
                    None => arguments.push(argument),
                }
            }
        }
    }
    arguments
}

fn compile_resource(
    path: &str,
    document: &DecidedResourceDocument,
    errors: &mut Errors,
) -> Option<DecidedResource> {
    let mut refuse = |key: &str, message: &str| {
        errors.push(PolicyError::new(format!("{path}.resource.{key}"), message));
    };
    if document.kind.trim().is_empty() {
        refuse("type", "found none, expected the type of the resource");
    }
    let id = match document.id.strip_prefix("args.") {
        Some(argument) => ArgumentPath::parse(argument).map(ResourceId::Argument),
        None => Some(document.id.clone())
            .filter(|id| !id.is_empty())
            .map(ResourceId::Fixed),
    };
    if id.is_none() {
        refuse(
            "id",
            "expected an id, or an argument such as `args.ticket_id`",
        );
    }
    Some(DecidedResource {
        kind: document.kind.clone(),
        id: id?,
    })
}

fn compile_point(
    path: &str,
    document: &DecideDocument,
    general: Option<&Rc<Decide>>,
    errors: &mut Errors,
) -> Option<Rc<DecisionPoint>> {
    let mut refuse = |message: &str| errors.push(PolicyError::new(path, message));
    match (&document.authzen, &document.opa, &document.http) {
        (Some(point), None, None) => {
            let path = format!("{path}.authzen");
            compile_spoken(&path, point, DecisionProtocol::Authzen, errors)
        }
        (None, Some(point), None) => {
            let path = format!("{path}.opa");
            if point.evaluations.is_some() {
                let message =
                    "goes with `authzen`: Open Policy Agent answers one question at a time";
                errors.push(PolicyError::new(format!("{path}.evaluations"), message));
            }
            compile_spoken(&path, point, DecisionProtocol::Opa, errors)
        }
        (None, None, Some(point)) => compile_http(&format!("{path}.http"), point, errors),
        (None, None, None) => {
            if general.is_none() {
                refuse(
                    "found none of `authzen`, `opa` and `http`, expected the server that decides",
                );
            }
            general.map(|general| Rc::clone(&general.point))
        }
        _ => {
            refuse("found more than one of `authzen`, `opa` and `http`, expected one");
            None
        }
    }
}

fn compile_spoken(
    path: &str,
    document: &PointDocument,
    protocol: DecisionProtocol,
    errors: &mut Errors,
) -> Option<Rc<DecisionPoint>> {
    let place = (&document.cluster, &document.authority);
    Some(Rc::new(DecisionPoint {
        endpoint: endpoint(place, &document.path),
        evaluations: document
            .evaluations
            .as_ref()
            .map(|path| endpoint(place, path)),
        timeout: timeout(path, document.timeout, errors)?,
        credential: credential(path, &document.credential_env, &document.scheme, errors),
        protocol,
    }))
}

fn compile_http(
    path: &str,
    document: &HttpPointDocument,
    errors: &mut Errors,
) -> Option<Rc<DecisionPoint>> {
    let body = QuestionTemplate::compile(&document.body);
    let body = body.map_err(|error| errors.push(PolicyError::new(format!("{path}.body"), error)));
    let allow: Option<Vec<String>> = document.allow.strip_prefix('/').map(|steps| {
        let steps = steps.split('/');
        steps
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect()
    });
    if allow.is_none() {
        let message = format!(
            "found `{}`, expected a JSON pointer such as `/result/allow` (RFC 6901)",
            document.allow
        );
        errors.push(PolicyError::new(format!("{path}.allow"), message));
    }
    let is = &document.is;
    if !(is.is_boolean() || is.is_string()) {
        let message = "expected `true`, `false` or a text";
        errors.push(PolicyError::new(format!("{path}.is"), message));
    }
    Some(Rc::new(DecisionPoint {
        endpoint: endpoint((&document.cluster, &document.authority), &document.path),
        evaluations: None,
        timeout: timeout(path, document.timeout, errors)?,
        credential: credential(path, &document.credential_env, &document.scheme, errors),
        protocol: DecisionProtocol::Http {
            body: body.ok()?,
            allow: allow?,
            is: is.clone(),
        },
    }))
}

fn endpoint(
    (cluster, authority): (&ClusterName, &Option<String>),
    path: &EndpointPath,
) -> Endpoint {
    let authority = authority.as_deref().unwrap_or(cluster);
    Endpoint {
        authority: authority.to_owned(),
        cluster: cluster.into(),
        path: path.into(),
    }
}

fn timeout(path: &str, written: Option<Period>, errors: &mut Errors) -> Option<Duration> {
    let timeout = written.map_or(DEFAULT_TIMEOUT, |Period(timeout)| timeout);
    let is_sound = timeout >= Duration::from_millis(10) && timeout <= MAX_TIMEOUT;
    if !is_sound {
        let message = format!("expected 10ms to {}s", MAX_TIMEOUT.as_secs());
        errors.push(PolicyError::new(format!("{path}.timeout"), message));
    }
    is_sound.then_some(timeout)
}

fn credential(
    path: &str,
    env: &Option<VariableName>,
    scheme: &Option<String>,
    errors: &mut Errors,
) -> Option<StaticCredential> {
    if env.is_none() && scheme.is_some() {
        let message = "goes with `credential_env`";
        errors.push(PolicyError::new(format!("{path}.scheme"), message));
    }
    let env = String::from(env.as_ref()?);
    StaticCredential::checked(path, env, scheme.as_deref(), errors)
}
