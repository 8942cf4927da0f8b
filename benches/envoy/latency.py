"""Compares the latency of listeners at a fixed rate of requests, as multiples of the native chain's.

Run it with `python -m benches.envoy.latency`. Requests go out at fixed times, whether or not earlier ones were
answered, and a latency counts from the time at which its request was due. The listeners take turns. The client shares the
machine with Envoy, so that only ratios of one run say something.
"""

import argparse
import datetime
import selectors
import socket
import statistics
import time
from contextlib import ExitStack

from benches.envoy import __main__ as comparison
from benches.envoy import listeners, messages
from benches.envoy.load import Client
from benches.envoy.process import Envoy

CONNECTIONS = 32
SIZE = 524
LISTENERS = {"router": "Envoy alone", "native": "`jwt_authn` + `mcp` + `rbac`", "ours": "this filter"}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--rate", type=int, default=400, help="requests per second")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one listener in one round")
    options = parser.parse_args()
    comparison.OUTPUT.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        server = stack.enter_context(Envoy(comparison.OUTPUT, "server", listeners.server()))
        others = comparison.build_others()
        config = listeners.compared(server.ports["server"], others)
        envoy = stack.enter_context(Envoy(comparison.OUTPUT, "compared", config))
        request = messages.request(messages.call(SIZE), messages.token())
        for name in LISTENERS:
            with Client(envoy.ports[name]) as client:
                client.send(request, comparison.WARM_UP, listeners.ANSWER)
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in LISTENERS}
        for _ in range(options.rounds):
            for name, measured in rounds.items():
                count = int(options.rate * options.seconds)
                latencies = at_fixed_times(envoy.ports[name], request, options.rate, count)
                cuts = statistics.quantiles(latencies, n=100)
                measured.append((cuts[49], cuts[98]))
        version = envoy.version()
    print(table(rounds, version, options.rounds, options.rate))


def at_fixed_times(port: int, request: bytes, rate: int, count: int) -> list[float]:
    """Sends requests at a fixed rate. The latency of each, from the time at which it was due."""
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    selector = selectors.DefaultSelector()
    for each in connections:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(each, selectors.EVENT_READ)
    free, running = list(connections), {}
    latencies: list[float] = []
    start = time.perf_counter()
    sent = 0
    while len(latencies) < count:
        now = time.perf_counter()
        while free and sent < count and start + sent / rate <= now:
            connection = free.pop()
            connection.sendall(request)
            running[connection] = (start + sent / rate, b"")
            sent += 1
        next_due = start + sent / rate - time.perf_counter()
        timeout = max(next_due, 0) if free and sent < count else 1.0
        for key, _ in selector.select(timeout):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            due, answer = running[connection]
            answer += connection.recv(65536)
            running[connection] = (due, answer)
            if answer.endswith(listeners.ANSWER):
                assert answer.startswith(b"HTTP/1.1 200"), answer
                latencies.append(time.perf_counter() - due)
                del running[connection]
                free.append(connection)
    for each in connections:
        each.close()
    return latencies


def table(rounds: dict[str, list[tuple[float, float]]], version: str, count: int, rate: int) -> str:
    """The comparison, in Markdown."""
    lines = ["| latency | p50 | p99 |", "|---|---:|---:|"]
    for name, title in LISTENERS.items():
        pairs = list(zip(rounds[name], rounds["router"], strict=True))
        cells = [statistics.median(one[at] / alone[at] for one, alone in pairs) for at in (0, 1)]
        lines.append(f"| {title} | {cells[0]:.2f} | {cells[1]:.2f} |")
    added = [
        [one[at] - alone[at] for one, alone in zip(rounds[name], rounds["router"], strict=True)]
        for name in ("ours", "native")
        for at in (0, 1)
    ]
    ours, native = added[:2], added[2:]
    today = datetime.datetime.now(datetime.UTC).date()
    lines += [
        f"| this filter adds, of what the native chain adds | {' | '.join(map(share, ours, native))} |",
        "",
        f"Envoy {version}, one worker, {today}: medians of {count} interleaved rounds at {rate} requests per second of",
        f"{SIZE} B, as multiples of Envoy alone in the same round.",
    ]
    return "\n".join(lines)


def share(ours: list[float], native: list[float]) -> str:
    """What the filter adds, as a share. On a busy machine the native chain may seem to add nothing."""
    added = statistics.median(native)
    return f"{statistics.median(ours) / added:.0%}" if added > 0 else "not measurable"


if __name__ == "__main__":
    main()
