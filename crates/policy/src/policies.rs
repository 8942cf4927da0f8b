//! The policies of one plugin, and the choice of one for a request.

use serde_json::Value;
use url::Url;

use super::document::Mode;
use super::error::{Errors, PolicyError};
use super::{METADATA_PATH, PAGES, Policy, read};

/// One policy or several with different routes, or a value for each.
#[derive(Debug)]
pub struct Policies<T = Policy> {
    /// At least one.
    all: Vec<(Route, T)>,
}

/// The route of a policy's requests.
#[derive(Debug)]
struct Route {
    /// The path of MCP requests.
    path: String,
    /// The path of `resource`, without a slash at its end.
    public_path: String,
    host: String,
    /// The default port of the scheme, and the port.
    ports: (u16, u16),
    enforces: bool,
    /// Whether the policy has pages.
    has_pages: bool,
}

impl Policies {
    /// Reads one policy, or several under `policies`.
    ///
    /// # Errors
    ///
    /// All mistakes, each with its path.
    pub fn parse(json: &[u8]) -> Result<Self, Errors> {
        let mut configuration = read::strict(json)?;
        let several = configuration
            .as_object_mut()
            .and_then(|members| members.remove("policies"));
        let Some(several) = several else {
            let policy = read::policy(&configuration)?;
            let route = Route::of(&policy);
            return Ok(Self {
                all: vec![(route, policy)],
            });
        };
        let mut errors = beside(&configuration);
        let mut all = Vec::new();
        for (index, document) in list(several)?.into_iter().enumerate() {
            match read::policy(&document) {
                Ok(mut policy) => {
                    policy.label = Some(policy.resource.clone());
                    all.push((index, Route::of(&policy), policy));
                }
                Err(own) => errors.extend(placed(true, index, own)),
            }
        }
        check_apart(&all, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let all = all.into_iter().map(|(_, route, policy)| (route, policy));
        Ok(Self { all: all.collect() })
    }

    /// Rules that can never match, and tokens that more than one server accepts.
    pub fn warnings(&self) -> Vec<PolicyError> {
        let mut warnings = Vec::new();
        for (index, policy) in self.iter().enumerate() {
            let mut own = policy.warnings();
            for (other, before) in self.iter().enumerate().take(index) {
                for (issuer, audience) in shared_audiences(policy, before) {
                    let path = format!("issuers[{issuer}].audiences");
                    let message = format!("policies[{other}] takes tokens for `{audience}`, too");
                    own.push(PolicyError::new(path, message));
                }
            }
            warnings.extend(placed(policy.label.is_some(), index, own));
        }
        warnings
    }

    /// Maps each policy.
    ///
    /// # Errors
    ///
    /// All failures, each with its path.
    pub fn try_map<T>(
        self,
        mut make: impl FnMut(Policy) -> Result<T, Errors>,
    ) -> Result<Policies<T>, Errors> {
        let (mut made, mut errors) = (Vec::new(), Errors::new());
        for (index, (route, policy)) in self.all.into_iter().enumerate() {
            let is_listed = policy.label.is_some();
            match make(policy) {
                Ok(of_policy) => made.push((route, of_policy)),
                Err(own) => errors.extend(placed(is_listed, index, own)),
            }
        }
        match errors.as_slice() {
            [] => Ok(Policies { all: made }),
            _ => Err(errors),
        }
    }
}

/// Errors of a policy, with its position in a list.
fn placed(is_listed: bool, index: usize, errors: Errors) -> impl Iterator<Item = PolicyError> {
    let place = move |error: PolicyError| match is_listed {
        true => error.of_policy(index),
        false => error,
    };
    errors.into_iter().map(place)
}

impl<T> Policies<T> {
    /// All, in order.
    pub fn into_vec(self) -> Vec<T> {
        self.all
            .into_iter()
            .map(|(_, of_policy)| of_policy)
            .collect()
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.all.iter().map(|(_, of_policy)| of_policy)
    }

    /// The policy of a request, by its `:path` and, if several have this path, its `:authority`. A single
    /// policy judges all requests.
    pub fn choose(&self, path: &str, authority: &str) -> Option<&T> {
        if let [(_, only)] = self.all.as_slice() {
            return Some(only);
        }
        if self.has_hosts() && has_odd_port(authority) {
            return None;
        }
        let path = path.split('?').next().unwrap_or_default();
        match path.strip_prefix(METADATA_PATH) {
            Some("") => self.of_host(authority),
            Some(suffix) if suffix.starts_with('/') => {
                let suffix = suffix.trim_end_matches('/');
                let public = self.one(authority, |route| route.public_path == suffix);
                public.or_else(|| {
                    self.one(authority, |route| {
                        route.path.trim_end_matches('/') == suffix
                    })
                })
            }
            None if path.starts_with(PAGES) => self.one(authority, |route| route.has_pages),
            _ => self.one(authority, |route| route.path == path),
        }
    }

    /// The policy whose mode applies to a request that matches no policy: one that enforces, if there is
    /// one.
    pub fn for_no_policy(&self) -> Option<&T> {
        let enforcing = self.all.iter().find(|(route, _)| route.enforces);
        let (_, of_policy) = enforcing.or(self.all.first())?;
        Some(of_policy)
    }

    /// The only policy with this route, or the only one of these for this host. `None` if the host belongs
    /// to another policy: if hosts select the server, that policy's server would get the request.
    fn one(&self, authority: &str, is_meant: impl Fn(&Route) -> bool) -> Option<&T> {
        let found: Vec<_> = self
            .all
            .iter()
            .filter(|(route, _)| is_meant(route))
            .collect();
        let of_host = || {
            let mut found = found.iter().filter(|(route, _)| route.is_at(authority));
            found.next().filter(|_| found.next().is_none())
        };
        let (route, of_policy) = match found.as_slice() {
            [only] => only,
            _ => of_host()?,
        };
        (!self.is_anothers(route, authority)).then_some(of_policy)
    }

    /// Whether the policies have different hosts.
    fn has_hosts(&self) -> bool {
        let first = self.all.first().map(|(route, _)| &route.host);
        self.all.iter().any(|(route, _)| Some(&route.host) != first)
    }

    /// Whether an authority, with any port, is only the host of other policies.
    fn is_anothers(&self, route: &Route, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let (host, _) = host_and_port(&authority);
        let host = host.trim_end_matches('.');
        host != route.host && self.all.iter().any(|(other, _)| other.host == host)
    }

    /// The policy whose metadata is at the well-known path itself: that of the server at the host's root,
    /// or of the only server (RFC 9728 section 3.1).
    fn of_host(&self, authority: &str) -> Option<&T> {
        let is_root = |route: &Route| route.public_path.is_empty();
        let at_root = self.one(authority, |route| is_root(route) && route.is_at(authority));
        let only = || self.one(authority, |route| route.is_at(authority));
        let elsewhere = || {
            let unknown = !self.all.iter().any(|(route, _)| route.is_at(authority));
            self.one(authority, is_root).filter(|_| unknown)
        };
        at_root.or_else(only).or_else(elsewhere)
    }
}

impl Route {
    fn of(policy: &Policy) -> Self {
        let url = Url::parse(&policy.resource).ok();
        let url = url.as_ref();
        let usual = if policy.resource.starts_with("https") {
            443
        } else {
            80
        };
        let port = url.and_then(Url::port).unwrap_or(usual);
        Self {
            path: policy.path.clone(),
            public_path: policy.resource_path().trim_end_matches('/').to_owned(),
            host: url.and_then(Url::host_str).unwrap_or_default().to_owned(),
            ports: (usual, port),
            enforces: policy.mode == Mode::Enforce,
            has_pages: policy.has_pages(),
        }
    }

    /// Whether this `:authority` belongs to this host.
    fn is_at(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let (usual, own) = self.ports;
        let (host, port) = host_and_port(&authority);
        let port = port.map_or(Some(usual), |port| port.parse().ok());
        host == self.host && port == Some(own)
    }

    fn is_beside(&self, other: &Self) -> bool {
        (&self.host, self.ports) == (&other.host, other.ports)
    }
}

/// An authority's host, and its port if it has one.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether a port has a form that no client sends: a default port, an empty one, or one with a leading
/// zero. Envoy's virtual hosts compare text. Such a host matches none of them, and the request would reach
/// the server of another one.
fn has_odd_port(authority: &str) -> bool {
    let (_, port) = host_and_port(authority);
    port.is_some_and(|port| matches!(port, "80" | "443" | "") || port.starts_with('0'))
}

/// Refuses other keys beside `policies`.
fn beside(configuration: &Value) -> Errors {
    let keys = configuration.as_object().into_iter().flatten();
    let refuse = |(key, _): (&String, &Value)| {
        let message = "found beside `policies`, expected inside each policy";
        PolicyError::new(key.as_str(), message)
    };
    keys.map(refuse).collect()
}

fn list(several: Value) -> Result<Vec<Value>, Errors> {
    match several {
        Value::Array(documents) if !documents.is_empty() => Ok(documents),
        _ => {
            let message = "expected a list of at least one policy";
            Err(vec![PolicyError::new("policies", message)])
        }
    }
}

/// Checks that policies do not share requests, metadata and tokens.
fn check_apart(all: &[(usize, Route, Policy)], errors: &mut Errors) {
    for (position, (index, route, policy)) in all.iter().enumerate() {
        for (other, before, _) in all.iter().take(position) {
            if !route.is_beside(before) {
                continue;
            }
            let mut refuse = |key: &str, found: &str| {
                let message = format!("found `{found}`, which policies[{other}] has for that host");
                errors.push(PolicyError::new(key, message).of_policy(*index));
            };
            if route.public_path == before.public_path {
                refuse("resource", &policy.resource);
            } else if route.path == before.path {
                refuse("path", &policy.path);
            }
            if route.has_pages && before.has_pages {
                let key = match policy.connections.is_empty() {
                    true => "tools",
                    false => "connections",
                };
                refuse(key, PAGES);
            }
        }
    }
}

/// The audiences that both accept from one issuer, with the path of the issuer in the first.
fn shared_audiences<'p>(policy: &'p Policy, other: &Policy) -> Vec<(usize, &'p str)> {
    let mut shared = Vec::new();
    for (index, issuer) in policy.issuers.iter().enumerate() {
        let same = other
            .issuers
            .iter()
            .filter(|same| same.issuer == issuer.issuer);
        let theirs: Vec<&String> = same.flat_map(|issuer| &issuer.audiences).collect();
        let both = issuer.audiences.iter().filter(|own| theirs.contains(own));
        shared.extend(both.map(|audience| (index, audience.as_str())));
    }
    shared
}
