"""Tokens that must not be accepted, by what is wrong with them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from .keys import b64url, key
from .tokens import (
    ISSUER,
    OMIT,
    OTHER_ISSUER,
    RESOURCE,
    claims,
    encode,
    remember,
    token,
)

WrongToken = Callable[[], str]


def _unsigned(header: dict[str, Any], signature: bytes = b"") -> str:
    head, body = b64url(json.dumps(header).encode()), b64url(json.dumps(claims()).encode())
    return remember(f"{head}.{body}.{b64url(signature)}")


def _hmac_with(secret: bytes) -> str:
    header = b64url(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "rs256"}).encode())
    signed = f"{header}.{b64url(json.dumps(claims()).encode())}"
    return remember(f"{signed}.{b64url(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}")


def _header(**changes: Any) -> WrongToken:
    return lambda: token(header=changes)


def _claims(**changes: Any) -> WrongToken:
    return lambda: token(**changes)


def _ahead(seconds: int) -> int:
    return int(time.time()) + seconds


def _non_canonical(part: int) -> str:
    """Set the unused low bits of the last character: the same bytes, spelled differently."""
    parts = token().split(".")
    if len(parts[part]) % 4 == 0:
        # No unused bits here: lengthen the text by one claim or key id character.
        return _non_canonical_with(part, 1)
    parts[part] = parts[part][:-1] + _next_letter(parts[part][-1])
    return remember(".".join(parts))


def _non_canonical_with(part: int, extra: int) -> str:
    payload = claims(jti="x" * extra)
    parts = encode(payload, {"x": "y" * extra}).split(".")
    if len(parts[part]) % 4 == 0:
        return _non_canonical_with(part, extra + 1)
    parts[part] = parts[part][:-1] + _next_letter(parts[part][-1])
    return remember(".".join(parts))


def _next_letter(letter: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(letter) + 1]


def _padded() -> str:
    head, body, signature = token().split(".")
    return remember(f"{head}.{body}.{signature}==")


def _tampered() -> str:
    head, _, signature = token().split(".")
    return remember(f"{head}.{b64url(json.dumps(claims(sub='admin')).encode())}.{signature}")


def _duplicate_claim() -> str:
    text = json.dumps(claims(sub="admin"))
    return encode(f'{text[:-1]}, "sub": "user-anna"}}'.encode())


def _duplicate_custom_claim() -> str:
    text = json.dumps(claims(org_id="org-b"))
    return encode(f'{text[:-1]}, "org_\\u0069d": "org-a"}}'.encode())


def _duplicate_header() -> str:
    return encode(claims(), b'{"alg":"ES256","alg":"ES256","typ":"JWT","kid":"es256"}')


def _other_key(algorithm: str, kid: str) -> str:
    """A signature by an unpublished key, under a published key id."""
    stranger = key(algorithm, f"stranger-{algorithm}")
    return encode(claims(), {"kid": kid}, stranger)


SIGNATURES: dict[str, WrongToken] = {
    "alg_none": lambda: _unsigned({"alg": "none", "typ": "JWT"}),
    "alg_none_spelled_oddly": lambda: _unsigned({"alg": "nOnE", "typ": "JWT", "kid": "es256"}),
    "alg_none_with_signature": lambda: _unsigned({"alg": "none", "kid": "es256"}, b"x" * 64),
    "alg_missing": lambda: encode(claims(), {"alg": OMIT}),
    "alg_lower_case": _header(alg="es256"),
    "hmac_with_public_pem": lambda: _hmac_with(key("RS256").public_pem()),
    "hmac_with_public_jwk": lambda: _hmac_with(json.dumps(key("RS256").jwk()).encode()),
    "alg_of_another_key_type": _header(alg="RS256"),
    "alg_of_another_digest": _header(alg="ES384"),
    "empty_signature": lambda: _unsigned({"alg": "ES256", "typ": "JWT", "kid": "es256"}),
    "zero_signature": lambda: _unsigned({"alg": "ES256", "typ": "JWT", "kid": "es256"}, bytes(64)),
    "unpublished_key": lambda: _other_key("ES256", "es256"),
    "unpublished_rsa_key": lambda: _other_key("RS256", "rs256"),
    "changed_payload": _tampered,
    "weak_rsa_key": lambda: encode(claims(), None, key("RS256", "weak", 1024)),
    "padded": _padded,
    "non_canonical_header": lambda: _non_canonical(0),
    "non_canonical_payload": lambda: _non_canonical(1),
    "non_canonical_signature": lambda: _non_canonical(2),
    "standard_base64": lambda: remember(token().replace("-", "+").replace("_", "/") + "="),
    "two_parts": lambda: remember(token().rpartition(".")[0]),
    "four_parts": lambda: remember(token() + ".x"),
    "five_parts": lambda: remember(f"{token()}.x.x"),
    "not_a_token": lambda: "opaque-token",
    "inner_space": lambda: remember(token().replace(".", ". ", 1)),
}

HEADERS: dict[str, WrongToken] = {
    "critical_unknown": _header(crit=["exp"], exp=1),
    "critical_b64": _header(crit=["b64"], b64=False),
    "key_url": _header(jku="https://attacker.example/keys", kid="attacker"),
    "certificate_url": _header(x5u="https://attacker.example/cert", kid="attacker"),
    "inline_key": lambda: encode(
        claims(), {"jwk": key("ES256", "attacker").jwk()}, key("ES256", "attacker")
    ),
    "id_token": _header(typ="id_token+jwt"),
    "identity_assertion_grant": _header(typ="oauth-id-jag+jwt"),
    "dpop_proof": _header(typ="dpop+jwt"),
    "logout_token": _header(typ="logout+jwt"),
    "type_absent": _header(typ=OMIT),
    "type_number": _header(typ=1),
    "key_id_missing_key": _header(kid="nobody"),
    "key_id_number": _header(kid=7),
    "duplicate_header": _duplicate_header,
}

CLAIMS: dict[str, WrongToken] = {
    "no_expiry": _claims(exp=OMIT),
    "expired": lambda: token(exp=_ahead(-120), iat=_ahead(-900)),
    "expired_within_a_lenient_default": lambda: token(exp=_ahead(-600), iat=_ahead(-1200)),
    "expiry_text": _claims(exp="4102444800"),
    "expiry_null": _claims(exp=None),
    "expiry_in_milliseconds": lambda: token(exp=_ahead(600) * 1000),
    "expiry_overflowing": lambda: encode(json.dumps(claims(exp=0)).replace('"exp": 0', '"exp": 1e300').encode()),
    "expiry_years_ahead": lambda: token(exp=_ahead(400 * 24 * 3600)),
    "not_yet_valid": lambda: token(nbf=_ahead(300)),
    "issued_in_the_future": lambda: token(iat=_ahead(3600), exp=_ahead(7200)),
    "issuer_missing": _claims(iss=OMIT),
    "issuer_unknown": _claims(iss="https://attacker.example"),
    "issuer_with_slash": _claims(iss=f"{ISSUER}/"),
    "issuer_list": _claims(iss=[ISSUER]),
    "subject_missing": _claims(sub=OMIT),
    "subject_empty": _claims(sub=""),
    "subject_list": _claims(sub=["user-anna"]),
    "subject_object": _claims(sub={"id": "user-anna"}),
    "confirmation_key": _claims(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
    "duplicate_claim": _duplicate_claim,
    "duplicate_custom_claim": _duplicate_custom_claim,
    "payload_not_json": lambda: encode(b"sub=admin"),
    "payload_list": lambda: encode(b"[]"),
    "payload_trailing_data": lambda: encode(json.dumps(claims()).encode() + b"{}"),
}

AUDIENCES: dict[str, WrongToken] = {
    "missing": _claims(aud=OMIT),
    "empty_list": _claims(aud=[]),
    "empty": _claims(aud=""),
    "another_server": _claims(aud="https://billing.example.com/mcp"),
    "prefix_of_ours": _claims(aud="https://crm.example.com"),
    "ours_is_a_prefix": _claims(aud=f"{RESOURCE}-admin"),
    "below_ours": _claims(aud=f"{RESOURCE}/admin"),
    "list_without_ours": _claims(aud=["https://billing.example.com/mcp", "account"]),
    "ours_inside_text": _claims(aud=f"https://billing.example.com/mcp {RESOURCE}"),
    "client_id": _claims(aud="chat"),
    "wildcard": _claims(aud="*"),
    "number": _claims(aud=1),
    "object": _claims(aud={"aud": RESOURCE}),
}

ISSUERS: dict[str, WrongToken] = {
    "first_issuer_signed_by_second": lambda: token(signer=key("ES256", "other")),
    "second_issuer_signed_by_first": lambda: token(iss=OTHER_ISSUER),
    "second_issuer_with_first_key_id": lambda: token(iss=OTHER_ISSUER, header={"kid": "es256"}),
    "first_issuer_with_second_key_id": lambda: token(header={"kid": "other"}),
}
