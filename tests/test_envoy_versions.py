"""Behaviour that depends on the host, in every supported version of Envoy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import tokens
from .harness.answers import encoded, event_stream, json_answer, listing
from .harness.envoy import Envoy, binary
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Through
from .harness.issuer import Issuer, keys_answer
from .harness.keys import key
from .harness.messages import LEGACY, call, message, post
from .harness.policy import fetched, policy
from .harness.upstream import Upstream
from .harness.variants import CLIENTS, ENDS, ERAS

KEYS = "/keys/versions"

LISTENERS = {
    "option": Listener(policy(issuers=[fetched(KEYS)])),
    "option_http2": Listener(policy(issuers=[fetched(KEYS)]), "upstream_h2"),
    "buffer_filter": Listener(
        policy(issuers=[fetched(KEYS)], hold="buffer_filter"), stop_iteration=False, buffer_filter=1024 * 1024
    ),
    # Envoy takes plugins with equal configurations for one, with one option: this one differs.
    "neither": Listener(policy(issuers=[fetched(KEYS)], max_body=200_000), stop_iteration=False),
}

# None is the version of this environment.
VERSIONS = [None, "1.36"]

HOLDING = pytest.mark.parametrize("listener", ["option", "option_http2", "buffer_filter"])


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: version or "current")
def envoy(
    request: pytest.FixtureRequest,
    clusters: dict[str, Cluster],
    issuer: Issuer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Envoy]:
    """Each Envoy in turn, with two workers."""
    issuer.paths[KEYS] = keys_answer(key("ES256"))
    directory = tmp_path_factory.mktemp("version")
    running = Envoy(directory, LISTENERS, clusters, binary(request.param), concurrency=2)
    with running.checked():
        yield running


@HOLDING
@CLIENTS
@ENDS
@ERAS
def h02_calls_are_held_edited_and_refused(
    through: Through, listener: str, http2: bool, trailers: list[tuple[str, str]], era: str
) -> None:
    gateway = through(listener)
    body = call(era, "crm.get_customer", {"user_id": 1, "text": "x" * 3000})
    received = gateway.post(body, tokens.support(), era, trailers=trailers, http2=http2).forwarded()
    assert received.arguments["user_id"] == tokens.USER
    assert received.header("authorization") is None
    denied = call(era, "crm.purge")
    gateway.post(denied, tokens.support(), era, trailers=trailers, http2=http2).refused(200, -32602)
    gateway.post(body, None, era, http2=http2).refused(401)


@HOLDING
@pytest.mark.parametrize("style", ["json", "events"])
@ENDS
def h01_lists_are_filtered(
    through: Through, upstream: Upstream, listener: str, style: str, trailers: list[tuple[str, str]]
) -> None:
    body = encoded(listing("tools", [{"name": "crm.purge"}, {"name": "crm.get_customer"}]))
    whole = json_answer(body) if style == "json" else event_stream(body)
    upstream.answer = whole.split(7).with_(sized=False, trailers=trailers, pause=0)
    response = through(listener).post(message(LEGACY, "tools/list"), tokens.support()).response
    assert response.rpc()["result"]["tools"] == [{"name": "crm.get_customer"}]
    assert response.complete


@HOLDING
def h06_requests_without_a_body(through: Through, listener: str) -> None:
    gateway = through(listener)
    assert gateway.get(token=tokens.support()).received.method == "GET"
    gateway.post(b"", tokens.support()).refused(400)


@HOLDING
@CLIENTS
def h08_bodies_beyond_our_limit(through: Through, listener: str, http2: bool) -> None:
    body = call(LEGACY, "crm.import", {"text": "x" * 300_000})
    through(listener).post(body, tokens.support(), http2=http2).refused(413)


def b19_without_option_and_buffer_filter_requests_are_refused(envoy: Envoy, through: Through) -> None:
    exchange = through("neither").send(post(call(LEGACY, "crm.get_customer"), tokens.support()))
    exchange.refused({500, 502, 503, 504})
    assert "allow_on_headers_stop_iteration" in envoy.log()


def h10_workers_do_not_crowd_the_issuer(through: Through, issuer: Issuer) -> None:
    """Each worker fetches for itself, and the main thread has no reason to."""
    before = issuer.fetches[KEYS]
    for _ in range(20):
        through("option").post(call(LEGACY, "crm.get_customer"), tokens.support()).forwarded()
    policies, workers = len(LISTENERS), 2
    assert issuer.fetches[KEYS] - before <= workers
    assert issuer.fetches[KEYS] <= 2 * policies * (workers + 1)
