"""The policy most tests use: a CRM of two organizations, as in the documentation."""

from __future__ import annotations

from typing import Any

from .keys import key, key_set
from .tokens import ISSUER, OTHER_ISSUER, RESOURCE

Policy = dict[str, Any]

# Where the metadata document of the resource is (RFC 9728).
WELL_KNOWN = "/.well-known/oauth-protected-resource"
METADATA = f"https://crm.example.com{WELL_KNOWN}/mcp"

# What the filter is at the introspection endpoint, and where its secret comes from.
CLIENT_ID = "mcp filter"
SECRET_ENV = "MCP_INTROSPECTION_SECRET"

CLAIMS = {"user": "sub", "organization": "org_id", "roles": "realm_access.roles", "scopes": "scope"}

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]

ROLES = {
    "support": {
        "tools": ["crm.get_customer", "crm.search_*", "crm.assign_ticket", "crm.import"],
        "prompts": ["customer_*"],
        "resources": ["crm://public/*", "crm://{organization}/*"],
    },
    "manager": {
        "extends": ["support"],
        "tools": ["crm.*"],
        "prompts": ["*"],
        "resources": ["crm://*"],
        "deny": ["crm.purge", "secret_prompt", "crm://vault/*"],
    },
}

ARGUMENTS = {
    "user_id": {"set": "user"},
    "organization_id": {"set": "organization"},
    "role": "remove",
    "impersonate": "reject",
}

TOOLS = {
    "crm.assign_ticket": {"arguments": {"user_id": "keep"}},
    "crm.report": {"arguments": {"organization_id": {"set": "organization"}}},
    "crm.refund": {
        "scopes": ["crm:write", "crm:refund"],
        "max_token_age": "5m",
        "when": "args.amount <= 100 || 'director' in identity.roles",
    },
    "crm.export": {"scopes": ["crm:export"]},
    "crm.close_account": {"max_token_age": "1m"},
    "crm.discount": {"when": "args.percent < 20"},
}


def issuer(*keys: Any, name: str = ISSUER, **changes: Any) -> dict[str, Any]:
    """An issuer whose keys are in the policy."""
    inline = {"inline": key_set(*keys or [key(each) for each in ALGORITHMS])}
    return {"issuer": name, "jwks": inline, "identity": CLAIMS, **changes}


def fetched(path: str, name: str = ISSUER, **changes: Any) -> dict[str, Any]:
    """An issuer whose keys are fetched from the tests' key server."""
    jwks = {"cluster": "issuer", "path": path, **changes.pop("jwks", {})}
    return {"issuer": name, "jwks": jwks, "identity": CLAIMS, **changes}


def introspected(path: str = "/introspect", name: str = ISSUER, **changes: Any) -> dict[str, Any]:
    """An issuer that is asked about tokens, at the tests' introspection endpoint."""
    endpoint = {
        "cluster": "introspection",
        "path": path,
        "client_id": CLIENT_ID,
        "client_secret_env": SECRET_ENV,
        **changes.pop("introspection", {}),
    }
    return {"issuer": name, "introspection": endpoint, "identity": CLAIMS, **changes}


def policy(**changes: Any) -> Policy:
    """The policy, with some of its top-level keys replaced; None leaves one out."""
    base: Policy = {
        "resource": RESOURCE,
        "issuers": [issuer(), issuer(key("ES256", "other"), name=OTHER_ISSUER)],
        "roles": ROLES,
        "arguments": ARGUMENTS,
        "tools": TOOLS,
        "seal": {"key_env": "MCP_AUTH_KEY"},
    }
    merged = {**base, **changes}
    return {name: value for name, value in merged.items() if value is not None}
