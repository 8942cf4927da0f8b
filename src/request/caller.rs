//! Who is calling, and as whom.

use std::rc::Rc;

use super::Request;
use crate::audit;
use crate::authorize::{Principal, View, known_roles};
use crate::decision::Evidence;
use crate::refusal::Refusal;
use crate::transaction::Now;
use oauth::{Identity, VerifiedToken, Vouched};
use policy::{Policy, TestUser};

/// The caller of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    auth_method: AuthMethod,
    view: Option<Rc<View>>,
}

/// How the caller is known.
#[derive(Debug, Clone)]
pub(crate) enum AuthMethod {
    /// The request has no token, and the policy has `anonymous`.
    Anonymous,
    /// The policy names the caller of all requests from this machine.
    Local(Rc<Identity>),
    /// A token names the caller.
    Token(Rc<VerifiedToken>),
}

impl AuthMethod {
    /// As the log names it.
    fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Local(_) => "local",
            Self::Token(token) if token.is_bound() => "dpop",
            Self::Token(_) => "token",
        }
    }

    fn identity(&self) -> &Identity {
        match self {
            Self::Anonymous => Identity::anonymous(),
            Self::Local(identity) => identity,
            Self::Token(token) => token.identity(),
        }
    }

    fn token_age(&self, now: Now) -> Option<u64> {
        match self {
            Self::Token(token) => token.age(now.seconds()),
            Self::Anonymous | Self::Local(_) => None,
        }
    }

    fn evidence(&self, policy: &Policy) -> Evidence {
        match self {
            Self::Anonymous => Evidence::new("token", "none; nobody signed in"),
            Self::Local(_) => Evidence::new("local", "the caller of every local request"),
            Self::Token(token) => token_evidence(policy, token),
        }
    }
}

impl Caller {
    /// The caller, and as whom it acts. The record says so.
    pub(crate) fn new(request: &Request, auth_method: AuthMethod) -> Result<Self, Refusal> {
        let policy = request.policy();
        let own = auth_method.identity();
        let journal = &mut *request.journal();
        let key = request.engine.secrets.audit_key.as_deref();
        let name = |person: &str| audit::person(policy, person, key);
        journal.caller = vec![auth_method.evidence(policy)];
        let record = &mut journal.record;
        record.identified_by = Some(auth_method.name());
        record.token_age_s = auth_method.token_age(request.now());
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
                if policy.upstream.has_callers_token()
                    && test_user.is_some_and(|user| !user.own_token)
                {
                    return Err(Refusal::TestUserCredential);
                }
                Some(Rc::new(view))
            }
            None => None,
        };
        Ok(Self { auth_method, view })
    }

    /// How the caller is known.
    pub(crate) fn auth_method(&self) -> &AuthMethod {
        &self.auth_method
    }

    /// The token that names the caller, if one does.
    pub(crate) fn token(&self) -> Option<&VerifiedToken> {
        match &self.auth_method {
            AuthMethod::Token(token) => Some(token),
            AuthMethod::Anonymous | AuthMethod::Local(_) => None,
        }
    }

    /// The caller itself.
    pub(crate) fn own(&self) -> &Identity {
        self.auth_method.identity()
    }

    /// The identity for rules, arguments and headers: of the view, if the caller acts with one.
    pub(crate) fn identity(&self) -> &Identity {
        match &self.view {
            Some(view) => &view.identity,
            None => self.own(),
        }
    }

    /// Whether a token says who the caller is and where it belongs, and not the policy.
    pub(crate) fn is_as_the_token_says(&self) -> bool {
        let is_own = self.identity().user == self.own().user;
        matches!(self.auth_method, AuthMethod::Token(_)) && is_own
    }

    /// The test user the caller acts as.
    pub(crate) fn test_user(&self) -> Option<&TestUser> {
        self.view.as_ref()?.test_user.as_ref()
    }

    /// The view the caller acts with; empty for none.
    pub(crate) fn view(&self) -> &str {
        self.view.as_ref().map_or("", |view| &view.name)
    }

    /// The caller with its own roles, where it acts as another one.
    pub(crate) fn ceiling(&self) -> Option<&Identity> {
        self.view.as_ref().map(|view| &view.ceiling)
    }

    /// What decisions look at.
    pub(crate) fn principal(&self, now: Now) -> Principal<'_> {
        Principal {
            identity: self.identity(),
            ceiling: self.ceiling(),
            token_age: self.auth_method.token_age(now),
        }
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

/// The view that the request's header or its token asks for. Two different ones, or a header that a
/// server could read in another way, are refused.
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

fn token_evidence(policy: &Policy, token: &VerifiedToken) -> Evidence {
    let issuer = policy.issuers.get(token.issuer().0);
    let issuer = issuer.map_or("", |issuer| issuer.issuer.as_str());
    let mut summary = match token.vouched() {
        Vouched::Introspection => format!("introspected, issuer {issuer}"),
        Vouched::Signature(None) => format!("verified, issuer {issuer}"),
        Vouched::Signature(Some(kid)) => {
            let kid = audit::name(kid);
            format!("verified, issuer {issuer}, key `{kid}`")
        }
    };
    if token.is_bound() {
        summary.push_str(", with a DPoP proof");
    }
    Evidence::new("token", summary)
}
