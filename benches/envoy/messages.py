"""The requests, and a token seen before: the same for every listener."""

import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

ISSUER = "https://login.example.com"
RESOURCE = "https://crm.example.com/mcp"
USER = "7f5d0b1c-59ab-4d3c-8a55-2d0f6f1f6b1e"
ROLE = "support"
ALLOWED = "crm.import_tickets"
FORBIDDEN = "crm.purge_customer"
CLAIMED = "somebody"

_KEY = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


def key_set() -> dict[str, Any]:
    """The issuer's public key."""
    return dict(KeySet([_KEY]).as_dict(private=False))


def claims() -> dict[str, Any]:
    """The claims of a caller with one role."""
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": USER,
        "org_id": "acme",
        "realm_access": {"roles": [ROLE, "offline_access"]},
        "scope": "openid crm:read crm:write",
        "azp": "crm-assistant",
        "iat": now,
        "exp": now + 3600,
    }


def token() -> str:
    """An access token of that caller."""
    return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": _KEY.kid}, claims(), _KEY)


def call(size: int, tool: str = ALLOWED, claims_user: bool = False) -> bytes:
    """A tool call of exactly `size` bytes, as benches/core has it: tickets in an array."""
    user = f'"user_id":"{CLAIMED}",' if claims_user else ""
    start = (
        '{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"%s","arguments":{%s'
        '"limit":100,"dry_run":false,"tickets":[' % (tool, user)
    ).encode()
    end = b'"},"_meta":{"progressToken":"p-42"}}}'
    middle = b'],"comment":"'
    room = size - len(start) - len(middle) - len(end)
    tickets = b""
    for number in range(1000, 10_000):
        ticket = b"," * bool(tickets) + _ticket(number)
        if len(tickets) + len(ticket) > room:
            break
        tickets += ticket
    words = b"imported by the assistant "
    comment = (words * (room // len(words) + 1))[: room - len(tickets)]
    return start + tickets + middle + comment + end


def _ticket(number: int) -> bytes:
    return (
        '{"id":"T-%d","subject":"Invoice %d was charged twice","priority":"high",'
        '"tags":["billing","refund"],"amount":129.50,"open":true,'
        '"note":"Customer says: \\"please refund\\".\\nSent from Zürich."}' % (number, number)
    ).encode()


def request(body: bytes, bearer: str | None) -> bytes:
    """The HTTP request an MCP client makes of a message."""
    headers = {
        "host": "crm.example.com",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "gzip, deflate",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "mcp-protocol-version": "2025-11-25",
        "user-agent": "python-httpx/0.28.1",
    }
    if bearer is not None:
        headers["authorization"] = f"Bearer {bearer}"
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return f"POST /mcp HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body
