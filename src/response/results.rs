//! Result rules: objects of other owners are removed, and fields and values are hidden, everywhere in a
//! message.

pub(super) mod detect;
pub(super) mod key_path;
pub(super) mod mask;
mod nearly_json;
pub(super) mod new_keys;
mod owner;
mod pass;
pub(super) mod places;
pub(crate) mod record_owner;
pub(super) mod repeated;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use thiserror::Error;

use self::pass::Pass;
use self::places::AnswerTo;
use super::changes::Changes;
use super::inspect::ResultOf;
use crate::authorize::Target;
use crate::caller::Caller;
use base::json::tree::Node;
use oauth::Identity;
use policy::{Policy, ResultRule};

/// A result belongs to another owner, or names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the result is not the caller's")]
pub(crate) struct NotTheCallers;

/// What was hidden of a message.
#[derive(Debug, Default)]
pub(crate) struct HiddenData {
    /// How many objects were taken out.
    pub dropped: usize,
    /// Fields that were hidden, as the policy writes them.
    pub redacted: Vec<String>,
    /// How many texts were withheld, by the reason.
    pub withheld: BTreeMap<&'static str, usize>,
}

/// The rules for the results of a target, for this caller. Without a target, as on a stream of its
/// own, all of them. Acting as another user lifts no rule: those for `ceiling`, the caller
/// with its own roles, count too.
pub(crate) fn rules<'p>(
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
        // What is no answer to a call of its own may hold data of any.
        None | Some(Target::Server) => return true,
        Some(Target::Tool(name)) => (&rule.tools, name),
        Some(Target::Prompt(name)) => (&rule.prompts, name),
        Some(Target::Resource(uri) | Target::ResourceTemplate(uri)) => (&rule.resources, uri),
    };
    let mut patterns = patterns.iter();
    patterns.any(|pattern| pattern.matches(name, identity))
}

/// Applies rules to a message of the server, which may answer `to`. `key` is the key of hashes.
///
/// # Errors
///
/// The message may not be passed at all.
pub(super) fn judge(
    rules: &[&ResultRule],
    identity: &Identity,
    key: Option<&str>,
    message: &Node,
    to: AnswerTo,
    max_depth: usize,
    changes: &mut Changes,
) -> Result<HiddenData, NotTheCallers> {
    let mut judged = HiddenData::default();
    let places = places::places(message, to);
    for rule in rules {
        let mut pass = Pass::new(rule, identity, key, max_depth);
        pass.message(&places, message.span.len(), changes)?;
        judged.dropped = judged.dropped.saturating_add(pass.dropped());
        for (reason, texts) in pass.withheld {
            let number = judged.withheld.entry(reason).or_default();
            *number = number.saturating_add(texts);
        }
        for name in pass.redacted {
            if !judged.redacted.contains(&name) {
                judged.redacted.push(name);
            }
        }
    }
    Ok(judged)
}
