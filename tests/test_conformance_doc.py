"""Every test, file and scenario that the documents name exists."""

from __future__ import annotations

import re

import pytest

from .conformance.document import documented
from .harness.envoy import ROOT

CONFORMANCE = (ROOT / "docs/conformance.md").read_text()
THREATS = (ROOT / "docs/threats.md").read_text()
FIELD = (ROOT / "docs/field.md").read_text()

# In Rust, a function behind `#[test]`; in Python, what `python_functions` in pytest.ini collects.
RUST = re.compile(r"#\[test\]\s*(?:#\[[^\]]*\]\s*)*fn (\w+)\(")
PYTHON = re.compile(r"^(?:async )?def ((?:test|[bh]\d\d)_\w+)\(", re.MULTILINE)

CODE = re.compile(r"`([^`]+)`")
TEST = re.compile(r"(?:test|[bh]\d\d)_\w+")
FILE = re.compile(r"[\w./-]+\.(?:rs|py|yaml|toml|md)")


def tests() -> set[str]:
    """The names of all tests."""
    rust = [*(ROOT / "src").rglob("*.rs"), *(ROOT / "crates").rglob("*.rs")]
    python = [path for path in (ROOT / "tests").glob("**/test_*.py") if "node_modules" not in path.parts]
    found = {name for path in rust for name in RUST.findall(path.read_text())}
    return found | {name for path in python for name in PYTHON.findall(path.read_text())}


TESTS = tests()


def rows(text: str) -> list[list[str]]:
    """The rows of all tables, headings included."""
    lines = [line.strip()[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def requirements() -> list[list[str]]:
    """What is asked, where that stands, where it is met, and what shows it."""
    text = CONFORMANCE.partition("## How to read the requirements")[2]
    found = [row for row in rows(text) if row[0] != "requirement"]
    assert len(found) > 50
    assert not [row for row in found if len(row) != 4]
    return found


REQUIREMENTS = requirements()


def is_file(name: str) -> bool:
    """Whether there is such a file, also in the sources: `mcp/sse.rs` may be in the crate `mcp`."""
    crate, _, rest = name.partition("/")
    return any(path.is_file() for path in (ROOT / name, ROOT / "src" / name, ROOT / "crates" / crate / "src" / rest))


@pytest.mark.parametrize("text", [CONFORMANCE, THREATS, FIELD], ids=["conformance", "threats", "field"])
def test_every_test_and_file_that_is_named_exists(text: str) -> None:
    named = CODE.findall(text)
    assert not {name for name in named if TEST.fullmatch(name)} - TESTS
    assert not [name for name in named if FILE.fullmatch(name) and not is_file(name)]


def test_what_shows_a_requirement_is_a_test_or_a_scenario() -> None:
    scenarios = {row[0] for row in rows(documented())}
    for requirement, _, _, shown in REQUIREMENTS:
        unknown = set(CODE.findall(shown)) - TESTS - scenarios
        assert not unknown, f"{requirement}: {unknown}"


def test_what_is_met_is_shown() -> None:
    """A place in the sources comes with a test; what has none is said to be another's or not done."""
    for requirement, source, met, shown in REQUIREMENTS:
        assert source and met, requirement
        excused = any(each in met for each in ("the server's", "not done", "nothing reads"))
        assert shown.strip() or excused, requirement


def test_every_threat_has_a_test_and_every_test_a_threat() -> None:
    listed = set(re.findall(r"^\| ([BHSKAL]\d+) \|", THREATS, re.MULTILINE))
    tried = {each.upper() for name in TESTS for each in re.findall(r"(?:^|(?<=_))[bh]\d\d(?=_)", name)}
    tried |= {each.upper() for name in TESTS for each in re.findall(r"^(?:test_)?([skal]\d{1,2})(?=_)", name)}
    assert listed and tried == listed
