"""Prints the cost ladder: WebAssembly instructions and host calls of each callback of one request.

Run it with `python -m benches.wasm`. `--write` writes what `tests/test_instruction_counts.py` allows.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

from benches.wasm import ladder
from demo import proxy

MODULE = Path(os.environ.get("MCP_AUTH_WASM", proxy.MODULE_FILE)).resolve()
EXPECTED = Path(__file__).with_name("expected.json")


def main() -> None:
    """Measures and prints."""
    totals = {}
    for name, costs in ladder.measure(MODULE):
        print(f"\n| {name} | instructions | host calls |\n|---|---:|---|")
        for callback, cost in costs.items():
            print(f"| `{callback}` | {cost.instructions:,} | {_named(cost.host_calls)} |")
        totals[name] = ladder.totals(costs)
        print(f"| all | {totals[name]['instructions']:,} | {totals[name]['host_calls']} |")
    if "--write" in sys.argv:
        EXPECTED.write_text(json.dumps(totals, indent=2) + "\n")


def _named(calls: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" if count > 1 else name for name, count in calls.items())


if __name__ == "__main__":
    main()
