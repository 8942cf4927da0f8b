"""A ticket system of two organizations, which closes every ticket that it is told to."""

from __future__ import annotations

import asyncio

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

from .mcp_server import McpServer
from .policy import Policy, policy
from .tokens import ORGANIZATION

OTHER = "org-b"
OWNERS = {"t-1": ORGANIZATION, "t-2": ORGANIZATION, "t-4": OTHER}
# Values that may be in no answer and in no log.
TITLES = {id: f"title of {id}" for id in OWNERS}

GET, CLOSE, CLOSE_ALL = "crm.get_ticket", "crm.close_ticket", "crm.close_tickets"


def owner(argument: str = "args.ticket_id", **changes: object) -> dict[str, object]:
    """The rule for the owner of a ticket."""
    lookup = {"tool": GET, "arguments": {"ticket_id": argument}}
    return {"lookup": lookup, "field": "organization_id", "is": "organization", **changes}


def asking(cluster: str = "upstream", **changes: object) -> Policy:
    """A policy that looks up the owner of each ticket before it is closed."""
    resource = {"resource": "crm://tickets/{args.ticket_id}"}
    base = {
        "upstream": {"cluster": cluster},
        "arguments": {"organization_id": {"set": "organization"}},
        "tools": {
            CLOSE: {"owner": owner()},
            CLOSE_ALL: {"owner": owner("args.ticket_ids")},
            "crm.reopen_*": {"owner": owner(lookup=resource)},
        },
        "prompts": {"close_*": {"owner": owner()}},
        "roles": {"support": {"tools": ["crm.*"], "prompts": ["*"], "resources": ["crm://*"]}},
    }
    return policy(**{**base, **changes})


class Ticket(BaseModel):
    """One ticket."""

    id: str
    organization_id: str
    title: str


class Tickets(McpServer):
    """On the Python SDK. What it was told to do is in `calls`."""

    def _ticket(self, ticket_id: str) -> Ticket:
        self._note(read=ticket_id)
        if ticket_id not in OWNERS:
            raise ValueError(f"no ticket {ticket_id}")
        return Ticket(id=ticket_id, organization_id=OWNERS[ticket_id], title=TITLES[ticket_id])

    def done(self) -> list[str]:
        """The tickets that were closed or reopened."""
        return [each["done"] for each in self.calls if "done" in each]

    def _add_tools(self, crm: MCPServer) -> None:
        @crm.tool(GET)
        async def get_ticket(ticket_id: str, ctx: Context) -> Ticket:
            """One ticket, with a report on the way."""
            await ctx.report_progress(1, 2)
            await asyncio.sleep(0)
            return self._ticket(ticket_id)

        @crm.tool(CLOSE)
        def close_ticket(ticket_id: str) -> str:
            """Close a ticket."""
            self._note(done=ticket_id)
            return "closed"

        @crm.tool(CLOSE_ALL)
        def close_tickets(ticket_ids: list[str]) -> str:
            """Close several tickets."""
            for each in ticket_ids:
                self._note(done=each)
            return "closed"

        @crm.tool("crm.reopen_ticket")
        def reopen_ticket(ticket_id: str) -> str:
            """Reopen a ticket."""
            self._note(done=ticket_id)
            return "reopened"

        @crm.resource("crm://tickets/{ticket_id}")
        def ticket(ticket_id: str) -> str:
            return self._ticket(ticket_id).model_dump_json()

        @crm.prompt("close_politely")
        def close_politely(ticket_id: str) -> str:
            self._note(done=ticket_id)
            return f"Close {ticket_id}"
