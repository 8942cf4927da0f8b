//! The issuers of a policy, checked.

pub(super) mod document;

use std::time::Duration;

use url::Url;

use self::document::{
    DelegationDocument, IntrospectionDocument, IssuerDocument, JwksDocument,
    WithoutAudienceDocument,
};
use super::client_auth::WrittenAuth;
use super::connections::Conversation;
use super::document::Document;
use super::endpoint::compile_endpoint;
use super::error::{Errors, PolicyError};
use oauth::client::{ClientAuth, TokenClient, host_of};
use oauth::{
    AcceptedClients, Algorithm, ClaimPaths, Delegation, Introspection, JwksCache, KeyFetch,
    KeySource, Signatures, TENANT_PLACEHOLDER, TokenCheck, TokenType, TrustedIssuer,
};

const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);
/// The range of `cache`: waiting requests need the answer, and a revoked token must not pass longer.
const CACHE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

pub(super) fn compile_issuers(document: &Document, errors: &mut Errors) -> Vec<TrustedIssuer> {
    let mut compiled: Vec<TrustedIssuer> = Vec::new();
    for (index, issuer) in document.issuers.iter().enumerate() {
        let path = format!("issuers[{index}]");
        if compiled.iter().any(|other| other.issuer == issuer.issuer) {
            let message = format!("`{}` is named twice", issuer.issuer);
            errors.push(PolicyError::new(format!("{path}.issuer"), message));
        }
        check(&path, issuer, errors);
        check_tenants(&path, issuer, errors);
        let Some(check) = token_check(&path, issuer, errors) else {
            continue;
        };
        let trusted = TrustedIssuer {
            issuer: issuer.issuer.clone(),
            tenants: issuer.tenants.clone().unwrap_or_default(),
            authorization_server: authorization_server(issuer),
            audiences: issuer
                .audiences
                .clone()
                .unwrap_or_else(|| vec![document.resource.clone()]),
            without_audience: without_audience(&path, issuer, errors),
            claims: ClaimPaths {
                user: issuer.identity.user.clone(),
                organization: issuer.identity.organization.clone(),
                roles: issuer.identity.roles.clone(),
                scopes: issuer.identity.scopes.clone(),
                conversation: match &document.vault.conversation {
                    Conversation::Session | Conversation::Meta(_) => None,
                    Conversation::Claim(path) => Some(path.clone()),
                },
                view_as: issuer.identity.view_as.clone(),
            },
            clock_skew: issuer.clock_skew.0,
            max_lifetime: issuer.max_lifetime.0,
            delegation: delegation(&path, issuer, errors),
            check,
        };
        compiled.push(trusted);
    }
    check_one_introspects(document, errors);
    compiled
}

/// At most one issuer may introspect: an opaque token does not name its issuer.
fn check_one_introspects(document: &Document, errors: &mut Errors) {
    let introspecting = |(_, issuer): &(usize, &IssuerDocument)| issuer.introspection.is_some();
    let issuers = document.issuers.iter().enumerate();
    for (index, _) in issuers.filter(introspecting).skip(1) {
        errors.push(PolicyError::new(
            format!("issuers[{index}].introspection"),
            "another issuer has it too: nothing in an opaque token says which of them to ask",
        ));
    }
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
    if issuer.algorithms.as_ref().is_some_and(Vec::is_empty) {
        refuse("algorithms", "found none, expected at least one");
    }
    if issuer.types.as_ref().is_some_and(Vec::is_empty) {
        refuse("types", "found none, expected at least one");
    }
    if issuer.audiences.as_ref().is_some_and(Vec::is_empty) {
        refuse("audiences", "found none, expected at least one");
    }
    if issuer.audiences.iter().flatten().any(String::is_empty) {
        refuse("audiences", "found an empty one");
    }
    let server = issuer.authorization_server.as_deref().map(Url::parse);
    if server.is_some_and(|url| !url.is_ok_and(|url| url.has_host())) {
        refuse("authorization_server", "expected a URL");
    }
    if issuer.clock_skew.0 > MAX_CLOCK_SKEW {
        refuse("clock_skew", "expected at most 5m");
    }
}

fn check_tenants(path: &str, issuer: &IssuerDocument, errors: &mut Errors) {
    let mut refuse = |key: &str, message: &str| {
        errors.push(PolicyError::new(format!("{path}.{key}"), message));
    };
    let has_placeholder = issuer.issuer.contains(TENANT_PLACEHOLDER);
    let Some(tenants) = &issuer.tenants else {
        if has_placeholder {
            refuse(
                "tenants",
                "found none, expected the tenants that `{tenantid}` stands for",
            );
        }
        return;
    };
    if issuer.issuer.matches(TENANT_PLACEHOLDER).count() != 1 {
        refuse(
            "issuer",
            "with `tenants`, expected `{tenantid}` once in place of the tenant",
        );
    }
    if tenants.is_empty() {
        refuse("tenants", "found none, expected at least one");
    }
    let is_name = |tenant: &String| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !tenant.is_empty() && tenant.bytes().all(allowed)
    };
    if !tenants.iter().all(is_name) {
        refuse(
            "tenants",
            "expected ids of tenants: letters, digits and dashes",
        );
    }
    if issuer.introspection.is_some() {
        refuse("tenants", "goes with `jwks`");
    }
    if issuer.sign_in.is_some() {
        refuse(
            "sign_in",
            "goes with one tenant; give each tenant with a sign-in its own issuer entry",
        );
    }
}

/// The authorization server for clients. Clients of any tenant sign in at `organizations`.
fn authorization_server(issuer: &IssuerDocument) -> String {
    match &issuer.authorization_server {
        Some(written) => written.clone(),
        None => issuer.issuer.replace(TENANT_PLACEHOLDER, "organizations"),
    }
}

fn without_audience(
    path: &str,
    issuer: &IssuerDocument,
    errors: &mut Errors,
) -> Option<AcceptedClients> {
    let WithoutAudienceDocument { claim, values } = issuer.without_audience.as_ref()?;
    let path = format!("{path}.without_audience");
    if values.is_empty() || values.iter().any(String::is_empty) {
        let message = "expected at least one client, and none that is empty";
        errors.push(PolicyError::new(format!("{path}.values"), message));
    }
    if issuer.introspection.is_some() {
        let message = "goes with `jwks`: an introspection response has `aud`";
        errors.push(PolicyError::new(path, message));
    }
    Some(AcceptedClients {
        claim: claim.clone(),
        values: values.clone(),
    })
}

/// The actors that may act for the callers of an issuer.
fn delegation(path: &str, issuer: &IssuerDocument, errors: &mut Errors) -> Delegation {
    let actors = issuer.actors.clone();
    let path = format!("{path}.actors");
    if issuer.delegation == DelegationDocument::Refused {
        if actors.is_some() {
            let message = "goes with `delegation: accepted` or `delegation: required`";
            errors.push(PolicyError::new(path, message));
        }
        return Delegation::Refused;
    }
    if actors.as_ref().is_some_and(Vec::is_empty) {
        let message = "found none, expected at least one; `delegation: refused` accepts no actor";
        errors.push(PolicyError::new(path, message));
    } else if actors.iter().flatten().any(String::is_empty) {
        errors.push(PolicyError::new(path, "found an empty one"));
    }
    Delegation::Accepted {
        actors,
        required: issuer.delegation == DelegationDocument::Required,
    }
}

fn token_check(path: &str, issuer: &IssuerDocument, errors: &mut Errors) -> Option<TokenCheck> {
    match (&issuer.jwks, &issuer.introspection) {
        (Some(jwks), None) => {
            let types = issuer.types.clone();
            let types = types.unwrap_or_else(|| vec![TokenType::AccessToken, TokenType::Jwt]);
            signatures(&format!("{path}.jwks"), issuer, jwks, types, errors)
                .map(TokenCheck::Signature)
        }
        (None, Some(introspection)) => {
            for (key, is_set) in [
                ("algorithms", issuer.algorithms.is_some()),
                ("types", issuer.types.is_some()),
            ] {
                if is_set {
                    let message = "goes with `jwks`: with `introspection` the issuer checks it";
                    errors.push(PolicyError::new(format!("{path}.{key}"), message));
                }
            }
            let jwks = issuer
                .sign_in
                .as_ref()
                .and_then(|sign_in| sign_in.jwks.as_ref());
            // No types of access tokens: these keys sign ID tokens and logout tokens only.
            let id_tokens = jwks.and_then(|jwks| {
                signatures(
                    &format!("{path}.sign_in.jwks"),
                    issuer,
                    jwks,
                    Vec::new(),
                    errors,
                )
            });
            let endpoint = introspect(path, issuer, introspection, errors)?;
            Some(TokenCheck::Introspection(endpoint, id_tokens))
        }
        _ => {
            let message = "expected either `jwks` or `introspection`";
            errors.push(PolicyError::new(path, message));
            None
        }
    }
}

fn signatures(
    path: &str,
    issuer: &IssuerDocument,
    jwks: &JwksDocument,
    types: Vec<TokenType>,
    errors: &mut Errors,
) -> Option<Signatures> {
    let signatures = Signatures {
        algorithms: issuer
            .algorithms
            .clone()
            .unwrap_or_else(|| Algorithm::ALL.to_vec()),
        types,
        keys: key_source(path, issuer, jwks, errors)?,
    };
    if let Err(error) = JwksCache::new(&signatures) {
        errors.push(PolicyError::new(
            format!("{path}.inline"),
            error.to_string(),
        ));
    }
    Some(signatures)
}

fn key_source(
    path: &str,
    issuer: &IssuerDocument,
    jwks: &JwksDocument,
    errors: &mut Errors,
) -> Option<KeySource> {
    match (&jwks.inline, &jwks.cluster, &jwks.path) {
        (Some(document), None, None) => Some(KeySource::Inline(document.to_string())),
        (None, Some(cluster), Some(jwks_path)) => {
            if jwks.keep.0 < jwks.refresh.0 {
                let message = "expected at least `refresh`";
                errors.push(PolicyError::new(format!("{path}.keep"), message));
            }
            let written = (cluster, jwks_path, &jwks.authority);
            Some(KeySource::Fetch(KeyFetch {
                endpoint: compile_endpoint(path, written, host_of_issuer(issuer), errors)?,
                refresh: jwks.refresh.0,
                keep: jwks.keep.0,
            }))
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

fn introspect(
    path: &str,
    issuer: &IssuerDocument,
    endpoint: &IntrospectionDocument,
    errors: &mut Errors,
) -> Option<Introspection> {
    let path = format!("{path}.introspection");
    if !CACHE.contains(&endpoint.cache.0) {
        let message = "expected 1s to 10m";
        errors.push(PolicyError::new(format!("{path}.cache"), message));
    }
    let written = (&endpoint.cluster, &endpoint.path, &endpoint.authority);
    let auth = WrittenAuth {
        method: endpoint.client_auth,
        secret: endpoint.client_secret_env.as_ref(),
        key: endpoint.client_key_env.as_ref(),
        audience: endpoint.assertion_audience.as_ref(),
    };
    let auth = auth.compile(&path, Some(&issuer.issuer), errors);
    if auth == ClientAuth::Public {
        let message = "found none, expected one, or `client_key_env`: the issuer answers only clients that \
                       authenticate";
        errors.push(PolicyError::new(
            format!("{path}.client_secret_env"),
            message,
        ));
    }
    Some(Introspection {
        client: TokenClient {
            endpoint: compile_endpoint(&path, written, host_of_issuer(issuer), errors)?,
            client_id: String::from(&endpoint.client_id),
            auth,
        },
        cache: endpoint.cache.0,
    })
}

/// The `:authority` of calls to an issuer, if the policy has none.
fn host_of_issuer(issuer: &IssuerDocument) -> Option<String> {
    host_of(&Url::parse(&issuer.issuer).ok()?)
}
