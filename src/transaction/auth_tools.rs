//! The filter's own tools, which the server never hears of: who is calling, and what they have
//! connected.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::call::Ask as Asked;
use super::caller::{AuthMethod, Known};
use super::waiting::Requirement;
use super::{Now, RequestState, Step, Transaction};
use crate::accounts::ending::{Ended, Ending, Next};
use crate::accounts::vault::{Connected, Place};
use crate::accounts::{logout, place};
use crate::authorize::{Caller, Denial, Target, authorize, known_roles, may_see, operations};
use crate::challenge;
use crate::cors;
use crate::decision::Evidence;
use crate::own_tools::set;
use crate::refusal::Refusal;
use base::effect::{Ask, Told};
use base::store::{Key, Operation, Stored};
use mcp::message::Message;
use mcp::method::{Era, Method};
use policy::OwnTool;
use policy::{Connection, Conversation, Mode, Policy};

const NO_CONNECTION: &str = "There is no such connection; auth.connections lists them.";

/// A call of one of the filter's own tools, and what it waits for.
#[derive(Debug)]
pub(super) enum OwnCall {
    /// The first of these is looked up, the others after it; what is known already.
    Connections(VecDeque<Listed>, Vec<Value>),
    /// This is being ended.
    Disconnect(Box<Ending>),
}

/// A connection to be listed.
#[derive(Debug)]
pub(super) struct Listed {
    name: String,
    title: String,
    tools: Vec<String>,
    place: Place,
    /// What was found, and where to look whether its user signed out since.
    found: Option<(Connected, VecDeque<Key>)>,
}

/// Whether a caller finds the filter's own tools in a list.
pub(crate) fn lists_own_tools(policy: &Policy, caller: &Known) -> bool {
    policy.auth_tools && !matches!(caller.way(), AuthMethod::Anonymous)
}

impl Transaction {
    /// The filter's own tool that is called, if one is. In observe mode nothing is answered here.
    pub(super) fn own_tool(&self, message: &Message<'_>, ask: &Asked) -> Option<OwnTool> {
        let is_here = self.policy.auth_tools && self.policy.mode == Mode::Enforce;
        let is_call = is_here && ask.method == Some(Method::CallTool);
        let name = message.params.name.as_deref().filter(|_| is_call)?;
        OwnTool::named(name)
    }

    /// Answers a call of one of the filter's own tools.
    pub(super) fn call_own(
        &mut self,
        tool: OwnTool,
        message: &Message<'_>,
        ask: &Asked,
        body: &[u8],
        now: Now,
    ) -> Step {
        let begun = match self.may_call_own(ask, now) {
            Ok(()) => self.begin_own(tool, message, body, now),
            Err(refusal) => Err(refusal),
        };
        begun.unwrap_or_else(|refusal| self.refuse(&refusal, Some(Target::Tool(tool.name()))))
    }

    /// Everybody may who signed in with what every request needs.
    fn may_call_own(&self, ask: &Asked, now: Now) -> Result<(), Refusal> {
        let caller = self.caller.as_ref().ok_or(Refusal::NoToken)?;
        let known = self.caller.as_ref();
        if !known.is_some_and(|known| lists_own_tools(&self.policy, known)) {
            let scopes = self.policy.scopes.clone();
            return Err(Refusal::Denied(Denial::SignIn { scopes }));
        }
        authorize(&self.policy, caller.caller(now), Target::Server, None)
            .map_err(Refusal::Denied)?;
        match ask.asks_task && self.asked.era == Era::Legacy {
            // None of them can be a task (MCP 2025-11-25 "Tool-Level Negotiation").
            true => Err(Refusal::UnknownMethod),
            false => Ok(()),
        }
    }

    fn begin_own(
        &mut self,
        tool: OwnTool,
        message: &Message<'_>,
        body: &[u8],
        now: Now,
    ) -> Result<Step, Refusal> {
        let given = message.params.arguments.as_ref();
        let given = given.and_then(|(span, _)| body.get(span.clone()));
        let named = match arguments(tool, given.unwrap_or(b"{}")) {
            Ok(named) => named,
            Err(expected) => return Ok(self.answer_own(failed(expected))),
        };
        match tool {
            OwnTool::WhoAmI => {
                let caller = self.whoami(now);
                Ok(self.answer_own(complete(&caller)))
            }
            OwnTool::Connections => {
                let listed = self.listed(now);
                Ok(self.list_next(listed, Vec::new()))
            }
            OwnTool::Disconnect => {
                let Some(connection) = self.policy.connection(&named) else {
                    return Ok(self.answer_own(failed(NO_CONNECTION)));
                };
                match self.place_of(connection) {
                    Some(place) => Ok(self.disconnect(Box::new(Ending::new(place)))),
                    None if self.needs(&named, now) => Err(Refusal::NoConversation),
                    None => Ok(self.answer_own(failed(NO_CONNECTION))),
                }
            }
        }
    }

    /// What was asked for is known.
    pub(super) fn own_told(&mut self, call: OwnCall, told: Told, now: Now) -> Step {
        match call {
            OwnCall::Connections(mut left, mut known) => {
                let found = match told {
                    Told::Store(Ok(Stored::Value(found))) => found,
                    Told::Store(Err(error)) => return self.refuse(&Refusal::Store(error), None),
                    _ => None,
                };
                if let Some(listed) = left.pop_front() {
                    match self.looked_at(listed, found, now) {
                        Ok(listed) => left.push_front(listed),
                        Err(shown) => known.extend(shown),
                    }
                }
                self.list_next(left, known)
            }
            OwnCall::Disconnect(ending) => {
                let connection = ending.connection().to_owned();
                match self.end(*ending, told, now) {
                    Ok(Next::Ask(ending)) => self.disconnect(ending),
                    Ok(Next::Over(None)) if !self.needs(&connection, now) => {
                        self.answer_own(failed(NO_CONNECTION))
                    }
                    Ok(Next::Over(ended)) => self.disconnected(connection, ended),
                    Err(refusal) => self.refuse(&refusal, None),
                }
            }
        }
    }

    fn list_next(&mut self, left: VecDeque<Listed>, known: Vec<Value>) -> Step {
        match left.front() {
            Some(listed) => {
                let mark = listed.found.as_ref().and_then(|(_, marks)| marks.front());
                let ask = Ask::Store(match mark {
                    Some(mark) => Operation::Get(mark.clone()),
                    None => listed.place.get(),
                });
                self.wait(OwnCall::Connections(left, known), ask)
            }
            None => self.answer_own(complete(&json!({"connections": known}))),
        }
    }

    /// A connection of a list about which this was found: where to look next, or what is shown of it.
    fn looked_at(
        &self,
        listed: Listed,
        found: Option<String>,
        now: Now,
    ) -> Result<Listed, Option<Value>> {
        let sealer = self.secrets.sealer.as_deref();
        let (connected, marks) = match listed.found {
            None => {
                let opened = found.zip(sealer).and_then(|(found, sealer)| {
                    let place = &listed.place;
                    place.open(sealer, &found, now.seconds())
                });
                (opened, self.marks_of(&listed.place))
            }
            Some((connected, mut marks)) => {
                marks.pop_front();
                let ended = logout::ends(found.as_deref(), connected.connected);
                ((!ended).then_some(connected), marks)
            }
        };
        let listed = Listed {
            found: None,
            ..listed
        };
        match connected {
            Some(connected) if !marks.is_empty() => Ok(Listed {
                found: Some((connected, marks)),
                ..listed
            }),
            connected => Err(listed.shown(connected.as_ref())),
        }
    }

    fn disconnect(&mut self, ending: Box<Ending>) -> Step {
        let ask = ending.ask();
        self.wait(OwnCall::Disconnect(ending), ask)
    }

    fn disconnected(&mut self, connection: String, ended: Option<Ended>) -> Step {
        let mut said = json!({"connection": connection, "disconnected": ended.is_some()});
        if let Some(ended) = ended {
            set(&mut said, "revoked", json!(ended.revocation.name()));
            let key = self.secrets.audit_key.as_deref();
            let account = ended.account.as_deref();
            self.record.account =
                account.and_then(|account| crate::audit::person(&self.policy, account, key));
        }
        self.record.connection = Some(connection);
        self.answer_own(complete(&said))
    }

    fn wait(&mut self, call: OwnCall, ask: Ask) -> Step {
        self.own_call = Some(call);
        self.request = RequestState::Asks;
        Step::Ask(ask)
    }

    /// The result of one of the filter's own tools.
    fn answer_own(&mut self, mut result: Value) -> Step {
        self.request = RequestState::Over;
        let own = Evidence::new("auth_tools", "a tool of the filter's own");
        self.approve("auth_tool", vec![own]);
        if self.asked.era == Era::Modern {
            set(&mut result, "resultType", json!("complete"));
        }
        let id = self.asked.id.as_deref().unwrap_or(b"null");
        let mut reply = challenge::result(id, &result);
        let for_page = cors::reply_headers(&self.policy, self.origin());
        reply.headers.extend(for_page);
        Step::Reply(reply)
    }

    fn whoami(&self, now: Now) -> Value {
        let Some(known) = &self.caller else {
            return json!({});
        };
        let own = known.own();
        let mut said = json!({
            "roles": self.record.roles,
            "scopes": own.scopes,
            "identified_by": self.record.identified_by,
        });
        let mut say = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                set(&mut said, name, value);
            }
        };
        say("user", own.user.as_deref().map(Value::from));
        say("organization", own.organization.as_deref().map(Value::from));
        say("token_age_s", known.caller(now).token_age.map(Value::from));
        let acting_as = (!known.view().is_empty()).then(|| {
            let mut acting_as = json!({
                "view": known.view(),
                "roles": self.record.acting_as_roles,
            });
            let other = known.identity();
            for (name, value) in [("user", &other.user), ("organization", &other.organization)] {
                if let Some(value) = value {
                    set(&mut acting_as, name, json!(value));
                }
            }
            acting_as
        });
        say("acting_as", acting_as);
        said
    }

    /// The connections that the caller's tools need.
    fn listed(&self, now: Now) -> VecDeque<Listed> {
        let Some(known) = &self.caller else {
            return VecDeque::new();
        };
        let listed = |connection: &Connection| {
            let tools = tools_of(&self.policy, known.caller(now), connection);
            Some(Listed {
                name: connection.name.clone(),
                title: connection.title.clone(),
                place: self.place_of(connection)?,
                found: None,
                tools,
            })
        };
        self.policy.connections.iter().filter_map(listed).collect()
    }

    /// Whether one of the caller's tools needs a connection. What only others' tools need is not even
    /// named.
    fn needs(&self, connection: &str, now: Now) -> bool {
        let connection = self.policy.connection(connection);
        let both = self.caller.as_ref().zip(connection);
        both.is_some_and(|(known, connection)| {
            !tools_of(&self.policy, known.caller(now), connection).is_empty()
        })
    }

    fn place_of(&self, connection: &Connection) -> Option<Place> {
        let token = self.caller.as_ref().and_then(Known::token)?;
        let session = self.handles.session.as_deref();
        place(&self.policy, token, session, connection)
    }

    /// With the session end the connections that were made in it.
    pub(super) fn endings(&self) -> VecDeque<Requirement> {
        let ends = self.policy.mode == Mode::Enforce
            && self.handles.session.is_some()
            && matches!(self.policy.conversation, Conversation::Session);
        let connections = self.policy.connections.iter().filter(|_| ends);
        let places = connections.filter_map(|connection| self.place_of(connection));
        places
            .map(|place| Requirement::Ending(Box::new(Ending::new(place))))
            .collect()
    }

    /// Goes on with the end of a connection of a session. The session ends in any case.
    pub(super) fn ending_told(
        &mut self,
        ending: Ending,
        told: Told,
        now: Now,
    ) -> Option<Box<Ending>> {
        let connection = ending.connection().to_owned();
        let summary = match self.end(ending, told, now) {
            Ok(Next::Ask(ending)) => return Some(ending),
            Ok(Next::Over(None)) => return None,
            Ok(Next::Over(Some(ended))) => {
                format!(
                    "`{connection}` ended, revocation {}",
                    ended.revocation.name()
                )
            }
            Err(refusal) => format!("`{connection}` did not end: {}", refusal.summary()),
        };
        let evidence = &mut self.record.decision.evidence;
        evidence.push(Evidence::new("connections", summary));
        None
    }

    fn end(&self, ending: Ending, told: Told, now: Now) -> Result<Next, Refusal> {
        let means = self.secrets.means(&self.policy, now);
        let means = means.ok_or(Refusal::NoSealKey)?;
        ending.told(means, told).map_err(Refusal::Store)
    }
}

impl Listed {
    /// As the result shows it. What none of the caller's tools needs is shown if it is there.
    fn shown(self, connected: Option<&Connected>) -> Option<Value> {
        if connected.is_none() && self.tools.is_empty() {
            return None;
        }
        let mut shown = json!({
            "name": self.name,
            "title": self.title,
            "connected": connected.is_some(),
            "tools": self.tools,
        });
        if let Some(connected) = connected {
            set(&mut shown, "since", json!(date(connected.connected)));
            set(&mut shown, "until", json!(date(connected.ends)));
            if let Some(account) = &connected.account {
                set(&mut shown, "account", json!(account));
            }
        }
        Some(shown)
    }
}

/// The tools, or patterns, that the caller may call with a connection, as the policy writes them.
fn tools_of(policy: &Policy, caller: Caller<'_>, connection: &Connection) -> Vec<String> {
    let roles = known_roles(policy, caller.identity);
    let granted = roles.iter().flat_map(|(_, role)| &role.tools);
    let granted = granted.map(|grant| grant.pattern.written());
    let ruled = policy.tools.iter().map(|tool| tool.pattern.written());
    let needs_it = |tool: &str| {
        let operations = operations(policy, caller.identity, Target::Tool(tool));
        let needed = policy.connection_for(&operations);
        needed.is_some_and(|(needed, _)| needed.name == connection.name)
    };
    let mut tools: Vec<String> = granted
        .chain(ruled)
        .filter(|tool| needs_it(tool) && may_see(policy, caller, Target::Tool(tool)))
        .map(str::to_owned)
        .collect();
    tools.sort_unstable();
    tools.dedup();
    tools
}

/// The arguments of a tool: the connection, where it takes one.
fn arguments(tool: OwnTool, given: &[u8]) -> Result<String, &'static str> {
    let given: Value = serde_json::from_slice(given).unwrap_or_default();
    let given = given.as_object().ok_or("Expected an object.")?;
    let connection = given.get("connection").and_then(Value::as_str);
    match (tool, connection, given.len()) {
        (OwnTool::Disconnect, Some(connection), 1) => Ok(connection.to_owned()),
        (OwnTool::Disconnect, ..) => Err("Expected one argument, `connection`: a text."),
        (_, _, 0) => Ok(String::new()),
        _ => Err("Expected no arguments."),
    }
}

fn complete(said: &Value) -> Value {
    let content = json!([{"type": "text", "text": said.to_string()}]);
    json!({"content": content, "structuredContent": said})
}

/// A result that the model can learn from.
fn failed(message: &str) -> Value {
    json!({"content": [{"type": "text", "text": message}], "isError": true})
}

fn date(seconds: u64) -> String {
    let mut date = String::new();
    if let Some(then) = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        // Only a time that no calendar has cannot be written.
        let _ = write!(date, "{}", humantime::format_rfc3339_seconds(then));
    }
    date
}
