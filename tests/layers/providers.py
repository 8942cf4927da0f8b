"""The two OpenID providers: `login` knows the users of the MCP server, `resource` the accounts of the notes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


from ..clients.provider import Provider
from ..harness import tokens, web

PASSWORD = "correct horse"

# Where people sign in to use the MCP server, with the role each has there.
USERS = {"dana": "support", "erin": "manager", "olga": "manager"}

# How strong a sign-in is (`acr`): of erin, and of all others.
STRONG, WEAK = "mfa", "password"

# Where they work.
ORGANIZATIONS = {"olga": "globex"}
ORGANIZATION = "acme"

# A user whose name is a script.
HOSTILE = "\"><script>document.title='owned'</script><img src=x onerror=alert(1)>'&lt;"
USERS[HOSTILE] = "support"

# The same people at the resource, by the names they have there.
ACCOUNTS = {"dana": "dana@notes", "erin": "erin@notes", HOSTILE: f"{HOSTILE}@notes"}

# What `login` says of its users, which tests may change.
CLAIMS_FILE = "claims.json"

# What the MCP server asks of tokens.
SCOPE = "mcp:use"

# The providers are another site to the browser than the filter, as they are in life.
HOST = "localhost"

PROGRAM = "provider-with-pages.js"


def login(directory: Path) -> Provider:
    """Layer one: its access tokens are JWTs, unless said otherwise, for the MCP server they name, at whatever port
    it is."""
    claims = {name: claims_of(name, role) for name, role in USERS.items()}
    file = directory / CLAIMS_FILE
    file.write_text(json.dumps(claims))
    resources = {"prefix": "http://127.0.0.1:", "scopes": [SCOPE], "format": "jwt"}
    settings: dict[str, Any] = {"tokens_end_with_session": True, "claims_file": str(file)}
    return _provider("login", directory, claims, resources, **settings)


def claims_of(user: str, role: str) -> dict[str, Any]:
    """What tokens say of a user with this role."""
    return {"realm_access": {"roles": [role]}, "org_id": ORGANIZATIONS.get(user, ORGANIZATION)}


def resource(directory: Path, api: str, scopes: list[str]) -> Provider:
    """The resource's own: its access tokens are opaque and can be revoked."""
    resources = {"prefix": api, "fallback": api, "scopes": scopes, "format": "opaque"}
    accounts = {name: {} for name in ACCOUNTS.values()}
    return _provider("resource", directory, accounts, resources, tokens_end_with_session=False)


def register(provider: Provider, **metadata: Any) -> dict[str, Any]:
    """Register a client (RFC 7591), confidential unless said otherwise; what the provider answers.

    `access_token_lifetime`, in seconds, and `access_token_format` (`opaque`, `jwt`) are good for tokens of this
    client.
    """
    answer = web.post(f"{provider.issuer}/reg", json=metadata)
    assert answer.status_code == 201, answer.text
    client = answer.json()
    for secret in ("client_secret", "registration_access_token"):
        if secret in client:
            tokens.remember(client[secret])
    return client


def _provider(
    name: str, directory: Path, claims: dict[str, Any], resources: dict[str, Any], **settings: Any
) -> Provider:
    users = {
        user: {"password": PASSWORD, "claims": each, "acr": STRONG if user == "erin" else WEAK}
        for user, each in claims.items()
    }
    about = {"name": name, "host": HOST, "users": users, "resources": resources, **settings}
    return Provider(about, directory / f"{name}.log", PROGRAM)
