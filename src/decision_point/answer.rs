//! Answers of decision points.

use std::time::Duration;

use super::DecisionFault;
use base::json::tree::{Node, Value};
use policy::{DecisionProtocol, FieldPath};

/// The maximum size of an answer to one question, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// The maximum size of an answer to several questions, in bytes.
const MAX_ANSWERS: usize = 512 * 1024;
/// The maximum number of values in an answer.
const MAX_VALUES: usize = 20_000;
/// The maximum nesting of an answer.
const MAX_DEPTH: usize = 32;
/// The maximum length of a reason for users, in characters.
const MAX_USER_REASON: usize = 1000;
/// The maximum length of a reason for operators, in characters.
const MAX_ADMIN_REASON: usize = 256;
/// The maximum number of fields to hide.
const MAX_FIELDS: usize = 32;

/// The answer of a decision point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutsideAnswer {
    /// Whether it allows the call.
    pub is_allowed: bool,
    /// Its reason for operators.
    pub reason_admin: Option<String>,
    /// Its reason for users.
    pub reason_user: Option<String>,
    /// The conditions under which it allows the call.
    pub obligations: Obligations,
}

/// The conditions under which a decision point allows a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Obligations {
    /// The user has to agree to the call.
    pub confirm: bool,
    /// Fields of the result that the caller does not see.
    pub redact: Vec<String>,
    /// The maximum time since the caller signed in.
    pub max_age: Option<Duration>,
}

/// Reads the answer to one question.
pub(super) fn read(
    protocol: &DecisionProtocol,
    body: &[u8],
) -> Result<OutsideAnswer, DecisionFault> {
    let answer = parse(body, MAX_ANSWER)?;
    match protocol {
        DecisionProtocol::Authzen => evaluation(&answer),
        DecisionProtocol::Opa => {
            let result = answer.member("result");
            let result = result.ok_or(DecisionFault::Unreadable(
                "has no `result`: the rule is undefined",
            ))?;
            rule(result)
        }
        DecisionProtocol::Http { allow, is, .. } => {
            let found = at(&answer, allow);
            let found = found.ok_or(DecisionFault::Unreadable(
                "has nothing at the place of `allow`",
            ))?;
            Ok(OutsideAnswer {
                is_allowed: equals(found, is)?,
                ..OutsideAnswer::default()
            })
        }
    }
}

/// Reads the answers to several questions.
pub(super) fn read_all(body: &[u8], questions: usize) -> Result<Vec<OutsideAnswer>, DecisionFault> {
    let answers = parse(body, MAX_ANSWERS)?;
    let evaluations = answers.member("evaluations").map(|node| &node.value);
    let Some(Value::Array(evaluations)) = evaluations else {
        return Err(DecisionFault::Unreadable("has no list `evaluations`"));
    };
    if evaluations.len() != questions {
        return Err(DecisionFault::Unreadable(
            "has another number of decisions than asked for",
        ));
    }
    let evaluations = evaluations.iter();
    evaluations.map(|child| evaluation(&child.node)).collect()
}

fn parse(body: &[u8], most: usize) -> Result<Node, DecisionFault> {
    if body.len() > most {
        return Err(DecisionFault::Unreadable("is too large"));
    }
    let answer = Node::read_within(body, MAX_DEPTH, &mut { MAX_VALUES });
    answer.map_err(|_| DecisionFault::Unreadable("is not strict JSON"))
}

/// An AuthZEN decision (Authorization API 1.0 section 5.5).
fn evaluation(answer: &Node) -> Result<OutsideAnswer, DecisionFault> {
    let decision = answer.member("decision").map(|node| &node.value);
    let Some(Value::Bool(is_allowed)) = decision else {
        return Err(DecisionFault::Unreadable(
            "has no `decision` that is true or false",
        ));
    };
    with_context(*is_allowed, answer.member("context"))
}

/// The value of a rule of Open Policy Agent: a decision, or an object with one.
fn rule(result: &Node) -> Result<OutsideAnswer, DecisionFault> {
    if let Value::Bool(is_allowed) = result.value {
        return with_context(is_allowed, None);
    }
    let decisions = ["allow", "decision"].map(|name| result.member(name).map(|node| &node.value));
    match decisions {
        [Some(Value::Bool(is_allowed)), None] | [None, Some(Value::Bool(is_allowed))] => {
            with_context(*is_allowed, result.member("context"))
        }
        _ => Err(DecisionFault::Unreadable(
            "has no `allow` that is true or false",
        )),
    }
}

fn with_context(is_allowed: bool, context: Option<&Node>) -> Result<OutsideAnswer, DecisionFault> {
    let Some(context) = context.filter(|context| !matches!(context.value, Value::Null)) else {
        return Ok(OutsideAnswer {
            is_allowed,
            ..OutsideAnswer::default()
        });
    };
    if !matches!(context.value, Value::Object(_)) {
        return Err(DecisionFault::Unreadable(
            "has a `context` that is no object",
        ));
    }
    let reason = |name: &str, most| context.member(name).and_then(|node| words(node, most));
    Ok(OutsideAnswer {
        is_allowed,
        reason_admin: reason("reason_admin", MAX_ADMIN_REASON),
        reason_user: reason("reason_user", MAX_USER_REASON),
        obligations: match context.member("obligations") {
            Some(node) if is_allowed => obligations(node)?,
            _ => Obligations::default(),
        },
    })
}

/// A reason: a text, or an object with one text for each language or code. English comes first.
fn words(node: &Node, most: usize) -> Option<String> {
    let text = match &node.value {
        Value::Text(text) => text,
        Value::Object(members) => {
            let english = |key: &str| key == "en" || key.starts_with("en-");
            let mut in_english = members.iter().filter(|member| english(&member.key));
            let member = in_english.next().or(members.first())?;
            member.node.text()?
        }
        _ => return None,
    };
    let printable = text.chars().map(|letter| match letter.is_control() {
        true => ' ',
        false => letter,
    });
    let cut: String = printable.take(most).collect();
    Some(cut.trim().to_owned()).filter(|cut| !cut.is_empty())
}

/// Obligations that are not understood cannot be met.
fn obligations(node: &Node) -> Result<Obligations, DecisionFault> {
    const UNKNOWN: DecisionFault =
        DecisionFault::Unreadable("has obligations that the filter does not know");
    let mut obligations = Obligations::default();
    if !matches!(node.value, Value::Object(_)) {
        return Err(UNKNOWN);
    }
    for member in node.members() {
        match (member.key.as_str(), &member.node.value) {
            ("confirm", Value::Bool(confirm)) => obligations.confirm = *confirm,
            ("redact", Value::Array(fields)) if fields.len() <= MAX_FIELDS => {
                for field in fields {
                    let field = field
                        .node
                        .text()
                        .filter(|field| FieldPath::parse(field).is_some());
                    obligations.redact.push(field.ok_or(UNKNOWN)?.to_owned());
                }
            }
            ("max_age", Value::Number(seconds)) => {
                let seconds = seconds.parse().map_err(|_| UNKNOWN)?;
                obligations.max_age = Some(Duration::from_secs(seconds));
            }
            _ => return Err(UNKNOWN),
        }
    }
    Ok(obligations)
}

/// The value at a JSON pointer.
fn at<'n>(answer: &'n Node, pointer: &[String]) -> Option<&'n Node> {
    let mut steps = pointer.iter();
    steps.try_fold(answer, |node, step| match &node.value {
        Value::Array(elements) => {
            let element = elements.get(step.parse::<usize>().ok()?);
            element.map(|element| &element.node)
        }
        _ => node.member(step),
    })
}

/// Whether the decision is the one that allows. It must have the same type.
fn equals(found: &Node, is: &serde_json::Value) -> Result<bool, DecisionFault> {
    match (&found.value, is) {
        (Value::Bool(found), serde_json::Value::Bool(is)) => Ok(found == is),
        (Value::Text(found), serde_json::Value::String(is)) => Ok(found == is),
        _ => Err(DecisionFault::Unreadable(
            "has a decision of another type than `is`",
        )),
    }
}
