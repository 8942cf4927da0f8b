"""The CRM's tools, prompts and resources.

It is deliberately naive: `organization_id`, `user_id` and `role` are arguments, and it believes
them. That is how most servers of this kind start, because it is what the model can fill in.
Three of its tools return more than the caller may see.
"""

from typing import Any, Literal

from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo.crm.data import Row, Store
from demo.crm.lenient import LenientServer
from mcp import MCPError

# JSON-RPC's code for a wrong argument.
INVALID_PARAMS = -32602

Role = Literal["member", "admin"]


class CustomerFilter(BaseModel):
    """Which customers to export."""

    organization_id: str | None = None
    status: str | None = None


def build(store: Store) -> LenientServer:
    """The CRM over `store`."""
    server = LenientServer(
        "crm",
        title="Demo CRM",
        instructions="Customers, their tickets and notes.",
        log_level="ERROR",
    )
    add_customer_tools(server, store)
    add_ticket_tools(server, store)
    add_note_tools(server, store)
    add_prompts(server, store)
    add_resources(server, store)

    @server.custom_route("/healthz", methods=["GET"])
    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @server.custom_route("/audit", methods=["GET"])
    async def audit(_: Request) -> Response:
        return JSONResponse(store.audit())

    return server


def add_customer_tools(server: LenientServer, store: Store) -> None:
    """Reading, exporting, refunding and erasing customers."""

    @server.tool(name="crm.search_customers")
    async def search_customers(
        organization_id: str, query: str = "", role: Role = "member"
    ) -> list[Row]:
        """Find an organization's customers by name."""
        return store.customers(organization_id, query=query, admin=role == "admin")

    @server.tool(name="crm.get_customer")
    async def get_customer(organization_id: str, customer_id: str, role: Role = "member") -> Row:
        """Read one customer. Administrators also see payment and identity numbers."""
        return found(store, organization_id, customer_id, admin=role == "admin")

    @server.tool(name="crm.get_billing")
    async def get_billing(organization_id: str, customer_id: str) -> Row:
        """Read how a customer pays."""
        # Meant for managers; nothing here asks who is reading.
        customer = found(store, organization_id, customer_id, admin=True)
        shown = ("organization_id", "name", "ssn", "card_number")
        remark = f"Charge {customer['card_number']} on the first of the month."
        return {key: customer[key] for key in shown} | {"remark": remark}

    @server.tool(name="crm.export_customers")
    async def export_customers(organization_id: str, filter: CustomerFilter) -> list[Row]:
        """Export the customers that match a filter."""
        organization = filter.organization_id or organization_id
        return store.customers(organization, status=filter.status)

    @server.tool(name="crm.refund")
    async def refund(organization_id: str, customer_id: str, amount: float) -> Row:
        """Pay a customer back."""
        found(store, organization_id, customer_id)
        return {"customer_id": customer_id, "refunded": amount}

    @server.tool(name="crm.purge_customer")
    async def purge_customer(organization_id: str, customer_id: str) -> Row:
        """Erase a customer for good."""
        return store.purge(organization_id, customer_id)


def add_ticket_tools(server: LenientServer, store: Store) -> None:
    """Finding, reading and assigning tickets."""

    @server.tool(name="crm.list_tickets")
    async def list_tickets(
        organization_id: str, customer_id: str | None = None, status: str | None = None
    ) -> list[Row]:
        """List an organization's tickets."""
        return store.tickets(organization_id, customer=customer_id, status=status)

    @server.tool(name="crm.search_tickets")
    async def search_tickets(organization_id: str, query: str) -> dict[str, Any]:
        """Find an organization's tickets by subject."""
        tickets = store.tickets_about(query)
        return {"total": len(tickets), "tickets": tickets}

    @server.tool(name="crm.get_ticket")
    async def get_ticket(organization_id: str, ticket_id: str) -> Row:
        """Read one of an organization's tickets."""
        try:
            return store.ticket(ticket_id)
        except LookupError as error:
            raise ToolError(str(error)) from error

    @server.tool(name="crm.close_ticket")
    async def close_ticket(organization_id: str, ticket_id: str) -> Row:
        """Close one of an organization's tickets."""
        try:
            return store.close(ticket_id)
        except LookupError as error:
            raise ToolError(str(error)) from error

    @server.tool(name="crm.assign_ticket")
    async def assign_ticket(organization_id: str, ticket_id: str, user_id: str) -> Row:
        """Give a ticket to a colleague: `user_id` is the new assignee."""
        return store.assign(organization_id, ticket_id, user_id)


def add_note_tools(server: LenientServer, store: Store) -> None:
    """Reading and writing notes."""

    @server.tool(name="crm.list_notes")
    async def list_notes(organization_id: str, customer_id: str, user_id: str) -> list[Row]:
        """List the team's notes on a customer, and the user's own private ones."""
        return store.notes(organization_id, customer_id, user=user_id)

    @server.tool(name="crm.add_note")
    async def add_note(organization_id: str, customer_id: str, text: str, user_id: str) -> Row:
        """Write a note on a customer in the user's name."""
        return store.add_note(organization_id, customer_id, user=user_id, text=text)


def add_prompts(server: LenientServer, store: Store) -> None:
    """Texts a client may start a conversation with."""

    @server.prompt(name="crm.account_review")
    async def account_review(customer_id: str, organization_id: str) -> str:
        """Prepare a review of a customer."""
        try:
            customer = store.customer(organization_id, customer_id)
        except LookupError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        tickets = store.tickets(organization_id, customer=customer_id, status="open")
        return f"Review {customer['name']} ({customer['contact']}): {len(tickets)} open tickets."

    @server.prompt(name="crm.renewal_email")
    async def renewal_email(customer_name: str, tone: str = "friendly") -> str:
        """Write an e-mail about a renewal."""
        return f"Write a {tone} e-mail to {customer_name} about the renewal."


def add_resources(server: LenientServer, store: Store) -> None:
    """Documents by URI; the organization is part of it."""

    for organization in ("org-acme", "org-globex"):
        add_listing(server, store, organization)

    @server.resource("crm://{organization}/customers/{customer_id}", name="customer")
    async def customer(organization: str, customer_id: str) -> dict[str, Any]:
        """One customer of an organization."""
        try:
            return store.customer(organization, customer_id)
        except LookupError as error:
            raise ResourceError(str(error)) from error


def add_listing(server: LenientServer, store: Store, organization: str) -> None:
    """An organization's customers as a document, one line each."""

    @server.resource(f"crm://{organization}/customers", name=f"{organization}-customers")
    async def customers() -> str:
        rows = store.customers(organization)
        return "\n".join(f"{row['id']} {row['name']} ({row['status']})" for row in rows)


def found(store: Store, organization: str, customer: str, *, admin: bool = False) -> Row:
    """The customer, or an error the model can read."""
    try:
        return store.customer(organization, customer, admin=admin)
    except LookupError as error:
        raise ToolError(str(error)) from error
