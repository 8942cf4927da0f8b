"""Results that are larger than `max_result`, in both versions of Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import PROGRESS, Answer, encoded, event, json_answer, raw_stream, result
from .harness.envoy import Envoy, binary
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Exchange, Gateway
from .harness.messages import LEGACY, MODERN, call, message
from .harness.policy import policy
from .harness.upstream import Upstream

TOOL = "crm.get_customer"
LIMIT = 4096
SIZES = {
    "tools": {TOOL: {"max_result": LIMIT}},
    "prompts": {"customer_*": {"max_result": LIMIT}},
    "resources": {"crm://public/*": {"max_result": LIMIT}},
}

LISTENERS = {
    "crm": Listener(policy(**SIZES)),
    "http2_server": Listener(policy(**SIZES), "upstream_h2"),
    "buffered": Listener(
        policy(**SIZES, hold="buffer_filter"), stop_iteration=False, buffer_filter=1024 * 1024
    ),
    "observe": Listener(policy(**SIZES, mode="observe")),
}


@pytest.fixture(scope="module", params=[None, "1.36"], ids=lambda version: version or "current")
def envoy(
    request: pytest.FixtureRequest, clusters: dict[str, Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Envoy]:
    """Each Envoy in turn."""
    running = Envoy(tmp_path_factory.mktemp("sizes"), LISTENERS, clusters, binary(request.param))
    with running.checked():
        yield running


def large(size: int) -> dict[str, Any]:
    """A result with a text of this size."""
    return result({"content": [{"type": "text", "text": "x" * size}]})


def styles(message: Any) -> dict[str, Answer]:
    """An answer with a length, in chunks, and as an event stream."""
    plain = json_answer(message)
    return {
        "sized": plain,
        "chunked": plain.with_(sized=False).split(1000),
        "one chunk": plain.with_(sized=False),
        "events": raw_stream(event(PROGRESS), event(message)),
        "split events": raw_stream(event(PROGRESS), event(message)).split(700),
    }


def message_of(exchange: Exchange) -> dict[str, Any]:
    """The answer to the call, in any style."""
    text = exchange.response.body.decode()
    return json.loads(text.rpartition("data: ")[2] if "data: " in text else text)


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("style", styles({}))
@pytest.mark.parametrize("listener", ["crm", "http2_server", "buffered"])
def test_a_large_result_is_an_error_that_says_its_size(
    envoy: Envoy, upstream_server: Upstream, listener: str, style: str, era: str
) -> None:
    gateway = Gateway(envoy, listener, upstream_server)
    upstream_server.reset()
    upstream_server.answer = styles(large(100_000))[style]
    exchange = gateway.post(call(era, TOOL, {}), tokens.support(), era)
    answered = message_of(exchange)
    assert exchange.status == 200 and answered["id"] == 1
    [part] = answered["result"]["content"]
    assert answered["result"]["isError"] is True and part["type"] == "text"
    assert f"at most {LIMIT}" in part["text"] and "ask for less" in part["text"]
    size = len(encoded(large(100_000)))
    assert f"has {size} bytes" in part["text"] or "has at least " in part["text"]
    if style in ("sized", "events", "split events"):
        assert f"has {size} bytes" in part["text"]
    assert b"xxxx" not in exchange.response.body
    assert exchange.record["decision"] == "blocked" and exchange.record["reason"] == "result_too_large"
    if "events" in style:
        assert b"notifications/progress" in exchange.response.body


@pytest.mark.parametrize("style", styles({}))
def test_a_small_result_passes_as_it_is(envoy: Envoy, upstream_server: Upstream, style: str) -> None:
    gateway = Gateway(envoy, "crm", upstream_server)
    for size in (10, LIMIT - 100):
        upstream_server.reset()
        upstream_server.answer = styles(large(size))[style]
        exchange = gateway.post(call(LEGACY, TOOL, {}), tokens.support(), LEGACY)
        assert message_of(exchange) == large(size)
        assert exchange.record["reason"] == "allowed"


def test_prompts_and_resources_get_an_error(envoy: Envoy, upstream_server: Upstream) -> None:
    gateway = Gateway(envoy, "crm", upstream_server)
    for method, params in [
        ("prompts/get", {"name": "customer_brief"}),
        ("resources/read", {"uri": "crm://public/terms"}),
    ]:
        for style in styles({}):
            upstream_server.reset()
            upstream_server.answer = styles(large(50_000))[style]
            exchange = gateway.post(message(LEGACY, method, params), tokens.support(), LEGACY)
            error = message_of(exchange)["error"]
            assert error["code"] == -32602 and "ask for less" in error["message"]
            assert exchange.record["reason"] == "result_too_large"


def test_other_tools_and_observe_mode_have_no_limit(envoy: Envoy, upstream_server: Upstream) -> None:
    for listener, tool in [("crm", "crm.search_tickets"), ("observe", TOOL)]:
        gateway = Gateway(envoy, listener, upstream_server)
        upstream_server.reset()
        upstream_server.answer = json_answer(large(50_000))
        exchange = gateway.post(call(LEGACY, tool, {}), tokens.support(), LEGACY)
        assert message_of(exchange) == large(50_000)
