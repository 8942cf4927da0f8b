"""The documented table is the tested one."""

from __future__ import annotations

import json
from importlib.metadata import version

from .kinds import HERE, KINDS
from .matrix import documented, table


def test_the_documented_table_is_the_tested_one() -> None:
    assert documented() == table(), "run `python -m tests.clients`"


def test_every_flow_is_tested_with_every_client() -> None:
    assert "not tested" not in table()


def test_the_versions_are_the_installed_ones() -> None:
    packages = json.loads((HERE / "node/package.json").read_text())["dependencies"]
    pins = {f"{name} {pinned}" for name, pinned in packages.items()}
    pins.add((HERE / "python/requirements-v1.txt").read_text().replace("==", " ").strip())
    pins.add(f"mcp {version('mcp')}")
    assert {kind.package for kind in KINDS} <= pins
