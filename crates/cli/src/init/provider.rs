//! The identity providers that many use: their claims, types, audiences and lifetimes.

use clap::ValueEnum;
use serde_json::Value;
use url::Url;

use super::draft::Callers;
use super::web::Web;
use crate::Failure;
use crate::terminal_text::printable;

/// An identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProviderName {
    /// Keycloak.
    Keycloak,
    /// Microsoft Entra ID.
    Entra,
    /// Okta.
    Okta,
    /// Auth0.
    Auth0,
    /// Google.
    Google,
    /// Amazon Cognito.
    Cognito,
    /// ZITADEL.
    Zitadel,
    /// Any other provider.
    Generic,
}

/// What the tokens of a provider look like.
struct ProviderTokens {
    /// An issuer, for those that are not named.
    issuer: &'static str,
    /// The path of the key set behind the issuer, if there is no discovery document at hand.
    keys: &'static str,
    /// `identity`, in flow style.
    identity: &'static str,
    /// Whether `identity` has an organization.
    has_organization: bool,
    types: &'static str,
    algorithms: &'static str,
    /// A further line of the issuer.
    extra: Option<&'static str>,
    /// The audience, where it is not the resource.
    audience: Option<&'static str>,
    max_lifetime: &'static str,
    /// What to set at the provider, and what goes wrong without it.
    questions: &'static [&'static str],
}

impl ProviderName {
    fn provider(self) -> ProviderTokens {
        match self {
            Self::Keycloak => ProviderTokens {
                issuer: "https://keycloak.example.com/realms/my-realm",
                keys: "/protocol/openid-connect/certs",
                identity: "{user: sub, roles: realm_access.roles}",
                has_organization: false,
                types: "[JWT, at+jwt]",
                algorithms: "[RS256, PS256, ES256]",
                extra: None,
                audience: None,
                max_lifetime: "1h",
                questions: &[
                    "Keycloak puts the audience into tokens only with an audience mapper: add one to the client scope of \
                     the clients, with the resource as custom audience.",
                    "Roles here are those of the realm. With those of a client: `roles: {claims: [realm_access.roles, \
                     resource_access.CLIENT.roles]}`.",
                    "With Organizations of Keycloak, and the scope `organization`: `organization: {claims: [organization], keys: \
                     true}` under `identity`.",
                ],
            },
            Self::Entra => ProviderTokens {
                issuer: "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0",
                keys: "",
                identity: "{user: oid, organization: tid, roles: roles, scopes: scp}",
                has_organization: true,
                types: "[JWT]",
                algorithms: "[RS256]",
                extra: None,
                audience: Some("00000000-0000-0000-0000-000000000000"),
                max_lifetime: "2h",
                questions: &[
                    "The audience of a v2.0 token is the client id of the application that is registered for the MCP server. \
                     Set `requestedAccessTokenVersion: 2` in its manifest; v1.0 tokens have another issuer (sts.windows.net).",
                    "For an application of several tenants: `{tenantid}` in the issuer, and `tenants`.",
                    "`roles` are the application's app roles. Groups come as ids, under `groups`.",
                    "Clients with continuous access evaluation get tokens for 28 hours: then `max_lifetime: 29h`.",
                ],
            },
            Self::Okta => ProviderTokens {
                issuer: "https://my-org.okta.com/oauth2/default",
                keys: "/v1/keys",
                identity: "{user: uid, roles: groups, scopes: scp}",
                has_organization: false,
                types: "[absent, JWT, at+jwt]",
                algorithms: "[RS256]",
                extra: None,
                audience: Some("api://default"),
                max_lifetime: "24h",
                questions: &[
                    "Only a custom authorization server (`/oauth2/default`) issues tokens that others can verify: those of \
                     the org authorization server are opaque.",
                    "The claim `groups` does not exist until a groups claim is added to the authorization server.",
                    "`sub` is the sign-in name, which can change. `uid` is the id of the user.",
                ],
            },
            Self::Auth0 => ProviderTokens {
                issuer: "https://my-tenant.auth0.com/",
                keys: ".well-known/jwks.json",
                identity: "{user: sub, organization: org_id, roles: permissions}",
                has_organization: true,
                types: "[JWT, at+jwt]",
                algorithms: "[RS256]",
                extra: None,
                audience: None,
                max_lifetime: "24h",
                questions: &[
                    "The issuer ends with a slash.",
                    "The audience is the identifier of an API in Auth0: register the resource as its identifier, and \
                     make it the default audience for clients that send none. Without it, tokens are opaque.",
                    "`permissions` needs RBAC and `Add Permissions in the Access Token` at the API. Roles need an Action \
                     that sets a claim with a URL as name: write it as a list, [\"https://example.com/roles\"].",
                    "`org_id` is there only when users sign in with an organization.",
                ],
            },
            Self::Google => ProviderTokens {
                issuer: "https://accounts.google.com",
                keys: "",
                identity: "{user: sub, organization: hd}",
                has_organization: true,
                types: "[JWT]",
                algorithms: "[RS256]",
                extra: None,
                audience: Some("CLIENT_ID.apps.googleusercontent.com"),
                max_lifetime: "2h",
                questions: &[
                    "Access tokens of Google are opaque, and Google has no introspection. This policy accepts ID tokens, whose \
                     audience is the client id: only clients that send the ID token work. For others put a provider such \
                     as Keycloak between, which signs users in with Google.",
                    "`hd` is the domain of a Google Workspace. Private accounts have none, and are refused where a rule needs \
                     the organization.",
                    "Tokens of Google have no roles: the role `*` is for all signed-in users.",
                ],
            },
            Self::Cognito => ProviderTokens {
                issuer: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE",
                keys: "/.well-known/jwks.json",
                identity: "{user: sub, roles: \"cognito:groups\"}",
                has_organization: false,
                types: "[absent, JWT]",
                algorithms: "[RS256]",
                extra: Some("without_audience: {claim: client_id, values: [CLIENT_ID]}"),
                audience: None,
                max_lifetime: "24h",
                questions: &[
                    "Access tokens of Cognito have no `aud`. They are accepted by their client: which clients are for \
                     this server only? Their ids stand for `CLIENT_ID`.",
                    "Attributes such as an organization are in ID tokens; a pre token generation trigger (V2) puts them into \
                     access tokens. Name the claim under `identity.organization`.",
                ],
            },
            Self::Zitadel => ProviderTokens {
                issuer: "https://my-instance.zitadel.cloud",
                keys: "/oauth/v2/keys",
                identity: "{user: sub, organization: [\"urn:zitadel:iam:user:resourceowner:id\"], \
                           roles: {claims: [\"urn:zitadel:iam:org:project:roles\"], keys: true}}",
                has_organization: true,
                types: "[JWT, at+jwt]",
                algorithms: "[RS256]",
                extra: None,
                audience: Some("PROJECT_ID"),
                max_lifetime: "24h",
                questions: &[
                    "Set the token type of the application to JWT: the default is opaque.",
                    "The audience is the id of the project: clients ask for the scope \
                     `urn:zitadel:iam:org:project:id:PROJECT_ID:aud`.",
                    "The organization needs the scope `urn:zitadel:iam:user:resourceowner`.",
                    "Roles need `Assert Roles on Authentication` at the project.",
                ],
            },
            Self::Generic => ProviderTokens {
                issuer: "https://login.example.com",
                keys: "/jwks",
                identity: "{user: sub, roles: roles}",
                has_organization: false,
                types: "[JWT, at+jwt]",
                algorithms: "[RS256, PS256, ES256, EdDSA]",
                extra: None,
                audience: None,
                max_lifetime: "24h",
                questions: &[
                    "Which claims of a token name the roles and the organization? `mcp-auth explain` shows what the policy finds \
                     in the claims of a token.",
                    "Which `aud` do tokens for this server have? It has to be under `audiences`.",
                ],
            },
        }
    }
}

/// The callers of a policy with this provider. The discovery document of a given issuer is read.
pub(super) fn callers(
    name: ProviderName,
    issuer: Option<&str>,
    audience: Option<&str>,
) -> Result<Callers, Failure> {
    let provider = name.provider();
    let mut questions: Vec<String> = Vec::new();
    let keys = match issuer {
        Some(issuer) => discover(issuer)?,
        None => {
            questions.push(format!(
                "Which is your issuer? {} is an example. `--issuer URL` reads its discovery document.",
                provider.issuer
            ));
            default_keys(name, &provider)
        }
    };
    let issuer = issuer.unwrap_or(provider.issuer);
    questions.extend(
        provider
            .questions
            .iter()
            .map(|question| (*question).to_owned()),
    );
    let authority = match host(issuer) == host(&keys) {
        true => String::new(),
        false => format!(", authority: {}", host(&keys).unwrap_or_default()),
    };
    let path = Url::parse(&keys).map(|url| url[url::Position::BeforePath..].to_owned());
    let path = path.unwrap_or_default();
    let audience = audience.or(provider.audience);
    let audiences =
        audience.map(|audience| format!("    audiences: [{}]\n", Value::from(audience)));
    let extra = provider.extra.map(|line| format!("    {line}\n"));
    let text = format!(
        "issuers:\n  - issuer: {issuer}\n    jwks: {{cluster: login, path: {}{authority}}}\n    algorithms: {}\n    \
         types: {}\n{}    max_lifetime: {}\n    identity: {}\n{}",
        Value::from(path),
        provider.algorithms,
        provider.types,
        audiences.unwrap_or_default(),
        provider.max_lifetime,
        provider.identity,
        extra.unwrap_or_default(),
    );
    Ok(Callers {
        text,
        has_organization: provider.has_organization,
        has_roles: name != ProviderName::Google,
        questions,
    })
}

/// The URL of the key set, as providers have it.
fn default_keys(name: ProviderName, provider: &ProviderTokens) -> String {
    match name {
        ProviderName::Entra => provider.issuer.replace("/v2.0", "/discovery/v2.0/keys"),
        ProviderName::Google => "https://www.googleapis.com/oauth2/v3/certs".to_owned(),
        _ => format!("{}{}", provider.issuer, provider.keys),
    }
}

fn host(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// The URL of the key set in the discovery document of an issuer: OpenID Connect, or RFC 8414.
fn discover(issuer: &str) -> Result<String, Failure> {
    let failure = |message: String| {
        Failure::usage(
            message,
            "check the issuer: it is the `iss` of its tokens; without --issuer the policy has an example to change",
        )
    };
    let parsed =
        Url::parse(issuer).map_err(|error| failure(format!("the issuer is no URL: {error}")))?;
    let base = issuer.trim_end_matches('/');
    let origin = parsed.origin().ascii_serialization();
    let path = parsed.path().trim_end_matches('/');
    let web = Web::new();
    let mut reasons = Vec::new();
    for url in [
        format!("{base}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ] {
        let document = match web.get(&url) {
            Ok(answer) if answer.status == 200 => {
                serde_json::from_slice::<Value>(&answer.body).ok()
            }
            Ok(answer) => {
                reasons.push(format!("{url} answers {}", answer.status));
                continue;
            }
            Err(error) => {
                reasons.push(format!("{url}: {error}"));
                continue;
            }
        };
        let text = |key: &str| document.as_ref()?.get(key)?.as_str();
        match (text("issuer"), text("jwks_uri")) {
            (Some(named), Some(keys)) if named == issuer => return Ok(keys.to_owned()),
            (Some(named), _) if named != issuer => {
                reasons.push(format!("{url} is of the issuer {named}"))
            }
            _ => reasons.push(format!("{url} names no key set (`jwks_uri`)")),
        }
    }
    Err(failure(format!(
        "the discovery document cannot be read: {}",
        printable(&reasons.join("; "))
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_has_callers_without_a_network() {
        for name in ProviderName::value_variants() {
            let callers = callers(*name, None, Some("aud")).unwrap();
            assert!(
                callers.text.contains("audiences: [\"aud\"]"),
                "{}",
                callers.text
            );
            assert!(callers.text.contains("path: \"/"), "{}", callers.text);
            assert!(callers.questions.len() > 1);
        }
    }
}
