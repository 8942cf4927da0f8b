"""An MCP server that accepts argument names however they are spelled.

Many servers do: models write `organizationId` for `organization_id`, and a model class with
aliases, or a case-insensitive parser, makes both work. It also makes every other spelling work.
"""

import re
import unicodedata
from typing import Any

from mcp.server.mcpserver import MCPServer


class LenientServer(MCPServer):
    """Names of tool and prompt arguments are brought to one spelling before they are read."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        return await super().call_tool(name, respelled(arguments), context)

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Any = None
    ) -> Any:
        return await super().get_prompt(name, respelled(arguments or {}), context)


def respelled(value: Any) -> Any:
    """The value with every object key in snake case, at any depth."""
    if isinstance(value, dict):
        return {snake_case(key): respelled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [respelled(item) for item in value]
    return value


def snake_case(name: str) -> str:
    """`organizationId`, `Organization-ID` and full-width letters alike: `organization_id`."""
    compatible = unicodedata.normalize("NFKC", name)
    visible = "".join(c for c in compatible if unicodedata.category(c) != "Cf")
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", visible)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
