//! The caller of a request: how it is identified, and the identity it acts with.

use std::rc::Rc;
use std::time::Duration;

use crate::authorize::{Principal, View};
use crate::decision_point::{DecisionContext, DecisionSubject};
use base::time::UnixTime;
use oauth::{Identity, VerifiedToken};
use policy::{Policy, TestUser};

/// The caller of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    auth_method: AuthMethod,
    view: Option<Rc<View>>,
}

/// How the caller is identified.
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
    /// The name in the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Local(_) => "local",
            Self::Token(token) if token.is_bound() => "dpop",
            Self::Token(_) => "token",
        }
    }

    pub(crate) fn identity(&self) -> &Identity {
        match self {
            Self::Anonymous => Identity::anonymous(),
            Self::Local(identity) => identity,
            Self::Token(token) => token.identity(),
        }
    }

    pub(crate) fn token_age(&self, now: UnixTime) -> Option<Duration> {
        match self {
            Self::Token(token) => token.age(now.whole_seconds()),
            Self::Anonymous | Self::Local(_) => None,
        }
    }
}

impl Caller {
    /// A caller, and the view that it acts with.
    pub(crate) fn new(auth_method: AuthMethod, view: Option<Rc<View>>) -> Self {
        Self { auth_method, view }
    }

    /// How the caller is identified.
    pub(crate) fn auth_method(&self) -> &AuthMethod {
        &self.auth_method
    }

    /// The caller's token, if it has one.
    pub(crate) fn token(&self) -> Option<&VerifiedToken> {
        match &self.auth_method {
            AuthMethod::Token(token) => Some(token),
            AuthMethod::Anonymous | AuthMethod::Local(_) => None,
        }
    }

    /// The caller's own identity.
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

    /// Whether the identity is the one of the caller's token: not from the policy, and not a test user.
    pub(crate) fn is_as_the_token_says(&self) -> bool {
        let is_own = self.identity().user == self.own().user;
        matches!(self.auth_method, AuthMethod::Token(_)) && is_own
    }

    /// The name of the view that the caller acts with. Empty without a view.
    pub(crate) fn view(&self) -> &str {
        self.view.as_ref().map_or("", |view| &view.name)
    }

    /// The caller with its own roles, if it acts with a view.
    pub(crate) fn ceiling(&self) -> Option<&Identity> {
        self.view.as_ref().map(|view| &view.ceiling)
    }

    /// The test user that the caller acts as, with its name.
    pub(crate) fn test_user(&self) -> Option<(&str, &TestUser)> {
        let view = self.view.as_ref()?;
        let (_, name) = view.name.split_once(':')?;
        Some((name, view.test_user.as_ref()?))
    }

    /// The caller, as decisions see it.
    pub(crate) fn principal(&self, now: UnixTime) -> Principal<'_> {
        Principal {
            identity: self.identity(),
            ceiling: self.ceiling(),
            token_age: self.auth_method.token_age(now),
        }
    }

    /// The identities that a decision point is asked about. Acting with a lower role does not lift its rules for
    /// the caller's own roles, so these count too.
    pub(crate) fn subjects(&self) -> Vec<DecisionSubject<'_>> {
        let token = self.token();
        let identities = [Some(self.identity()), self.ceiling()];
        let subject = |identity| DecisionSubject {
            identity,
            view: self.view(),
            client: token.and_then(|token| token.client()),
            issuer: token.map(|token| token.issuer_name()),
        };
        identities.into_iter().flatten().map(subject).collect()
    }

    /// The circumstances of a question to a decision point, without the use that it is about.
    pub(crate) fn asking<'a>(
        &self,
        version: Option<&'a str>,
        now: UnixTime,
    ) -> DecisionContext<'a> {
        DecisionContext {
            method: "",
            identified_by: self.auth_method.name(),
            version,
            connection: None,
            token_age: self.auth_method.token_age(now),
            is_listing: false,
        }
    }

    /// Whether lists of tools show the filter's own tools to the caller.
    pub(crate) fn lists_own_tools(&self, policy: &Policy) -> bool {
        policy.auth_tools && !matches!(self.auth_method, AuthMethod::Anonymous)
    }
}
