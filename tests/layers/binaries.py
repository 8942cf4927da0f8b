"""Programs that come from elsewhere: named in the environment, installed, or fetched by `make`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / ".tools"


def find(variable: str, names: tuple[str, ...], fetched: Path) -> Path:
    """The program: what the environment names, else what is installed, else what `make` fetched."""
    if named := os.environ.get(variable):
        return Path(named)
    installed = [found for name in names if (found := shutil.which(name))]
    program = Path(installed[0]) if installed else fetched
    assert program.exists(), f"{program} is missing; install it with `make {fetched.relative_to(TOOLS.parent)}`"
    return program
