"""Proofs of possession (RFC 9449): good ones by default, and every kind of wrong one on request."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from typing import Any

from .client import Request
from .http import Headers, Text
from .keys import SigningKey, b64url, key
from .messages import LEGACY, HeaderList, post
from .tokens import OMIT, RESOURCE, remember, support

CALLER = key("ES256", "caller")
THIEF = key("ES256", "thief")

# What of a public key its thumbprint is made of (RFC 7638 section 3.2).
REQUIRED = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


def public(signer: SigningKey) -> dict[str, Any]:
    """The key as proofs carry it."""
    return {name: value for name, value in signer.jwk().items() if name not in ("kid", "alg", "use")}


def thumbprint(signer: SigningKey) -> str:
    """The RFC 7638 thumbprint."""
    jwk = public(signer)
    members = {name: jwk[name] for name in REQUIRED[jwk["kty"]]}
    return digest(json.dumps(members, separators=(",", ":"), sort_keys=True).encode())


def digest(data: bytes) -> str:
    """A SHA-256 as JOSE writes it."""
    return b64url(hashlib.sha256(data).digest())


def bound(signer: SigningKey = CALLER, **changes: Any) -> str:
    """A token bound to this key."""
    return support(cnf={"jkt": thumbprint(signer)}, **changes)


def proof(
    token: str,
    method: str = "POST",
    signer: SigningKey = CALLER,
    header: dict[str, Any] | None = None,
    by: SigningKey | None = None,
    **changes: Any,
) -> str:
    """A new proof for this token. `by`: who signs it instead of the key in it."""
    head = {"typ": "dpop+jwt", "alg": signer.algorithm, "jwk": public(signer), **(header or {})}
    claims = {
        "jti": secrets.token_urlsafe(12),
        "htm": method,
        "htu": RESOURCE,
        "iat": int(time.time()),
        "ath": digest(token.encode()),
        **changes,
    }
    parts = [_encoded(head), _encoded(claims)]
    signed = ".".join(parts)
    return remember(f"{signed}.{b64url((by or signer).sign(signed.encode()))}")


def _encoded(members: dict[str, Any]) -> str:
    kept = {name: value for name, value in members.items() if value is not OMIT}
    return b64url(json.dumps(kept).encode())


def headers(token: str, *proofs: Text) -> HeaderList:
    """The headers that send a bound token."""
    return [("authorization", f"DPoP {token}"), *[("dpop", each) for each in proofs]]


def request(body: dict[str, Any], token: str, *proofs: Text, era: str = LEGACY, **more: Any) -> Request:
    """A POST with a bound token; without proofs named, with a good one."""
    extra = headers(token, *(proofs or (proof(token),)))
    return post(body, None, era, headers=extra, **more)


def challenges(found: Headers) -> dict[str, str]:
    """Every challenge of an answer by its scheme."""
    values = [value for name, value in found if name == "www-authenticate"]
    return dict(value.split(" ", 1) for value in values)
