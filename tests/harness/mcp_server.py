"""A CRM on the official Python SDK, which believes every argument and notes what it was given."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel, Field

from .app_server import AppServer, http_app
from .envoy_config import Listener
from .policy import Policy

# The client mirrors this argument in a header, and the server compares the two.
MirroredOrganization = Annotated[str, Field(json_schema_extra={"x-mcp-header": "Organization-Id"})]


def in_each_style(policy: Policy) -> dict[str, Listener]:
    """Listeners in front of the two servers of a test module with `OFFICIAL_SERVERS`."""
    return {"json": Listener(policy, "json_server"), "events": Listener(policy, "events_server")}


class Answer(BaseModel):
    """What a user fills in when the tool asks."""

    user_id: str
    note: str


class McpServer(AppServer):
    """The same tools in one of the two response styles."""

    def __init__(self, json_response: bool, **options: Any) -> None:
        # Arguments as the tools got them.
        self.calls: list[dict[str, Any]] = []
        super().__init__(http_app(self._crm(), json_response=json_response, **options))

    def reset(self) -> None:
        """Forget what was noted."""
        self.calls.clear()
        super().reset()

    def _note(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(arguments)
        return arguments

    def _crm(self) -> MCPServer:
        crm = MCPServer("crm")
        self._add_tools(crm)

        @crm.prompt("customer_summary")
        def customer_summary(tone: str, user_id: str = "nobody") -> str:
            return f"Summarize for {user_id}, {tone}"

        @crm.prompt("secret_prompt")
        def secret_prompt() -> str:
            return "secret"

        @crm.resource("crm://public/faq")
        def faq() -> str:
            return "faq"

        @crm.resource("crm://vault/key")
        def vault() -> str:
            return "secret"

        @crm.resource("crm://org-b/{page}")
        def pages(page: str) -> str:
            return f"secret {page}"

        return crm

    def _add_tools(self, crm: MCPServer) -> None:
        @crm.tool("crm.get_customer")
        def get_customer(
            query: str, user_id: str = "nobody", organization_id: MirroredOrganization = "none"
        ) -> dict[str, Any]:
            """Find a customer."""
            return self._note(query=query, user_id=user_id, organization_id=organization_id)

        @crm.tool("crm.search_slowly")
        async def search_slowly(query: str, ctx: Context) -> str:
            """Search, and report progress on the way."""
            for step in range(3):
                await ctx.report_progress(step, 3)
                await asyncio.sleep(0.02)
            self._note(query=query)
            return f"found {query}"

        @crm.tool("crm.assign_ticket")
        async def assign_ticket(ticket: int, ctx: Context) -> str:
            """Ask the user whom to assign it to."""
            answer = await ctx.elicit("Who?", Answer)
            data = answer.data if answer.action == "accept" else None
            self._note(ticket=ticket, answer=data.model_dump() if data else None)
            return "assigned"

        @crm.tool("crm.purge")
        def purge(query: str = "") -> str:
            """Delete everything."""
            self._note(purged=query)
            return "purged"
