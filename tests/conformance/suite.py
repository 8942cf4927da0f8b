"""The suite itself: a Node program that writes one file of checks for each scenario."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NODE = Path(sys.executable).parent / "node"
PROGRAM = HERE / "node_modules/@modelcontextprotocol/conformance/dist/index.js"

TIMEOUT = 180.0

# The suite's directories: `server-<scenario>-<time>`.
DIRECTORY = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")

GOOD = {"SUCCESS", "INFO", "SKIPPED"}


class SuiteError(Exception):
    """The suite did not run to its end; the text is what it printed."""


@dataclass(frozen=True)
class Check:
    """One check of a scenario. Several may share a name."""

    id: str
    name: str
    status: str
    message: str = field(default="", compare=False)

    @property
    def failed(self) -> bool:
        """Whether the suite found something wrong, be it only a warning."""
        return self.status not in GOOD


# The checks of each scenario.
Results = dict[str, list[Check]]


def run(url: str, output: Path, *selection: str) -> Results:
    """Run the selected scenarios against a server."""
    command = [str(NODE), str(PROGRAM), "server", "--url", url, "-o", str(output), *selection]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    results = dict(_scenario(each) for each in sorted(output.glob("*/checks.json")))
    failed = any(check.failed for checks in results.values() for check in checks)
    # It ends with 1 when a check failed, but also when it went wrong itself.
    if not results or (done.returncode and not failed):
        raise SuiteError(done.stdout[-3000:] + done.stderr[-3000:])
    return results


def _scenario(file: Path) -> tuple[str, list[Check]]:
    named = DIRECTORY.fullmatch(file.parent.name)
    assert named, f"an unknown kind of directory: {file.parent}"
    return named["scenario"], [_check(each) for each in json.loads(file.read_text())]


def _check(document: dict[str, Any]) -> Check:
    message = document.get("errorMessage", "")
    return Check(document["id"], document["name"], document["status"], message)
