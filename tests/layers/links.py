"""The link on which a user connects an account, as the filter makes it, and what it keeps afterwards."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..harness.envoy_config import ENVIRONMENT

PAGES = "/.mcp-auth/"


def link(origin: str, issuer: str, user: str, connection: str = "notes", expires: float = 600) -> str:
    """A link for this user."""
    ticket = {
        "issuer": issuer,
        "user": user,
        "errand": {"connect": {"conversation": "user", "connection": connection}},
        "expires": int(time.time() + expires),
    }
    owner = [f"{origin}/mcp", "", "", ""]
    sealed = _cipher().encrypt(json.dumps(ticket).encode(), _associated("ticket", owner))
    return f"{origin}{PAGES}connect?ticket={base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"


def kept(record: bytes, key: str, origin: str, issuer: str, user: str) -> dict[str, Any]:
    """What a record of this user's says."""
    value = json.loads(record)["value"]
    sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    owner = [f"{origin}/mcp", issuer, user, ""]
    return json.loads(_cipher().decrypt(sealed, [*_associated("connection", owner), key.encode()]))


def _associated(purpose: str, owner: list[str]) -> list[bytes]:
    return [purpose.encode(), *(each.encode() for each in owner)]


def _cipher() -> AESSIV:
    secret = ENVIRONMENT["MCP_AUTH_KEY"].encode()
    return AESSIV(HKDF(hashes.SHA256(), 64, None, b"mcp-auth-filter handles").derive(secret))
