"""What the runs found, as tables in the documentation."""

from __future__ import annotations

import json
import tomllib

from ..harness.envoy import ROOT
from .report import count
from .suite import HERE, Check, Results

DOCUMENT = ROOT / "docs/conformance.md"
START, END = "<!-- written by: python -m tests.conformance --write -->\n", "<!-- end -->\n"

SUITE = "@modelcontextprotocol/conformance"

# The results of each part, directly and through the filter.
Parts = dict[str, tuple[Results, Results]]


def tables(parts: Parts) -> str:
    """The totals of the parts, and then the scenarios of each, in Markdown."""
    totals = [(name, _all(direct), _all(filtered)) for name, (direct, filtered) in parts.items()]
    lines = ["", *_programs(), "", *_table("", totals), ""]
    for name, (direct, filtered) in parts.items():
        scenarios = [(each, direct.get(each, []), filtered.get(each, [])) for each in direct | filtered]
        lines += [f"### {name}", "", *_table("scenario", scenarios), ""]
    return "\n".join([*lines, ""])


def documented() -> str:
    """The tables in the documentation."""
    return DOCUMENT.read_text().partition(START)[2].partition(END)[0]


def write(written: str) -> None:
    """Put the tables into the documentation."""
    before, start, rest = DOCUMENT.read_text().partition(START)
    _, end, after = rest.partition(END)
    assert start and end, f"{DOCUMENT} has no place for the tables"
    DOCUMENT.write_text(f"{before}{START}{written}{END}{after}")


def _programs() -> list[str]:
    suite = json.loads((HERE / "package.json").read_text())["dependencies"][SUITE]
    server = tomllib.loads((HERE / "server/Cargo.toml").read_text())["dependencies"]["rmcp"]
    return [f"- suite: {SUITE} {suite}", f"- server: rmcp {server['version'].removeprefix('=')}"]


def _table(heading: str, rows: list[tuple[str, list[Check], list[Check]]]) -> list[str]:
    counted = [[name, count(direct), count(filtered)] for name, direct, filtered in rows]
    cells = [[heading, "direct", "through the filter"], ["---"] * 3, *counted]
    return [f"| {' | '.join(row)} |" for row in cells]


def _all(results: Results) -> list[Check]:
    return [check for checks in results.values() for check in checks]
