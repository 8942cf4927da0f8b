"""The pin of a tool, computed a second time."""

from __future__ import annotations

import hashlib
import json
from typing import Any

# What a pin covers.
PINNED = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"]

# A tool that an operator has read and pinned.
READ = {
    "name": "crm.get_customer",
    "description": "Reads a \u00e9.",
    "inputSchema": {"type": "object", "properties": {"role": {}, "n": {"maximum": 1.50}}},
    "annotations": {"readOnlyHint": True, "n": [1, None]},
}


def canonical(value: Any) -> str:
    """The form that is hashed, written down a second time."""
    match value:
        case dict():
            return "{" + "".join(sorted(canonical(key) + canonical(each) for key, each in value.items())) + "}"
        case list():
            return "[" + "".join(map(canonical, value)) + "]"
        case str():
            return f'"{len(value.encode())}:{value}'
        case _:
            return json.dumps(value) + ","


def pin(tool: dict[str, Any]) -> str:
    """The pin of a tool."""
    text = canonical({key: value for key, value in tool.items() if key in PINNED})
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
