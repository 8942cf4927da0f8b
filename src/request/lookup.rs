//! Look-ups: before a call passes, the filter asks the server for the records that it names, and checks
//! their owner. A look-up is a call of the filter to the server, with the caller's identity, session and
//! credential.

mod answer;
mod call;
mod expected;

use std::rc::Rc;
use std::time::Duration;

use self::call::LookupCall;
pub(crate) use self::expected::ExpectedValue;
use super::arrived::Authenticated;
use super::credentials;
use super::needs::CallerCredential;
use super::understand::Understood;
use crate::authorize::Target;
use crate::decision::Evidence;
use crate::limits::MAX_DEPTH;
use crate::lookups::LookupDigest;
use crate::refusal::{LookupFault, Refusal};
use base::http::HttpResponse;
use base::json::{JsonError, Kind, Reader, Span};
use mcp::message::MessageError;
use mcp::method::Era;
use oauth::Identity;
use policy::{Mode, Operation, RecordOwner, RecordValue};

/// Envoy ends a call whose answer has begun without a status. The call then took its time limit, up to this.
const TIMER_ERROR: Duration = Duration::from_millis(20);

/// The look-ups that a call needs.
pub(crate) struct PlannedLookups {
    era: Era,
    /// The client's description of itself (MCP 2026-07-28 `clientInfo`), as written.
    client_info: Option<String>,
    lookups: Vec<PlannedLookup>,
    /// The body that the server will read, if arguments may be added to it.
    body: Vec<u8>,
}

/// The outcome of look-ups: all records are the caller's.
#[derive(Default)]
pub(super) struct OwnedRecords {
    pub(super) evidence: Vec<Evidence>,
    /// Arguments that the call is to have.
    expected: Vec<ExpectedValue>,
}

/// The look-ups of one rule.
struct PlannedLookup {
    owner: Rc<RecordOwner>,
    /// The rule, as a path in the policy.
    rule: String,
    /// For each record, the values of the look-up.
    records: Vec<Vec<WrittenValue>>,
}

/// A value of a look-up.
pub(super) struct WrittenValue {
    /// As JSON. An argument of the call is written as the call writes it.
    json: String,
    /// Whether it is an argument of the call.
    is_argument: bool,
}

/// A look-up that is made.
struct AskedRecord<'p> {
    planned: &'p PlannedLookup,
    id: u32,
    digest: Option<LookupDigest>,
}

impl Authenticated {
    /// The look-ups that a call needs. `sent` is the body that the server will read. `None`: none.
    pub(super) fn lookups_of_call(
        &self,
        understood: &Understood<'_>,
        target: Target<'_>,
        operations: &[&Operation],
        sent: &[u8],
    ) -> Result<Option<Box<PlannedLookups>>, Refusal> {
        if operations.iter().all(|operation| operation.owner.is_none()) {
            return Ok(None);
        }
        let parts = MessageParts::of(sent, understood.era);
        let parts = parts.map_err(|error| Refusal::Message(MessageError::Json(error)))?;
        let arguments = parts.arguments.and_then(|span| sent.get(span));
        let section = match target {
            Target::Prompt(_) => "prompts",
            _ => "tools",
        };
        let mut lookups = Vec::new();
        for operation in operations {
            let Some(owner) = &operation.owner else {
                continue;
            };
            if self.is_exempt(owner) {
                continue;
            }
            let rule = format!("{section}.{}.owner", operation.pattern.written());
            let found = owner.lookup.records(arguments.unwrap_or(b"{}"));
            let found = found.map_err(|error| refused(error.into(), &rule))?;
            if found.len() > 1 && !owner.expect.is_empty() {
                let why = "it names several records, and `expect` is for one";
                return Err(refused(LookupFault::NotPossible(why), &rule));
            }
            let record = |values: Vec<RecordValue>| {
                let values = values.into_iter();
                values.map(WrittenValue::from).collect()
            };
            lookups.push(PlannedLookup {
                owner: Rc::clone(owner),
                rule,
                records: found.into_iter().map(record).collect(),
            });
        }
        let client_info = parts.client_info.and_then(|span| sent.get(span));
        Ok((!lookups.is_empty()).then(|| {
            Box::new(PlannedLookups {
                era: understood.era,
                client_info: client_info.map(|info| String::from_utf8_lossy(info).into_owned()),
                body: match lookups.iter().any(|lookup| !lookup.owner.expect.is_empty()) {
                    true => sent.to_vec(),
                    false => Vec::new(),
                },
                lookups,
            })
        }))
    }

    /// The body with the arguments that the look-ups expect. `None`: it stays.
    pub(super) fn with_expected(
        &self,
        planned: &PlannedLookups,
        records: &OwnedRecords,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let policy = self.request.policy();
        if records.expected.is_empty() || policy.mode == Mode::Observe {
            return Ok(None);
        }
        let mut expecting = planned.lookups.iter();
        let expecting = expecting.find(|lookup| !lookup.owner.expect.is_empty());
        let rule = expecting.map_or("", |lookup| &lookup.rule);
        let changed = expected::with_expected(&planned.body, &records.expected);
        let changed = changed.map_err(|fault| refused(fault, rule))?;
        match changed
            .as_ref()
            .is_some_and(|body| body.len() > policy.max_body)
        {
            true => Err(Refusal::TooLarge),
            false => Ok(changed),
        }
    }

    /// Whether the caller may use all records. Acting with another identity lifts no rule.
    fn is_exempt(&self, owner: &RecordOwner) -> bool {
        let is_exempt = |identity: &Identity| {
            let mut roles = owner.rule.unless_role.iter();
            roles.any(|role| identity.roles.contains(role))
        };
        is_exempt(self.caller.identity()) && self.caller.ceiling().is_none_or(is_exempt)
    }

    /// Asks the server for all records at once, and checks that they are the caller's.
    pub(super) async fn look_up(
        &self,
        planned: &PlannedLookups,
        credential: &CallerCredential,
    ) -> Result<OwnedRecords, Refusal> {
        let engine = &self.request.engine;
        let effects = &self.request.effects;
        let identity = self.caller.identity();
        let mut asked = Vec::new();
        let mut requests = Vec::new();
        let mut records = OwnedRecords::default();
        for lookup in &planned.lookups {
            let refused = |fault| refused(fault, &lookup.rule);
            if call::is_lookup(&self.request.headers) {
                return Err(refused(LookupFault::Nested));
            }
            // Without a value of its own the caller owns nothing.
            let owner = lookup.owner.rule.owner.as_ref();
            if owner.is_none_or(|owner| owner.is.of(identity).is_none_or(str::is_empty)) {
                return Err(refused(LookupFault::NotOwned));
            }
            self.find_lookup_spellings(&lookup.owner.lookup).await;
            let before = requests.len();
            for record in &lookup.records {
                let call = LookupCall {
                    authenticated: self,
                    planned,
                    owner: &lookup.owner,
                    credential,
                };
                let made = call.of_record(record, &lookup.rule).map_err(refused)?;
                let digest = made.digest.as_ref();
                if !digest.is_some_and(|digest| engine.lookups.is_known(digest, effects.now())) {
                    asked.push(AskedRecord {
                        planned: lookup,
                        id: made.id,
                        digest: made.digest,
                    });
                    requests.push(made.request);
                }
            }
            let how = match requests.len() > before {
                true => "asked",
                false => "known from",
            };
            let summary = format!("the caller's: {how} `{}`", lookup.owner.lookup.written());
            let evidence = Evidence::new(lookup.rule.clone(), summary);
            records.evidence.push(evidence);
        }
        if let Some(first) = asked.first() {
            let refused = |fault| refused(fault, &first.planned.rule);
            let room = engine.lookups.room(self.caller_digest(), requests.len());
            let room = room.ok_or_else(|| refused(LookupFault::Busy))?;
            let (number, began) = (requests.len(), effects.exact_now());
            let answers = effects.calls(requests).await;
            drop(room);
            let took = effects.exact_now().since(began);
            {
                let record = &mut self.request.journal().record;
                record.lookups = Some(number);
                record.lookup_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
            }
            let mut fault = None;
            // All answers are judged, so that the time does not tell which of them is the reason.
            for (asked, answer) in asked.iter().zip(answers) {
                let planned = asked.planned;
                self.note_refused_credential(answer.as_ref());
                match answer::judge(answer, asked.id, &planned.owner, identity) {
                    Ok(values) => {
                        self.note_owned(asked);
                        let names = planned.owner.expect.iter().map(|(name, _)| name.clone());
                        records.expected.extend(names.zip(values));
                    }
                    // Not of the record, but of the session: the client has to begin another one.
                    Err(LookupFault::Status(404)) if self.handles.session.is_some() => {
                        return Err(Refusal::UnknownSession);
                    }
                    Err(LookupFault::Unavailable)
                        if took.saturating_add(TIMER_ERROR) >= planned.owner.timeout =>
                    {
                        fault.get_or_insert((LookupFault::TimedOut, &planned.rule));
                    }
                    Err(found) => {
                        fault.get_or_insert((found, &planned.rule));
                    }
                }
            }
            if let Some((fault, rule)) = fault {
                return Err(self::refused(fault, rule));
            }
        }
        Ok(records)
    }

    /// Forgets an exchanged token that the server refuses. The next request exchanges again.
    fn note_refused_credential(&self, answer: Option<&HttpResponse>) {
        let exchanger = self.request.engine.secrets.exchanger.as_ref();
        let is_refused = answer.is_some_and(|answer| answer.status == 401);
        if let (Some(exchanger), true) = (exchanger, is_refused)
            && let Some(token) = credentials::bearer(&self.request.headers)
        {
            exchanger.forget(&token.digest());
        }
    }

    fn note_owned(&self, asked: &AskedRecord<'_>) {
        if let (Some(cache), Some(digest)) = (asked.planned.owner.cache, asked.digest) {
            let until = self.request.effects.now().saturating_add(cache);
            self.request.engine.lookups.note(digest, until);
        }
    }

    /// The digest of the caller: not of what it acts as.
    fn caller_digest(&self) -> LookupDigest {
        let own = self.caller.own();
        let issuer = self.caller.token().map_or("", |token| token.issuer_name());
        call::digest([issuer, own.user.as_deref().unwrap_or_default()])
    }
}

impl From<RecordValue> for WrittenValue {
    fn from(value: RecordValue) -> Self {
        match value {
            RecordValue::Constant(value) => Self {
                json: value.to_string(),
                is_argument: false,
            },
            RecordValue::Argument(json) => Self {
                json,
                is_argument: true,
            },
        }
    }
}

/// The positions of the parts of a call that its look-ups need.
#[derive(Default)]
struct MessageParts {
    arguments: Option<Span>,
    /// `clientInfo` of 2026-07-28.
    client_info: Option<Span>,
}

impl MessageParts {
    /// Finds them. Nothing else is read.
    fn of(message: &[u8], era: Era) -> Result<Self, JsonError> {
        const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
        let mut parts = Self::default();
        Reader::new(message, MAX_DEPTH).object(|reader, member| {
            if member.key.value != "params" || reader.kind()? != Kind::Object {
                return reader.skip().map(drop);
            }
            let params = reader.object(|reader, member| {
                match &*member.key.value {
                    "arguments" => parts.arguments = Some(reader.skip()?),
                    "_meta" if era == Era::Modern && reader.kind()? == Kind::Object => {
                        reader.object(|reader, member| {
                            let value = reader.skip()?;
                            if member.key.value == CLIENT_INFO {
                                parts.client_info = Some(value);
                            }
                            Ok::<(), JsonError>(())
                        })?;
                    }
                    _ => {
                        reader.skip()?;
                    }
                }
                Ok::<(), JsonError>(())
            });
            params.map(drop)
        })?;
        Ok(parts)
    }
}

fn refused(fault: LookupFault, rule: &str) -> Refusal {
    Refusal::Lookup(fault, rule.to_owned())
}
