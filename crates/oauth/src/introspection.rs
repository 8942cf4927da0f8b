//! Tokens that only their issuer can read: it is asked about each (RFC 7662), and its word is used
//! for a moment.

mod answer;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use url::form_urlencoded::Serializer;

use super::bearer::{BearerToken, TokenDigest};
use super::error::TokenError;
use base::http::{Endpoint, HttpRequest};
use base::secret::Secret;

pub use answer::AnswerError;
pub(super) use answer::{Answer, check_answer, read};

/// How many tokens a worker asks about at the same time: a client can make up as many as it likes,
/// and each would become a call.
const MAX_QUESTIONS: usize = 32;
/// A question this old was forgotten by whoever asked it: no call takes so long.
const FORGOTTEN: u64 = 30;
/// How many refused tokens a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
/// How long a refusal is remembered.
const REFUSED: u64 = 5;
/// After a failed call a token is asked about again after this time.
const RETRY_PAUSE: u64 = 1;

/// How an issuer is asked about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// The host's name for the server: an Envoy cluster.
    pub cluster: String,
    /// The path, with its query.
    pub path: String,
    /// The `:authority` header.
    pub authority: String,
    /// The client id this filter has at the issuer.
    pub client_id: String,
    /// The environment variable that holds its secret.
    pub client_secret_env: String,
    /// How long an answer is used.
    pub cache: Duration,
}

/// What one worker asks an issuer, and which tokens it said no to.
#[derive(Debug)]
pub(super) struct Introspector {
    endpoint: Introspection,
    authorization: Secret,
    questions: HashMap<TokenDigest, Question>,
    refused: LruCache<TokenDigest, (TokenError, u64)>,
}

#[derive(Debug)]
struct Question {
    token: Secret,
    asked: u64,
    called: bool,
}

impl Introspector {
    pub(super) fn new(endpoint: Introspection, client_secret: &str) -> Self {
        Self {
            authorization: Secret::basic(&endpoint.client_id, client_secret),
            endpoint,
            questions: HashMap::new(),
            refused: LruCache::new(REMEMBERED),
        }
    }

    /// How long an answer is used, in seconds.
    pub(super) fn cache(&self) -> u64 {
        self.endpoint.cache.as_secs()
    }

    /// Notes that the issuer has to be asked about a token, unless it said no a moment ago.
    pub(super) fn ask(&mut self, token: &BearerToken<'_>, now: u64) -> Result<(), TokenError> {
        let digest = token.digest();
        match self.refused.peek(&digest) {
            Some((error, until)) if now <= *until => return Err(*error),
            _ => {}
        }
        if self.questions.contains_key(&digest) {
            return Ok(());
        }
        if self.questions.len() >= MAX_QUESTIONS {
            self.questions
                .retain(|_, question| now <= question.asked.saturating_add(FORGOTTEN));
        }
        if self.questions.len() >= MAX_QUESTIONS {
            return Err(TokenError::IntrospectionBusy);
        }
        let question = Question {
            token: Secret::new(token.secret().to_owned()),
            asked: now,
            called: false,
        };
        self.questions.insert(digest, question);
        Ok(())
    }

    /// The call that asks about a token (RFC 7662 section 2.1), once for everybody who waits.
    pub(super) fn start(&mut self, digest: &TokenDigest) -> Option<HttpRequest> {
        let question = self.questions.get_mut(digest)?;
        if std::mem::replace(&mut question.called, true) {
            return None;
        }
        let body = Serializer::new(String::new())
            .append_pair("token", question.token.reveal())
            .append_pair("token_type_hint", "access_token")
            .finish();
        let place = Endpoint {
            cluster: self.endpoint.cluster.clone(),
            path: self.endpoint.path.clone(),
            authority: self.endpoint.authority.clone(),
        };
        Some(place.post(body, Some(&self.authorization)))
    }

    /// Notes that a question was answered, and whether the token is to be refused.
    pub(super) fn finish(&mut self, digest: TokenDigest, refused: Option<TokenError>, now: u64) {
        self.questions.remove(&digest);
        let Some(error) = refused else {
            return;
        };
        let pause = match error {
            TokenError::IntrospectionUnavailable => RETRY_PAUSE,
            _ => REFUSED,
        };
        self.refused.put(digest, (error, now.saturating_add(pause)));
    }
}

#[cfg(test)]
mod tests;
