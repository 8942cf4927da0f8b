"""Prints the cost ladder: WebAssembly instructions and host calls of each callback of one request.

Run it with `python -m benches.wasm`.
"""

import os
from collections import Counter
from pathlib import Path

from benches.wasm import ladder
from demo import proxy

MODULE = Path(os.environ.get("MCP_AUTH_WASM", proxy.MODULE_FILE)).resolve()


def main() -> None:
    """Measures and prints."""
    for name, costs in ladder.measure(MODULE):
        print(f"\n| {name} | instructions | host calls |\n|---|---:|---|")
        calls: Counter[str] = Counter()
        for callback, cost in costs.items():
            calls += cost.host_calls
            print(f"| `{callback}` | {cost.instructions:,} | {_named(cost.host_calls)} |")
        total = sum(cost.instructions for cost in costs.values())
        print(f"| all | {total:,} | {sum(calls.values())} |")


def _named(calls: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" if count > 1 else name for name, count in calls.items())


if __name__ == "__main__":
    main()
