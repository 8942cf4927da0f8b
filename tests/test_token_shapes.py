"""Tokens in the forms in which identity providers write them, and what the log says about refused ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .harness import tokens
from .harness.envoy_config import Listener
from .harness.gateway import Gateway, Through
from .harness.keys import key, key_set
from .harness.messages import LEGACY, call
from .harness.policy import CLAIMS, METADATA, issuer, policy
from .harness.tokens import OMIT

TENANT = "11111111-2222-3333-4444-555555555555"
OTHER_TENANT = "99999999-2222-3333-4444-555555555555"
ENTRA = "https://login.microsoftonline.com/{tenantid}/v2.0"


def identity(**changes: Any) -> dict[str, Any]:
    """A policy whose issuer writes the identity in another form."""
    return policy(issuers=[issuer(identity={**CLAIMS, **changes})])


LISTENERS = {
    "crm": Listener(policy()),
    "keycloak": Listener(identity(roles={"claims": ["realm_access.roles", "resource_access.crm.roles"]})),
    "zitadel": Listener(identity(roles={"claims": ["urn:zitadel:iam:org:project:roles"], "keys": True})),
    "members": Listener(identity(roles={"claims": ["groups"], "member": "key"})),
    "commas": Listener(identity(roles={"claims": ["groups"], "separator": ","})),
    "organization": Listener(identity(organization={"claims": ["organization"], "keys": True})),
    "service": Listener(identity(user={"claims": ["sub", "client_id"]})),
    "cognito": Listener(
        policy(
            issuers=[
                issuer(
                    types=["absent"],
                    without_audience={"claim": "client_id", "values": ["4mcp"]},
                    identity={**CLAIMS, "roles": "cognito:groups"},
                )
            ]
        )
    ),
    "entra": Listener(
        policy(
            issuers=[
                issuer(
                    name=ENTRA,
                    tenants=[TENANT],
                    audiences=["api://crm"],
                    identity={"user": "oid", "organization": "tid", "roles": "roles", "scopes": "scp"},
                )
            ]
        )
    ),
}

BODY = call(LEGACY, "crm.get_customer", {"query": "x"})

# The listener, and the claims that replace those of the usual token.
FORMS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "client_roles": ("keycloak", {"realm_access": OMIT, "resource_access": {"crm": {"roles": ["support"]}}}, {}),
    "realm_roles": ("keycloak", {}, {}),
    "keys": ("zitadel", {"urn:zitadel:iam:org:project:roles": {"support": {"1": "acme"}}}, {}),
    "members": ("members", {"groups": [{"key": "support", "name": "Support"}]}, {}),
    "commas": ("commas", {"groups": "staff, support"}, {}),
    "one_item": ("crm", {"org_id": ["org-a"]}, {}),
    "organization_key": ("organization", {"organization": {"org-a": {}}}, {}),
    "client_as_user": ("service", {"sub": OMIT, "client_id": "user-anna"}, {}),
    "number": ("crm", {"sub": 4711}, {}),
    "jku": ("crm", {}, {"jku": "https://sap.example.com/token_keys"}),
    "cognito": (
        "cognito",
        {"aud": OMIT, "client_id": "4mcp", "token_use": "access", "cognito:groups": ["support"]},
        {"typ": OMIT},
    ),
    "entra": (
        "entra",
        {
            "iss": ENTRA.replace("{tenantid}", TENANT),
            "tid": TENANT,
            "aud": "api://crm",
            "oid": "user-anna",
            "roles": ["support"],
            "scp": "access",
        },
        {},
    ),
    "long": ("crm", {"groups": [f"{number:0>36}" for number in range(480)]}, {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_r8_forms_of_providers_are_read(through: Through, form: str) -> None:
    listener, claims, header = FORMS[form]
    gateway = through(listener)
    received = gateway.post(BODY, tokens.token(header=header, **claims)).forwarded()
    assert received.header("x-mcp-user") == ("4711" if form == "number" else "user-anna")
    organization = TENANT if form == "entra" else "org-a"
    assert received.header("x-mcp-organization") == organization
    assert received.header("x-mcp-roles") == "support"
    # The form does not make up for the signature.
    forged = tokens.token(header={"kid": "es256", **header}, signer=key("ES256", "stranger-es256"), **claims)
    gateway.post(BODY, forged).invalid_token("token_signature_invalid")


# The listener, claims, header; the reason; the place in the token, what is found, the key of the policy.
REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str, tuple[str, str, str]]] = {
    "issuer": ("crm", {"iss": "https://x.example"}, {}, "token_issuer_untrusted", ("iss", "`https://x.example`", "issuers")),
    "audience": ("crm", {"aud": ["crm", "hr"]}, {}, "token_audience_wrong", ("aud", "`crm`, `hr`", "issuers[0].audiences")),
    "no_audience": ("crm", {"aud": OMIT}, {}, "token_claim_invalid", ("aud", "missing", "issuers[0].without_audience")),
    "another_client": (
        "cognito",
        {"aud": OMIT, "client_id": "4other"},
        {"typ": OMIT},
        "token_audience_wrong",
        ("client_id", "`4other`", "issuers[0].without_audience.values"),
    ),
    "id_token": (
        "cognito",
        {"aud": OMIT, "client_id": "4mcp", "token_use": "id"},
        {"typ": OMIT},
        "token_type_wrong",
        ("token_use", "`id`", ""),
    ),
    "no_type": ("crm", {}, {"typ": OMIT}, "token_type_wrong", ("header.typ", "absent", "issuers[0].types")),
    "roles": (
        "crm",
        {"realm_access": {"roles": {"support": {}}}},
        {},
        "token_claim_invalid",
        ("realm_access.roles", "an object", "issuers[0].identity.roles"),
    ),
    "organizations": (
        "crm",
        {"org_id": ["org-a", "org-b"]},
        {},
        "token_claim_invalid",
        ("org_id", "a list of texts (2)", "issuers[0].identity.organization"),
    ),
    "tenant": (
        "entra",
        {"iss": ENTRA.replace("{tenantid}", OTHER_TENANT), "tid": OTHER_TENANT, "aud": "api://crm"},
        {},
        "token_issuer_untrusted",
        ("iss", f"`{ENTRA.replace('{tenantid}', OTHER_TENANT)}`", "issuers[0].tenants"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_r8_the_log_names_the_claim_the_value_and_the_policy_key(through: Through, case: str) -> None:
    listener, claims, header, reason, (place, found, policy_key) = REFUSED[case]
    exchange = through(listener).post(BODY, tokens.token(header=header, **claims))
    exchange.invalid_token(reason)
    evidence = {each["source"]: each["summary"] for each in exchange.record["evidence"]}
    summary = evidence[f"token.{place}"]
    assert summary.startswith(f"found {found}")
    assert f"`{policy_key}`" in summary if policy_key else "in the policy" not in summary
    # The client is not told.
    seen = exchange.response.body.decode() + json.dumps(exchange.response.headers)
    assert not found.startswith("`") or found.strip("`") not in seen.replace("invalid_token", "")


def test_r8_the_metadata_names_a_url_where_users_of_any_tenant_sign_in(through: Through) -> None:
    exchange = through("entra").get(METADATA.removeprefix("https://crm.example.com"))
    servers = json.loads(exchange.response.body)["authorization_servers"]
    assert servers == ["https://login.microsoftonline.com/organizations/v2.0"]


def test_r16_a_token_that_is_too_long_does_not_make_clients_sign_in_again(gateway: Gateway) -> None:
    exchange = gateway.post(BODY, tokens.support(groups=["g" * 40] * 1000))
    exchange.refused(431, -32600, "blocked")
    assert exchange.record["reason"] == "token_too_large"
    assert exchange.response.header("www-authenticate") is None
    assert b"32 KiB" in exchange.response.body
    assert any("bytes" in each["summary"] for each in exchange.record["evidence"])


def test_r16_a_header_that_is_too_long_is_refused_in_words(gateway: Gateway) -> None:
    exchange = gateway.post(BODY, tokens.support(header={"x": "y" * 20_000}))
    exchange.refused(431, -32600, "blocked")
    assert b"4 KiB" in exchange.response.body


KEY_OF_ANOTHER_TENANT = {**key("ES256").jwk(), "issuer": ENTRA.replace("{tenantid}", OTHER_TENANT)}
LISTENERS["entra_key"] = Listener(
    policy(
        issuers=[
            {
                "issuer": ENTRA,
                "jwks": {"inline": {"keys": [KEY_OF_ANOTHER_TENANT, *key_set(key("EdDSA"))["keys"]]}},
                "tenants": [TENANT, OTHER_TENANT],
                "audiences": ["api://crm"],
                "identity": {"user": "oid", "roles": "roles"},
            }
        ],
        arguments={},
        roles={"support": {"tools": ["crm.*"]}},
        tools={},
    )
)


def test_r8_a_key_of_one_tenant_does_not_sign_for_another(through: Through) -> None:
    def of(tenant: str, algorithm: str) -> str:
        iss = ENTRA.replace("{tenantid}", tenant)
        claims = {"iss": iss, "tid": tenant, "aud": "api://crm", "oid": "u", "roles": ["support"]}
        return tokens.token(signer=key(algorithm), **claims)

    gateway = through("entra_key")
    gateway.post(BODY, of(OTHER_TENANT, "ES256")).forwarded()
    gateway.post(BODY, of(TENANT, "EdDSA")).forwarded()
    gateway.post(BODY, of(TENANT, "ES256")).invalid_token("token_signature_invalid")
