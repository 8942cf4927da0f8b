"""A CRM with anonymous tools, and the challenges for callers that are not signed in."""

from __future__ import annotations

import re

from .gateway import Exchange
from .messages import MODERN
from .policy import METADATA, TOOLS, Policy, policy

FOR_EVERYBODY = {"tools": ["docs.*", "crm.search_*"], "prompts": ["help_*"], "resources": ["docs://*"]}

# Anonymous tools with further conditions.
CONDITIONS = {
    "docs.rare": {"scopes": ["docs:rare"]},
    "docs.fresh": {"max_token_age": "1m"},
    "docs.limited": {"when": "args.limit <= 10"},
    "docs.guests": {"when": "!has(identity.user) && size(identity.roles) == 0"},
    "docs.members": {"when": "has(identity.user)"},
    "docs.mine": {"arguments": {"user_id": {"set": "user"}}},
}

SCOPE = "crm:read"


def mixed(**changes: object) -> Policy:
    """The usual policy, with a scope for signed-in callers and with anonymous tools."""
    base = {"scopes": [SCOPE], "anonymous": FOR_EVERYBODY, "tools": {**TOOLS, **CONDITIONS}}
    return policy(**{**base, **changes})


def parameters(challenge: str) -> dict[str, str]:
    """The parameters of the one challenge in a header or list (RFC 7235 section 2.1)."""
    scheme, _, rest = challenge.partition(" ")
    assert scheme == "Bearer"
    pair = r'([a-z_]+)="([^"\\]*)"'
    assert re.fullmatch(rf"{pair}(, {pair})*", rest), challenge
    pairs = re.findall(pair, rest)
    assert len(dict(pairs)) == len(pairs), "a parameter is repeated"
    return dict(pairs)


def expected(*scopes: str) -> dict[str, str]:
    """What a challenge has to say."""
    return {
        "resource_metadata": METADATA,
        "error": "insufficient_scope",
        "error_description": "Sign in to continue",
        "scope": " ".join(scopes),
    }


def asked_to_sign_in(exchange: Exchange, era: str, *scopes: str) -> None:
    """The server got nothing, and the client a tool's result that holds the challenge."""
    exchange.refused(200, None, "needs_review")
    assert exchange.record["reason"] == "sign_in"
    assert exchange.record["next_action"]
    answer = exchange.response.json
    assert (answer["jsonrpc"], answer["id"], "error" in answer) == ("2.0", 1, False)
    (challenge,) = answer["result"]["_meta"]["mcp/www_authenticate"]
    assert parameters(challenge) == expected(*scopes)
    assert answer["result"]["isError"] is True
    (content,) = answer["result"]["content"]
    assert content["type"] == "text" and content["text"]
    assert answer["result"].get("resultType") == ("complete" if era == MODERN else None)
    assert exchange.response.header("content-type") == "application/json"
    # No other caller may get this answer from a cache.
    assert exchange.response.header("cache-control") == "no-store"


def asked_with_401(exchange: Exchange, *scopes: str) -> None:
    """The server got nothing, and the client a challenge in its place."""
    exchange.refused(401, 401, "needs_review")
    assert exchange.record["reason"] == "sign_in"
    assert parameters(exchange.response.header("www-authenticate") or "") == expected(*scopes)


def unknown_tool(exchange: Exchange, name: str) -> None:
    """The server got nothing, and the client is told that there is no such tool."""
    exchange.refused(200, -32602, "blocked")
    assert exchange.response.json["error"]["message"] == f"Unknown tool: {name}"
    assert exchange.response.header("www-authenticate") is None
