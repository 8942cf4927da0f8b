//! Who is calling, and as whom.

use std::rc::Rc;

use super::{Now, Transaction};
use crate::audit;
use crate::authorize::{Caller, View, known_roles};
use crate::decision::Evidence;
use crate::refusal::Refusal;
use oauth::{Identity, VerifiedToken, Vouched};

/// Who is calling, once that is known.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    way: AuthMethod,
    view: Option<Rc<View>>,
}

/// How it is known who is calling.
#[derive(Debug, Clone)]
pub(crate) enum AuthMethod {
    /// Nobody signed in, and the policy has something for nobody.
    Anonymous,
    /// The policy says so, for every caller on this machine.
    Local(Rc<Identity>),
    /// A token says so.
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
}

impl Known {
    /// How it is known.
    pub(crate) fn way(&self) -> &AuthMethod {
        &self.way
    }

    /// The token that says so, if one does.
    pub(super) fn token(&self) -> Option<&VerifiedToken> {
        match &self.way {
            AuthMethod::Token(token) => Some(token),
            AuthMethod::Anonymous | AuthMethod::Local(_) => None,
        }
    }

    /// Whoever it is that calls.
    pub(crate) fn own(&self) -> &Identity {
        self.way.identity()
    }

    /// Whom rules, arguments and headers are about.
    pub(crate) fn identity(&self) -> &Identity {
        match &self.view {
            Some(view) => &view.identity,
            None => self.own(),
        }
    }

    /// Whether a token says who the caller is and where it belongs, and not the policy.
    pub(super) fn is_as_the_token_says(&self) -> bool {
        let is_own = self.identity().user == self.own().user;
        matches!(self.way, AuthMethod::Token(_)) && is_own
    }

    /// As whom it acts; empty if as itself.
    pub(crate) fn view(&self) -> &str {
        self.view.as_ref().map_or("", |view| &view.name)
    }

    /// The caller with its own roles, where it acts as another one.
    pub(crate) fn ceiling(&self) -> Option<&Identity> {
        self.view.as_ref().map(|view| &view.ceiling)
    }

    pub(crate) fn caller(&self, now: Now) -> Caller<'_> {
        Caller {
            identity: self.identity(),
            ceiling: self.ceiling(),
            token_age: self.way.token_age(now),
        }
    }
}

impl Transaction {
    /// Notes who is calling, and as whom.
    pub(super) fn know_caller(&mut self, way: AuthMethod, now: Now) -> Result<(), Refusal> {
        let own = way.identity();
        let key = self.secrets.audit_key.as_deref();
        let name = |person: &str| audit::person(&self.policy, person, key);
        self.record.identified_by = Some(way.name());
        self.record.token_age_s = way.token_age(now);
        self.record.subject = own.user.as_deref().and_then(name);
        self.record.actors = own.actors.iter().filter_map(|actor| name(actor)).collect();
        self.record.roles = self.role_names(own);
        let known = Known { way, view: None };
        let known = self.caller.insert(known).clone();
        let Some(wish) = self.wish(&known.way)? else {
            return Ok(());
        };
        let view = View::new(&self.policy, known.own(), &wish).ok_or(Refusal::ViewAs)?;
        self.record.acting_as = Some(audit::name(&view.name));
        self.record.acting_as_roles = self.role_names(&view.identity);
        self.caller = Some(Known {
            view: Some(Rc::new(view)),
            ..known
        });
        Ok(())
    }

    /// The roles of somebody that the policy knows, but everybody's.
    fn role_names(&self, identity: &Identity) -> Vec<String> {
        known_roles(&self.policy, identity)
            .into_iter()
            .map(|(name, _)| name.to_owned())
            .filter(|name| name != "*")
            .collect()
    }

    /// As whom the caller wants to act, as its header or its token says. Two wishes, or one that
    /// somebody could read in another way, are none that is granted.
    fn wish(&self, way: &AuthMethod) -> Result<Option<String>, Refusal> {
        let of_token = match way {
            AuthMethod::Token(token) => token.view_as(),
            AuthMethod::Anonymous | AuthMethod::Local(_) => None,
        };
        let own = self.policy.view_as.header.as_deref();
        let is_wish = |name: &str| own.is_some_and(|own| name.replace('_', "-") == own);
        let mut stated = self.headers.iter().filter(|(name, _)| is_wish(name));
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

    /// What it rests on who is calling.
    pub(super) fn caller_evidence(&self) -> Vec<Evidence> {
        let Some(known) = &self.caller else {
            return Vec::new();
        };
        let of_way = match &known.way {
            AuthMethod::Anonymous => Evidence::new("token", "none; nobody signed in"),
            AuthMethod::Local(_) => Evidence::new("local", "the caller of every local request"),
            AuthMethod::Token(token) => self.token_evidence(token),
        };
        let of_view = known.view.as_ref().map(|view| {
            let summary = format!("{}, which `{}` allows", view.name, view.by);
            Evidence::new("view_as", summary)
        });
        std::iter::once(of_way).chain(of_view).collect()
    }

    fn token_evidence(&self, token: &VerifiedToken) -> Evidence {
        let issuer = self.policy.issuers.get(token.issuer().0);
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

    /// What became of the arguments that say who is calling.
    pub(super) fn rewrite_evidence(&self, set: &[String], removed: &[String]) -> Vec<Evidence> {
        let is_tokens = self
            .caller
            .as_ref()
            .is_some_and(Known::is_as_the_token_says);
        let set_from = match is_tokens {
            true => "set from the token",
            false => "set from the policy",
        };
        let changed = [(set_from, set), ("taken out", removed)];
        let changed = changed.iter().filter(|(_, names)| !names.is_empty());
        let summary = |(what, names): &(&str, &[String])| format!("{}: {what}", names.join(", "));
        changed
            .map(|change| Evidence::new("arguments", summary(change)))
            .collect()
    }
}
