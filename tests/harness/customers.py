"""Customers of two organizations, as official servers tell them, and what a caller may have of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel, Field

from . import tokens
from .envoy import ROOT
from .mcp_server import McpServer
from .process import NODE, ServerProcess

HERE = Path(__file__).parent
CONFORMANCE_SERVER = ROOT / "target/conformance/debug/conformance-server"

TOOL = "crm.search_customers"
# One that no rule is for. Both take as many milliseconds as they are told to.
OTHER_TOOL = "crm.wait"
# The conformance server names its tools as the suite does.
RUST_TOOL = "test_customers"

OWN = tokens.ORGANIZATION
OTHER = "org-b"

ALL: dict[str, Any] = {
    "customers": [
        {"id": 1, "name": "Ann Acker", "organization_id": OWN, "ssn": "123-45-6789", "limit": 5000, "vip": True},
        {"id": 2, "name": "Bo Bär", "organization_id": OTHER, "ssn": "987-65-4321", "limit": 7777, "vip": False},
        {"id": 3, "name": "Zoë Zander", "organization_id": OWN, "ssn": "555-44-3333", "limit": 9000, "vip": True},
    ],
    "total": 3,
}

# What no caller of this organization gets, in whatever form.
HIDDEN = ["123-45-6789", "987-65-4321", "555-44-3333", "5000", "9000", "7777", "Bo B", OTHER]

RULES = [
    {
        "tools": [TOOL, RUST_TOOL],
        "owner": {"field": "organization_id", "is": "organization", "totals": ["total"]},
        "redact": ["ssn", "limit", "vip"],
    }
]


def allowed() -> dict[str, Any]:
    """What is left for a caller of this organization."""
    hidden = {"ssn": "***", "limit": 0, "vip": False}
    own = [{**each, **hidden} for each in ALL["customers"] if each["organization_id"] == OWN]
    return {"customers": own, "total": len(own)}


class Customer(BaseModel):
    """One customer."""

    id: int
    name: str
    organization_id: str
    ssn: str
    limit: int
    vip: bool


class Customers(BaseModel):
    """What a search finds."""

    customers: list[Customer]
    total: int


class PythonCustomers(McpServer):
    """On the Python SDK: structured content, and its text with indents."""

    def _add_tools(self, crm: MCPServer) -> None:
        super()._add_tools(crm)

        @crm.tool(TOOL)
        async def search_customers(wait: int = 0) -> Customers:
            """Find customers."""
            await asyncio.sleep(wait / 1000)
            return Customers.model_validate(ALL)

        @crm.tool(OTHER_TOOL)
        async def wait(wait: int = 0) -> str:
            """Takes its time."""
            await asyncio.sleep(wait / 1000)
            return "waited"


class StrictCustomer(BaseModel):
    """One customer, in a schema that says as much as it can."""

    id: Annotated[int, Field(ge=1)]
    name: str
    organization_id: str
    ssn: Annotated[str, Field(pattern=r"^\d{3}-\d{2}-\d{4}$", min_length=11, max_length=11)]
    limit: Annotated[int, Field(ge=1000, multiple_of=1000)]
    status: Literal["active", "inactive"]
    emails: Annotated[list[Annotated[str, Field(json_schema_extra={"format": "email"})]], Field(min_length=1)]


class StrictCustomers(BaseModel):
    """What a search finds."""

    customers: Annotated[list[StrictCustomer], Field(min_length=3)]
    total: Annotated[int, Field(ge=3)]


class StrictServer(McpServer):
    """On the Python SDK: every result fits its schema closely."""

    def _add_tools(self, crm: MCPServer) -> None:
        super()._add_tools(crm)

        @crm.tool(TOOL)
        async def search_customers() -> StrictCustomers:
            """Find customers."""
            customers = [
                {
                    **each,
                    "limit": 1000 * each["id"],
                    "status": "inactive" if each["organization_id"] == OTHER else "active",
                    "emails": [f"{each['id']}@crm.example"],
                }
                for each in ALL["customers"]
            ]
            return StrictCustomers.model_validate({"customers": customers, "total": 3})


def typescript_customers(line: str, style: str) -> ServerProcess:
    """On the TypeScript SDK: `line` is v1 or v2, `style` is json or events."""
    return ServerProcess(NODE, HERE / f"customers_{line}.cjs", json.dumps(ALL), style)


def rust_customers() -> ServerProcess:
    """On the Rust SDK, in the server of the conformance runs."""
    return ServerProcess(CONFORMANCE_SERVER)
