"""What each client can do, as the tests say it: a test fills a cell, and nothing else does."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from .kinds import KINDS, ROOT

DOCUMENT = ROOT / "docs/clients.md"
START, END = "<!-- written by: python -m tests.clients -->\n", "<!-- end -->\n"

# Rows of the table, in its order.
FLOWS = (
    "signs in, registers itself",
    "signs in, client ID metadata document",
    "signs in, registered beforehand",
    "token expired, has a refresh token",
    "token expired, has none",
    "token too old for the tool",
    "sign-in too old for the tool",
    "scope missing, has a refresh token",
    "scope missing, has none",
    "scope missing, registered itself",
    "scope missing and not granted",
    "tool denied",
    "tool denied, `refusals: visible`",
    "token opaque",
    "token opaque and revoked",
    "server of an earlier version",
    "client credentials",
    "client credentials, token expired",
)

YES = "yes"

# An outcome of more than one flow.
HTTP_ERRORS_END_IT = "reports the 403, and its connection is over: this SDK ends it at any HTTP error but 404"

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

# What a test found for a flow and a client: `YES`, or what happens instead.
_cells: dict[tuple[str, str], str] = {}


def works(flow: str, but: Iterable[str] = ()) -> Decorator:
    """A test of a flow, for every client but these."""
    return _tested(flow, [kind.name for kind in KINDS if kind.name not in but], YES)


def limited(flow: str, instead: str, *names: str) -> Decorator:
    """A test of what these clients do instead; every client, if none is named."""
    return _tested(flow, names or [kind.name for kind in KINDS], instead)


def table() -> str:
    """The matrix in Markdown."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"{__package__}.{path.stem}")
    notes: list[str] = []
    rows = [["", *[kind.name for kind in KINDS]], ["---"] * (len(KINDS) + 1)]
    rows += [[flow, *[_cell(flow, kind.name, notes) for kind in KINDS]] for flow in FLOWS]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    numbered = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    programs = [f"- {kind.name}: {kind.package}, MCP {kind.protocol}" for kind in KINDS]
    return "\n".join(["", *programs, "", *lines, "", *numbered, "", ""])


def documented() -> str:
    """The table in the documentation."""
    return DOCUMENT.read_text().partition(START)[2].partition(END)[0]


def write() -> None:
    """Put the table into the documentation."""
    before, _, rest = DOCUMENT.read_text().partition(START)
    DOCUMENT.write_text(f"{before}{START}{table()}{END}{rest.partition(END)[2]}")


def _tested(flow: str, names: Iterable[str], found: str) -> Decorator:
    assert flow in FLOWS, flow
    kinds = [kind for kind in KINDS if kind.name in names]
    for kind in kinds:
        assert (flow, kind.name) not in _cells, f"{flow}, {kind.name}: two tests"
        _cells[flow, kind.name] = found
    return pytest.mark.parametrize("kind", kinds, ids=[kind.name for kind in kinds])


def _cell(flow: str, name: str, notes: list[str]) -> str:
    found = _cells.get((flow, name), "not tested")
    if found in (YES, "not tested"):
        return found
    if found not in notes:
        notes.append(found)
    return f"[{notes.index(found) + 1}]"
