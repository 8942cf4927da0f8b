"""Compares listeners of one Envoy: processor time per request, as multiples of Envoy alone.

Run it with `python -m benches.envoy`. The listeners take turns in short rounds, so that whatever
else the machine does meets all of them; what is printed are medians over the rounds. Absolute times
say more about the machine than about the filter: they are in target/bench-envoy/rounds.json.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benches.envoy import checks, listeners, messages
from benches.envoy.load import Client
from benches.envoy.process import Envoy
from demo.proxy import ROOT

HERE = Path(__file__).resolve().parent
OUTPUT = ROOT / "target" / "bench-envoy"
SIZES = {"524 B": 524, "64 KiB": 64 * 1024}
WARM_UP = 25  # waves


@dataclass(frozen=True)
class Row:
    """A listener with a kind of request."""

    title: str
    listener: str
    claims_user: bool = False


ROWS = {
    "A": Row("Envoy alone", "router"),
    "B": Row("an empty Wasm filter", "empty"),
    "S": Row("a Wasm filter that makes the same host calls, and does nothing else", "same-calls"),
    "C": Row("`jwt_authn` + `mcp` + `rbac`", "native"),
    "D": Row("this filter", "ours"),
    "E": Row("this filter, an argument replaced in every request", "ours", claims_user=True),
}

# Seconds per request: size, row, round.
Rounds = dict[str, dict[str, list[float]]]


def main() -> None:
    """Builds, checks, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.6, help="of one listener in one round")
    options = parser.parse_args()
    if not listeners.MODULE.exists():
        sys.exit(f"{listeners.MODULE} is missing; `make wasm` builds it")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    others = build_others()
    with ExitStack() as stack:
        server = stack.enter_context(Envoy(OUTPUT, "server", listeners.server()))
        config = listeners.compared(server.ports["server"], others)
        envoy = stack.enter_context(Envoy(OUTPUT, "compared", config))
        clients = {name: stack.enter_context(Client(port)) for name, port in envoy.ports.items()}
        bearer = messages.token()
        check(clients, bearer)
        for name in ("native", "ours"):
            checks.refuses(name, envoy.ports[name], bearer)
        rounds = measure(envoy, clients, bearer, options.rounds, options.seconds)
        if reloads := envoy.reloads():
            sys.exit(f"the filter crashed {reloads} times:\n{envoy.log()}")
        version = envoy.version()
    (OUTPUT / "rounds.json").write_text(json.dumps(rounds, indent=1))
    print(table(rounds, version, options.rounds))


def build_others() -> dict[str, Path]:
    """Builds the Wasm filters that this filter is compared with."""
    return {name: build_filter(f"{name}-filter") for name in ("empty", "same-calls")}


def build_filter(name: str) -> Path:
    """Builds one of these filters."""
    target = ROOT / "target" / name
    command = ["cargo", "build", "--quiet", "--locked", "--release", "--target", "wasm32-wasip1"]
    subprocess.run([*command, "--target-dir", target], cwd=HERE / name, check=True)
    return target / "wasm32-wasip1" / "release" / f"{name.replace('-', '_')}.wasm"


def check(clients: dict[str, Client], bearer: str) -> None:
    """Stops unless every request that will be timed is treated as it should be."""
    for size in SIZES.values():
        for row in ROWS.values():
            body = messages.call(size, claims_user=row.claims_user)
            assert len(body) == size
            checks.passes(row.listener, clients[row.listener], body, bearer)


def measure(
    envoy: Envoy, clients: dict[str, Client], bearer: str, rounds: int, seconds: float
) -> Rounds:
    """Lets the listeners take turns."""
    loads: dict[tuple[str, str], tuple[Callable[[int], int], int]] = {}
    for size, length in SIZES.items():
        for letter, row in ROWS.items():
            body = messages.call(length, claims_user=row.claims_user)
            request = messages.request(body, bearer)

            def load(
                waves: int, client: Client = clients[row.listener], request: bytes = request
            ) -> int:
                return client.send(request, waves, listeners.ANSWER)

            load(WARM_UP)
            started = time.perf_counter()
            load(WARM_UP)
            waves = int(WARM_UP * seconds / (time.perf_counter() - started))
            loads[size, letter] = (load, max(waves, 10))
    results: Rounds = {size: {letter: [] for letter in ROWS} for size in SIZES}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
        for (size, letter), (load, waves) in loads.items():
            before = envoy.cpu_seconds()
            sent = load(waves)
            results[size][letter].append((envoy.cpu_seconds() - before) / sent)
    print(file=sys.stderr)
    return results


def table(rounds: Rounds, version: str, count: int) -> str:
    """The comparison, in Markdown."""
    lines = [
        f"| processor time per request | {' | '.join(SIZES)} |",
        f"|---|{'---:|' * len(SIZES)}",
    ]
    for letter, row in ROWS.items():
        cells = [f"{multiple(rounds[size], letter):.2f}" for size in SIZES]
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    for letter, title in [
        ("S", "the same host calls add"),
        ("D", "this filter adds"),
        ("E", "this filter adds, with the replaced argument"),
    ]:
        cells = [f"{share(rounds[size], letter):.0%}" for size in SIZES]
        lines.append(f"| {title}, of what the native chain adds | {' | '.join(cells)} |")
    today = datetime.datetime.now(datetime.UTC).date()
    lines += [
        "",
        f"Envoy {version}, one worker, {today}: medians of {count} interleaved rounds, as multiples",
        "of Envoy alone in the same round. RS256 token seen before; `make bench` repeats it.",
    ]
    return "\n".join(lines)


def multiple(times: dict[str, list[float]], letter: str) -> float:
    """A row as a multiple of Envoy alone."""
    pairs = zip(times[letter], times["A"], strict=True)
    return statistics.median(one / alone for one, alone in pairs)


def share(times: dict[str, list[float]], letter: str) -> float:
    """What a row adds to Envoy alone, of what the native chain adds."""
    rows = zip(times[letter], times["C"], times["A"], strict=True)
    return statistics.median((one - alone) / (native - alone) for one, native, alone in rows)


if __name__ == "__main__":
    main()
