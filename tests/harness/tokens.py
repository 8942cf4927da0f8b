"""Access tokens: good ones by default, and every kind of wrong one on request."""

from __future__ import annotations

import json
import time
from typing import Any

from .keys import SigningKey, b64url, key

ISSUER = "https://login.example.com"
OTHER_ISSUER = "https://other.example.com"
RESOURCE = "https://crm.example.com/mcp"

USER = "user-anna"
ORGANIZATION = "org-a"

# A claim or header with this value is left out.
OMIT: Any = object()

# Many tokens are made when a test module is loaded, long before they are used.
LIFETIME_S = 6 * 3600

# Every token ever made here; no log may contain one.
issued: set[str] = set()


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token, with changes."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "sub": USER,
        "aud": RESOURCE,
        "iat": now - 5,
        "exp": now + LIFETIME_S,
        "org_id": ORGANIZATION,
        "realm_access": {"roles": ["support"]},
        "scope": "crm:read",
        "client_id": "chat",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not OMIT}


def encode(
    payload: dict[str, Any] | bytes,
    header: dict[str, Any] | bytes | None = None,
    signer: SigningKey | None = None,
) -> str:
    """A signed token. Bytes are used as they are, so that malformed JSON can be signed too."""
    signer = signer or key("ES256")
    head = header if isinstance(header, bytes) else _header(signer, header or {})
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = f"{b64url(head)}.{b64url(body)}"
    return remember(f"{signed}.{b64url(signer.sign(signed.encode()))}")


def remember(value: str) -> str:
    """Note that this token exists, so that logs are searched for it."""
    issued.add(value)
    return value


def _header(signer: SigningKey, changes: dict[str, Any]) -> bytes:
    header = {"alg": signer.algorithm, "typ": "JWT", "kid": signer.kid, **changes}
    return json.dumps({k: v for k, v in header.items() if v is not OMIT}).encode()


def token(
    *roles: str,
    signer: SigningKey | None = None,
    header: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    """A token for a caller with these roles (default: support)."""
    if roles:
        changes.setdefault("realm_access", {"roles": list(roles)})
    return encode(claims(**changes), header, signer)


def support(**changes: Any) -> str:
    """A caller who may read customers and search."""
    return token("support", **changes)


def manager(**changes: Any) -> str:
    """A caller who may use every tool except the denied one."""
    return token("manager", **changes)
