//! The issuers of a policy, checked.

use std::time::Duration;

use url::Url;

use super::document::{Document, IssuerDocument, JwksDocument};
use super::error::{Errors, PolicyError};
use crate::identity::{ClaimPaths, IssuerKeys, KeyFetch, KeySource, TrustedIssuer};

const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);

pub(super) fn compile_issuers(document: &Document, errors: &mut Errors) -> Vec<TrustedIssuer> {
    if document.issuers.is_empty() {
        errors.push(PolicyError::new(
            "issuers",
            "found none, expected at least one",
        ));
    }
    let mut compiled: Vec<TrustedIssuer> = Vec::new();
    for (index, issuer) in document.issuers.iter().enumerate() {
        let path = format!("issuers[{index}]");
        if compiled.iter().any(|other| other.issuer == issuer.issuer) {
            let message = format!("`{}` is named twice", issuer.issuer);
            errors.push(PolicyError::new(format!("{path}.issuer"), message));
        }
        check(&path, issuer, errors);
        let Some(keys) = key_source(&path, issuer, errors) else {
            continue;
        };
        let trusted = TrustedIssuer {
            issuer: issuer.issuer.clone(),
            audiences: issuer
                .audiences
                .clone()
                .unwrap_or_else(|| vec![document.resource.clone()]),
            algorithms: issuer.algorithms.clone(),
            types: issuer.types.clone(),
            claims: ClaimPaths {
                user: issuer.identity.user.clone(),
                organization: issuer.identity.organization.clone(),
                roles: issuer.identity.roles.clone(),
                scopes: issuer.identity.scopes.clone(),
            },
            clock_skew: issuer.clock_skew.0,
            max_lifetime: issuer.max_lifetime.0,
            keys,
        };
        if let Err(error) = IssuerKeys::new(&trusted) {
            errors.push(PolicyError::new(
                format!("{path}.jwks.inline"),
                error.to_string(),
            ));
        }
        compiled.push(trusted);
    }
    compiled
}

fn check(path: &str, issuer: &IssuerDocument, errors: &mut Errors) {
    let mut refuse = |key: &str, message: &str| {
        errors.push(PolicyError::new(format!("{path}.{key}"), message));
    };
    if issuer.issuer.is_empty() {
        refuse(
            "issuer",
            "found none, expected the `iss` claim of its tokens",
        );
    }
    if issuer.algorithms.is_empty() {
        refuse("algorithms", "found none, expected at least one");
    }
    if issuer.types.is_empty() {
        refuse("types", "found none, expected at least one");
    }
    if issuer.audiences.as_ref().is_some_and(Vec::is_empty) {
        refuse("audiences", "found none, expected at least one");
    }
    if issuer.audiences.iter().flatten().any(String::is_empty) {
        refuse("audiences", "found an empty one");
    }
    if issuer.clock_skew.0 > MAX_CLOCK_SKEW {
        refuse("clock_skew", "expected at most 5m");
    }
}

fn key_source(path: &str, issuer: &IssuerDocument, errors: &mut Errors) -> Option<KeySource> {
    let jwks = &issuer.jwks;
    let path = format!("{path}.jwks");
    match (&jwks.inline, &jwks.cluster, &jwks.path) {
        (Some(document), None, None) => Some(KeySource::Inline(document.to_string())),
        (None, Some(cluster), Some(jwks_path)) => {
            if cluster.is_empty() {
                errors.push(PolicyError::new(
                    format!("{path}.cluster"),
                    "found none, expected the name of an Envoy cluster",
                ));
            }
            if !jwks_path.starts_with('/') {
                errors.push(PolicyError::new(
                    format!("{path}.path"),
                    format!("found `{jwks_path}`, expected a path that starts with `/`"),
                ));
            }
            fetch(&path, issuer, jwks, cluster, jwks_path, errors)
        }
        _ => {
            errors.push(PolicyError::new(
                path,
                "expected `cluster` and `path`, or `inline`",
            ));
            None
        }
    }
}

fn fetch(
    path: &str,
    issuer: &IssuerDocument,
    jwks: &JwksDocument,
    cluster: &str,
    jwks_path: &str,
    errors: &mut Errors,
) -> Option<KeySource> {
    let host = Url::parse(&issuer.issuer).ok().and_then(|url| {
        let host = url.host_str()?.to_owned();
        Some(
            url.port()
                .map_or_else(|| host.clone(), |port| format!("{host}:{port}")),
        )
    });
    let Some(authority) = jwks.authority.clone().or(host) else {
        let message = "expected the host to fetch from: the issuer is not a URL";
        errors.push(PolicyError::new(format!("{path}.authority"), message));
        return None;
    };
    if jwks.keep.0 < jwks.refresh.0 {
        errors.push(PolicyError::new(
            format!("{path}.keep"),
            "expected at least `refresh`",
        ));
    }
    Some(KeySource::Fetch(KeyFetch {
        cluster: cluster.to_owned(),
        path: jwks_path.to_owned(),
        authority,
        refresh: jwks.refresh.0,
        keep: jwks.keep.0,
    }))
}
