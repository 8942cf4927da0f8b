"""S21: callbacks and host calls that Envoy does not give the filter are noticed, and nothing passes without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import tokens
from .harness.answers import json_answer, listing
from .harness.envoy import Envoy, StartError
from .harness.envoy_config import CAPABILITIES, Cluster, Listener
from .harness.gateway import Through
from .harness.messages import LEGACY, call, message
from .harness.policy import fetched, policy
from .harness.upstream import Upstream

HIDDEN = "crm.purge"
ALLOWED = call(LEGACY, "crm.get_customer", {"query": "x"})
DENIED = call(LEGACY, HIDDEN, {"query": "x"})

CALLBACKS = [
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_response_headers",
    "proxy_on_response_body",
]
KEYS = "/keys/capabilities"
LISTENERS = {
    "crm": Listener(policy()),
    **{name: Listener(policy(), without=(name,)) for name in CALLBACKS},
    "no_answers": Listener(policy(), without=("proxy_on_response_headers", "proxy_on_response_body")),
    "no_ends": Listener(policy(issuers=[fetched(KEYS)]), without=("proxy_on_http_call_response",)),
}

# Those without which the filter cannot start, log or keep the time are left out: nothing could tell. So is the
# one that the filter can do without.
CALLS = sorted(
    name
    for name in CAPABILITIES["allowed_capabilities"]
    if name.startswith("proxy_")
    and not name.startswith("proxy_on_")
    and name not in (
        "proxy_log",
        "proxy_set_header_map_pairs",
        "proxy_add_header_map_value",
        "proxy_call_foreign_function",
    )
)


@pytest.mark.parametrize("name", CALLS)
def test_s21_a_host_call_that_is_taken_away_stops_the_load(
    directory: Path, clusters: dict[str, Cluster], name: str
) -> None:
    with pytest.raises(StartError) as refused:
        Envoy(directory, {"cut": Listener(policy(), without=(name,))}, clusters).stop()
    log = str(refused.value)
    assert name in log and "panicked" not in log
    if name != "proxy_get_buffer_bytes":
        assert f"Envoy refuses the call `{name}`" in log


@pytest.mark.parametrize("listener", [*CALLBACKS, "no_answers"])
def test_s21_a_callback_that_is_taken_away_is_noticed(
    envoy: Envoy, through: Through, upstream: Upstream, listener: str
) -> None:
    """The first request shows it; from then on nothing passes."""
    upstream.answer = json_answer(listing("tools", [{"name": HIDDEN}, {"name": "crm.get_customer"}]))
    gateway = through(listener)
    first = gateway.post(message(LEGACY, "tools/list"), tokens.support())
    if listener == "proxy_on_response_headers":
        assert HIDDEN.encode() not in first.response.body
    elif listener != "no_answers":
        assert first.status >= 400, first.response.body
    for body in (message(LEGACY, "tools/list"), ALLOWED, DENIED):
        upstream.take()
        exchange = gateway.post(body, tokens.support())
        assert exchange.status >= 500
        assert HIDDEN.encode() not in exchange.response.body
        assert not any(received.path == "/mcp" for received in upstream.take().requests)
    assert "capability_restriction_config" in envoy.log()


def test_s21_the_first_request_without_the_body_callback_reaches_no_tool(
    through: Through, upstream: Upstream
) -> None:
    """The test before has used this listener: requests are refused without a look."""
    through("proxy_on_request_body").post(DENIED, tokens.support())
    assert not any(received.path == "/mcp" for received in upstream.take().requests)


def test_k3_a_call_whose_end_envoy_does_not_report_ends(envoy: Envoy, through: Through) -> None:
    """A request that waits for keys does not wait for ever."""
    exchange = through("no_ends").post(ALLOWED, tokens.support())
    exchange.unavailable("keys_unavailable")
    assert "did not report the end of a call" in envoy.log()
