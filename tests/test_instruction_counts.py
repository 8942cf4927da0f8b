"""What one request costs in the module. Instructions are counted, so that the result is the same on every machine.

After a change that makes a request cheaper, or dearer for a reason: `python -m benches.wasm --write`.
"""

import json

from benches.wasm import ladder
from benches.wasm.__main__ import EXPECTED, MODULE

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
