//! Access tokens in the forms in which identity providers write them. Each needs the policy that is named with it.

use super::*;
use crate::{AcceptedClients, ClaimPath, RefusedToken};

/// A provider: the header and claims of its tokens, what the policy says, and the identity.
struct Provider {
    name: &'static str,
    header: Value,
    claims: Value,
    identity: Value,
    change: fn(&mut TrustedIssuer),
    user: &'static str,
    organization: Option<&'static str>,
    roles: &'static [&'static str],
    scopes: &'static [&'static str],
    client: Option<&'static str>,
}

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const OTHER_TENANT: &str = "99999999-2222-3333-4444-555555555555";

fn path(written: &Value) -> ClaimPath {
    serde_json::from_value(written.clone()).unwrap()
}

fn source(written: &Value) -> ClaimSource {
    serde_json::from_value(written.clone()).unwrap()
}

fn typed(issuer: &mut TrustedIssuer, types: &[TokenType]) {
    if let TokenCheck::Signature(signatures) = &mut issuer.check {
        signatures.types = types.to_vec();
    }
}

/// The issuer of a policy for a provider.
fn issuer_of(provider: &Provider) -> TrustedIssuer {
    let iss = provider.claims["iss"].as_str().unwrap();
    let mut issuer = trusted(iss, inline(&[jwk(&KEY, "k1")]));
    let identity = &provider.identity;
    if !identity["user"].is_null() {
        issuer.claims.user = source(&identity["user"]);
    }
    let optional = |written: &Value| (!written.is_null()).then(|| source(written));
    issuer.claims.organization = optional(&identity["organization"]);
    issuer.claims.roles = optional(&identity["roles"]);
    if !identity["scopes"].is_null() {
        issuer.claims.scopes = source(&identity["scopes"]);
    }
    (provider.change)(&mut issuer);
    issuer
}

fn timed(mut claims: Value) -> Value {
    claims["exp"] = json!(NOW + 600);
    claims["iat"] = json!(NOW - 10);
    claims
}

fn aud(issuer: &mut TrustedIssuer, audience: &str) {
    issuer.audiences = vec![audience.to_owned()];
}

fn providers() -> Vec<Provider> {
    let jwt = || json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"});
    let untyped = || json!({"alg": "EdDSA", "kid": "k1"});
    vec![
        Provider {
            name: "Keycloak: realm roles and client roles, organization as keys",
            header: jwt(),
            claims: json!({
                "iss": "https://kc.example.com/realms/acme", "sub": "u-1", "aud": ["account", RESOURCE],
                "typ": "Bearer", "azp": "chat", "sid": "s", "acr": "1", "allowed-origins": ["*"],
                "realm_access": {"roles": ["support", "offline_access"]},
                "resource_access": {"crm": {"roles": ["support", "refunds"]}, "account": {"roles": ["x"]}},
                "organization": {"acme": {"id": "42"}}, "scope": "openid profile",
            }),
            identity: json!({
                "roles": {"claims": ["realm_access.roles", "resource_access.crm.roles"]},
                "organization": {"claims": ["organization"], "keys": true},
            }),
            change: |_| {},
            user: "u-1",
            organization: Some("acme"),
            roles: &["support", "offline_access", "refunds"],
            scopes: &["openid", "profile"],
            client: Some("chat"),
        },
        Provider {
            name: "Keycloak: a lightweight token of a service account has no `sub`",
            header: json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"}),
            claims: json!({
                "iss": "https://kc.example.com/realms/acme", "aud": RESOURCE, "typ": "Bearer",
                "client_id": "batch", "azp": "batch", "organization": ["acme"],
            }),
            identity: json!({"user": {"claims": ["sub", "client_id"]}, "organization": "organization"}),
            change: |_| {},
            user: "batch",
            organization: Some("acme"),
            roles: &[],
            scopes: &[],
            client: Some("batch"),
        },
        Provider {
            name: "Entra v2: any tenant of a list, app roles, scopes in `scp`",
            header: json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1", "x5t": "k1"}),
            claims: json!({
                "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "tid": TENANT,
                "aud": "api-client-id", "azp": "vscode", "azpacr": "0", "oid": "o-1", "sub": "pairwise",
                "roles": ["support"], "scp": "access read", "ver": "2.0", "uti": "x", "rh": "y",
            }),
            identity: json!({"user": "oid", "organization": "tid", "roles": "roles", "scopes": "scp"}),
            change: |issuer| {
                issuer.issuer = "https://login.microsoftonline.com/{tenantid}/v2.0".to_owned();
                issuer.tenants = vec![OTHER_TENANT.to_owned(), TENANT.to_owned()];
                aud(issuer, "api-client-id");
            },
            user: "o-1",
            organization: Some(TENANT),
            roles: &["support"],
            scopes: &["access", "read"],
            client: Some("vscode"),
        },
        Provider {
            name: "Entra v1: `sts.windows.net`, `appid`",
            header: json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1", "x5t": "k1"}),
            claims: json!({
                "iss": format!("https://sts.windows.net/{TENANT}/"), "tid": TENANT, "aud": "api://crm",
                "appid": "app", "oid": "o-1", "sub": "o-1", "idtyp": "app", "roles": ["batch"],
                "acct": 0, "xms_st": {"sub": "x"}, "ver": "1.0",
            }),
            identity: json!({"user": "oid", "roles": "roles"}),
            change: |issuer| {
                issuer.issuer = "https://sts.windows.net/{tenantid}/".to_owned();
                issuer.tenants = vec![TENANT.to_owned()];
                aud(issuer, "api://crm");
            },
            user: "o-1",
            organization: None,
            roles: &["batch"],
            scopes: &[],
            client: Some("app"),
        },
        Provider {
            name: "Okta: `scp` and `groups` are lists, `cid`",
            header: json!({"alg": "EdDSA", "kid": "k1"}),
            claims: json!({
                "ver": 1, "jti": "AT.x", "iss": "https://acme.okta.com/oauth2/default", "aud": "api://default",
                "cid": "0oa1", "uid": "00u1", "scp": ["openid", "crm.read"], "auth_time": NOW - 60,
                "sub": "dana@example.com", "groups": ["Everyone", "support"],
            }),
            identity: json!({"user": "uid", "roles": "groups", "scopes": "scp"}),
            change: |issuer| {
                aud(issuer, "api://default");
                typed(issuer, &[TokenType::Absent, TokenType::AccessToken]);
            },
            user: "00u1",
            organization: None,
            roles: &["Everyone", "support"],
            scopes: &["openid", "crm.read"],
            client: Some("0oa1"),
        },
        Provider {
            name: "Auth0: a claim with a URL as its name, permissions",
            header: json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"}),
            claims: json!({
                "iss": "https://acme.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
                "aud": [RESOURCE, "https://acme.eu.auth0.com/userinfo"], "azp": "my_client", "org_id": "org_1",
                "scope": "openid read:crm", "permissions": ["read:crm", "write:crm"],
                "https://crm.example.com/roles": ["support"],
            }),
            identity: json!({
                "organization": "org_id", "roles": ["https://crm.example.com/roles"],
                "scopes": {"claims": ["scope", "permissions"]},
            }),
            change: |_| {},
            user: "auth0|5f7c8ec7c33c6c004bbafe82",
            organization: Some("org_1"),
            roles: &["support"],
            scopes: &["openid", "read:crm", "write:crm"],
            client: Some("my_client"),
        },
        Provider {
            name: "Google: the identity token of a service account",
            header: jwt(),
            claims: json!({
                "iss": "https://accounts.google.com", "aud": RESOURCE, "azp": "1122@crm.iam.gserviceaccount.com",
                "sub": "112233445566778899001", "email": "crm@project.iam.gserviceaccount.com",
                "email_verified": true, "hd": "example.com",
            }),
            identity: json!({"organization": "hd"}),
            change: |_| {},
            user: "112233445566778899001",
            organization: Some("example.com"),
            roles: &[],
            scopes: &[],
            client: Some("1122@crm.iam.gserviceaccount.com"),
        },
        Provider {
            name: "Cognito: no `aud`, no `typ`, groups in a claim with a colon",
            header: untyped(),
            claims: json!({
                "sub": "aaaa-bbbb", "cognito:groups": ["support"], "version": 2, "token_use": "access",
                "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_X", "client_id": "4mcp",
                "origin_jti": "o", "event_id": "e", "scope": "openid crm/read", "auth_time": NOW - 60,
                "jti": "j", "username": "dana",
            }),
            identity: json!({"user": "username", "roles": "cognito:groups"}),
            change: |issuer| {
                issuer.without_audience = Some(AcceptedClients {
                    claim: path(&json!("client_id")),
                    values: vec!["4other".into(), "4mcp".into()],
                });
                typed(issuer, &[TokenType::Absent]);
            },
            user: "dana",
            organization: None,
            roles: &["support"],
            scopes: &["openid", "crm/read"],
            client: Some("4mcp"),
        },
        Provider {
            name: "Zitadel: roles are the names of members",
            header: json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"}),
            claims: json!({
                "iss": "https://acme.zitadel.cloud", "sub": "170848145649959169", "aud": ["1708@crm", RESOURCE],
                "client_id": "chat@crm", "jti": "170", "nbf": NOW - 10,
                "urn:zitadel:iam:org:project:roles": {"support": {"1707": "acme.zitadel.cloud"}},
                "urn:zitadel:iam:user:resourceowner:id": "1707",
            }),
            identity: json!({
                "organization": "urn:zitadel:iam:user:resourceowner:id",
                "roles": {"claims": ["urn:zitadel:iam:org:project:roles"], "keys": true},
            }),
            change: |_| {},
            user: "170848145649959169",
            organization: Some("1707"),
            roles: &["support"],
            scopes: &[],
            client: Some("chat@crm"),
        },
        Provider {
            name: "SAP: `jku`, `zid`, a claim with dots, scopes as a list",
            header: json!({
                "alg": "EdDSA", "typ": "JWT", "kid": "k1", "jid": "x",
                "jku": "https://acme.authentication.eu10.hana.ondemand.com/token_keys",
            }),
            claims: json!({
                "jti": "j", "ext_attr": {"enhancer": "XSUAA", "zdn": "acme"}, "sub": "u-1", "zid": "z-1",
                "xs.system.attributes": {"xs.rolecollections": ["support"]}, "given_name": "Dana",
                "scope": ["openid", "crm!t1.Display"], "client_id": "sb-crm!t1", "cid": "sb-crm!t1",
                "azp": "sb-crm!t1", "grant_type": "authorization_code", "user_id": "u-1", "origin": "sap.default",
                "iss": "https://acme.authentication.eu10.hana.ondemand.com/oauth/token",
                "aud": ["openid", "sb-crm!t1"], "rev_sig": "1", "user_name": "dana@example.com",
            }),
            identity: json!({
                "user": "user_name", "organization": "zid",
                "roles": ["xs.system.attributes", "xs.rolecollections"],
            }),
            change: |issuer| aud(issuer, "sb-crm!t1"),
            user: "dana@example.com",
            organization: Some("z-1"),
            roles: &["support"],
            scopes: &["openid", "crm!t1.Display"],
            client: Some("sb-crm!t1"),
        },
        Provider {
            name: "PingFederate: no `typ`, no `iat`, groups in one text, the user in a claim of its own",
            header: json!({"alg": "EdDSA", "kid": "k1", "pi.atm": "2"}),
            claims: json!({
                "iss": "https://ping.example.com", "aud": RESOURCE, "client_id": "chat", "Username": "dana",
                "scope": "openid crm", "memberOf": "support,staff", "agid": "x",
            }),
            identity: json!({
                "user": {"claims": ["sub", "Username"]}, "roles": {"claims": ["memberOf"], "separator": ","},
            }),
            change: |issuer| typed(issuer, &[TokenType::Absent]),
            user: "dana",
            organization: None,
            roles: &["support", "staff"],
            scopes: &["openid", "crm"],
            client: Some("chat"),
        },
        Provider {
            name: "PingOne: `env`, `org`, scopes in a text",
            header: json!({"alg": "EdDSA", "kid": "k1", "typ": "JWT"}),
            claims: json!({
                "client_id": "chat", "iss": "https://auth.pingone.eu/env-1/as", "aud": [RESOURCE], "sub": "u-1",
                "scope": "openid p1:read", "env": "env-1", "org": "org-1", "p1.rid": "r",
            }),
            identity: json!({"organization": "org"}),
            change: |_| {},
            user: "u-1",
            organization: Some("org-1"),
            roles: &[],
            scopes: &["openid", "p1:read"],
            client: Some("chat"),
        },
        Provider {
            name: "A provider with numeric users and a list of roles as objects",
            header: jwt(),
            claims: json!({
                "iss": ISSUER, "sub": 4711, "aud": RESOURCE, "jti": 5,
                "roles": [{"key": "support", "name": "Support"}, {"key": "staff"}], "teams": [{"id": 9}],
            }),
            identity: json!({
                "roles": {"claims": ["roles"], "member": "key"},
                "organization": {"claims": ["teams"], "member": "id"},
            }),
            change: |_| {},
            user: "4711",
            organization: Some("9"),
            roles: &["support", "staff"],
            scopes: &[],
            client: None,
        },
    ]
}

#[test]
fn r8_tokens_of_providers_identify_the_caller() {
    for provider in providers() {
        let mut verifier = Verifier::new(vec![issuer_of(&provider)]).unwrap();
        let claims = timed(provider.claims.clone());
        let token = token(&provider.header, &claims);
        let refusal = refusal(&mut verifier, &token);
        assert!(refusal.is_none(), "{}: {refusal:?}", provider.name);
        let token = verified(&mut verifier, &token, NOW);
        let identity = token.identity();
        assert_eq!(
            identity.user.as_deref(),
            Some(provider.user),
            "{}",
            provider.name
        );
        assert_eq!(
            identity.organization.as_deref(),
            provider.organization,
            "{}",
            provider.name
        );
        assert_eq!(identity.roles, provider.roles, "{}", provider.name);
        assert_eq!(identity.scopes, provider.scopes, "{}", provider.name);
        assert_eq!(token.client(), provider.client, "{}", provider.name);
        assert_eq!(
            Some(token.issuer_name()),
            claims["iss"].as_str(),
            "{}",
            provider.name
        );
        // A looser check of the form is not a looser check of the signature.
        let forged = sign(
            &OTHER_KEY,
            &provider.header.to_string(),
            &claims.to_string(),
        );
        let forged = self::refusal(&mut verifier, &forged).map(|refused| refused.error);
        assert_eq!(forged, Some(TokenError::Signature), "{}", provider.name);
    }
}

/// A policy that says nothing of a provider's forms accepts none that could mean something else.
#[test]
fn r8_no_setting_is_looser_by_default() {
    for (claims, error) in [
        (without(claims(), "aud"), TokenError::Claim("aud")),
        (
            with(without(claims(), "aud"), "client_id", json!(RESOURCE)),
            TokenError::Claim("aud"),
        ),
        (
            with(
                claims(),
                "iss",
                json!("https://login.microsoftonline.com/x/v2.0"),
            ),
            TokenError::Issuer,
        ),
        (
            with(without(claims(), "sub"), "client_id", json!("c")),
            TokenError::Claim("user"),
        ),
    ] {
        refuses_claims(&claims, error);
    }
    refuses_header(&without(header(), "typ"), TokenError::Type);
}

#[test]
fn r8_a_client_stands_for_aud_only_where_there_is_none() {
    let issuer = TrustedIssuer {
        without_audience: Some(AcceptedClients {
            claim: path(&json!("client_id")),
            values: vec!["4mcp".into()],
        }),
        ..trusted(ISSUER, inline(&[jwk(&KEY, "k1")]))
    };
    let mut verifier = Verifier::new(vec![issuer]).unwrap();
    let by_client = |client: Value| with(without(claims(), "aud"), "client_id", client);
    for (claims, expected) in [
        (claims(), None),
        (by_client(json!("4mcp")), None),
        (by_client(json!("4other")), Some(TokenError::Audience)),
        (by_client(json!(["4mcp"])), Some(TokenError::Claim("aud"))),
        (without(claims(), "aud"), Some(TokenError::Claim("aud"))),
        (
            with(by_client(json!("4mcp")), "aud", json!("other")),
            Some(TokenError::Audience),
        ),
        (
            with(by_client(json!("4mcp")), "aud", json!("4mcp")),
            Some(TokenError::Audience),
        ),
        (
            with(by_client(json!("4mcp")), "aud", json!(null)),
            Some(TokenError::Claim("aud")),
        ),
        (
            with(by_client(json!("4mcp")), "token_use", json!("id")),
            Some(TokenError::Type),
        ),
    ] {
        let refused = refusal(&mut verifier, &token(&header(), &claims));
        assert_eq!(refused.map(|refused| refused.error), expected, "{claims}");
    }
}

fn tenants() -> TrustedIssuer {
    let mut issuer = trusted(
        "https://login.microsoftonline.com/{tenantid}/v2.0",
        inline(&[]),
    );
    issuer.tenants = vec![TENANT.to_owned()];
    issuer
}

#[test]
fn r8_only_the_tenants_of_the_list_are_accepted() {
    let issuer = accepting(tenants(), |accepted| {
        accepted.keys = inline(&[jwk(&KEY, "k1")])
    });
    let mut verifier = Verifier::new(vec![issuer]).unwrap();
    let named = |iss: &str, tid: &str| {
        token(
            &header(),
            &with(with(claims(), "iss", json!(iss)), "tid", json!(tid)),
        )
    };
    let of = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    for (iss, tid, expected) in [
        (of(TENANT), TENANT, None),
        (of(OTHER_TENANT), OTHER_TENANT, Some(TokenError::Issuer)),
        (of(OTHER_TENANT), TENANT, Some(TokenError::Issuer)),
        (of(TENANT), OTHER_TENANT, Some(TokenError::Claim("tid"))),
        (of("{tenantid}"), "{tenantid}", Some(TokenError::Issuer)),
        (
            of(&format!("{TENANT}/v2.0/x")),
            TENANT,
            Some(TokenError::Issuer),
        ),
        (
            of(&TENANT.replace('1', "a").to_uppercase()),
            TENANT,
            Some(TokenError::Issuer),
        ),
        (of(""), "", Some(TokenError::Issuer)),
        (format!("{}/", of(TENANT)), TENANT, Some(TokenError::Issuer)),
    ] {
        let refused = refusal(&mut verifier, &named(&iss, tid));
        assert_eq!(
            refused.map(|refused| refused.error),
            expected,
            "{iss} {tid}"
        );
    }
    let other = refusal(&mut verifier, &named(&of(OTHER_TENANT), OTHER_TENANT)).unwrap();
    assert_eq!(
        other.finding.unwrap().key.as_deref(),
        Some("issuers[0].tenants")
    );
}

/// Entra's key set for all tenants has keys that are for one tenant only.
#[test]
fn r8_a_key_of_one_tenant_signs_for_no_other() {
    let iss = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let token = token(&header(), &with(claims(), "iss", json!(iss)));
    for (key_issuer, expected) in [
        (
            json!("https://login.microsoftonline.com/{tenantid}/v2.0"),
            None,
        ),
        (json!(iss), None),
        (json!(format!("https://sts.windows.net/{TENANT}/")), None),
        (
            json!(format!(
                "https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"
            )),
            Some(TokenError::Signature),
        ),
    ] {
        let key = with(jwk(&KEY, "k1"), "issuer", key_issuer.clone());
        let issuer = accepting(tenants(), |accepted| accepted.keys = inline(&[key]));
        let mut verifier = Verifier::new(vec![issuer]).unwrap();
        let refused = refusal(&mut verifier, &token);
        assert_eq!(
            refused.map(|refused| refused.error),
            expected,
            "{key_issuer}"
        );
    }
}

fn refusal(verifier: &mut Verifier, token: &str) -> Option<RefusedToken> {
    let header = format!("Bearer {token}");
    let token = BearerToken::of_header(&header).unwrap();
    match verifier.verify(&token, CLIENT, UnixTime::from_secs(NOW)) {
        Verification::Refused(refused) => Some(refused),
        Verification::Verified(_) => None,
        other => panic!("{other:?}"),
    }
}

/// The log names the claim, what it has, and the key of the policy.
#[test]
fn r8_a_refused_token_says_which_policy_key_decides() {
    let identity = |change: fn(&mut ClaimPaths)| {
        let mut issuer = trusted(ISSUER, inline(&[jwk(&KEY, "k1")]));
        change(&mut issuer.claims);
        issuer
    };
    let plain = identity(|_| {});
    let roles = identity(|claims| claims.roles = Some(ClaimSource::claim("roles")));
    let organization = identity(|claims| claims.organization = Some(ClaimSource::claim("org")));
    let claim = |name: &str, value: Value| (header(), with(claims(), name, value));
    let head = |name: &str, value: Value| (with(header(), name, value), claims());
    for (issuer, (header, claims), place, found, key) in [
        (
            &plain,
            claim("iss", json!("https://x.example")),
            "iss",
            "`https://x.example`",
            "issuers",
        ),
        (
            &plain,
            claim("aud", json!("crm")),
            "aud",
            "`crm`",
            "issuers[0].audiences",
        ),
        (
            &plain,
            claim("aud", json!(["a", "b", "c", "d", "e", "f"])),
            "aud",
            "`a`, `b`, `c`, `d` and 2 more",
            "issuers[0].audiences",
        ),
        (
            &plain,
            (header(), without(claims(), "aud")),
            "aud",
            "missing",
            "issuers[0].without_audience",
        ),
        (
            &plain,
            (without(header(), "typ"), claims()),
            "header.typ",
            "absent",
            "issuers[0].types",
        ),
        (
            &plain,
            head("typ", json!("dpop+jwt")),
            "header.typ",
            "`dpop+jwt`",
            "",
        ),
        (
            &plain,
            claim("token_use", json!("id")),
            "token_use",
            "`id`",
            "",
        ),
        (
            &plain,
            claim("at_hash", json!("secret")),
            "at_hash",
            "`secret`",
            "",
        ),
        (
            &plain,
            head("alg", json!("HS256")),
            "header.alg",
            "`HS256`",
            "",
        ),
        (
            &plain,
            head("jwk", json!({"kty": "OKP"})),
            "header.jwk",
            "an object",
            "",
        ),
        (
            &plain,
            head("kid", json!("k9")),
            "header.kid",
            "a key id that the key set does not have with this algorithm",
            "issuers[0].jwks",
        ),
        (
            &plain,
            claim("exp", json!(NOW - 100)),
            "exp",
            "100 s ago",
            "issuers[0].clock_skew",
        ),
        (
            &plain,
            claim("nbf", json!(NOW + 100)),
            "nbf",
            "in 100 s",
            "issuers[0].clock_skew",
        ),
        (
            &plain,
            claim("exp", json!(NOW + 10_000)),
            "exp",
            "in 10000 s",
            "issuers[0].max_lifetime",
        ),
        (
            &plain,
            (header(), without(claims(), "sub")),
            "sub",
            "missing",
            "issuers[0].identity.user",
        ),
        (
            &plain,
            claim("scope", json!({"a": 1})),
            "scope",
            "an object",
            "issuers[0].identity.scopes",
        ),
        (
            &roles,
            claim("roles", json!({"a": {}})),
            "roles",
            "an object",
            "issuers[0].identity.roles",
        ),
        (
            &roles,
            claim("roles", json!([{"key": "a"}])),
            "roles",
            "a list of objects (1)",
            "issuers[0].identity.roles",
        ),
        (
            &organization,
            claim("org", json!(["a", "b"])),
            "org",
            "a list of texts (2)",
            "issuers[0].identity.organization",
        ),
        (&plain, claim("cnf", json!({"jkt": "x"})), "", "", ""),
    ] {
        let mut verifier = Verifier::new(vec![issuer.clone()]).unwrap();
        let refused = refusal(&mut verifier, &token(&header, &claims)).unwrap();
        let Some(finding) = refused.finding else {
            assert_eq!(place, "", "{header} {claims}");
            continue;
        };
        assert_eq!(
            (finding.place.as_str(), finding.found.as_str()),
            (place, found),
            "{header} {claims}"
        );
        assert_eq!(finding.key.unwrap_or_default(), key, "{header} {claims}");
    }
    let huge = token(&header(), &with(claims(), "x", json!("x".repeat(40_000))));
    let huge = refusal(&mut verifier(), &huge).unwrap();
    assert_eq!(huge.error, TokenError::TooLarge);
    assert!(huge.finding.unwrap().found.ends_with(" bytes"));
}

#[test]
fn r8_a_token_of_32_kib_is_read() {
    let groups: Vec<String> = (0..500).map(|number| format!("{number:0>36}")).collect();
    let long = token(&header(), &with(claims(), "groups", json!(groups)));
    assert!(
        (24 * 1024..32 * 1024).contains(&long.len()),
        "{}",
        long.len()
    );
    assert_eq!(look(&mut verifier(), &long, NOW), TokenOutcome::Good);
}
