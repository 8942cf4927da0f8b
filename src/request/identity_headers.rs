//! Headers that proxies use to identify the caller to a server, and headers that prove the identity of a
//! client. There are too many for a list, and servers differ about the separators of the words. So the
//! words of a name decide. MCP clients do not send such headers, except a credential that the policy may
//! pass.
//!

/// A name with `-` between its words: servers read `x_mcp_user` and `x-mcp.user` as `x-mcp-user`.
pub(super) fn with_dashes(name: &str) -> String {
    let dash = |character: char| match character.is_ascii_alphanumeric() {
        true => character.to_ascii_lowercase(),
        false => '-',
    };
    name.chars().map(dash).collect()
}

/// Whether a header (written with dashes) identifies the caller, proves the identity, or changes the
/// meaning of the request.
pub(super) fn is_never_from_a_client(name: &str) -> bool {
    if is_known_to_be_harmless(name) {
        return false;
    }
    let mut words = name.split('-').filter(|word| !word.is_empty());
    let mut before = "";
    let speaks_of_caller = words.any(|word| {
        let pair = (before, word);
        before = word;
        is_word_of_callers(word) || is_start_of_callers(word) || is_pair(pair)
    });
    speaks_of_caller || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Headers of HTTP, browsers and Envoy that have such a word and do not identify a caller.
fn is_known_to_be_harmless(name: &str) -> bool {
    let of_browsers = ["sec-", "access-control-"];
    // Envoy sets or removes the certificate of its client.
    let single = [
        "user-agent",
        "x-user-agent",
        "x-amz-user-agent",
        "x-forwarded-client-cert",
    ];
    single.contains(&name) || of_browsers.iter().any(|start| name.starts_with(start))
}

/// Prefixes of names whose other words do not identify a caller.
const FAMILIES: &[&str] = &[
    "cf-access-",
    "from",
    "mellon-",
    "on-behalf-of",
    "remote-",
    "ssl-",
    "tailscale-",
    "teleport-",
    "x-act-as",
    "x-access-",
    "x-amzn-oidc-",
    "x-anonymous-",
    "x-envoy-original-path",
    "x-goog-iap-",
    "x-hasura-",
    "x-http-method",
    "x-mcp-",
    "x-method-override",
    "x-ms-client-",
    "x-ms-token-",
    "x-on-behalf-of",
    "x-original-",
    "x-remote-",
    "x-rewrite-",
    "x-run-as",
    "x-ssl-",
    "x-vouch-",
];

fn is_word_of_callers(word: &str) -> bool {
    matches!(
        word,
        "account"
            | "accounts"
            | "actor"
            | "admin"
            | "apikey"
            | "assertion"
            | "claim"
            | "claims"
            | "consumer"
            | "cookie"
            | "cookie2"
            | "email"
            | "emails"
            | "group"
            | "groups"
            | "hasura"
            | "iap"
            | "identities"
            | "identity"
            | "jwt"
            | "keycloak"
            | "login"
            | "mail"
            | "member"
            | "members"
            | "membership"
            | "oauth"
            | "oauth2"
            | "oidc"
            | "org"
            | "orgid"
            | "orgs"
            | "passwd"
            | "password"
            | "pomerium"
            | "privilege"
            | "privileges"
            | "role"
            | "roles"
            | "saml"
            | "scope"
            | "scopes"
            | "secret"
            | "spiffe"
            | "sso"
            | "sub"
            | "subject"
            | "sudo"
            | "superuser"
            | "token"
            | "tokens"
            | "uid"
            | "upn"
            | "webauth"
            | "workspace"
            | "workspaces"
    )
}

/// Whether a word starts like one for callers: `users`, `userid`, `userinfo`, `authenticated`.
fn is_start_of_callers(word: &str) -> bool {
    let starts = [
        "auth",
        "credential",
        "impersonat",
        "organisation",
        "organization",
        "permission",
        "principal",
        "shib",
        "tenant",
        "user",
    ];
    starts.iter().any(|start| word.starts_with(start))
}

/// Whether two words together name a credential.
fn is_pair(pair: (&str, &str)) -> bool {
    match pair {
        // Keys to repeat a request or to cache its answer.
        ("" | "cache" | "idempotency" | "partition" | "routing" | "surrogate", "key") => false,
        (_, "key" | "keys") => true,
        (
            "client",
            "cert" | "certificate" | "chain" | "cn" | "dn" | "fingerprint" | "subject" | "verified"
            | "verify",
        ) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_removed(name: &str) -> bool {
        is_never_from_a_client(&with_dashes(name))
    }

    #[test]
    fn s11_families_of_identity_headers() {
        for name in [
            "x-mcp.user",
            "x_mcp_anything",
            "X-MCP-User",
            "x-consumer-custom-id",
            "x-consumer-groups",
            "x-anonymous-consumer",
            "x-auth-request-user",
            "x-auth-request-redirect",
            "x-auth-token",
            "x-authenticated-groups",
            "x-credential-identifier",
            "x-credential-username",
            "x-ms-client-principal",
            "x-ms-client-principal-name",
            "x-ms-client-principal-idp",
            "x-ms-token-aad-id-token",
            "x-ms-token-google-access-token",
            "cf-access-jwt-assertion",
            "cf-access-authenticated-user-email",
            "x-pomerium-claim-email",
            "x-pomerium-jwt-assertion",
            "x-authentik-username",
            "x-authentik-meta-app",
            "tailscale-user-login",
            "tailscale-name",
            "x-goog-authenticated-user-email",
            "x-goog-iap-jwt-assertion",
            "x-hasura-role",
            "x-hasura-anything",
            "impersonate-user",
            "impersonate-extra-scopes",
            "x-impersonate",
            "remote-user",
            "remote-name",
            "remote_addr",
            "ssl-client-cert",
            "ssl_client_s_dn",
            "x-ssl-client-verify",
            "x-client-cert",
            "client-cert",
            "x-forwarded-tls-client-cert-info",
            "x-client-dn",
            "x-apigateway-api-userinfo",
            "x-endpoint-api-userinfo",
            "x-amzn-oidc-data",
            "x-forwarded-user",
            "x-forwarded-email",
            "x-forwarded-preferred-username",
            "x-forwarded-access-token",
            "x-forwarded-groups",
            "forwarded-user",
            "x-webauth-user",
            "x-vouch-idp-claims-name",
            "oidc_claim_sub",
            "oidc-access-token",
            "mellon-name",
            "shib-session-id",
            "shibboleth.eppn",
            "x-kong-jwt-claim-sub",
            "x-jwt-payload",
            "x-user",
            "x-userid",
            "x-user-id",
            "userid",
            "x.tenant.id",
            "x-tenantid",
            "x-org",
            "x-organization-id",
            "x-role",
            "x-groups",
            "x-is-admin",
            "x-on-behalf-of",
            "on-behalf-of",
            "x-act-as",
            "x-run-as",
            "x-scopes",
            "x-permissions",
            "x-account-id",
            "x-workspace",
            "x-principal-name",
            "x-spiffe-id",
            "from",
            "x-remote-group",
            "x-remote-extra-scopes",
            "x-original-url",
            "x-original-uri",
            "x-original-user",
            "x-rewrite-url",
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x-envoy-original-path",
            "proxy-authorization",
            "x-authorization",
            "x-forwarded-authorization",
            "x-email",
            "x-login",
        ] {
            assert!(is_removed(name), "{name}");
        }
    }

    #[test]
    fn s11_credentials() {
        for name in [
            "cookie",
            "Cookie2",
            "x-api-key",
            "x_api_key",
            "api-key",
            "apikey",
            "x-apikey",
            "x-access-token",
            "x-token",
            "private-token",
            "x-gitlab-token",
            "x-vault-token",
            "x-amz-security-token",
            "ocp-apim-subscription-key",
            "x-goog-api-key",
            "x-functions-key",
            "x-secret",
            "x-password",
            "x-access-key-id",
            "x-csrf-token",
        ] {
            assert!(is_removed(name), "{name}");
        }
    }

    #[test]
    fn other_headers_of_clients_stay() {
        for name in [
            "host",
            "accept",
            "accept-language",
            "accept-encoding",
            "content-type",
            "content-length",
            "user-agent",
            "x-user-agent",
            "origin",
            "referer",
            "mcp-protocol-version",
            "mcp-method",
            "traceparent",
            "tracestate",
            "baggage",
            "x-request-id",
            "x-correlation-id",
            "x-b3-traceid",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-client-cert",
            "forwarded",
            "via",
            "x-real-ip",
            "x-envoy-external-address",
            "x-envoy-expected-rq-timeout-ms",
            "x-stainless-lang",
            "idempotency-key",
            "x-idempotency-key",
            "cache-control",
            "sec-fetch-user",
            "sec-fetch-mode",
            "sec-websocket-key",
            "dnt",
            "priority",
            "x-amzn-trace-id",
            "x-cloud-trace-context",
            "connection",
            "access-control-request-headers",
            "te",
            "x-region",
            "x-app-version",
            "x-custom",
            "last-event-id",
            "x-client-version",
            "if-none-match",
            "range",
            "x-organic",
        ] {
            assert!(!is_removed(name), "{name}");
        }
    }
}
