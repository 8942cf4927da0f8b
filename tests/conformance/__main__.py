"""`python -m tests.conformance`: fails when the filter changes the outcome of any check, or when the
documentation says something else. With `--write`, the documentation is written.

The last part is about a server that does not compare headers with the body. There the filter has
to make the difference: the suite finds fault with the server alone, and none through the filter.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from . import document, report, suite
from .setting import Pair, setting
from .suite import Results

Selections = dict[str, tuple[str, ...]]

REVISIONS: Selections = {
    revision: ("--requirements", revision) for revision in ("2025-11-25", "2026-07-28")
}
HEADERS: Selections = {
    scenario: ("--scenario", scenario)
    for scenario in ("http-header-validation", "http-custom-header-server-validation")
}

BELIEVING = "a server that does not compare headers with the body"


def main() -> int:
    """Run everything, show it, and say whether it is as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the tables of docs/conformance.md")
    writes = parser.parse_args().write
    with tempfile.TemporaryDirectory() as name:
        comparing, believing = _run(Path(name))
    console = Console(width=120)
    wrong = 0
    for revision in REVISIONS:
        wrong += _must_be_equal(console, revision, *(side[revision] for side in comparing))
    wrong += _must_be_better(console, *(_all(side) for side in believing))
    found = document.tables(_parts(comparing, believing))
    if writes and not wrong:
        document.write(found)
    if document.documented() != found:
        console.print(f"[red]not what {document.DOCUMENT.name} says[/red]: python -m tests.conformance --write")
        wrong += 1
    console.print("[green]as it has to be" if not wrong else f"[red]wrong: {wrong}")
    return 1 if wrong else 0


# A side is the server itself, or the filter before it: the results of each selection.
Side = dict[str, Results]


def _run(directory: Path) -> tuple[list[Side], list[Side]]:
    (directory / "envoy").mkdir()
    with setting(directory / "envoy") as servers, ThreadPoolExecutor() as pool:
        comparing = _start(pool, servers.comparing, REVISIONS, directory / "comparing")
        believing = _start(pool, servers.believing, HEADERS, directory / "believing")
        return [side.result() for side in comparing], [side.result() for side in believing]


def _start(
    pool: ThreadPoolExecutor, servers: Pair, selections: Selections, directory: Path
) -> list[Future[Side]]:
    """Both sides at the same time: most of a run is waiting."""
    urls = {"direct": servers.direct, "filtered": servers.filtered}
    return [pool.submit(_side, url, selections, directory / side) for side, url in urls.items()]


def _side(url: str, selections: Selections, directory: Path) -> Side:
    return {
        name: suite.run(url, directory / name, *arguments)
        for name, arguments in selections.items()
    }


def _parts(comparing: list[Side], believing: list[Side]) -> document.Parts:
    """What the documentation has a table for."""
    parts = {f"MCP {name}": (comparing[0][name], comparing[1][name]) for name in REVISIONS}
    return {**parts, BELIEVING.capitalize(): (_all(believing[0]), _all(believing[1]))}


def _all(side: Side) -> Results:
    return {name: checks for results in side.values() for name, checks in results.items()}


def _must_be_equal(console: Console, revision: str, direct: Results, filtered: Results) -> int:
    found = report.differences(direct, filtered)
    # A server that fails a check could not show that the filter breaks it.
    failed = report.failures(direct)
    wrong = {each.scenario for each in found} | {scenario for scenario, _ in failed}
    title = f"{revision}: the same with and without the filter"
    report.show(console, title, direct, filtered, wrong)
    report.explain(console, found)
    report.complain(console, "the server itself fails", failed)
    return len(found) + len(failed)


def _must_be_better(console: Console, direct: Results, filtered: Results) -> int:
    failed = report.failures(filtered)
    faultless = direct.keys() - {scenario for scenario, _ in report.failures(direct)}
    wrong = {scenario for scenario, _ in failed} | faultless
    title = f"{BELIEVING}: the filter does"
    report.show(console, title, direct, filtered, wrong)
    report.complain(console, "fails through the filter", failed)
    for scenario in faultless:
        console.print(f"[red]nothing is wrong without the filter[/red] in {scenario}")
    return len(failed) + len(faultless)


if __name__ == "__main__":
    sys.exit(main())
