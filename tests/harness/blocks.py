"""Content of results, as the specification has it."""

from __future__ import annotations

import base64
from typing import Any


def base64_of(text: str) -> str:
    """As blobs are written."""
    return base64.b64encode(text.encode()).decode()


def block(text: Any) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": text}


def resource(**data: Any) -> dict[str, Any]:
    """An embedded resource."""
    return {"type": "resource", "resource": {"uri": "crm://org-a/1", **data}}


def link(**more: Any) -> dict[str, Any]:
    """A link to a resource."""
    return {"type": "resource_link", "uri": "crm://org-a/1", "name": "n", **more}
