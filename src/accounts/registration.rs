//! Registering at an authorization server that lets clients do so themselves (RFC 7591): once for all
//! replicas, and again when it does not know the client any more.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::connecting::callback;
use super::discovery::{self, Discovered, MAX_TEXT};
use super::flow::{Ended, PageContext, redirect_uri};
use super::refusal::PageRefusal;
use super::sealed::{Ends, random_text};
use super::sign_in;
use super::token_request::{self, Redeemed, TokenAnswerError, object};
use base::effect::{Ask, Told};
use base::http::Reply;
use base::http::{Endpoint, HttpResponse};
use base::seal::Purpose;
use base::store::{Key, Operation, Record, Stored};
use policy::{Connection, Policy};

/// How long a registration is used, in seconds.
const LASTS: u64 = 90 * 24 * 3600;

/// A registration at one authorization server, for one connection.
pub(super) struct Registration<'a> {
    pub(super) around: PageContext<'a>,
    pub(super) connection: &'a Connection,
    /// What is known of the authorization server.
    pub(super) discovered: &'a Discovered,
    /// Where clients register.
    pub(super) place: &'a Endpoint,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// What is kept is looked up.
    Look,
    /// Whether the authorization server still knows this client is tried. If not, it would tell the
    /// user, who can do nothing about it, and never send the browser back.
    Try(String),
    /// This filter registers. `replaces`: what is kept is of no use.
    Register { replaces: bool },
    /// The client id is being written.
    Keep { client_id: String, replaces: bool },
    /// Another replica was first: its client id is looked up, in place of this one.
    Again(String),
}

/// How it goes on.
pub(super) enum Next {
    Ask(Stage),
    /// With this client id.
    Known(String),
}

/// Why there is no client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RegistrationError {
    /// What came back is no registration of what was asked for.
    #[error("the answer to the registration cannot be used")]
    Format,
    /// The authorization server does not register this filter.
    #[error("it does not register this server as a client")]
    Refused,
    /// It registers only clients with a secret, which was not asked for.
    #[error("it registers only clients with a secret")]
    Secret,
    /// It did not answer.
    #[error("there was no answer to the registration")]
    Unavailable,
}

impl RegistrationError {
    /// Whether another try may help.
    pub fn is_unavailable(self) -> bool {
        self == Self::Unavailable
    }
}

/// As it is kept under the seal.
#[derive(Serialize, Deserialize)]
struct Registered {
    client_id: String,
    expires: u64,
}

/// What this filter is as a client (RFC 7591 section 2).
fn about(policy: &Policy, redirect_uris: &[String]) -> Value {
    let origin = policy.origin();
    let name = policy.metadata.resource_name.as_deref().unwrap_or(origin);
    json!({
        "client_name": name,
        "client_uri": origin,
        "redirect_uris": redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}

/// What this filter is as a client (OAuth Client ID Metadata Document).
pub(super) fn client_document(policy: &Policy) -> Ended {
    let connections = policy.connections.iter();
    let mut comes_back: Vec<String> = connections
        .map(|connection| redirect_uri(policy, &format!("callback/{}", connection.name)))
        .collect();
    comes_back.push(redirect_uri(policy, sign_in::PAGE));
    let mut document = about(policy, &comes_back);
    if let Some(document) = document.as_object_mut() {
        document.insert("client_id".to_owned(), policy.document_url().into());
    }
    Ended {
        reply: Reply {
            status: 200,
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("cache-control", "max-age=300".to_owned()),
            ],
            body: document.to_string().into_bytes(),
        },
        outcome: Ok("client_document"),
        user: None,
        connection: None,
        tool: None,
    }
}

impl Registration<'_> {
    /// What is asked for next.
    pub(super) fn ask(&self, stage: &Stage) -> Result<Ask, PageRefusal> {
        Ok(match stage {
            Stage::Look | Stage::Again(_) => Ask::Store(Operation::Get(self.key())),
            Stage::Try(client_id) => self.ask_whether_known(client_id)?,
            Stage::Register { .. } => {
                let mut about = about(self.around.policy, &[self.redirect_uri()]);
                if let Some(about) = about.as_object_mut()
                    && !self.connection.scopes.is_empty()
                {
                    about.insert("scope".to_owned(), json!(self.scope()));
                }
                Ask::Call(self.place.post_json(&about))
            }
            Stage::Keep {
                client_id,
                replaces,
            } => {
                let (client_id, expires) = (client_id.clone(), self.expires());
                let registered = Registered { client_id, expires };
                let key = self.key();
                let bound = [key.as_str().as_bytes()];
                let value = self.around.seals();
                let value = value.seal(Purpose::Client, &bound, &registered);
                let record = Record {
                    key,
                    value,
                    expires,
                };
                Ask::Store(match replaces {
                    true => Operation::Put(record),
                    false => Operation::Create(record),
                })
            }
        })
    }

    /// Goes on with what was asked for.
    pub(super) fn told(&self, stage: Stage, told: Told) -> Result<Next, PageRefusal> {
        Ok(match (stage, told) {
            (Stage::Look, Told::Store(Ok(Stored::Value(found)))) => {
                let replaces = found.is_some();
                Next::Ask(match found.and_then(|found| self.open(&found)) {
                    Some(client_id) => Stage::Try(client_id),
                    None => Stage::Register { replaces },
                })
            }
            (Stage::Try(client_id), Told::Call(answer)) => {
                match token_request::read_tokens(answer.as_ref(), self.around.now) {
                    Err(TokenAnswerError::UnknownClient) => {
                        Next::Ask(Stage::Register { replaces: true })
                    }
                    _ => Next::Known(client_id),
                }
            }
            (Stage::Register { replaces }, Told::Call(answer)) => {
                let client_id = read(answer.as_ref(), &self.redirect_uri());
                let client_id = client_id.map_err(PageRefusal::Registration)?;
                Next::Ask(Stage::Keep {
                    client_id,
                    replaces,
                })
            }
            (Stage::Keep { client_id, .. }, Told::Store(Ok(outcome))) => match outcome {
                Stored::Created(false) => Next::Ask(Stage::Again(client_id)),
                _ => Next::Known(client_id),
            },
            (Stage::Again(own), Told::Store(Ok(Stored::Value(found)))) => {
                let first = found.and_then(|found| self.open(&found));
                Next::Known(first.unwrap_or(own))
            }
            (_, Told::Store(Err(error))) => return Err(PageRefusal::Store(error)),
            _ => return Err(PageRefusal::Request),
        })
    }

    /// Redeems a code that is none: the client is looked at first (RFC 6749 section 5.2).
    fn ask_whether_known(&self, client_id: &str) -> Result<Ask, PageRefusal> {
        let discovered = self.discovered.clone().known_as(client_id.to_owned());
        let client = discovery::client(self.connection, Some(&discovered));
        let client = client.ok_or(PageRefusal::Request)?;
        let none = random_text(self.around.random)?;
        let redeemed = Redeemed {
            code: &none,
            verifier: &none,
            redirect_uri: &self.redirect_uri(),
            resource: self.connection.resource.as_deref(),
        };
        let call = token_request::redeem(&client, self.around.clients, redeemed);
        Ok(Ask::Call(call))
    }

    fn open(&self, found: &str) -> Option<String> {
        let (key, now) = (self.key(), self.around.now);
        let bound = [key.as_str().as_bytes()];
        let seals = self.around.seals();
        let registered: Registered = seals.open(Purpose::Client, &bound, found, now)?;
        Some(registered.client_id)
    }

    /// The name of what is kept: for everything that a registration says or depends on.
    fn key(&self) -> Key {
        let resource = &self.around.policy.resource;
        let Connection { issuer, name, .. } = self.connection;
        Key::of("client", &[resource, issuer, name, &self.scope()])
    }

    fn scope(&self) -> String {
        self.connection.scopes.join(" ")
    }

    fn redirect_uri(&self) -> String {
        callback(self.around, self.connection)
    }

    fn expires(&self) -> u64 {
        self.around.now.saturating_add(LASTS)
    }
}

/// The client id of an answer (RFC 7591 section 3.2.1).
fn read(answer: Option<&HttpResponse>, redirect_uri: &str) -> Result<String, RegistrationError> {
    let answer = answer.ok_or(RegistrationError::Unavailable)?;
    match answer.status {
        200 | 201 => {}
        400..=499 => return Err(RegistrationError::Refused),
        _ => return Err(RegistrationError::Unavailable),
    }
    let members = object(&answer.body).ok_or(RegistrationError::Format)?;
    let has_secret = match members.get("token_endpoint_auth_method") {
        Some(method) => method != "none",
        // What is not said is as it was asked for, unless it cannot be.
        None => members.contains_key("client_secret"),
    };
    if has_secret {
        return Err(RegistrationError::Secret);
    }
    if !comes_back_to(&members, redirect_uri) {
        return Err(RegistrationError::Format);
    }
    let client_id = members.get("client_id").and_then(Value::as_str);
    let client_id = client_id.filter(|id| {
        // RFC 6749 appendix A.1, less than empty or endless.
        let sound = id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        sound && !id.is_empty() && id.len() <= MAX_TEXT
    });
    let client_id = client_id.ok_or(RegistrationError::Format)?;
    Ok(client_id.to_owned())
}

/// Whether a redirect URI was registered, as far as the answer says.
fn comes_back_to(members: &Map<String, Value>, redirect_uri: &str) -> bool {
    match members.get("redirect_uris") {
        None => true,
        Some(Value::Array(uris)) => uris.iter().any(|uri| uri == redirect_uri),
        Some(_) => false,
    }
}

impl Ends for Registered {
    fn expires(&self) -> u64 {
        self.expires
    }
}

#[cfg(test)]
mod tests;
