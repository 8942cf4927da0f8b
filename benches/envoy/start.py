"""Measures the start of an Envoy with the filter until it judges its first request: its processor time, and its memory then.

Run it with `python -m benches.envoy.start`. An Envoy with the filter, with an empty Wasm filter and without one start by
turns.
"""

import argparse
import datetime
import statistics
from contextlib import ExitStack
from pathlib import Path

from benches.envoy import __main__ as comparison
from benches.envoy import listeners, messages
from benches.envoy.load import Client
from benches.envoy.process import Envoy

SIZE = 524
LISTENERS = {"router": "Envoy alone", "empty": "an empty Wasm filter", "ours": "this filter"}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    comparison.OUTPUT.mkdir(parents=True, exist_ok=True)
    measured: dict[str, list[tuple[float, int]]] = {name: [] for name in LISTENERS}
    others = comparison.build_others()
    request = messages.request(messages.call(SIZE), messages.token())
    with ExitStack() as stack:
        server = stack.enter_context(Envoy(comparison.OUTPUT, "server", listeners.server()))
        version = server.version()
        for _ in range(options.rounds):
            for name, found in measured.items():
                config = listeners.compared(server.ports["server"], others)
                resources = config["static_resources"]
                resources["listeners"] = [each for each in resources["listeners"] if each["name"] == name]
                found.append(start(name, config, request))
    print("| from the start to the first judged request | processor time | memory |")
    print("|---|---:|---:|")
    for name, title in LISTENERS.items():
        pairs = list(zip(measured[name], measured["router"], strict=True))
        seconds = statistics.median(one[0] - alone[0] for one, alone in pairs)
        memory = statistics.median(one[1] - alone[1] for one, alone in pairs)
        print(f"| {title} | +{seconds:.2f} s | +{memory / 2**20:.0f} MiB |")
    today = datetime.datetime.now(datetime.UTC).date()
    print(f"\nEnvoy {version}, one worker, {today}: medians of {options.rounds} interleaved starts, beyond Envoy alone.")


def start(name: str, config: listeners.Config, request: bytes) -> tuple[float, int]:
    """The processor time until the first answer in seconds, and the resident memory in bytes."""
    with Envoy(comparison.OUTPUT, "started", config) as envoy, Client(envoy.ports[name], 1) as client:
        client.send(request, 1, listeners.ANSWER)
        took = envoy.cpu_seconds()
        status = Path(f"/proc/{envoy.pid}/status").read_text()
        [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return took, int(kib) * 1024


if __name__ == "__main__":
    main()
