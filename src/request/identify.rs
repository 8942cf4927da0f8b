//! Identifying the caller, for the decision and for the record.

use std::rc::Rc;

use super::Request;
use crate::audit;
use crate::authorize::{View, known_roles};
use crate::caller::{AuthMethod, Caller};
use crate::decision::Evidence;
use crate::refusal::Refusal;
use oauth::{Identity, VerifiedBy, VerifiedToken};
use policy::Policy;

/// The caller and the view it acts with. Writes both to the record.
pub(super) fn identify_caller(
    request: &Request,
    auth_method: AuthMethod,
) -> Result<Caller, Refusal> {
    let policy = request.policy();
    let own = auth_method.identity();
    let journal = &mut *request.journal();
    let key = request.engine.secrets.audit_key.as_deref();
    let persons = &request.engine.persons;
    let name = |person: &str| persons.get_or(person, || audit::person(policy, person, key));
    journal.caller = vec![evidence(&auth_method)];
    let record = &mut journal.record;
    record.identified_by = Some(auth_method.name());
    record.token_age_s = auth_method
        .token_age(request.now())
        .map(|age| age.as_secs());
    record.client = match &auth_method {
        AuthMethod::Token(token) => token.client().map(audit::name),
        AuthMethod::Anonymous | AuthMethod::Local(_) => None,
    };
    record.subject = own.user.as_deref().and_then(name);
    record.actors = own.actors.iter().filter_map(|actor| name(actor)).collect();
    record.roles = role_names(policy, own);
    let view = match requested_view(request, &auth_method)? {
        Some(requested) => {
            let view = View::new(policy, own, &requested).ok_or(Refusal::ViewAs)?;
            record.acting_as = Some(audit::name(&view.name));
            record.acting_as_roles = role_names(policy, &view.identity);
            let summary = format!("{}, which `{}` allows", view.name, view.by);
            journal.caller.push(Evidence::new("view_as", summary));
            let test_user = view.test_user.as_ref();
            if policy.upstream.has_callers_token() && test_user.is_some_and(|user| !user.own_token)
            {
                return Err(Refusal::TestUserCredential);
            }
            Some(Rc::new(view))
        }
        None => None,
    };
    Ok(Caller::new(auth_method, view))
}

fn evidence(auth_method: &AuthMethod) -> Evidence {
    match auth_method {
        AuthMethod::Anonymous => Evidence::new("token", "none; the caller is anonymous"),
        AuthMethod::Local(_) => Evidence::new("local", "the caller of every local request"),
        AuthMethod::Token(token) => token_evidence(token),
    }
}

/// The roles of an identity that the policy knows, without `*`.
fn role_names(policy: &Policy, identity: &Identity) -> Vec<String> {
    known_roles(policy, identity)
        .into_iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "*")
        .collect()
}

/// The view that the request's header or its token asks for. Two different ones are refused, and a header
/// that a server could read in another way.
fn requested_view(request: &Request, auth_method: &AuthMethod) -> Result<Option<String>, Refusal> {
    let of_token = match auth_method {
        AuthMethod::Token(token) => token.view_as(),
        AuthMethod::Anonymous | AuthMethod::Local(_) => None,
    };
    let own = request.policy().view_as.header.as_deref();
    let is_view = |name: &str| own.is_some_and(|own| name.replace('_', "-") == own);
    let mut stated = request.headers.iter().filter(|(name, _)| is_view(name));
    let of_header = match (stated.next(), stated.next()) {
        (None, _) => None,
        (Some((name, value)), None) if Some(name) == own => {
            Some(str::from_utf8(value).map_err(|_| Refusal::ViewAs)?)
        }
        _ => return Err(Refusal::ViewAs),
    };
    match (of_header.map(str::trim), of_token) {
        (Some(one), Some(other)) if one != other => Err(Refusal::ViewAs),
        (of_header, of_token) => Ok(of_header.or(of_token).map(str::to_owned)),
    }
}

fn token_evidence(token: &VerifiedToken) -> Evidence {
    let issuer = audit::name(token.issuer_name());
    let mut summary = match token.verified_by() {
        VerifiedBy::Introspection => ["introspected, issuer ", &issuer].concat(),
        VerifiedBy::Signature(None) => ["verified, issuer ", &issuer].concat(),
        VerifiedBy::Signature(Some(kid)) => {
            let kid = audit::name(kid);
            ["verified, issuer ", &issuer, ", key `", &kid, "`"].concat()
        }
    };
    if token.is_bound() {
        summary.push_str(", with a DPoP proof");
    }
    Evidence::new("token", summary)
}
