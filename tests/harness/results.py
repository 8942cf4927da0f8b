"""Rules for results, answers they are for, and what of these a client may never see."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from . import tokens
from .answers import Answer, answer, result
from .envoy_config import Listener
from .gateway import Exchange, Gateway
from .http import Response
from .messages import LEGACY, call
from .policy import Policy, policy

TOOL = "crm.get_customer"

# A hidden field's value, and a customer of another organization.
SSN = "123-45-6789"
OTHERS = "Umbrella Foods"

EVERYWHERE = {"tools": ["*"], "prompts": ["*"], "resources": ["crm://*"]}
OWNER = {"field": "organization_id", "is": "organization"}


def rule(**changes: Any) -> dict[str, Any]:
    """A rule for everything."""
    return {**EVERYWHERE, **changes}


def owned(**changes: Any) -> dict[str, Any]:
    """A rule about owners."""
    return rule(owner={**OWNER, **changes})


def judged(*rules: dict[str, Any], **changes: Any) -> Policy:
    """A policy with these rules."""
    return policy(results=list(rules), **changes)


HIDES = rule(redact=["ssn", "card.number"])
HIDES_IN_TEXTS = {**HIDES, "text": "keep"}

# For tests of where data may stand: what is hidden, and whose it is, whatever texts are taken for.
RULED = {
    "hides": Listener(judged(HIDES)),
    "hides_in_texts": Listener(judged(HIDES_IN_TEXTS)),
    "owned": Listener(judged(owned())),
    "owned_if_named": Listener(judged(owned(missing="keep"))),
    "owned_in_texts": Listener(judged({**owned(missing="keep"), "text": "keep"})),
}
HIDING = pytest.mark.parametrize("listener", ["hides", "hides_in_texts"])
OWNING = pytest.mark.parametrize("listener", ["owned", "owned_if_named", "owned_in_texts"])


def own(**more: Any) -> dict[str, Any]:
    """A customer of the caller's organization."""
    return {"organization_id": tokens.ORGANIZATION, "name": "Acme", **more}


def foreign(**more: Any) -> dict[str, Any]:
    """A customer of another one."""
    return {"organization_id": "org-b", "name": OTHERS, **more}


def structured(content: Any, **more: Any) -> dict[str, Any]:
    """A tool's answer as the specification wants it: structured, and the same as text."""
    text = {"type": "text", "text": json.dumps(content)}
    return result({"content": [text], "structuredContent": content, **more})


def texts(*values: Any, **more: Any) -> dict[str, Any]:
    """A tool's answer in text blocks."""
    return result({"content": [{"type": "text", "text": value} for value in values], **more})


def ask(gateway: Gateway, said: Any, style: str = "json", era: str = LEGACY, **more: Any) -> Exchange:
    """What comes of a tool call that the server answers with this."""
    gateway.upstream.answer = said if isinstance(said, Answer) else answer(said, style)
    token = more.pop("token", None) or tokens.support()
    return gateway.post(call(era, TOOL), token, era, **more)


def content(exchange: Exchange) -> tuple[Any, Any]:
    """The structured content a client received, and what its text says."""
    answered = exchange.response.rpc()["result"]
    text = answered["content"][0]["text"]
    return answered["structuredContent"], json.loads(text)


def shown(response: Response) -> str:
    """Everything of a response that a client can read, in every reading: as written, without
    escapes, and out of base64."""
    text = response.body.decode() + json.dumps([response.headers, response.trailers])
    messages = response.events() or [response.body.decode()]
    return "\n".join([text, *(line for each in messages for line in _readings(each))])


def _readings(text: str) -> list[str]:
    """A text, and every text in it, however often it is wrapped up."""
    found = [text]
    for read in (json.loads, _from_base64):
        try:
            value = read(text.removeprefix("\ufeff"))
        except ValueError:
            continue
        found += [line for each in _texts(value) if each != text for line in _readings(each)]
    return found


def _from_base64(text: str) -> str:
    """As lenient clients read it: line ends, either alphabet, with or without padding."""
    packed = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    if len(packed) < 8:
        raise ValueError("too short to be meant")
    return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()


def _texts(value: Any) -> list[str]:
    """Keys and values."""
    match value:
        case dict():
            return [*value, *(line for each in value.values() for line in _texts(each))]
        case list():
            return [line for each in value for line in _texts(each)]
        case str():
            return [value]
        case _:
            return []


def hides(exchange: Exchange, *values: str) -> None:
    """None of these, or else what is never shown, is in anything the client received."""
    seen = shown(exchange.response)
    assert [value for value in values or (SSN, OTHERS) if value in seen] == [], exchange.response.body


def not_the_callers(exchange: Exchange, status: int = 200) -> None:
    """The server answered, and nothing of its answer was passed on."""
    hides(exchange)
    assert len(exchange.upstream.requests) == 1
    assert exchange.status == exchange.logged_status == status
    assert exchange.response.error_code() == 403
    assert exchange.record["decision"] == "blocked"
    assert exchange.record["reason"] == "result_not_owned"


def too_large(exchange: Exchange) -> None:
    """The server's answer is over the limit, and an error that names the limit is in its place."""
    hides(exchange)
    assert exchange.status == exchange.logged_status == 200
    assert exchange.response.error_code() == -32603
    assert b"max_response" in exchange.response.body
    assert exchange.record["reason"] == "upstream_answer_too_large"


def not_understood(exchange: Exchange, status: int = 502) -> None:
    """The server's answer could not be judged, and nothing of it was passed on."""
    hides(exchange)
    assert exchange.status == exchange.logged_status == status
    assert exchange.response.error_code() == -32603
    assert exchange.record["reason"] == "upstream_answer_uncheckable"
