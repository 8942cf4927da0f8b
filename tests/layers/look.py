"""What holds for every page: nothing is wider than the window, nothing ran, and axe-core finds nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ..harness.envoy import ROOT
from .browser import Person

AXE = ROOT / "playground/node_modules/axe-core/axe.min.js"
# Where pictures of the pages go, to look at them.
PICTURES = os.environ.get("MCP_AUTH_PICTURES")


def look(person: Person, title: str, name: str) -> None:
    """Check the page that the browser is at."""
    if PICTURES:
        person.screenshot(Path(PICTURES, f"{name}.png"))
    widths = person.run(person.page.evaluate("[document.documentElement.scrollWidth, innerWidth]"))
    assert widths[0] <= widths[1]
    assert person.run(person.page.title()) == title
    # The buttons are pale for a second.
    time.sleep(1.2)
    person.run(person.page.evaluate(AXE.read_text()))
    found = person.run(person.page.evaluate("axe.run({resultTypes: ['violations']})"))["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
