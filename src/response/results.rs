//! What comes back, as the caller may have it: objects of others taken out, fields and values
//! hidden, wherever in the message they stand.

pub(super) mod detect;
pub(super) mod embedded;
pub(super) mod keys;
pub(super) mod mask;
mod message;
pub(super) mod new_keys;
mod owner;
mod pass;
pub(super) mod repeated;
#[cfg(test)]
mod tests;

use thiserror::Error;

use self::pass::Pass;
use super::inspect::ResultOf;
use crate::authorize::Target;
use crate::request::caller::Caller;
use base::json::JsonError;
use oauth::Identity;
use policy::{Policy, ResultRule};

/// Why a message is not passed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResultError {
    /// It is somebody else's, or says not whose it is.
    #[error(transparent)]
    NotOwned(#[from] NotOwned),
    /// It is not strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// A result is somebody else's, or says not whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the result is not the caller's")]
pub struct NotOwned;

/// A message as the caller may have it.
#[derive(Debug, Default)]
pub struct Judged {
    /// The message, if anything of it changed.
    pub body: Option<Vec<u8>>,
    /// How many objects were taken out.
    pub dropped: usize,
    /// Fields that were hidden, as the policy writes them.
    pub redacted: Vec<String>,
}

/// The rules for the results of a target, for this caller. Without a target, as on a stream of its
/// own, all of them. Acting as somebody else spares nobody a rule: those for `ceiling`, the caller
/// with its own roles, count too.
pub fn rules<'p>(
    policy: &'p Policy,
    identity: &Identity,
    ceiling: Option<&Identity>,
    target: Option<Target<'_>>,
) -> Vec<&'p ResultRule> {
    let counts = |rule: &&ResultRule| {
        let mut identities = [Some(identity), ceiling].into_iter().flatten();
        identities.any(|identity| counts_for(rule, identity, target))
    };
    policy.results.iter().filter(counts).collect()
}

/// The rules for what a caller receives of an answer.
pub(crate) fn rules_for<'p>(
    policy: &'p Policy,
    caller: Option<&Caller>,
    result_of: &ResultOf,
) -> Vec<&'p ResultRule> {
    let (identity, ceiling) = match caller {
        Some(known) => (known.identity(), known.ceiling()),
        None => (Identity::anonymous(), None),
    };
    rules(policy, identity, ceiling, result_of.target())
}

fn counts_for(rule: &ResultRule, identity: &Identity, target: Option<Target<'_>>) -> bool {
    let has = |role: &String| identity.roles.contains(role);
    if rule.unless_role.iter().any(has) {
        return false;
    }
    let (patterns, name) = match target {
        None => return true,
        Some(Target::Server) => return false,
        Some(Target::Tool(name)) => (&rule.tools, name),
        Some(Target::Prompt(name)) => (&rule.prompts, name),
        Some(Target::Resource(uri) | Target::ResourceTemplate(uri)) => (&rule.resources, uri),
    };
    let mut patterns = patterns.iter();
    patterns.any(|pattern| pattern.matches(name, identity))
}

/// Applies rules to a message of the server. `key` is the key of hashes.
///
/// # Errors
///
/// The message may not be passed at all.
pub fn judge(
    rules: &[&ResultRule],
    identity: &Identity,
    key: Option<&str>,
    body: &[u8],
    max_depth: usize,
) -> Result<Judged, ResultError> {
    let mut judged = Judged::default();
    for rule in rules {
        let body_now = judged.body.as_deref().unwrap_or(body);
        let mut pass = Pass::new(rule, identity, key, max_depth);
        let changed = pass.message(body_now)?;
        judged.dropped = judged.dropped.saturating_add(pass.dropped());
        for name in pass.redacted {
            if !judged.redacted.contains(&name) {
                judged.redacted.push(name);
            }
        }
        judged.body = changed.or(judged.body);
    }
    Ok(judged)
}
