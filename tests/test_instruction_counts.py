"""What one request costs in the module. Instructions are counted, so that the result is the same on every machine.

After a change that makes a request cheaper, or dearer for a reason: `python -m benches.wasm --write`.
"""

import json
from collections import Counter
from pathlib import Path

from benches.envoy import __main__ as comparison
from benches.envoy import messages
from benches.wasm import curves, ladder
from benches.wasm.__main__ import EXPECTED, MODULE
from benches.wasm.host import Host

# How much dearer a request may get without a new number in the file.
MARGIN = 1.10


def test_no_request_got_dearer() -> None:
    expected = json.loads(EXPECTED.read_text())
    counted = {name: ladder.totals(costs) for name, costs in ladder.measure(MODULE)}
    assert counted.keys() == expected.keys()
    for name, total in counted.items():
        allowed = expected[name]
        assert total["instructions"] <= allowed["instructions"] * MARGIN, (name, total, allowed)
        assert total["host_calls"] <= allowed["host_calls"], (name, total, allowed)
        # A number that is far too high hides the next change.
        assert total["instructions"] * MARGIN >= allowed["instructions"], (name, total, allowed)


def test_the_compared_filter_makes_the_same_host_calls() -> None:
    """The comparison in Envoy says what these calls cost alone."""

    def host_calls(module: Path) -> dict[str, Counter[str]]:
        host, bearer = Host(module, ladder.policy("plain")), ladder.token()
        for _ in range(3):
            costs = ladder.send(host, messages.call(524), bearer)
        return {name: cost.host_calls for name, cost in costs.items() if cost.host_calls}

    assert host_calls(comparison.build_filter("same-calls-filter")) == host_calls(MODULE)


def test_a_request_costs_the_same_with_5000_tools_and_200_roles() -> None:
    rule = {"when": "args.x < 5"}
    small = curves.run(curves.roles(2, 5, rule))
    large = curves.run(curves.roles(200, 5000, rule))
    assert large.request <= small.request * MARGIN
    # Loading is linear.
    assert large.load <= small.load * 1000


def test_the_tools_and_patterns_of_a_role_do_not_make_a_request_dearer() -> None:
    for ending in ("", ".*"):
        small, large = (curves.run(curves.one_role(count, ending)) for count in (50, 2000))
        assert large.request <= small.request * MARGIN, ending
        assert large.load <= small.load * 60, ending
