"""`requestState`: what a server wants back with the retry of a request comes back from the same
caller, with the same request, in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import Answer, encoded, json_answer, result
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.handles import (
    BUFFERED,
    NO_KEY,
    OBSERVE,
    SECONDS,
    SERVERS,
    SHORT,
    STATE,
    STRANGERS,
    HandleGateway,
    Sealed,
    Stranger,
    begin,
    forgeries,
)
from .harness.messages import MODERN, call, message
from .harness.policy import policy
from .harness.variants import CLIENTS, STYLED
from .harness.waiting import wait_until

LISTENERS = {
    **SERVERS,
    "crm_h2": Listener(policy(), "upstream_h2"),
    "buffered": BUFFERED,
    "short": SHORT,
    "no_key": NO_KEY,
    "observe": OBSERVE,
}

# The requests that may be answered with a question.
ASKED = {
    "tools/call": {"name": "crm.get_customer", "arguments": {"a": 1, "b": ["x"]}},
    "prompts/get": {"name": "customer_summary", "arguments": {"tone": "x"}},
    "resources/read": {"uri": "crm://public/faq"},
}
METHODS = pytest.mark.parametrize("method", ASKED)

CALL = ASKED["tools/call"]
ANSWERS = {"who": {"action": "accept", "content": {"note": "x"}}}


def question(state: str) -> dict[str, Any]:
    """The answer of a server that has to ask first."""
    asks = {"who": {"method": "elicitation/create", "params": {"message": "?", "requestState": "data"}}}
    return result({"resultType": "input_required", "inputRequests": asks, "requestState": state})


def asked(
    gateway: HandleGateway,
    token: str,
    method: str = "tools/call",
    params: dict[str, Any] = CALL,
    style: Callable[[Any], Answer] = json_answer,
    state: str = STATE,
) -> str:
    """Make a request that is answered with a question; the state the client holds."""
    gateway.upstream.answer = style(question(state))
    exchange = gateway.post(message(MODERN, method, params), token, MODERN)
    exchange.forwarded()
    answer = exchange.response.rpc()
    held = gateway.hold(answer["result"]["requestState"])
    assert answer == question(held), "only the state is another"
    return held


def retry(
    gateway: Gateway,
    token: str,
    state: str,
    method: str = "tools/call",
    params: dict[str, Any] = CALL,
    http2: bool = False,
) -> Exchange:
    """The same request, with the answer to the question."""
    body = message(MODERN, method, {**params, "inputResponses": ANSWERS, "requestState": state}, 2)
    return gateway.post(body, token, MODERN, http2=http2)


def unknown(exchange: Exchange) -> None:
    """Refused for its state."""
    exchange.refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "request_state"
    assert exchange.record["next_action"]


@METHODS
@STYLED
@CLIENTS
@pytest.mark.parametrize("listener", ["crm", "crm_h2", "buffered"])
def b24_the_server_gets_its_own_state_back(
    sealed: Sealed, listener: str, http2: bool, style: Callable[[Any], Answer], method: str
) -> None:
    gateway, token, params = sealed(listener), tokens.support(), ASKED[method]
    held = asked(gateway, token, method, params, style)
    received = retry(gateway, token, held, method, params, http2).forwarded().json["params"]
    assert received["requestState"] == STATE
    assert received["inputResponses"] == ANSWERS


def b24_a_second_question_has_a_state_of_its_own(sealed: Sealed) -> None:
    gateway, token = sealed("crm"), tokens.support()
    first = asked(gateway, token)
    gateway.upstream.answer = json_answer(question(f"{STATE}-2"))
    exchange = retry(gateway, token, first)
    assert exchange.forwarded().json["params"]["requestState"] == STATE
    second = gateway.hold(exchange.response.rpc()["result"]["requestState"])
    assert second != first
    assert retry(gateway, token, second).forwarded().json["params"]["requestState"] == f"{STATE}-2"


def b24_a_state_of_any_characters_comes_back(sealed: Sealed) -> None:
    gateway, token = sealed("crm"), tokens.support()
    for state in ('"\\\n/é😀', "", " ", "null", "a" * 9000):
        held = asked(gateway, token, state=state)
        assert retry(gateway, token, held).forwarded().json["params"]["requestState"] == state


@pytest.mark.parametrize("size", [12_000, 13_000, 100_000])
def b24_a_large_state_comes_back(sealed: Sealed, size: int) -> None:
    """What is given out can be given back, as far as the body may be that large."""
    gateway, token, state = sealed("crm"), tokens.support(), "s" * size
    held = asked(gateway, token, state=state)
    assert retry(gateway, token, held).forwarded().json["params"]["requestState"] == state


WRITTEN = [
    '{"a":1,"b":["x"]}',
    '{"b":["x"],"a":1}',
    ' {\t"a" : 1 ,\r\n "b" : [ "x" ] } ',
    '{"\\u0061":1,"b":["\\u0078"]}',
]


@pytest.mark.parametrize("first", WRITTEN, ids=range(len(WRITTEN)))
@pytest.mark.parametrize("second", WRITTEN, ids=range(len(WRITTEN)))
def b24_equal_arguments_may_be_written_differently(sealed: Sealed, first: str, second: str) -> None:
    gateway, token = sealed("crm"), tokens.support()

    def written(arguments: str, **params: Any) -> Exchange:
        body = call(MODERN, "crm.get_customer", {"*": "*"}, **params)
        text = encoded(body).decode().replace('{"*":"*"}', arguments)
        return gateway.post(text.encode(), token, MODERN, like=body)

    gateway.upstream.answer = json_answer(question(STATE))
    held = gateway.hold(written(first).response.rpc()["result"]["requestState"])
    assert written(second, requestState=held).forwarded().json["params"]["requestState"] == STATE


@pytest.mark.parametrize("arguments", [{"user_id": "user-eve", "role": "admin"}, {"userId": None}])
def b24_rewritten_arguments_are_still_the_same(sealed: Sealed, arguments: dict[str, Any]) -> None:
    gateway, token = sealed("crm"), tokens.support()
    params = {"name": "crm.get_customer", "arguments": arguments}
    held = asked(gateway, token, params=params)
    received = retry(gateway, token, held, params=params).forwarded()
    assert received.json["params"]["requestState"] == STATE
    assert set(received.arguments.values()) == {tokens.USER}


def b24_missing_arguments_equal_empty_arguments(sealed: Sealed) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = asked(gateway, token, params={"name": "crm.get_customer"})
    retry(gateway, token, held, params={"name": "crm.get_customer", "arguments": {}}).forwarded()


OTHER_ARGUMENTS = [
    {},
    {"a": 2, "b": ["x"]},
    {"a": 1.0, "b": ["x"]},
    {"a": "1", "b": ["x"]},
    {"a": 1, "b": []},
    {"a": 1, "b": ["x", "x"]},
    {"a": 1, "b": [["x"]]},
    {"a": 1, "b": "x"},
    {"a": 1, "b": ["x"], "c": None},
    {"A": 1, "b": ["x"]},
    {"a": 1, "b": ["X"]},
    {"a": {"a": 1}, "b": ["x"]},
]


@pytest.mark.parametrize("arguments", OTHER_ARGUMENTS, ids=range(len(OTHER_ARGUMENTS)))
def b24_a_state_is_for_its_arguments(sealed: Sealed, arguments: dict[str, Any]) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = asked(gateway, token)
    unknown(retry(gateway, token, held, params={**CALL, "arguments": arguments}))
    retry(gateway, token, held).forwarded()


def b24_a_state_is_for_its_method_and_name(sealed: Sealed) -> None:
    gateway, token = sealed("crm"), tokens.manager()
    # One name of a tool and a prompt, and the same arguments.
    same = {"name": "customer_summary", "arguments": {"tone": "x"}}
    prompt = asked(gateway, token, "prompts/get", same)
    call_ = asked(gateway, token)
    resource = asked(gateway, token, "resources/read", ASKED["resources/read"])
    unknown(retry(gateway, token, prompt, "prompts/get", {**same, "name": "customer_other"}))
    unknown(retry(gateway, token, prompt, "tools/call", {**same, "name": "crm.get_customer"}))
    unknown(retry(gateway, token, call_, params={**CALL, "name": "crm.search_all"}))
    unknown(retry(gateway, token, call_, "prompts/get", {**CALL, "name": "crm.get_customer"}))
    unknown(retry(gateway, token, resource, "resources/read", {"uri": "crm://public/other"}))
    for held, method, params in ((prompt, "prompts/get", same), (call_, "tools/call", CALL)):
        retry(gateway, token, held, method, params).forwarded()


def b24_a_state_is_for_the_resource_that_is_read(sealed: Sealed) -> None:
    """A `name` means nothing to `resources/read`: it cannot stand in for the URI."""
    gateway, token = sealed("crm"), tokens.support()
    named = {"name": "x", **ASKED["resources/read"]}
    held = asked(gateway, token, "resources/read", named)
    unknown(retry(gateway, token, held, "resources/read", {**named, "uri": "crm://public/other"}))
    retry(gateway, token, held, "resources/read", named).forwarded()


@STRANGERS
@METHODS
def b24_the_state_of_another_caller_is_refused(sealed: Sealed, stranger: Stranger, method: str) -> None:
    params = ASKED[method]
    held = asked(sealed("crm"), tokens.support(), method, params)
    gateway, token = sealed(stranger.listener), stranger.token()
    own = asked(gateway, token, method, params)
    assert retry(gateway, token, own, method, params).forwarded().json["params"]["requestState"] == STATE
    unknown(retry(gateway, token, held, method, params))


def b24_a_forged_state_is_refused(sealed: Sealed) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = asked(gateway, token)
    session = begin(gateway, token)
    for forged in [STATE, "", session, "A" * 20_000, *forgeries(held)]:
        unknown(retry(gateway, token, forged))
    for forged in ({}, 1, [held]):
        body = call(MODERN, "crm.get_customer", CALL["arguments"], requestState=forged)
        gateway.post(body, token, MODERN).refused(400, -32600, "blocked")


def b24_a_state_expires(sealed: Sealed) -> None:
    gateway, token = sealed("short"), tokens.support()
    begun = time.time()
    held = asked(gateway, token)
    made = time.time()
    exchange = retry(gateway, token, held)
    # Seconds are counted whole. On a very slow machine the state has expired by now, and this says nothing.
    if time.time() < begun + SECONDS - 1:
        exchange.forwarded()
    wait_until(made + SECONDS + 0.1)
    unknown(retry(gateway, token, held))
    retry(gateway, token, asked(gateway, token)).forwarded()


def b24_a_state_does_not_outlive_the_role(sealed: Sealed) -> None:
    """What may not be called is said first."""
    gateway = sealed("crm")
    params = {"name": "crm.report", "arguments": {}}
    held = asked(gateway, tokens.manager(), params=params)
    exchange = retry(gateway, tokens.support(), held, params=params)
    assert exchange.refused(200, -32602, "blocked").record["reason"] == "no_role"


def b24_a_null_state_is_no_state(sealed: Sealed) -> None:
    body = call(MODERN, "crm.get_customer", requestState=None)
    received = sealed("crm").post(body, tokens.support(), MODERN).forwarded()
    assert received.json["params"]["requestState"] is None


COMPLETION = {
    "ref": {"type": "ref/prompt", "name": "customer_x"},
    "argument": {"name": "a", "value": "b"},
}
NEVER_ASKED_BACK = {"tools/list": {}, "server/discover": {}, "completion/complete": COMPLETION}


@pytest.mark.parametrize("method", NEVER_ASKED_BACK)
def b24_a_request_that_is_never_asked_back_brings_no_state(sealed: Sealed, method: str) -> None:
    """A server might take it for its own all the same."""
    gateway, token, params = sealed("crm"), tokens.support(), NEVER_ASKED_BACK[method]
    gateway.upstream.answer = json_answer(result({"tools": []}))
    gateway.post(message(MODERN, method, params), token, MODERN).forwarded()
    unknown(retry(gateway, token, STATE, method, params))


@METHODS
@STYLED
@CLIENTS
def b24_without_a_key_no_state_is_given_out(
    sealed: Sealed, method: str, style: Callable[[Any], Answer], http2: bool
) -> None:
    gateway = sealed("no_key")
    gateway.upstream.answer = style(question(STATE))
    exchange = gateway.post(message(MODERN, method, ASKED[method]), tokens.support(), MODERN, http2=http2)
    # The headers of a stream are gone by then.
    assert exchange.status == (502 if style is json_answer else 200)
    assert exchange.response.error_code() == -32603
    assert b"elicitation" not in exchange.response.body
    assert exchange.record["decision"] == "blocked"
    assert exchange.record["reason"] == "no_seal_key"
    assert "seal" in exchange.record["next_action"]


def b24_without_a_key_no_state_is_accepted(sealed: Sealed) -> None:
    token = tokens.support()
    for state in (asked(sealed("crm"), token), STATE):
        unknown(retry(sealed("no_key"), token, state))


def test_observe_mode_leaves_states_as_they_are(through: Callable[[str], Gateway]) -> None:
    gateway, token = through("observe"), tokens.support()
    gateway.upstream.answer = json_answer(question("of the server"))
    exchange = gateway.post(message(MODERN, "tools/call", CALL), token, MODERN)
    assert exchange.response.rpc() == question("of the server")
    received = retry(gateway, token, "of the server").received
    assert received.json["params"]["requestState"] == "of the server"
