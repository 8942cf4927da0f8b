"""The policy replaces the server's `instructions`, which are the same for all callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from .harness import tokens
from .harness.answers import answer, encoded, json_answer, listing, presents, result
from .harness.envoy import Envoy
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.messages import LEGACY, MODERN, begins, message
from .harness.policy import policy
from .harness.sdk_client import connected
from .harness.upstream import Upstream

OWN = "Use crm.purge."
SAID = 'Ask "first".\n\u00e9'

OFFICIAL_SERVERS = True
LISTENERS = {
    "said": Listener(policy(instructions=SAID, max_list_ttl="1m")),
    "nothing": Listener(policy(instructions="")),
    "servers": Listener(policy(errors="keep")),
    "real": Listener(policy(instructions=SAID), "json_server"),
}


@pytest.mark.parametrize("form", ["json", "events"])
@pytest.mark.parametrize("era", [LEGACY, MODERN])
def b37_instructions_are_the_policys(
    through: Callable[[str], Gateway], upstream: Upstream, era: str, form: str
) -> None:
    for listener, expected in (("said", SAID), ("nothing", None), ("servers", OWN)):
        for own in (OWN, None):
            upstream.answer = answer(presents(era, **({"instructions": own} if own else {})), form)
            exchange = through(listener).post(begins(era), tokens.support(), era)
            exchange.forwarded(begins(era))
            found = exchange.response.rpc()["result"]
            assert found.pop("instructions", None) == (expected if listener != "servers" else own)
            assert found == presents(era)["result"]
            assert exchange.response.complete


def test_other_answers_stay_as_they_are(through: Callable[[str], Gateway], upstream: Upstream) -> None:
    said = encoded(result({"content": [], "instructions": OWN}))
    upstream.answer = json_answer(said)
    for method, params in (("tools/call", {"name": "crm.get_customer"}), ("ping", None)):
        exchange = through("nothing").post(message(LEGACY, method, params), tokens.support())
        assert exchange.response.body == said


TTLS = [("60000", 60000), ("60001", 60000), ("0", 0), ('"9"', 60000), ("1e300", 60000)]


@pytest.mark.parametrize("form", ["json", "events"])
@pytest.mark.parametrize(("ttl", "expected"), TTLS)
def b27_lists_are_not_kept_for_long(
    through: Callable[[str], Gateway], upstream: Upstream, ttl: str, expected: int, form: str
) -> None:
    written = encoded(listing("tools", [], ttlMs="?")).replace(b'"?"', ttl.encode())
    upstream.answer = answer(written, form)
    exchange = through("said").post(message(MODERN, "tools/list"), tokens.support(), MODERN)
    assert exchange.response.rpc()["result"] == {"tools": [], "ttlMs": expected, "cacheScope": "private"}


# A client that is told the version asks for nothing first.
@pytest.mark.parametrize("mode", ["legacy", "auto"])
def b37_a_client_reads_what_the_policy_says(envoy: Envoy, mode: str) -> None:
    async def work() -> str | None:
        async with connected(envoy.ports["real"], mode, False, tokens.support()) as client:
            return client.instructions

    assert asyncio.run(asyncio.wait_for(work(), 20)) == SAID
