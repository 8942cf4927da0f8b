"""The first request of a worker waits for keys, and is then inspected as a whole."""

from __future__ import annotations

from itertools import product

import pytest

from .harness import tokens
from .harness.answers import encoded
from .harness.envoy_config import Listener
from .harness.gateway import Through
from .harness.issuer import Issuer, keys_answer
from .harness.keys import key
from .harness.messages import LEGACY, call
from .harness.policy import fetched, policy

KEYS = "/keys/first"

HOLDS = ["option", "buffer_filter"]
CLIENTS = ["h1", "h2"]
ENDS = ["plain", "trailers"]
PIECES = ["whole", "pieces"]
CASES = list(product(HOLDS, CLIENTS, ENDS, PIECES))


def first(number: int, hold: str) -> Listener:
    """A listener of its own: equal policies would share their keys."""
    own = policy(issuers=[fetched(KEYS)], max_body=100_000 + number)
    if hold == "option":
        return Listener(own)
    buffered = {**own, "hold": "buffer_filter"}
    return Listener(buffered, stop_iteration=False, buffer_filter=1024 * 1024)


LISTENERS = {"-".join(case): first(number, case[0]) for number, case in enumerate(CASES)}


def thirds(body: bytes) -> list[bytes]:
    """A body in three pieces."""
    return [body[:1000], body[1000:2000], body[2000:]]


@pytest.fixture(autouse=True)
def slow_issuer(issuer: Issuer) -> None:
    """The whole request arrives before its keys."""
    issuer.paths[KEYS] = keys_answer(key("ES256"), delay=0.3)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def h02_a_request_that_waits_for_keys_is_judged_whole(
    through: Through, case: tuple[str, str, str, str]
) -> None:
    _, client, end, pieces = case
    trailers = [("x-checksum", "1")] if end == "trailers" else []
    body = call(LEGACY, "crm.get_customer", {"user_id": 1, "text": "x" * 3000})
    exchange = through("-".join(case)).post(
        body,
        tokens.support(),
        trailers=trailers,
        http2=client == "h2",
        chunks=thirds(encoded(body)) if pieces == "pieces" else None,
    )
    received = exchange.forwarded()
    assert received.arguments == {"user_id": tokens.USER, "text": "x" * 3000}
