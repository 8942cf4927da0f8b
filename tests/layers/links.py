"""The link on which a user connects an account, as the filter makes it, and what it keeps afterwards."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..harness.envoy_config import ENVIRONMENT

PAGES = "/.mcp-auth/"


def link(
    origin: str, issuer: str, user: str, connection: str = "notes", expires: float = 600, client: str = ""
) -> str:
    """A link for this user, at this client."""
    ticket = {
        "issuer": issuer,
        "user": user,
        "errand": {"connect": {"conversation": "user", "connection": connection, **({"client": client} if client else {})}},
        "expires": int(time.time() + expires),
    }
    owner = [f"{origin}/mcp", "", "", ""]
    sealed = _cipher().encrypt(json.dumps(ticket).encode(), _associated("ticket", owner))
    sealed = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
    return f"{origin}{PAGES}connect?ticket={key_id(_secret())}.{sealed}"


def account(
    entries: dict[bytes, bytes], origin: str, issuer: str, user: str, client: str = "", secret: bytes | None = None
) -> dict[str, Any] | None:
    """What the record of this user's account says, if there is one: linked in no session, through this client, and
    sealed with this secret."""
    user_of = [f"{origin}/mcp", issuer, user]
    owner = _digest("owner", user_of)
    name = _digest("account", [owner, *user_of, "user", "", "notes", client])
    key = f"o{owner[:16]}{name[:48]}"
    stored = f"o{_keyed(key[:17])[:16]}{_keyed(key)[:48]}"
    record = entries.get(f"mcp-auth/{stored}".encode())
    if record is None:
        return None
    value = json.loads(record)["value"]
    known, _, value = value.partition(".")
    assert known == key_id(secret or _secret())
    sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    return json.loads(_cipher(secret).decrypt(sealed, [*_associated("connection", [*user_of, ""]), key.encode()]))


def sealed_session(resource: str, token: str, secret: str) -> str:
    """The id of a session of the server, as it is sealed with this secret for the caller of this token."""
    owner = [resource, _claims(token)["iss"], _claims(token)["sub"], ""]
    sealed = _cipher(secret.encode()).encrypt(b'"s-1"', _associated("session", owner))
    return f"{key_id(secret.encode())}.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"


def client_of(token: str) -> str:
    """The client that a token was issued to."""
    return _claims(token)["client_id"]


def _claims(token: str) -> dict[str, Any]:
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))


def unkeyed_owner(*owner: str) -> str:
    """How a record's name would start if anybody could compute it."""
    return _digest("owner", list(owner))[:16]


def _digest(kind: str, texts: list[str]) -> str:
    """The hash of texts that no other list of texts has."""
    parts = [each.encode() for each in (kind, *texts)]
    return hashlib.sha256(b"".join(len(each).to_bytes(8, "big") + each for each in parts)).hexdigest()


def _keyed(text: str) -> str:
    """A part of a record's name in the store."""
    names = _derived(_secret(), b"mcp-auth-filter handles")
    secret = hmac.digest(names, b"mcp-auth-filter record names", "sha256")
    return hmac.digest(secret, text.encode(), "sha256").hex()


def _associated(purpose: str, owner: list[str]) -> list[bytes]:
    return [purpose.encode(), *(each.encode() for each in owner)]


def key_id(secret: bytes) -> str:
    """The id of a key, with which a sealed value begins."""
    return hmac.digest(_derived(secret, b"mcp-auth-filter sealed values"), b"mcp-auth-filter key id", "sha256").hex()[:6]


def _cipher(secret: bytes | None = None) -> AESSIV:
    return AESSIV(_derived(secret or _secret(), b"mcp-auth-filter sealed values"))


def _secret() -> bytes:
    return ENVIRONMENT["MCP_AUTH_KEY"].encode()


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 64, None, purpose).derive(secret)
