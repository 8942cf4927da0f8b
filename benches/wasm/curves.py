"""Prints how the cost of one request grows, in WebAssembly instructions: with its size, and with the size of the policy.

Run it with `python -m benches.wasm.curves`. `--picture FILE` also draws the curves as SVG.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.envoy import messages
from benches.wasm import ladder
from benches.wasm.__main__ import MODULE
from benches.wasm.host import RESPONSE_BODY, Host

Policy = dict[str, Any]
SMALL = 524


@dataclass(frozen=True)
class Measured:
    """One point of a curve."""

    load: int
    request: int
    memory: int = 0


@dataclass(frozen=True)
class Curve:
    """What grows, and what one more of it costs."""

    name: str
    sizes: tuple[int, ...]
    measure: Callable[[int], Measured]


def run(
    policy: Policy,
    body: bytes | None = None,
    answer: bytes = ladder.ANSWER,
    events: list[bytes] | None = None,
    before: bytes | None = None,
) -> Measured:
    """The cost of loading a policy, and of a request with a token that was seen before. `before`: what the server
    answered before."""
    host = Host(MODULE, policy)
    bearer = ladder.token()
    for each in (before or answer, before or answer, answer):
        costs = ladder.send(host, body or messages.call(SMALL), bearer, each, events)
    return Measured(host.load, ladder.totals(costs)["instructions"], host.memory_size())


def roles(count: int, tools: int, rule: Policy | None = None) -> Policy:
    """A policy with so many roles, which share so many tools. The caller has one more role with one tool."""
    policy = ladder.policy("plain")
    named = [f"server.tool_{number}" for number in range(tools)]
    shared = {f"role_{number}": {"tools": named[number::count]} for number in range(count)}
    policy["roles"] = shared | policy["roles"]
    if rule is not None:
        policy["tools"] = dict.fromkeys(named, rule)
    return policy


def one_role(count: int, ending: str = "") -> Policy:
    """A policy with one role. The role may use so many tools or patterns."""
    policy = ladder.policy("plain")
    named = [f"server_{number}{ending}" for number in range(count)]
    policy["roles"] = {messages.ROLE: {"tools": [*named, messages.ALLOWED]}}
    return policy


def result_rules(count: int) -> Policy:
    """A policy with so many rules for the results of other tools, and one for the called one."""
    policy = ladder.policy("results")
    others = [{"tools": [f"server_{number}.*"], "redact": ["ssn"]} for number in range(count)]
    policy["results"] = others + policy["results"]
    return policy


def arguments(count: int) -> bytes:
    """A call with so many arguments."""
    given = {f"argument_{number}": "a value" for number in range(count)}
    params = {"name": messages.ALLOWED, "arguments": given}
    message = {"jsonrpc": "2.0", "id": 42, "method": "tools/call", "params": params}
    return json.dumps(message, separators=(",", ":")).encode()


def listed(count: int, is_known: bool = False, hides_argument: bool = False) -> Measured:
    """A list of so many tools, of which the filter removes some. A worker knows it if the server answered the same
    before. `hides_argument`: the filter also removes an argument from each schema."""
    policy = ladder.policy("plain") | {"roles": {messages.ROLE: {"tools": ["crm.*"]}}}
    if hides_argument:
        policy["arguments"] = {"user_id": "remove"}
    before = ladder.tools(count, "Searches." if is_known else "Finds.")
    return run(policy, ladder.LIST, ladder.tools(count), before=before)


def events(count: int) -> Measured:
    """A stream of so many events, each with a field that is hidden and its owner, and the result."""
    data = {"organization_id": messages.claims()["org_id"], "subject": "Charged twice", "ssn": "123-45-6789"}
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": data}}
    event = json.dumps(message, separators=(",", ":")).encode()
    return run(ladder.policy("results"), events=[event] * count)


def progress(count: int) -> Measured:
    """A stream of so many notifications of progress, under no rule, and the result."""
    message = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "p-42", "progress": 5}}
    event = json.dumps(message, separators=(",", ":")).encode()
    return run(ladder.policy("plain"), events=[event] * count)


def records(count: int) -> Measured:
    """A result of so many records, each with an owner and two hidden fields."""
    organization = messages.claims()["org_id"]
    record = {"organization_id": organization, "subject": "Charged twice", "ssn": "123-45-6789", "card": {"number": "4111"}}
    items = [record | {"id": f"T-{number}"} for number in range(count)]
    answer = ladder.answered({"content": [], "structuredContent": {"items": items}})
    return run(ladder.policy("results"), None, answer)


def tokens(count: int) -> Measured:
    """A worker that remembers so many tokens."""
    host = Host(MODULE, ladder.policy("plain"))
    for number in range(count):
        ladder.send(host, messages.call(SMALL), ladder.token(number))
    bearer = ladder.token()
    for _ in range(3):
        costs = ladder.send(host, messages.call(SMALL), bearer)
    return Measured(host.load, ladder.totals(costs)["instructions"], host.memory_size())


def streams(count: int) -> Measured:
    """A worker with so many requests that wait for their body."""
    host = Host(MODULE, ladder.policy("plain"))
    bearer = ladder.token()
    for _ in range(count):
        ladder.begin(host, messages.call(SMALL), bearer)
    for _ in range(3):
        costs = ladder.send(host, messages.call(SMALL), bearer)
    return Measured(host.load, ladder.totals(costs)["instructions"], host.memory_size())


CURVES = [
    Curve("bytes of a call", (524, 4096, 16_384, 65_536, 262_144), lambda size: run(ladder.policy("plain"), messages.call(size))),
    Curve("arguments", (1, 16, 64, 256), lambda count: run(ladder.policy("plain"), arguments(count))),
    Curve("tools of the caller's role", (5, 50, 500, 5000), lambda count: run(one_role(count))),
    Curve("patterns of the caller's role", (5, 50, 500, 5000), lambda count: run(one_role(count, ".*"))),
    Curve("roles", (5, 50, 500), lambda count: run(roles(count, count))),
    Curve("tools with a condition, in 200 roles", (5, 50, 500, 5000), lambda count: run(roles(200, count, {"when": "args.x < 5"}))),
    Curve("rules for results", (1, 10, 100, 1000), lambda count: run(result_rules(count))),
    Curve("tools in a list, filtered anew", (10, 50, 200, 800), listed),
    Curve("the same, an argument hidden", (10, 50, 200, 800), lambda count: listed(count, hides_argument=True)),
    Curve("tools in a list that the worker knows", (10, 50, 200, 800), lambda count: listed(count, is_known=True)),
    Curve("events of a stream, under no rule", (10, 100, 1000, 4000), progress),
    Curve("events of a stream, with rules for results", (10, 100, 1000, 4000), events),
    Curve("records in a result", (10, 50, 200, 800), records),
    Curve("tokens remembered", (1, 100, 1000), tokens),
    Curve("requests that wait", (1, 100, 1000), streams),
]


def main() -> None:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    measured = {curve.name: [curve.measure(size) for size in curve.sizes] for curve in CURVES}
    print("| what grows | sizes | instructions of a request | for one more | load | memory |")
    print("|---|---|---|---:|---:|---:|")
    for curve in CURVES:
        print(_row(curve, measured[curve.name]))
    if options.picture is not None:
        options.picture.write_text(picture([(curve, measured[curve.name]) for curve in CURVES]))


def _row(curve: Curve, points: list[Measured]) -> str:
    sizes = ", ".join(f"{size:,}" for size in curve.sizes)
    costs = ", ".join(f"{point.request / 1000:,.0f}k" for point in points)
    slope = (points[-1].request - points[0].request) / (curve.sizes[-1] - curve.sizes[0])
    return f"| {curve.name} | {sizes} | {costs} | {slope:,.0f} | {points[-1].load / 10**6:,.0f}M | {points[-1].memory / 2**20:,.1f} MiB |"


def picture(curves: list[tuple[Curve, list[Measured]]]) -> str:
    """Small charts, one for each curve, from 0 in both directions."""
    width, height, columns = 220, 130, 4
    charts = list(_charts(curves, width, height, columns))
    rows = -(-len(curves) // columns)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * columns} {height * rows}" role="img" '
        'font-family="sans-serif" font-size="10"><title>Instructions of one request</title>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(charts)}</svg>\n'
    )


def _charts(
    curves: list[tuple[Curve, list[Measured]]], width: int, height: int, columns: int
) -> Iterator[str]:
    for number, (curve, points) in enumerate(curves):
        left, top = width * (number % columns) + 12, height * (number // columns) + 24
        most = max(point.request for point in points)
        across, up = width - 30, height - 50
        places = " ".join(
            f"{left + across * size / curve.sizes[-1]:.1f},{top + up - up * point.request / most:.1f}"
            for size, point in zip(curve.sizes, points, strict=True)
        )
        yield (
            f'<text x="{left}" y="{top - 8}" font-weight="bold">{curve.name}</text>'
            f'<path d="M{left},{top}v{up}h{across}" fill="none" stroke="#999"/>'
            f'<polyline points="{places}" fill="none" stroke="#06c" stroke-width="2"/>'
            f'<text x="{left + 3}" y="{top + 8}" fill="#555">{most / 1000:,.0f}k</text>'
            f'<text x="{left + across}" y="{top + up + 12}" text-anchor="end" fill="#555">{curve.sizes[-1]:,}</text>'
        )


if __name__ == "__main__":
    main()
