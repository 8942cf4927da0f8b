//! Resources whose URI names their owner.

use super::{Denial, Target, sign_in};
use mcp::uri_template::expand;
use oauth::Identity;
use policy::{NamedOwner, NotOwned, Policy, ResourceRule, is_plain_uri};

/// Checks that the URI of a resource names the caller, by all rules for it. For a template, one of its URIs
/// must name the caller.
pub(super) fn owned(
    policy: &Policy,
    identity: &Identity,
    target: Target<'_>,
) -> Result<(), Denial> {
    for (rule, owner) in rules(policy, identity, target) {
        let checked = match target {
            Target::ResourceTemplate(template) => {
                let own = owner.is.of(identity);
                let uri = expand(template, |_| own).ok_or(NotOwned::Nobody);
                uri.and_then(|uri| owner.check(&uri, identity))
            }
            target => owner.check(target.name(), identity),
        };
        checked.map_err(|error| match identity.is_anonymous() {
            true => sign_in(policy, identity, target),
            false => denial(rule, error),
        })?;
    }
    Ok(())
}

/// Whether the parameters of a URI are the caller's, by the rules for arguments.
pub(super) fn has_own_parameters(
    policy: &Policy,
    identity: &Identity,
    target: Target<'_>,
) -> Result<(), Denial> {
    let name = match target {
        Target::Resource(uri) => policy.foreign_parameter(uri, identity),
        Target::ResourceTemplate(uri) => policy.foreign_parameter_of_template(uri, identity),
        Target::Server | Target::Tool(_) | Target::Prompt(_) => None,
    };
    let name = name.map(str::to_owned);
    name.map_or(Ok(()), |name| Err(Denial::ForeignParameter { name }))
}

/// Whether a caller may complete an argument of a template. The template must name the caller, with the
/// other arguments as the client completed them and without this one. So a caller gets neither completions
/// for another owner nor names of owners.
///
/// # Errors
///
/// Why the caller may not.
pub fn may_complete<'v>(
    policy: &Policy,
    identity: &Identity,
    template: &str,
    filled_in: impl Fn(&str) -> Option<&'v str>,
) -> Result<(), Denial> {
    let mut rules = rules(policy, identity, Target::ResourceTemplate(template)).peekable();
    if rules.peek().is_none() {
        return Ok(());
    }
    let uri = expand(template, filled_in).filter(|uri| is_plain_uri(uri));
    let uri = uri.ok_or(Denial::OddUri)?;
    rules.try_for_each(|(rule, owner)| {
        let checked = owner.check(&uri, identity);
        checked.map_err(|error| denial(rule, error))
    })
}

/// The rules about the owner of a target.
fn rules<'p>(
    policy: &'p Policy,
    identity: &Identity,
    target: Target<'_>,
) -> impl Iterator<Item = (&'p ResourceRule, &'p NamedOwner)> {
    let all = policy.resources.iter();
    let about_owners = all.filter_map(|rule| Some((rule, rule.owner.as_ref()?)));
    about_owners.filter(move |(rule, _)| match target {
        Target::Resource(uri) => rule.pattern.matches(uri, identity),
        Target::ResourceTemplate(template) => rule.pattern.may_cover_template(template, identity),
        Target::Server | Target::Tool(_) | Target::Prompt(_) => false,
    })
}

fn denial(rule: &ResourceRule, error: NotOwned) -> Denial {
    let rule = format!("resources.{}.owner", rule.pattern.written());
    Denial::NotOwned { rule, error }
}
